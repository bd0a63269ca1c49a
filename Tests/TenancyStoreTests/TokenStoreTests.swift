import TenancyDatabase
import Foundation
import Tenancy
import TenancySecrets
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// Keys of tokens and revocations in a file: how they get there, and what others have done to them.
@Suite struct TokenStoreTests {
  private let directory: TemporaryDirectory
  private let path: String
  private let master: MasterKey
  private static let first = Sample.id(1)
  private static let second = Sample.id(2)
  private static let signing = String(repeating: "a", count: 43)
  private static let retired = String(repeating: "b", count: 43)

  /// A store with a tenant that has two keys, one of them retired, and with revocations of all kinds.
  init() throws {
    directory = try TemporaryDirectory()
    path = directory.file("control.db")
    master = try MasterKey()
    let keyring = Keyring(master: master)
    let dataKey = try keyring.makeDataKey(at: Timestamp(nanoseconds: 5))
    try keyring.install([dataKey])
    let store = try SQLiteStore(path: path, sealer: Keyring(master: master))
    defer { store.close() }
    var (first, second) = (Sample.tenant(1), Sample.tenant(2))
    var changes: [Change] = [.putDataKey(dataKey)]
    for (id, isRetired) in [(Self.signing, false), (Self.retired, true)] {
      let purpose = SecretPurpose.tokenKey(id)
      let secret = try keyring.seal(
        ClearSecret("private-half"), for: SecretPlace(tenant: first.id, purpose: purpose),
        version: 1)
      first.tokenKeys.append(
        ContractTokens.key(id.first ?? "x", secret.reference, retired: isRetired))
      changes.append(.putSecret(first.id, purpose, secret.reference, secret.sealed))
    }
    second.isolationModel = .database
    first.isolationModel = .database
    for tenant in [first, second] {
      changes += [
        .putTenant(tenant), .reserveName(ReservedName(.slug, tenant.slug.text), tenant.id),
      ]
    }
    try store.append([
      Sample.entry(1, changes),
      Sample.entry(
        2,
        [
          ContractTokens.put(first.id, .token("jti"), until: 10),
          ContractTokens.put(first.id, .subject("user:1"), until: 20),
          ContractTokens.put(second.id, .tenant, until: 30),
        ]),
    ])
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
    let state = try ControlState(store.load())
    store.close()
    let record = try #require(state.find(Self.first))
    #expect(record.tenant.signingKey?.id == Self.signing && record.tenant.tokenKeys.count == 2)
    #expect(record.revocations.count == 2)
    let report = try StoreCheck.run(path: path)
    #expect(report.isSound, "\(report.findings)")
  }

  @Test func neitherFilesNorLogHoldAPrivateHalf() throws {
    for suffix in ["", "-wal"] where FileManager.default.fileExists(atPath: path + suffix) {
      let bytes = try Data(contentsOf: URL(filePath: path + suffix))
      #expect(bytes.range(of: Data("private-half".utf8)) == nil)
    }
  }

