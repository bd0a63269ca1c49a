import TenancyDatabase
import Foundation
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

@Suite(.enabled(if: PostgreSQLServer.isInstalled, "\(PostgreSQLServer.whySkipped)"))
struct PostgreSQLStoreTests {
  private let server: PostgreSQLServer
  private let schema = PostgreSQLServer.newSchema()

  init() throws { server = try PostgreSQLServer.shared.get() }

  private func open() throws -> PostgreSQLStore {
    try PostgreSQLStore(
      server.configuration(schema: schema), sealer: try ContractSecrets.keyring(),
      isAudited: false)
  }

  @Test(arguments: ControlStoreContract.all)
  func keepsItsPromise(_ contract: ControlStoreContract) throws {
    try contract.check { try open() }
  }

  @Test func keepsItsPromisesOfAuditing() throws {
    try AuditedStoreContract.check { try open() }
  }

  @Test func keepsItsPromisesOfAuditRetention() throws {
    try AuditRetentionContract.check { try open() }
  }

  @Test func auditChainsOfAnEarlierVersionAreFound() throws {
    let chain = AuditChain.tenant(Sample.id(1))
    let former = try open()
    try AuditRetentionContract.add(1...3, to: [chain], in: former)
    former.close()
    let before = Int64(5)
    try server.execute(
      "DROP TABLE audit_chains; DROP TABLE revocations; DROP TABLE workload_entries;"
        + "DROP TABLE signing_authorities; DROP TABLE platform_secrets;"
        + "DROP TABLE request_counts; DROP TABLE limit_nodes; DROP TABLE tenant_domains; "
        + "DROP TABLE tenant_operations; DROP TABLE configuration_items; DROP TABLE configuration_history;"
        + "DROP TABLE groups; DROP TABLE group_members;" + formerRequests
        + "ALTER TABLE tenants DROP COLUMN token_keys; DELETE FROM tenancy_migrations WHERE version > \(before);"
        + "UPDATE tenancy_revision SET schema_version = \(before)", schema: schema)
    let store = try open()
    defer { store.close() }
    #expect(try AuditRetentionContract.due(store, before: 1)[chain] == 0)
    #expect(try AuditRetentionContract.due(store, longerThan: 2)[chain] == 0)
  }

  /// Makes roles, assignments and the table of requests what they were before tenants' callers had any.
  private let formerRequests = """
    ALTER TABLE roles DROP COLUMN rules; ALTER TABLE assignments DROP COLUMN terms;
    ALTER TABLE requests DROP COLUMN payer; ALTER TABLE requests DROP COLUMN resource;
    ALTER TABLE requests ADD PRIMARY KEY (actor, request_id);
    ALTER TABLE requests ALTER COLUMN tenant_id SET NOT NULL;
    CREATE INDEX requests_by_time ON requests (time);
    """

  @Test func aStoreOfTheVersionBeforeTokensGoesOn() throws {
    let tenant = Sample.tenant(1)
    let request = Change.rememberRequest(Sample.request("r", tenant: tenant.id, at: 7))
    let former = try open()
    try former.append([Sample.entry(1, [.putTenant(tenant), request])])
    former.close()
    let before: Int64 = 6
    try server.execute(
      "DROP TABLE signing_authorities; DROP TABLE platform_secrets; DROP TABLE revocations;"
        + "DROP TABLE request_counts; DROP TABLE limit_nodes; DROP TABLE tenant_domains; "
        + "DROP TABLE tenant_operations; DROP TABLE configuration_items; DROP TABLE configuration_history;"
        + "DROP TABLE groups; DROP TABLE group_members;" + formerRequests
        + "DROP TABLE workload_entries; ALTER TABLE tenants DROP COLUMN token_keys;"
        + "DELETE FROM tenancy_migrations WHERE version > \(before);"
        + "UPDATE tenancy_revision SET schema_version = \(before)", schema: schema)
    let store = try open()
    defer { store.close() }
    #expect(try store.load().changes == [.putTenant(tenant), request])
    let revocation = ContractTokens.put(tenant.id, .tenant, until: 5)
    try store.append([Sample.entry(2, [revocation])])
    #expect(try store.load().changes == [.putTenant(tenant), request, revocation])
  }

