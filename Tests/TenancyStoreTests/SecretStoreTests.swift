import TenancyDatabase
import Foundation
import Tenancy
import TenancySecrets
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// Sealed secrets and their keys in the store, and passwords that earlier versions stored in the clear.
@Suite struct SecretStoreTests {
  private let directory: TemporaryDirectory
  private let path: String
  private let master: MasterKey
  private let keyring: Keyring
  private let key: WrappedDataKey
  private let purpose = SecretPurpose.databasePassword

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.file("control.db")
    master = try MasterKey()
    keyring = Keyring(master: master)
    key = try keyring.makeDataKey(at: Timestamp(nanoseconds: 5))
    try keyring.install([key])
  }

  private func open(_ sealer: (any SecretSealer)?) throws -> SQLiteStore {
    try SQLiteStore(path: path, sealer: sealer)
  }

  private func execute(_ sql: String) throws {
    let connection = try SQLiteConnection(path: path)
    try connection.execute("PRAGMA foreign_keys = OFF")
    try connection.execute(sql)
  }

  private static func tenant(_ number: UInt64) -> Tenant {
    var tenant = Sample.tenant(number)
    tenant.isolationModel = .database
    tenant.configuration.database = DatabaseConfiguration(
      connectionString: "host=\(number)", username: "u")
    return tenant
  }

  /// What creating such a tenant emits.
  private func changes(
    _ tenant: Tenant, _ password: String
  ) throws -> (changes: [Change], stored: StoredSecret) {
    var tenant = tenant
    let place = SecretPlace(tenant: tenant.id, purpose: purpose)
    let stored = try keyring.seal(ClearSecret(password), for: place, version: tenant.version)
    tenant.configuration.database?.password = stored.reference
    return (
      [
        .putTenant(tenant), .reserveName(ReservedName(.slug, tenant.slug.text), tenant.id),
        .putSecret(tenant.id, purpose, stored.reference, stored.sealed),
      ], stored
    )
  }

  /// A store with two tenants and their passwords.
  private func fill() throws -> (Tenant, Tenant) {
    let (first, second) = (Self.tenant(1), Self.tenant(2))
    // Not the one that seals here: a store without keys would take its own from it.
    let store = try open(Keyring(master: master))
    defer { store.close() }
    try store.append([
      Sample.entry(1, [.putDataKey(key)]), Sample.entry(2, try changes(first, "one-pass").changes),
      Sample.entry(3, try changes(second, "two-pass").changes),
    ])
    return (first, second)
  }

  private func files() throws -> Data {
    try ["", "-wal"].reduce(Data()) { all, suffix in
      let url = URL(filePath: path + suffix)
      return all
        + (FileManager.default.fileExists(atPath: url.path) ? try Data(contentsOf: url) : Data())
    }
  }

  private func opened(_ tenant: TenantID, _ store: SQLiteStore, _ sealer: Keyring) throws -> String?
  {
    guard let stored = try store.secret(purpose, of: tenant) else { return nil }
    let clear = try sealer.open(stored, for: SecretPlace(tenant: tenant, purpose: purpose))
    return String(decoding: clear.reveal(), as: UTF8.self)
  }

  // MARK: What stores promise

  @Test func secretsAndKeysAreGivenBack() throws {
    let tenant = Self.tenant(1)
    let (changes, stored) = try changes(tenant, "one-pass")
    var store = try open(keyring)
    #expect(try store.dataKeys() == [])
    try store.append([Sample.entry(1, [.putDataKey(key)] + changes)])
    for _ in 0..<2 {
      #expect(try store.dataKeys() == [key])
      #expect(try store.secret(purpose, of: tenant.id) == stored)
      #expect(try store.secret(purpose, of: Sample.id(2)) == nil)
      // Not by loading: what is loaded stays in memory.
      #expect(try store.load().changes == Array(changes.dropLast()))
      store.close()
      store = try open(Keyring(master: master))
    }
    try store.append([Sample.entry(2, [.putTenant(tenant), .deleteSecret(tenant.id, purpose)])])
    #expect(try store.secret(purpose, of: tenant.id) == nil)
    store.close()
  }

  @Test func whatHasNoContentOrKeyIsRefused() throws {
    let tenant = Self.tenant(1)
    let (changes, stored) = try changes(tenant, "one-pass")
    let store = try open(keyring)
    defer { store.close() }
    // No data key.
    expectError(.conflict) { try store.append([Sample.entry(1, changes)]) }
    // As the log tells of them.
    let hollow = Change.putSecret(tenant.id, purpose, stored.reference, nil)
    expectError(.conflict) {
      try store.append([Sample.entry(1, [.putDataKey(key), changes[0], hollow])])
    }
    let bare = WrappedDataKey(
      id: key.id, masterKey: key.masterKey, wrapped: [], createTime: key.createTime, state: .active)
    expectError(.conflict) { try store.append([Sample.entry(1, [.putDataKey(bare)])]) }
    // Two active keys.
    let other = try keyring.makeDataKey(at: key.createTime)
    expectError(.conflict) {
      try store.append([Sample.entry(1, [.putDataKey(key), .putDataKey(other)])])
    }
    #expect(try store.load().revision == 0)
    #expect(try store.dataKeys() == [])
    var retired = key
    retired.state = .retired
    try store.append([Sample.entry(1, [.putDataKey(key)])])
    try store.append([Sample.entry(2, [.putDataKey(retired), .putDataKey(other)])])
    #expect(try store.dataKeys().count == 2)
  }

  @Test func neitherFilesNorLogHoldAPassword() throws {
    _ = try fill()
    let files = try files()
    for password in ["one-pass", "two-pass"] {
      #expect(files.range(of: Data(password.utf8)) == nil)
    }
    let log = try SQLiteConnection(path: path).text(
      "SELECT group_concat(changes) FROM log")
    #expect(log.contains(#""purpose":"database_password""#) && log.contains(key.id.description))
    #expect(!log.contains("sealed") && !log.contains("wrapped"))
  }

  // MARK: What others have changed

  @Test(
    arguments: [
      (
        "UPDATE secrets SET sealed = (SELECT sealed FROM secrets s WHERE s.tenant_id <> secrets.tenant_id)",
        1
      ),
      ("UPDATE secrets SET sealed = zeroblob(40) WHERE tenant_id = '\(Sample.id(2))'", 2),
      ("UPDATE secrets SET sealed = x'' WHERE tenant_id = '\(Sample.id(2))'", 2),
      ("UPDATE secrets SET version = 2 WHERE tenant_id = '\(Sample.id(2))'", 2),
      ("UPDATE secrets SET key_id = '00000000-0000-0000-0000-000000000000'", 1),
      ("DELETE FROM secrets WHERE tenant_id = '\(Sample.id(1))'", 1),
      ("UPDATE secrets SET tenant_id = '\(Sample.id(9))' WHERE tenant_id = '\(Sample.id(2))'", 9),
      (
        """
        UPDATE tenants SET configuration = json_remove(configuration, '$.database.password')
        WHERE id = '\(Sample.id(2))'
        """, 2
      ),
      (
        """
        UPDATE tenants SET version = 2,
          configuration = json_set(configuration, '$.database.password.version', 2)
        WHERE id = '\(Sample.id(1))'; UPDATE secrets SET version = 2 WHERE tenant_id = '\(Sample.id(1))'
        """, 1
      ),
    ] as [(String, UInt64)])
  func aRowThatIsNotWhatWasStoredIsNamed(_ sql: String, _ tenant: UInt64) throws {
    _ = try fill()
    try execute(sql)
    let store = try open(Keyring(master: master))
    defer { store.close() }
    let error = #expect(throws: StoreError.self) { try store.load() }
    #expect(error?.code == .corrupt)
    #expect(
      error?.description.hasPrefix("table secrets, row \(Sample.id(tenant))/database_password: ")
        == true, "\(error?.description ?? "")")
  }

  @Test func aChangedKeyIsNamed() throws {
    _ = try fill()
    try execute("UPDATE data_keys SET wrapped = zeroblob(61)")
    let error = #expect(throws: StoreError.self) { try open(Keyring(master: master)) }
    #expect(error?.code == .corrupt)
    #expect(error?.description.contains("data key \(key.id)") == true)
  }

  @Test func anotherMasterKeyIsRefusedAndTheRightOneNamed() throws {
    _ = try fill()
    let other = try MasterKey()
    let error = #expect(throws: StoreError.self) { try open(Keyring(master: other)) }
    #expect(error?.code == .unavailable)
    #expect(error?.description.contains("\(master.id)") == true)
    #expect(error?.description.contains("secrets.previous_master_keys") == true)
    let none = #expect(throws: StoreError.self) { try open(nil) }
    #expect(none?.description.contains("secrets.master_key") == true)
    try open(Keyring(master: other, previous: [master])).close()
  }

  // MARK: What earlier versions left

  /// Makes of the store one of the version before, with these passwords in the clear.
  private func setBack(_ passwords: [(TenantID, String)]) throws {
    try execute("DROP TABLE secrets; DROP TABLE data_keys; PRAGMA user_version = 5")
    for (id, password) in passwords {
      try execute(
        """
        UPDATE tenants SET configuration = json_set(configuration, '$.database.password',
          '\(password)') WHERE id = '\(id)'
        """)
    }
  }

  @Test func passwordsInTheClearAreSealedAndVanish() throws {
    let (first, second) = try fill()
    // One that was there once and left bytes in unused space: earlier versions did not wipe it.
    try setBack([(first.id, "former-clear-password"), (second.id, "")])
    try execute("PRAGMA secure_delete = OFF; CREATE TABLE junk (x TEXT)")
    try execute(
      "PRAGMA secure_delete = OFF; INSERT INTO junk VALUES ('former-clear-password');"
        + "DELETE FROM junk; DROP TABLE junk")
    try execute(
      """
      UPDATE tenants SET configuration = json_set(configuration, '$.database.password',
        'clear-password') WHERE id = '\(first.id)'
      """)
    let before = try files()
    #expect(before.range(of: Data("former-clear-password".utf8)) != nil)
    #expect(before.range(of: Data("clear-password".utf8)) != nil)

    let fresh = Keyring(master: master)
    let store = try open(fresh)
    #expect(try files().range(of: Data("clear-password".utf8)) == nil)
    #expect(try opened(first.id, store, fresh) == "clear-password")
    #expect(try store.secret(purpose, of: second.id) == nil)
    let tenants = try store.load().changes.compactMap { change -> Tenant? in
      if case .putTenant(let tenant) = change { tenant } else { nil }
    }
    #expect(tenants[0].configuration.database?.password?.version == 1)
    #expect(tenants[0].configuration.database?.connectionString == "host=1")
    #expect(tenants[1].configuration == second.configuration)
    store.close()
    let again = try open(Keyring(master: master))
    defer { again.close() }
    #expect(try again.load().revision == 3)
    #expect(try again.dataKeys().count == 1)
  }

  @Test func aPasswordOfAnyCharactersIsSealedAsItIs() throws {
    let (first, _) = try fill()
    let password = "\u{0}pä\u{1F511}\"\\/'\u{7F}"
    let json = try #require(
      String(data: try JSONEncoder().encode([password]), encoding: .utf8))
    try setBack([])
    try execute(
      """
      UPDATE tenants SET configuration = json_remove(configuration, '$.database.password');
      UPDATE tenants SET configuration = json_set(configuration, '$.database.password',
        json('\(json.dropFirst().dropLast().replacingOccurrences(of: "'", with: "''"))'))
      WHERE id = '\(first.id)'
      """)
    let fresh = Keyring(master: master)
    let store = try open(fresh)
    defer { store.close() }
    #expect(try opened(first.id, store, fresh) == password)
  }

  @Test func passwordsInTheClearNeedAMasterKey() throws {
    let (first, second) = try fill()
    try setBack([(first.id, "clear-password"), (second.id, "other-password")])
    for _ in 0..<2 {
      let error = #expect(throws: StoreError.self) { try open(nil) }
      #expect(error?.code == .unavailable)
      #expect(error?.description.contains("set secrets.master_key") == true)
      #expect(error?.description.contains("clear-password") == false)
    }
    // It is as it was: the earlier version could go on.
    #expect(try SQLiteConnection(path: path).integer("PRAGMA user_version") == 5)
    let fresh = Keyring(master: master)
    let store = try open(fresh)
    defer { store.close() }
    #expect(try opened(second.id, store, fresh) == "other-password")
  }

  @Test func aStoreWithoutPasswordsNeedsNone() throws {
    let (first, second) = try fill()
    try setBack([(first.id, ""), (second.id, "")])
    let store = try open(nil)
    defer { store.close() }
    #expect(try store.load().revision == 3)
    #expect(try store.dataKeys() == [])
  }

  /// What is left in the log can't be removed then.
  @Test func whoReadsMeanwhileHoldsTheRemovalUp() throws {
    let (first, second) = try fill()
    try setBack([(first.id, "clear-password"), (second.id, "")])
    let reader = try SQLiteConnection(path: path)
    try reader.execute("BEGIN; SELECT count(*) FROM tenants")
    #expect(throws: StoreError.self) { try open(Keyring(master: master)) }
    try reader.execute("COMMIT")
    let store = try open(Keyring(master: master))
    defer { store.close() }
    #expect(try files().range(of: Data("clear-password".utf8)) == nil)
  }
}