  /// Each change alone is found by who loads and by who checks, and the row is named.
  @Test(
    arguments: [
      ("UPDATE tenants SET token_keys = '[]x'", "tenants", "\(first)"),
      ("UPDATE tenants SET token_keys = '{}' WHERE id = '\(second)'", "tenants", "\(second)"),
      key("json_set(token_keys, '$[0].algorithm', 'none')"),
      key("json_set(token_keys, '$[0].id', 'short')"),
      key("json_set(token_keys, '$[0].id', '\(retired)')"),
      key("json_set(token_keys, '$[0].publicKey', 'x')"),
      key("json_set(token_keys, '$[0].publicKey', '{' || hex(zeroblob(256)) || '}')"),
      key("json_set(token_keys, '$[0].retireTime', 5)"),
      key("json_remove(token_keys, '$[1].retireTime')"),
      key("json_remove(token_keys, '$[1].retireTime', '$[1].verifyUntil')"),
      key("json_set(token_keys, '$[1].reference.version', 2)"),
      key("json_set(token_keys, '$[1].reference.version', 0)"),
      key("json_remove(token_keys, '$[1].reference')"),
      (
        "UPDATE tenants SET state = 'deleted', delete_time = 1, purge_time = 1", "tenants",
        "\(first)"
      ),
      ("UPDATE tenants SET token_keys = NULL", "secrets", "\(first)/token_key/\(signing)"),
      (
        "UPDATE tenants SET token_keys = json_remove(token_keys, '$[1]') WHERE id = '\(first)'",
        "secrets", "\(first)/token_key/\(retired)"
      ),
      (
        "DELETE FROM secrets WHERE purpose = 'token_key/\(signing)'", "secrets",
        "\(first)/token_key/\(signing)"
      ),
      ("DELETE FROM secrets", "secrets", "\(first)/token_key/\(signing)"),
      (
        "UPDATE secrets SET version = 2 WHERE purpose = 'token_key/\(retired)'", "secrets",
        "\(first)/token_key/\(retired)"
      ),
      (
        "UPDATE secrets SET purpose = 'token_key/\(signing)x' WHERE purpose LIKE '%a'", "secrets",
        "\(first)/token_key/\(signing)x"
      ),
      (
        "UPDATE secrets SET tenant_id = '\(second)'", "secrets", "\(second)/token_key/\(signing)"
      ),
      revocation("kind = 'all'", "\(first)/all/jti"),
      revocation("kind = 'tenant'", "\(first)/tenant/jti"),
      revocation("target = ''", "\(first)/token/"),
      revocation("target = 'a' || char(10)", "\(first)/token/a\n"),
      revocation("target = hex(zeroblob(129))", nil),
      revocation("reason = char(1)", "\(first)/token/jti"),
      revocation("reason = hex(zeroblob(257))", "\(first)/token/jti"),
      revocation("expire_time = 9223372036854775807", "\(first)/token/jti"),
      revocation("tenant_id = '\(Sample.id(9))'", "\(Sample.id(9))/token/jti"),
      (
        "UPDATE revocations SET target = 'a b' WHERE kind = 'subject'", "revocations",
        "\(first)/subject/a b"
      ),
    ] as [(String, String, String)])
  func whatNoCommandMakesIsRefused(_ sql: String, _ table: String, _ row: String) throws {
    try execute(sql)
    let findings = try StoreCheck.run(path: path).findings
    let secretText = "table \(table), row \(row): "
    #expect(
      findings.contains { $0.table == table && $0.row == row || $0.what.hasPrefix(secretText) },
      "\(findings)")
    let doctored = try open()
    defer { doctored.close() }
    let error = #expect(throws: StoreError.self) { try doctored.load() }
    #expect(error?.code == .corrupt)
    #expect(error?.description.hasPrefix(secretText) == true, "\(error?.description ?? "")")
  }

  private static func key(_ expression: String) -> (String, String, String) {
    ("UPDATE tenants SET token_keys = \(expression) WHERE id = '\(first)'", "tenants", "\(first)")
  }

  private static func revocation(_ sql: String, _ row: String?) -> (String, String, String) {
    let long = "\(first)/token/\(String(repeating: "0", count: 258))"
    return ("UPDATE revocations SET \(sql) WHERE target = 'jti'", "revocations", row ?? long)
  }

  /// Without its key, which keeps each target from being there twice.
  @Test func aTargetThatIsThereTwiceIsFound() throws {
    try execute(
      """
      CREATE TABLE copy AS SELECT * FROM revocations; DROP TABLE revocations;
      ALTER TABLE copy RENAME TO revocations; INSERT INTO revocations SELECT * FROM revocations;
      """)
    let findings = try StoreCheck.run(path: path).findings
    #expect(findings.contains { $0.what.contains("it is there twice") }, "\(findings)")
    expectError(.corrupt) { _ = try open() }
  }

  /// A private half that is another's does not open.
  @Test func privateHalvesAreNotExchanged() throws {
    try execute(
      """
      UPDATE secrets SET sealed = (SELECT s.sealed FROM secrets s WHERE s.purpose <> secrets.purpose)
      """)
    let doctored = try open()
    defer { doctored.close() }
    let error = #expect(throws: StoreError.self) { try doctored.load() }
    #expect(error?.description.contains("token_key/\(Self.signing): it does not open") == true)
  }

  // MARK: The version before

  /// Makes of the store one of the version before.
  private func setBack(keepingColumn: Bool = false) throws {
    let column = keepingColumn ? "" : "ALTER TABLE tenants DROP COLUMN token_keys;"
    try execute(
      "UPDATE tenants SET token_keys = NULL; DELETE FROM secrets; DROP TABLE revocations; DROP TABLE workload_entries; DROP TABLE tenant_domains; \(column)"
        + "PRAGMA user_version = \(Migrations.firstWithTokens - 1)")
  }

  @Test(arguments: [false, true])
  func aStoreOfTheVersionBeforeGoesOn(_ keepingColumn: Bool) throws {
    try setBack(keepingColumn: keepingColumn)
    // As it is, for who checks and who backs it up.
    let report = try StoreCheck.run(path: path)
    #expect(report.isSound && report.schemaVersion == Migrations.firstWithTokens - 1)
    let store = try open()
    let state = try ControlState(store.load())
    #expect(state.tenantCount == 2 && state.find(Self.first)?.tenant.tokenKeys == [])
    try store.append([Sample.entry(3, [ContractTokens.put(Self.first, .tenant, until: 5)])])
    #expect(try ControlState(store.load()).find(Self.first)?.revocations.count == 1)
    store.close()
    let after = try StoreCheck.run(path: path)
    #expect(after.isSound && after.schemaVersion == Migrations.latest, "\(after.findings)")
  }

  @Test func aBackupHasThem() throws {
    let backup = directory.file("backup")
    _ = try SQLiteBackup(of: path, to: backup, replaces: false).run()
    let target = directory.file("restored.db")
    _ = try SQLiteRestore(from: backup, to: target, replaces: false, accepts: true).run()
    let keyring = Keyring(master: master)
    let store = try SQLiteStore(path: target, sealer: keyring)
    defer { store.close() }
    let record = try #require(try ControlState(store.load()).find(Self.first))
    #expect(record.tenant.tokenKeys.map(\.id) == [Self.signing, Self.retired])
    #expect(record.revocations.count == 2)
    let place = SecretPlace(tenant: Self.first, purpose: .tokenKey(Self.signing))
    let stored = try #require(try store.secret(place.purpose, of: place.tenant))
    #expect(try keyring.open(stored, for: place).reveal() == Array("private-half".utf8))
  }

  /// Neither scans: among ten thousand revocations one is written and forgotten as among ten.
  @Test(arguments: [StateStatement.forgetRevocations, .putRevocation])
  func othersRevocationsCostNothing(_ statement: StateStatement) throws {
    let connection = try SQLiteConnection(path: path)
    var steps: [String] = []
    try connection.prepare("EXPLAIN QUERY PLAN \(statement.sql(.sqlite))").read([]) {
      steps.append($0.text(3) ?? "")
      return true
    }
    #expect(!steps.contains { $0.hasPrefix("SCAN") }, "\(steps)")
    if statement == .forgetRevocations {
      #expect(steps.contains { $0.contains("revocations_by_end") }, "\(steps)")
    }
  }
}
