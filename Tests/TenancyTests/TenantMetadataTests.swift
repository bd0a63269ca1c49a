import TenancyTestSupport
import Testing

@testable import Tenancy

struct TenantMetadataTests {
  private let test: TestPlane
  private let commands: TenantCommands

  init() throws {
    test = try TestPlane()
    commands = TenantCommands(test.plane, actor: "alice")
  }

  private func create(_ metadata: TenantMetadata) async throws(TenancyError) -> Tenant {
    var new = TenantCommands.NewTenant(
      slug: "acme", displayName: "Acme", isolationModel: .shared,
      configuration: TenantConfiguration())
    new.metadata = metadata
    return try await commands.create(new, validateOnly: false)
  }

  private func update(
    _ tenant: Tenant, mayMove: Bool = true,
    _ change: @escaping @Sendable (TenantMetadata) -> TenantMetadata
  ) async throws(TenancyError) -> Tenant {
    var update = TenantCommands.Update(etag: "", mayMove: mayMove)
    update.metadata = change
    return try await commands.update(tenant.id, update, action: "tenants.update")
  }

  @Test func theyAreKeptAndCounted() async throws {
    let plain = try await create(TenantMetadata())
    #expect(!plain.hasMetadata)
    let before = try #require(test.plane.state.find(plain.id)).footprint
    let noted = TenantMetadata(labels: ["region": "eu"], annotations: ["note": "x y\n"])
    let after = try await update(plain) { _ in noted }
    #expect(after.metadata == noted && after.version == 2)
    let record = try #require(test.plane.state.find(plain.id))
    #expect(record.tenant == after)
    let bytes = "regioneunotex y\n".utf8.count
    #expect(record.footprint.storedBytes == before.storedBytes + bytes)
    #expect(record.footprint.residentBytes == before.residentBytes + bytes + 2 * 64)
    #expect(test.store.log.last?.changes == [.putTenant(after)])
    // The same again is no change.
    #expect(try await update(plain) { _ in noted }.version == 2)
    let none = try await update(plain) { _ in TenantMetadata() }
    #expect(!none.hasMetadata && none.version == 3)
    #expect(try #require(test.plane.state.find(plain.id)).footprint == before)
  }

  @Test func aTenantsOwnIdentityChangesNone() async throws {
    let tenant = try await create(TenantMetadata(labels: ["tier": "free"]))
    for noted in [
      TenantMetadata(labels: ["tier": "gold"]), TenantMetadata(),
      TenantMetadata(labels: ["tier": "free"], annotations: ["a": "b"]),
    ] {
      let error = await refusal { () async throws(TenancyError) in
        try await update(tenant, mayMove: false) { _ in noted }
      }
      #expect(error?.category == .permissionDenied)
    }
    // Nothing is changed by what is there already.
    #expect(try await update(tenant, mayMove: false) { $0 } == tenant)
  }

  @Test(arguments: [
    "a", "A", "0", "a.b_c-d", String(repeating: "a", count: 63), "example.com/team", "a/b",
    String(repeating: "a", count: 63) + "/b",
  ])
  func keysOfTheForm(_ key: String) async throws {
    let metadata = TenantMetadata(labels: [key: ""], annotations: [key: ""])
    #expect(try await create(metadata).metadata == metadata)
  }

  @Test(arguments: [
    "", "-a", "a-", ".a", "a b", "a=b", "é", "a\u{0}", "/a", "a/", "a/b/c", "A/b", "a..b/c",
    "_a/b", "a_b/c", String(repeating: "a", count: 64), String(repeating: "a", count: 64) + "/b",
    Array(repeating: "abc", count: 64).joined(separator: ".") + "/b",
  ])
  func keysOfAnotherForm(_ key: String) async {
    for (metadata, field) in [
      (TenantMetadata(labels: [key: ""]), "tenant.labels"),
      (TenantMetadata(annotations: [key: ""]), "tenant.annotations"),
    ] {
      let error = await refusal { () async throws(TenancyError) in try await create(metadata) }
      #expect(error?.violations.map(\.field) == [field])
    }
  }

  @Test func theyHaveLimits() async throws {
    func many(_ count: Int, _ value: String = "") -> [String: String] {
      Dictionary(uniqueKeysWithValues: (0..<count).map { ("key-\($0 + 100)", value) })
    }
    let room = TenantMetadata.maximumAnnotationBytes - 1
    let most = TenantMetadata(labels: many(64), annotations: many(64))
    let long = TenantMetadata(
      labels: ["a": String(repeating: "b", count: 63)],
      annotations: ["a": String(repeating: "é", count: room / 2) + "x"])
    let tenant = try await create(most)
    for metadata in [most, long] {
      #expect(try await update(tenant) { _ in metadata }.metadata == metadata)
    }
    for metadata in [
      TenantMetadata(labels: many(65)), TenantMetadata(annotations: many(65)),
      TenantMetadata(labels: ["a": String(repeating: "b", count: 64)]),
      TenantMetadata(labels: ["a": "b c"]), TenantMetadata(annotations: ["a": "b\u{0}c"]),
      TenantMetadata(annotations: ["a": String(repeating: "x", count: room + 1)]),
    ] {
      let error = await refusal { () async throws(TenancyError) in
        try await update(tenant) { _ in metadata }
      }
      #expect(error?.category == .invalidArgument)
    }
    #expect(test.plane.state.find(tenant.id)?.tenant.metadata == long)
  }
}