  @Test func theTablesAreAsTheirDescriptionSays() throws {
    try open().close()
    for table in Table.all {
      let columns = try server.connect(schema: schema).run(
        """
        SELECT column_name::text, data_type::text, is_nullable::text, collation_name::text
        FROM information_schema.columns
        WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position
        """, [.text(schema), .text(table.name)], until: Deadline(in: .seconds(30)))
      let found = (0..<columns.rowCount).map { index in
        let row = columns.row(index)
        return (0..<4).map { row.text($0) ?? "" }.joined(separator: " ")
      }
      let expected = (table.columns + table.kept).map { column in
        let (type, collation) =
          switch column.type {
          case .integer: ("bigint", "")
          case .text: ("text", "C")
          case .blob: ("bytea", "")
          }
        return "\(column.name) \(type) \(column.isNullable ? "YES" : "NO") \(collation)"
      }
      #expect(found.sorted() == expected.sorted(), "\(table.name)")
      let key = try server.text(
        """
        SELECT string_agg(a.attname::text, ',' ORDER BY k.place)
        FROM pg_index i, unnest(i.indkey::int[]) WITH ORDINALITY k (number, place), pg_attribute a
        WHERE i.indrelid = '\(table.name)'::regclass AND i.indisprimary
          AND a.attrelid = i.indrelid AND a.attnum = k.number
        """, schema: schema)
      #expect(key == table.key.joined(separator: ","))
    }
  }

  @Test func eachMigrationIsRecorded() throws {
    try open().close()
    try open().close()
    let record = try server.text(
      "SELECT string_agg(version || ' ' || program, ',' ORDER BY version) FROM tenancy_migrations "
        + "WHERE time BETWEEN now() - interval '1 hour' AND now()", schema: schema)
    let all = (1...PostgreSQLMigrations.latest).map { "\($0) \(Version.text)" }
    #expect(record == all.joined(separator: ","))
  }

  @Test func manyNodesThatStartAtOnceMakeOneSchema() async throws {
    let configuration = server.configuration(schema: schema)
    try await withThrowingTaskGroup { group in
      for _ in 0..<8 {
        group.addTask { try PostgreSQLStore(configuration, isAudited: false).close() }
      }
      try await group.waitForAll()
    }
    let steps = try server.text("SELECT count(*)::text FROM tenancy_migrations", schema: schema)
    #expect(steps == "\(PostgreSQLMigrations.latest)")
  }

  @Test func aNewerSchemaIsRefused() throws {
    let running = try open()
    defer { running.close() }
    try server.execute(
      "INSERT INTO tenancy_migrations (version, program) VALUES (99, '7.0');"
        + "UPDATE tenancy_revision SET schema_version = 99", schema: schema)
    let error = #expect(throws: StoreError.self) { try open() }
    #expect(error?.code == .corrupt)
    for part in ["version 99", "7.0", Version.text, "run the newer one"] {
      #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
    }
    // One that was open before writes nothing either.
    expectError(.corrupt) { try running.append([Sample.entry(1, [])]) }
    expectError(.corrupt) { _ = try running.load() }
    #expect(try server.text("SELECT count(*)::text FROM log", schema: schema) == "0")
  }

  /// As after a failover, when one connection is to the new server and the other to the deposed one.
  @Test func whatIsReadIsNotOlderThanWhatWasFoundWritable() throws {
    let store = try open()
    defer { store.close() }
    try store.append([Sample.entry(1, [])])
    #expect(try store.entries(after: 1, limit: 10) == [])
    try server.execute("UPDATE tenancy_revision SET revision = 2", schema: schema)
    try store.checkWritable()
    try server.execute("UPDATE tenancy_revision SET revision = 1", schema: schema)
    expectError(.corrupt) { _ = try store.entries(after: 1, limit: 10) }
    expectError(.corrupt) { try store.checkWritable() }
    try server.execute("UPDATE tenancy_revision SET revision = 2", schema: schema)
    try store.checkWritable()
    #expect(try store.entries(after: 1, limit: 10) == [])
  }

