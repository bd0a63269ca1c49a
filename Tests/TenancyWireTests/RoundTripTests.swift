import TenancyRPC
import Testing

@testable import TenancyWire

@Suite struct RoundTripTests {
  private func expectRoundTrip<Message: WireMessage & Equatable>(_ message: Message) throws {
    #expect(try Message(bytes: message.encoded()) == message)
  }

  @Test func everyKindOfField() throws {
    try expectRoundTrip(Samples.tenant)
    try expectRoundTrip(V1.ListTenantsResponse(tenants: [Samples.tenant, V1.Tenant()]))
    try expectRoundTrip(
      V1.ListTenantsRequest(pageSize: -3, filter: "slug = \"a*\"", showDeleted: true))
    try expectRoundTrip(V1.Role(permissions: ["a:b", "", "c:d"], builtIn: true))
    try expectRoundTrip(
      V1.ResolveTenantRequest(headers: ["x-a": "1", "x-b": ""], environment: [:]))
    try expectRoundTrip(V1.WhoAmIRequest())
    try expectRoundTrip(GoogleProtobuf.Duration(seconds: -.max, nanos: -999_999_999))
    try expectRoundTrip(GoogleProtobuf.FieldMask(paths: ["a.b", "c_d"]))
    try expectRoundTrip(
      GoogleRPC.BadRequest(fieldViolations: [.init(field: "a", description: "b")]))
    try expectRoundTrip(
      GoogleRPC.Status(
        code: 5, message: "no",
        details: [GoogleProtobuf.`Any`(typeUrl: "type.googleapis.com/x", value: [0, 255, 128])]))
  }

  @Test func defaultsTakeNoBytes() throws {
    #expect(V1.Tenant().encoded().isEmpty)
    #expect(try V1.Tenant(bytes: []) == V1.Tenant())
  }

  @Test func emptyStructIsNotAbsent() throws {
    let empty = V1.TenantConfiguration(customSettings: [:])
    #expect(!empty.encoded().isEmpty)
    try expectRoundTrip(empty)
    #expect(try V1.TenantConfiguration(bytes: []).customSettings == nil)
  }

  @Test func encodingIsDeterministic() {
    let flags = Dictionary(uniqueKeysWithValues: (0..<50).map { ("flag-\($0)", $0 % 2 == 0) })
    let reversed = Dictionary(uniqueKeysWithValues: flags.reversed())
    #expect(
      V1.TenantConfiguration(featureFlags: flags).encoded()
        == V1.TenantConfiguration(featureFlags: reversed).encoded())
  }

  @Test func knownBytes() {
    let request = V1.CheckRequest(tenant: "t", subject: "s", permission: "p")
    #expect(request.encoded() == [0x0a, 1, 0x74, 0x12, 1, 0x73, 0x1a, 1, 0x70])
    let answer = V1.CheckResponse(allowed: true, reason: .role, revision: 300)
    #expect(answer.encoded() == [0x08, 1, 0x10, 1, 0x20, 0xac, 0x02])
  }

  @Test func unknownEnumNumbersAreKept() throws {
    for number: Int32 in [99, .max, -1, .min] {
      let state = V1.TenantState(rawValue: number)
      try expectRoundTrip(V1.Tenant(state: state))
      #expect(state.protoName == String(number))
    }
    #expect(V1.TenantState.provisionFailed.protoName == "TENANT_STATE_PROVISION_FAILED")
    #expect("\(V1.ResolutionStrategy.default)" == "RESOLUTION_STRATEGY_DEFAULT")
  }

  @Test func messagesOutliveTheArena() throws {
    let arena = Arena()
    let bytes = Samples.tenant.encoded()
    let decoded = try bytes.withUnsafeBytes { try V1.Tenant(decoding: $0, arena: arena) }
    arena.reset()
    _ = V1.Tenant(name: String(repeating: "x", count: 8_000)).encode(arena: arena)
    #expect(decoded == Samples.tenant)
  }

  @Test func hotPathStaysInC() throws {
    let arena = Arena()
    let bytes = V1.UpdateTenantRequest(tenant: V1.Tenant(name: "tenants/a")).encoded()
    try bytes.withUnsafeBytes { buffer in
      let c = try V1.UpdateTenantRequest.decode(buffer, arena: arena)
      let field = try #require(V1.TenantManager.updateTenant.tenantField)
      let name = try WireText.validate(field(c), field: "tenant.name")
      #expect(Array(name) == Array("tenants/a".utf8))
      #expect(V1.UpdateTenantRequest.encodedSize(c) == bytes.count)
      let packed = arena.allocate(bytes.count)
      V1.UpdateTenantRequest.pack(c, into: packed)
      #expect(Array(UnsafeRawBufferPointer(start: packed, count: bytes.count)) == bytes)
    }
  }
}
