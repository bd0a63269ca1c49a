import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyRPCCore
@testable import TenancyServer

/// What is looked at of a request before it is decoded, counted.
struct RequestLimitsTests {
  private static let largest = 4 << 20

  /// A length-delimited field.
  private static func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
    var length = content.count
    var bytes = [number << 3 | 2]
    while length >= 0x80 {
      bytes.append(UInt8(length & 0x7F) | 0x80)
      length >>= 7
    }
    return bytes + [UInt8(length)] + content
  }

  private static func refusal<Message: WireMessage>(
    _: Message.Type, _ request: [UInt8], reason: TenancyError.Reason = .invalidField
  ) -> TenancyError? {
    thrown { () throws(TenancyError) in
      try request.span.bytes.withUnsafeBytes { bytes throws(TenancyError) in
        try RequestLimits.check(bytes, Message.self, reason: reason)
      }
    }
  }

  private static func fieldsSeen<Message: WireMessage>(
    _: Message.Type, _ request: [UInt8]
  ) -> Int {
    var measure = RequestLimits.measure
    request.withUnsafeBytes { bytes in
      // What it throws is the subject of other tests.
      try? measure.read(bytes, as: Message.self)
    }
    return measure.fields
  }

  @Test func aRequestHasALimitOfFields() {
    let empty: [UInt8] = [0x12, 0]
    for (count, isGood) in [
      (RequestLimits.maximumFields, true), (1 + RequestLimits.maximumFields, false),
    ] {
      let request = Array(repeatElement(empty, count: count).joined())
      let error = Self.refusal(V1.BatchCheckRequest.self, request)
      #expect((error == nil) == isGood)
      #expect(isGood || error?.violations.first?.field == "items")
      #expect(isGood || error?.message == "items: the request has more than 5000 fields")
    }
  }

  @Test func itIsNotReadBeyond() {
    for size in [40_000, Self.largest] {
      let flat = Array(repeatElement([0x12, 0] as [UInt8], count: size / 2).joined())
      #expect(Self.fieldsSeen(V1.BatchCheckRequest.self, flat) == RequestLimits.maximumFields + 1)
      #expect(Self.fieldsSeen(V1.WhoAmIRequest.self, flat) == RequestLimits.maximumFields + 1)
      // Within one item, too.
      let nested = Self.field(
        2, Array(repeatElement([0x0A, 0] as [UInt8], count: size / 2).joined()))
      #expect(Self.fieldsSeen(V1.BatchCheckRequest.self, nested) == RequestLimits.maximumFields + 1)
    }
  }

  @Test func theFieldThatWentTooFarIsNamed() {
    let many = Array(repeatElement([0x0A, 0] as [UInt8], count: 6_000).joined())
    let cases: [(TenancyError?, String)] = [
      (Self.refusal(V1.UpdateRoleRequest.self, Self.field(2, many)), "update_mask.paths"),
      (Self.refusal(V1.CreateRoleRequest.self, Self.field(3, many)), "role.name"),
      (Self.refusal(V1.ResolveFromHeadersRequest.self, many), "headers"),
      (Self.refusal(V1.WhoAmIRequest.self, many), "request"),
    ]
    for (error, field) in cases { #expect(error?.violations.map(\.field) == [field]) }
  }

  @Test func aRequestHasALimitOfText() {
    for (size, isGood) in [
      (RequestLimits.maximumTextBytes, true), (RequestLimits.maximumTextBytes + 1, false),
      (Self.largest, false),
    ] {
      let text = [UInt8](repeating: UInt8(ascii: "/"), count: size)
      let name = Self.refusal(V1.GetRoleRequest.self, Self.field(1, text))
      #expect((name == nil) == isGood)
      #expect(isGood || name?.violations.map(\.field) == ["name"])
      // In parts as well.
      let half =
        Self.field(2, Array(text[..<(size / 2)])) + Self.field(2, Array(text[(size / 2)...]))
      let parts = Self.refusal(V1.AddRolePermissionsRequest.self, half)
      #expect((parts == nil) == isGood)
      #expect(isGood || parts?.violations.map(\.field) == ["permissions"])
    }
  }

  @Test func whatIsNotKnownIsPassedOver() {
    let unknown = Self.field(15, [UInt8](repeating: 0xFF, count: Self.largest))
    #expect(Self.refusal(V1.GetTenantRequest.self, Self.field(1, [0x61]) + unknown) == nil)
    #expect(Self.fieldsSeen(V1.GetTenantRequest.self, unknown) == 1)
  }

  @Test func smallRequestsAreNotLookedThrough() {
    let malformed = [UInt8](repeating: 0x0F, count: RequestLimits.unexaminedBytes)
    #expect(Self.refusal(V1.GetTenantRequest.self, malformed) == nil)
    let error = Self.refusal(V1.GetTenantRequest.self, malformed + [0x0F])
    #expect(error?.violations.map(\.field) == ["request"])
  }

  /// The largest requests that the services take.
  @Test func whatMakesSenseFits() {
    let name = String(repeating: "a", count: 64)
    let item = V1.BatchCheckItem(
      subject: String(repeating: "s", count: RoleCommands.maximumSubjectBytes),
      permission: "\(name):\(name)")
    let batch = V1.BatchCheckRequest(
      tenant: "tenants/acme", items: Array(repeating: item, count: CheckService.maximumBatch))
    #expect(Self.refusal(V1.BatchCheckRequest.self, batch.encode(arena: Arena())) == nil)
    let flags = Dictionary(
      uniqueKeysWithValues: (0..<1000).map {
        (String(repeating: "f", count: 124) + "\(1000 + $0)", true)
      })
    let configuration = V1.UpdateTenantConfigurationRequest(
      name: "tenants/acme",
      configuration: V1.TenantConfiguration(
        customSettings: ["a": .string(String(repeating: "x", count: 65_000))],
        featureFlags: flags),
      updateMask: GoogleProtobuf.FieldMask(paths: flags.keys.map { "feature_flags.\($0)" }))
    let encoded = configuration.encode(arena: Arena())
    #expect(Self.refusal(V1.UpdateTenantConfigurationRequest.self, encoded) == nil)
  }

  @Test func selectorsAreRefusedAsSuch() {
    for method in MethodRule.all {
      let isSelector = method.path.contains("TenantResolver/Resolve")
      #expect(method.excessReason == (isSelector ? .malformedSelector : .invalidField))
    }
    let path = Self.field(1, [UInt8](repeating: UInt8(ascii: "/"), count: Self.largest))
    let error = Self.refusal(V1.ResolveFromPathRequest.self, path, reason: .malformedSelector)
    #expect(error?.reason == .malformedSelector)
    #expect(error?.violations.map(\.field) == ["path"])
  }
}
