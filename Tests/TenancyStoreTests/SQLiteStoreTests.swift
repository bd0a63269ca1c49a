import TenancyDatabase
import Foundation
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

@Suite struct SQLiteStoreTests {
  private let directory: TemporaryDirectory
  private let path: String

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.file("control.db")
  }

  @Test(arguments: ControlStoreContract.all)
  func keepsItsPromise(_ contract: ControlStoreContract) throws {
    let keyring = try ContractSecrets.keyring()
    try contract.check { try SQLiteStore(path: path, sealer: keyring, isAudited: false) }
  }

  @Test func aSecondStoreOnTheSameFileIsRefused() throws {
    let first = try SQLiteStore(path: path, isAudited: false)
    expectError(.unavailable) { _ = try SQLiteStore(path: path, isAudited: false) }
    try first.append([Sample.entry(1, [])])
    first.close()
    try SQLiteStore(path: path, isAudited: false).close()
  }

  @Test func aStoreThatCannotBeOpenedLeavesNoLock() throws {
    try Data(repeating: 0x41, count: 5000).write(to: URL(filePath: path))
    for _ in 0..<2 { expectError(.corrupt) { _ = try SQLiteStore(path: path, isAudited: false) } }
  }

  @Test func aMissingDirectoryIsUnavailable() {
    expectError(.unavailable) { _ = try SQLiteStore(path: directory.file("none/control.db")) }
    expectError(.unavailable) { _ = try SQLiteStore(path: "") }
    expectError(.unavailable) { _ = try SQLiteStore(path: path + "\u{0}x") }
  }

  @Test func garbageIsRefusedAndLeftAsItIs() throws {
    let garbage = Data((0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
    try garbage.write(to: URL(filePath: path))
    expectError(.corrupt) { _ = try SQLiteStore(path: path, isAudited: false) }
    #expect(try Data(contentsOf: URL(filePath: path)) == garbage)
  }

  @Test(arguments: [
    "PRAGMA user_version = 1000", "PRAGMA user_version = -1", "PRAGMA application_id = 7",
  ])
  func aFileOfAnotherVersionOrApplicationIsRefused(_ sql: String) throws {
    try SQLiteStore(path: path, isAudited: false).close()
    try execute(sql)
    expectError(.corrupt) { _ = try SQLiteStore(path: path, isAudited: false) }
  }

  @Test func aDatabaseOfVersion1KeepsWhatItHas() throws {
    let tenant = Sample.tenant(1)
    let names: [Change] = ["now", "once"].map {
      .reserveName(ReservedName(.slug, $0), tenant.id)
    }
    let old = try SQLiteStore(path: path, isAudited: false)
    try old.append([Sample.entry(1, [.putTenant(tenant)] + names)])
    old.close()
    try makeOlder(version: 1)
    try execute(
      "ALTER TABLE reserved_names DROP COLUMN retired;"
        + "ALTER TABLE tenants DROP COLUMN state_reason")
    let store = try SQLiteStore(path: path, isAudited: false)
    #expect(try store.load().changes == [.putTenant(tenant)] + names)
    try store.append([Sample.entry(2, [.retireSlug(Sample.slug("once"), tenant.id)])])
    store.close()
    let again = try SQLiteStore(path: path, isAudited: false)
    defer { again.close() }
    #expect(try again.load().changes.last == .retireSlug(Sample.slug("once"), tenant.id))
  }

  /// They covered the password of a tenant's database.
  @Test func digestsOfEarlierVersionsAreTakenOut() throws {
    let digest = String(repeating: "0badcafe", count: 8)
    func request(_ id: String, _ tenant: TenantID) -> Change {
      .rememberRequest(
        RememberedRequest(
          actor: "uid:0", requestID: id, digest: digest, tenant: tenant,
          time: Timestamp(nanoseconds: 1)))
    }
    var (first, moved, plain) = (Sample.tenant(1), Sample.tenant(2), Sample.tenant(3))
    first.isolationModel = .database
    moved.isolationModel = .database
    plain.isolationModel = .shared
    let old = try SQLiteStore(path: path, isAudited: false)
    try old.append([
      Sample.entry(1, [.putTenant(first), request("first", first.id)]),
      Sample.entry(2, [.putTenant(moved), request("moved", moved.id)]),
    ])
    moved.isolationModel = .schema
    let kept = request("plain", plain.id)
    try old.append([Sample.entry(3, [.putTenant(moved)])])
    let digests = "SELECT group_concat(json_extract(changes, '$[1].request.digest')) FROM log"
    let puts = "SELECT group_concat(json_extract(changes, '$[0].tenant.slug')) FROM log"
    let before = try SQLiteConnection(path: path).text(puts)
    #expect(try SQLiteConnection(path: path).text(digests) == "\(digest),\(digest)")
    old.close()
    try makeOlder(version: 3)
    let store = try SQLiteStore(path: path, isAudited: false)
    #expect(try store.load().changes == [.putTenant(first), .putTenant(moved)])
    #expect(try SQLiteConnection(path: path).text(digests) == "[redacted],[redacted]")
    #expect(try SQLiteConnection(path: path).text(puts) == before)
    for suffix in ["", "-wal"] {
      let file = try Data(contentsOf: URL(filePath: path + suffix))
      #expect(file.range(of: Data(digest.utf8)) == nil)
    }
    try store.append([Sample.entry(4, [.putTenant(plain), kept])])
    store.close()
    try makeOlder(version: 3)
    let again = try SQLiteStore(path: path, isAudited: false)
    defer { again.close() }
    #expect(try again.load().changes.last == kept)
  }

  @Test func aSlugThatIsTakenAgainIsNotRetired() throws {
    let tenant = Sample.tenant(1)
    let name = Change.reserveName(ReservedName(.slug, "once"), tenant.id)
    let store = try SQLiteStore(path: path, isAudited: false)
    defer { store.close() }
    try store.append([
      Sample.entry(1, [.putTenant(tenant), name, .retireSlug(Sample.slug("once"), tenant.id)]),
      Sample.entry(2, [name]),
    ])
    #expect(try store.load().changes == [.putTenant(tenant), name])
  }

  @Test func anUnmarkedDatabaseOfSomeoneElseIsRefusedAndLeftAsItIs() throws {
    #expect(FileManager.default.createFile(atPath: path, contents: nil))
    try execute("CREATE TABLE theirs (x)")
    let before = try Data(contentsOf: URL(filePath: path))
    expectError(.corrupt) { _ = try SQLiteStore(path: path, isAudited: false) }
    #expect(try Data(contentsOf: URL(filePath: path)) == before)
  }

  @Test(arguments: [
    ("UPDATE tenants SET state = 'odd'", "table tenants, row \(Sample.id(1))"),
    ("UPDATE tenants SET slug = 'UPPER'", "table tenants, row \(Sample.id(1))"),
    ("UPDATE tenants SET configuration = '{'", "table tenants, row \(Sample.id(1))"),
    ("UPDATE roles SET permissions = '{}'", "table roles, row \(Sample.id(1))/admin"),
    ("UPDATE reserved_names SET kind = 'odd'", "table reserved_names, row odd/acme"),
    ("UPDATE log SET revision = -1", "table log, row -1"),
  ])
  func aRowThatDoesNotParseIsNamed(_ sql: String, _ expected: String) throws {
    let store = try SQLiteStore(path: path, isAudited: false)
    let tenant = Sample.tenant(1)
    try store.append([
      Sample.entry(
        1,
        [
          .putTenant(tenant), .putRole(tenant.id, Sample.role("admin")),
          .reserveName(ReservedName(.slug, "acme"), tenant.id),
        ])
    ])
    store.close()
    try execute(sql)
    let damaged = try SQLiteStore(path: path, isAudited: false)
    let error = #expect(throws: StoreError.self) { try damaged.load() }
    #expect(error?.code == .corrupt)
    #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
  }

  @Test func theLogHoldsNoCredentials() throws {
    let store = try SQLiteStore(path: path, isAudited: false)
    try store.append([Sample.entry(1, [.putTenant(Sample.extremeTenant)])])
    store.close()
    let connection = try SQLiteConnection(path: path)
    let changes = try connection.text("SELECT changes FROM log")
    #expect(!changes.contains("hidden-in-url"))
    #expect(
      try connection.text("SELECT changes ->> '$[0].tenant.configuration.database' FROM log")
        == #"{"password":{"key":"ffffffff-ffff-ffff-0000-000000000000","version":18446744073709551615},"#
        + #""redacted":true,"username":"u\#u{2028}"}"#)
  }

  @Test func filesAreReadableByTheirOwnerOnly() throws {
    let store = try SQLiteStore(path: path, isAudited: false)
    try store.append([Sample.entry(1, [])])
    for suffix in ["", "-wal", "-shm", ".lock"] {
      let attributes = try FileManager.default.attributesOfItem(atPath: path + suffix)
      #expect(attributes[.posixPermissions] as? Int == 0o600, "\(suffix)")
    }
    store.close()
  }

  @Test func aPathThatLooksLikeAnOptionIsAPath() throws {
    let odd = directory.file("file:x?mode=memory")
    let store = try SQLiteStore(path: odd)
    try store.append([Sample.entry(1, [])])
    store.close()
    #expect(try SQLiteStore(path: odd).load().revision == 1)
  }

  @Test func aReaderInAnotherProcessDoesNotKeepTheStoreFromOpening() throws {
    try SQLiteStore(path: path, isAudited: false).close()
    let reader = try SQLiteConnection(path: path)
    try reader.execute("BEGIN; SELECT * FROM log")
    let store = try SQLiteStore(path: path, isAudited: false)
    try store.append([Sample.entry(1, [])])
    #expect(try store.load().revision == 1)
  }

  @Test func errorsNeverHoldBoundValues() throws {
    let store = try SQLiteStore(path: path, isAudited: false)
    let secret = "s3cr3t"
    let stray = Change.putRole(Sample.id(1), Sample.role(secret))
    let error = #expect(throws: StoreError.self) { try store.append([Sample.entry(1, [stray])]) }
    #expect(error?.description.contains(secret) == false)
  }

  /// Takes the log back to what it was before version 5.
  private func makeOlder(version: Int) throws {
    try execute(
      "DROP INDEX log_several; ALTER TABLE log DROP COLUMN form; ALTER TABLE log DROP COLUMN tenant_ids;"
        + "DROP TABLE log_floor; DROP TABLE audit_records; PRAGMA user_version = \(version)")
  }

  /// Runs SQL behind the store's back.
  private func execute(_ sql: String) throws {
    try SQLiteConnection(path: path).execute(sql)
  }
}
