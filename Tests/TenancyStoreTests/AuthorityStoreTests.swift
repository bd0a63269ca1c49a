import TenancyDatabase
import Foundation
import Tenancy
import TenancySecrets
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// Signing authorities in a file: what others have done to them, and how they get there.
struct AuthorityStoreTests {
  private let directory: TemporaryDirectory
  private let path: String
  private let master: MasterKey
  private let first = Sample.id(1).description

  /// A store with one that signs, one that did, and one whose key was lost.
  init() throws {
    directory = try TemporaryDirectory()
    path = directory.file("store.sqlite")
    master = try MasterKey()
    let keyring = Keyring(master: master)
    let dataKey = try keyring.makeDataKey(at: Timestamp(nanoseconds: 5))
    try keyring.install([dataKey])
    let store = try SQLiteStore(path: path, sealer: Keyring(master: master))
    defer { store.close() }
    var changes: [Change] = [.putDataKey(dataKey)]
    for (number, state) in [
      (UInt64(1), SigningAuthority.State.active), (2, .retiring), (4, .revoked),
    ] {
      let (authority, stored) = try ContractAuthorities.sealed(number, keyring, state: state)
      changes += ContractAuthorities.put(authority, stored)
    }
    // Of each kind one signs.
    let (made, stored) = try ContractAuthorities.sealed(5, keyring)
    changes += ContractAuthorities.put(
      ContractAuthorities.tokenKey(5, made.reference, state: .active), stored)
    try store.append([Sample.entry(1, changes)])
  }

  private func open() throws -> SQLiteStore {
    try SQLiteStore(path: path, sealer: Keyring(master: master))
  }

  private func execute(_ sql: String) throws {
    let connection = try SQLiteConnection(path: path)
    try connection.execute("PRAGMA foreign_keys = OFF")
    try connection.execute(sql)
  }

  @Test func whatCommandsMakeIsReadAndSound() throws {
    let store = try open()
    defer { store.close() }
    let authorities = try ControlState(store.load()).authorities
    #expect(authorities.all.map(\.state) == [.active, .retiring, .active])
    #expect(authorities.all.map(\.kind) == [.x509, .x509, .jwt])
    #expect(authorities.revoked.map(\.state) == [.revoked])
    let report = try StoreCheck.run(path: path)
    #expect(report.isSound, "\(report.findings)")
  }

  @Test(arguments: [
    "document = '{}'", "document = 'x'", "id = 'x'",
    "document = json_set(document, '$.state', 'other')",
    "document = json_set(document, '$.state', 'prepared')",
    "document = json_set(document, '$.trustDomain', 'Bad')",
    "document = json_set(document, '$.chain', '')",
    "document = json_set(document, '$.propagation', 0)",
    "document = json_set(document, '$.version', 0)",
    "document = json_remove(document, '$.expireTime')",
    "document = json_remove(document, '$.reference')",
    "document = json_set(document, '$.reference.version', 2)",
    "document = json_set(document, '$.id', '\(Sample.id(3))')",
  ])
  func oneThatIsDoctoredIsNotServed(_ change: String) throws {
    try execute("UPDATE signing_authorities SET \(change) WHERE document LIKE '%retiring%'")
    try expectRefused()
  }

  @Test(arguments: [
    "'$.kind', 'other'", "'$.kind', 'x509'", "'$.publicKey', ''", "'$.chain', 'c'",
    "'$.request', 'r'", "'$.expireTime', 7", "'$.state', 'revoked', '$.retireTime', 7",
    "'$.state', 'awaiting_certificate'",
  ])
  func aKeyOfTokensThatIsDoctoredIsNotServed(_ change: String) throws {
    try execute(
      "UPDATE signing_authorities SET document = json_set(document, \(change)) "
        + "WHERE document LIKE '%jwt%'")
    try expectRefused()
  }

  @Test(arguments: [
    "DELETE FROM platform_secrets", "DELETE FROM signing_authorities",
    "UPDATE signing_authorities SET document = json_remove(json_set(document, '$.state', 'active', "
      + "'$.activateTime', 1), '$.retireTime', '$.trustUntil')",
    "UPDATE platform_secrets SET purpose = 'database_password' WHERE purpose LIKE '%1'",
    "UPDATE platform_secrets SET version = 2",
    "UPDATE platform_secrets SET purpose = 'authority_key/x' WHERE purpose LIKE '%1'",
  ])
  func aStoreThatContradictsItselfIsNotServed(_ change: String) throws {
    try execute("PRAGMA ignore_check_constraints = ON; \(change)")
    try expectRefused()
  }

  /// Two keys are in the place of each other.
  @Test func aKeyOpensInItsPlaceOnly() throws {
    try execute(
      """
      UPDATE platform_secrets SET sealed =
        (SELECT s.sealed FROM platform_secrets s WHERE s.purpose <> platform_secrets.purpose)
      """)
    let doctored = try open()
    defer { doctored.close() }
    let error = #expect(throws: StoreError.self) { try doctored.load() }
    #expect(error?.description.contains("authority_key/\(first): it does not open") == true)
  }

  private func expectRefused() throws {
    let error = #expect(throws: StoreError.self) {
      let store = try open()
      defer { store.close() }
      _ = try store.load()
    }
    let told = error?.description ?? ""
    #expect(error?.code == .corrupt, "\(told)")
    let tables = ["signing_authorities", "platform_secrets"]
    #expect(tables.contains { told.contains($0) }, "\(told)")
    let report = try StoreCheck.run(path: path)
    #expect(!report.isSound)
  }

  @Test func aStoreOfTheVersionBeforeGoesOn() throws {
    let before = Migrations.firstWithAuthorities - 1
    try execute(
      "DROP TABLE signing_authorities; DROP TABLE platform_secrets; PRAGMA user_version = \(before)"
    )
    let report = try StoreCheck.run(path: path)
    #expect(report.schemaVersion == before && report.isSound, "\(report.findings)")
    let store = try open()
    defer { store.close() }
    let keyring = Keyring(master: master)
    try keyring.install(store.dataKeys())
    let (authority, stored) = try ContractAuthorities.sealed(3, keyring)
    try store.append([Sample.entry(2, ContractAuthorities.put(authority, stored))])
    #expect(try ControlState(store.load()).authorities.all == [authority])
  }

  @Test func aBackupHasThem() throws {
    let backup = directory.file("backup")
    _ = try SQLiteBackup(of: path, to: backup, replaces: false).run()
    let target = directory.file("restored.db")
    _ = try SQLiteRestore(from: backup, to: target, replaces: false, accepts: true).run()
    let keyring = Keyring(master: master)
    let store = try SQLiteStore(path: target, sealer: keyring)
    defer { store.close() }
    let authorities = try ControlState(store.load()).authorities
    let place = try #require(authorities.find(first)).keyPlace
    let stored = try #require(try store.secret(place.purpose, of: place.tenant))
    #expect(try keyring.open(stored, for: place).reveal() == Array("private".utf8))
  }

  @Test func neitherFilesNorLogHoldAKey() throws {
    for suffix in ["", "-wal"] where FileManager.default.fileExists(atPath: path + suffix) {
      let bytes = try Data(contentsOf: URL(filePath: path + suffix))
      #expect(bytes.range(of: Data("private".utf8)) == nil)
    }
  }
}