  @Test func aSchemaOfSomeoneElseIsRefusedAndLeftAsItIs() throws {
    try server.execute("CREATE SCHEMA \(schema); CREATE TABLE theirs (x INT)", schema: schema)
    expectError(.corrupt) { _ = try open() }
    let tables = try server.text(
      "SELECT string_agg(tablename::text, ',') FROM pg_tables WHERE schemaname = '\(schema)'",
      schema: schema)
    #expect(tables == "theirs")
  }

  @Test(arguments: [
    "CREATE VIEW v AS SELECT * FROM tenants", "ALTER TABLE tenants ENABLE ROW LEVEL SECURITY",
    "CREATE RULE r AS ON INSERT TO log DO INSTEAD NOTHING",
    """
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER t BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION f()
    """,
  ])
  func codeInTheSchemaIsRefused(_ sql: String) throws {
    try open().close()
    try server.execute(sql, schema: schema)
    expectError(.corrupt) { _ = try open() }
  }

  @Test(arguments: [
    ("UPDATE tenants SET state = 'odd'", "table tenants, row \(Sample.id(1))"),
    ("UPDATE tenants SET slug = 'UPPER'", "table tenants, row \(Sample.id(1))"),
    ("UPDATE tenants SET display_name = E'\\x10x'", "table tenants, row \(Sample.id(1))"),
    ("UPDATE roles SET permissions = '{}'", "table roles, row \(Sample.id(1))/admin"),
    ("UPDATE reserved_names SET kind = 'odd'", "table reserved_names, row odd/acme"),
    ("DELETE FROM log", "table log ends at 0"),
    ("UPDATE tenancy_revision SET revision = -1", "table tenancy_revision"),
    ("DELETE FROM tenancy_revision", "table tenancy_revision"),
  ])
  func aRowThatDoesNotParseIsNamed(_ sql: String, _ expected: String) throws {
    let store = try open()
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
    try server.execute(sql, schema: schema)
    let error = #expect(throws: StoreError.self) { try open().load() }
    #expect(error?.code == .corrupt)
    #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
  }

  @Test func aStateLargerThanOneFetchComesBackWhole() throws {
    let store = try open()
    defer { store.close() }
    let count = UInt64(PostgreSQLRows.rowsPerFetch + 1)
    let tenants = (1...count).map { number in
      var tenant = Sample.tenant(1)
      tenant = Tenant(
        id: TenantID(high: number << 16 | 0x7000, low: 0b10 << 62 | number),
        slug: Sample.slug("t\(number)"), displayName: "", state: .active, isolationModel: .shared,
        configuration: tenant.configuration, version: 1, epoch: 1, createTime: tenant.createTime,
        updateTime: tenant.updateTime)
      return Change.putTenant(tenant)
    }
    try store.append([Sample.entry(1, tenants)])
    #expect(try store.load().changes == tenants)
  }

  @Test func aQueryIsReadUntilItIsToldToStop() throws {
    let store = try open()
    defer { store.close() }
    try store.append((1...9).map { Sample.entry($0, []) })
    let connection = try server.connect(schema: schema)
    let rows = PostgreSQLRows(connection: connection, timeout: .seconds(30))
    try connection.runScript("BEGIN", until: Deadline(in: .seconds(30)))
    for _ in 0..<2 {
      var found: [Int64?] = []
      try rows.readRows(
        "SELECT revision FROM log WHERE revision > 2 ORDER BY revision",
        while: { row in
          found.append(row.integer(0))
          return found.count < 3
        })
      #expect(found == [3, 4, 5])
    }
  }

