import TenancyRPC
import TenancyTestSupport
import Testing

@testable import TenancyWire

@Suite struct HostileBytesTests {
  @Test func truncationNeverTraps() throws {
    let bytes = V1.UpdateTenantConfigurationRequest(
      name: "tenants/a", configuration: Samples.tenant.configuration,
      updateMask: .init(paths: ["feature_flags.beta"])
    ).encoded()
    for length in 0..<bytes.count {
      _ = try? V1.UpdateTenantConfigurationRequest(bytes: Array(bytes[..<length]))
    }
    // All of it is one field, so that every shorter piece is malformed.
    let wrapped = V1.CreateTenantRequest(tenant: Samples.tenant).encoded()
    for length in 1..<wrapped.count {
      #expect(throws: WireError.malformed) {
        try V1.CreateTenantRequest(bytes: Array(wrapped[..<length]))
      }
    }
  }

  @Test func randomAndMutatedBytesNeverTrap() {
    var generator = SeededGenerator(seed: 7)
    let valid = V1.CreateTenantRequest(tenant: Samples.tenant).encoded()
    for round in 0..<20_000 {
      var bytes = valid
      if round % 2 == 0 {
        bytes = generator.bytes(Int.random(in: 0...64, using: &generator))
      } else {
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
          bytes[Int.random(in: 0..<bytes.count, using: &generator)] = generator.bytes(1)[0]
        }
        bytes += bytes  // Singular messages that come twice are merged.
      }
      guard let message = try? V1.CreateTenantRequest(bytes: bytes) else { continue }
      _ = message.json().text()
      #expect((try? V1.CreateTenantRequest(bytes: message.encoded())) != nil)
    }
  }

  @Test func unknownFieldsAreIgnored() throws {
    var bytes = V1.GetTenantRequest(name: "tenants/a").encoded()
    var unknown = RawEncoding()
    unknown.field(1_000, varint: .max)
    unknown.field(1_001, bytes: [0xff, 0])
    bytes += unknown.bytes
    #expect(try V1.GetTenantRequest(bytes: bytes) == V1.GetTenantRequest(name: "tenants/a"))
  }

  @Test func wrongWireTypeIsMalformed() {
    #expect(throws: WireError.malformed) { try V1.GetTenantRequest(bytes: [0x08, 0x01]) }
  }

  @Test func exhaustedArenaIsTooLarge() throws {
    // Two bytes each, that describe a whole message.
    let bytes = (0..<10_000).flatMap { _ in RawEncoding.field(1, []) }
    #expect(throws: WireError.tooLarge) {
      try V1.ListTenantsResponse(bytes: bytes, limit: 64 * 1024)
    }
    #expect(try V1.ListTenantsResponse(bytes: bytes, limit: 1 << 24).tenants.count == 10_000)
  }

  @Test func exhaustionAtAnyPointIsTooLarge() throws {
    let once = V1.CreateTenantRequest(tenant: Samples.tenant).encoded()
    let bytes = once + once + once  // Merging allocates too.
    let needed = try #require(
      (0...64 * 1024).first { (try? V1.CreateTenantRequest(bytes: bytes, limit: $0)) != nil })
    for limit in 0..<needed {
      #expect(throws: WireError.tooLarge) {
        try V1.CreateTenantRequest(bytes: bytes, limit: limit)
      }
    }
  }

  @Test func lastOfEqualMapKeysCounts() throws {
    var bytes = V1.ResolveFromHeadersRequest(headers: ["x-a": "1"]).encoded()
    bytes += V1.ResolveFromHeadersRequest(headers: ["x-a": "2"]).encoded()
    #expect(try V1.ResolveFromHeadersRequest(bytes: bytes).headers == ["x-a": "2"])
  }

  @Test func repeatedSingularMessagesMerge() throws {
    let first = V1.TenantConfiguration(
      schema: .init(schemaName: "a"), customSettings: ["a": .number(1), "b": .null])
    let second = V1.TenantConfiguration(
      shared: .init(tenantIdentifier: "t"), customSettings: ["a": .number(2)])
    let merged = try V1.Tenant(
      bytes: V1.Tenant(configuration: first).encoded() + V1.Tenant(configuration: second).encoded())
    let expected = V1.TenantConfiguration(
      schema: .init(schemaName: "a"), shared: .init(tenantIdentifier: "t"),
      customSettings: ["a": .number(2), "b": .null])
    #expect(merged.configuration == expected)
  }

  @Test func mapEntriesMayLackKeyAndValue() throws {
    let bytes = RawEncoding.field(1, [])
    #expect(try V1.ResolveFromHeadersRequest(bytes: bytes).headers == ["": ""])
  }
}