  @Test func bytesComeBack() throws {
    let connection = try server.connect(schema: schema)
    for bytes in [[], [0], Array(0...255)] as [[UInt8]] {
      let row = try connection.run(
        "SELECT $1::bytea, $2::text", [.blob(bytes), .null], until: Deadline(in: .seconds(30))
      ).row(0)
      #expect(row.bytes(0) == bytes)
      #expect(row.text(0) == nil && row.integer(0) == nil)
      #expect(row.isNull(1) && row.text(1) == nil && row.bytes(1) == nil)
    }
  }

  @Test func errorsNeverHoldBoundValues() throws {
    let store = try open()
    let secret = "s3cr3t"
    let stray = Change.putRole(Sample.id(1), Sample.role(secret))
    let error = #expect(throws: StoreError.self) { try store.append([Sample.entry(1, [stray])]) }
    #expect(error?.description.contains("23503") == true)
    #expect(error?.description.contains(secret) == false)
    let connection = try server.connect(schema: schema)
    let quoting = #expect(throws: PostgreSQLError.self) {
      try connection.run(
        "SELECT $1::int", [.text(secret)], until: Deadline(in: .seconds(30)))
    }
    #expect(quoting?.sqlState == "22P02")
    #expect(quoting?.description.contains(secret) == false)
  }

  @Test func theLogHoldsNoCredentials() throws {
    let store = try open()
    try store.append([Sample.entry(1, [.putTenant(Sample.extremeTenant)])])
    store.close()
    let changes = try server.text("SELECT changes FROM log", schema: schema)
    #expect(changes?.contains(#""redacted":true"#) == true)
    #expect(changes?.contains("pass/word") == false)
    #expect(changes?.contains("hidden-in-url") == false)
  }

  @Test func aDatabaseThatHasGoneBackIsRefused() throws {
    let store = try open()
    defer { store.close() }
    try store.append([Sample.entry(1, []), Sample.entry(2, [])])
    try server.execute(
      "UPDATE tenancy_revision SET revision = 1; DELETE FROM log WHERE revision = 2",
      schema: schema)
    for _ in 0..<2 {
      expectError(.corrupt) { try store.append([Sample.entry(2, [])]) }
      expectError(.corrupt) { _ = try store.load() }
    }
    try server.execute(
      "UPDATE tenancy_revision SET revision = 2, store_id = 'other';"
        + "INSERT INTO log VALUES (2, 0, '', '', NULL, '[]', 1, NULL)", schema: schema)
    expectError(.corrupt) { _ = try store.load() }
  }

  @Test func twoStoresWithConcurrentWritesLoseNothing() async throws {
    let configuration = server.configuration(schema: schema)
    try open().close()
    let perStore = 25
    let conflicts = try await withThrowingTaskGroup(of: Int.self) { group in
      for writer in 0..<4 {
        group.addTask {
          let store = try PostgreSQLStore(configuration, isAudited: false)
          defer { store.close() }
          var conflicts = 0
          var next: UInt64 = 1
          var written = 0
          while written < perStore {
            let step = Change.putProvisioningStep(Sample.id(1), name: "\(writer)-\(written)")
            do throws(StoreError) {
              try store.append([Sample.entry(next, [.putTenant(Sample.tenant(1)), step])])
              written += 1
              next += 1
            } catch {
              guard error.code == .conflict else { throw error }
              conflicts += 1
              next = try store.load().revision + 1
            }
          }
          return conflicts
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(conflicts > 0, "nothing raced")
    let store = try open()
    defer { store.close() }
    let state = try loadedState(store)
    #expect(state.revision == UInt64(4 * perStore))
    #expect(state.steps.count == 4 * perStore)
    let revisions = try server.text(
      "SELECT string_agg(revision::text, ',' ORDER BY revision) FROM log", schema: schema)
    #expect(revisions == (1...4 * perStore).map(String.init).joined(separator: ","))
  }
}
