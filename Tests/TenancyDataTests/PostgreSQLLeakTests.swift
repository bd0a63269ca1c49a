import Tenancy
import TenancyData
import Testing

/// What SQL that was smuggled into a statement may try, as one tenant looking for another.
@Suite("Leaks in PostgreSQL", .enabled(if: Cluster.isInstalled), .timeLimit(.minutes(2)))
struct PostgreSQLLeakTests {
  private let cluster: Cluster

  init() throws { cluster = try Cluster.shared.get() }

  /// All that is there of the attacker's is called "acme", and of the other tenant's "zeta".
  private static func attacks(_ other: PostgreSQLPlace) -> [String] {
    let identifier = other.tenantIdentifier ?? "zeta"
    let schema = other.searchPath[0]
    var attacks = [
      // Who the session is.
      "SELECT set_config('role', '\(other.user)', false)",
      "SELECT set_config('session_authorization', '\(other.user)', false)",
      "SELECT set_config('search_path', '\(schema)', false)",
      "SELECT set_config('row_security', 'off', false)",
      "SELECT set_config('app.tenant', '\(identifier)', false)",
      "SET ROLE \(other.user)", "SET ROLE tenancy_sharers", "SET ROLE tenancy_tenants",
      "SET ROLE provisioner", "SET ROLE NONE", "RESET ROLE", "RESET ALL",
      "SET SESSION AUTHORIZATION \(other.user)", "SET SESSION AUTHORIZATION tenancy",
      "SET SESSION AUTHORIZATION DEFAULT", "RESET SESSION AUTHORIZATION",
      "SET row_security = off", "SET search_path = \(schema), tenancy_cluster",
      "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET statement_timeout = 1",
      "ALTER ROLE CURRENT_USER SET search_path = \(schema)",
      "GRANT \(other.user) TO CURRENT_USER", "ALTER ROLE CURRENT_USER BYPASSRLS",
      // Others' things by their names.
      "SELECT * FROM \(schema).orders", "TABLE \(schema).orders", "SELECT * FROM app.orders",
      "SELECT * FROM ONLY app.orders", "UPDATE app.orders SET note = note RETURNING *",
      "DELETE FROM app.orders WHERE note LIKE 'zeta%' RETURNING *",
      "INSERT INTO app.orders VALUES ('\(identifier)', 1, 'x') ON CONFLICT DO NOTHING RETURNING *",
      """
      INSERT INTO app.orders VALUES ('\(identifier)', 1, 'x')
      ON CONFLICT (tenant_id, id) DO UPDATE SET note = orders.note RETURNING *
      """,
      "UPDATE app.orders SET tenant_id = '\(identifier)' RETURNING *",
      "MERGE INTO app.orders o USING app.orders s ON true WHEN MATCHED THEN DELETE",
      "WITH orders AS (SELECT * FROM app.orders) SELECT * FROM orders",
      "SELECT * FROM tenancy_cluster.tenants", "SELECT * FROM tenancy_cluster.logins",
      "SELECT tenancy_cluster.tenant_identifier()", "TRUNCATE app.orders", "LOCK TABLE app.orders",
      "ALTER TABLE app.orders DISABLE ROW LEVEL SECURITY",
      "CREATE POLICY p ON app.orders USING (true)", "DROP POLICY tenancy_tenant ON app.orders",
      "CREATE VIEW public.v AS SELECT * FROM app.orders",
      "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
      "CREATE TEMP TABLE orders (tenant_id text, id int, note text)",
      "CREATE TEMP VIEW orders AS SELECT 1", "CREATE SCHEMA s", "CREATE EXTENSION dblink",
      // What the server reads, and what it knows of others' statements and values.
      "COPY app.orders TO STDOUT", "COPY (SELECT * FROM app.orders) TO '/tmp/zeta'",
      "COPY app.orders TO PROGRAM 'cat'", "SELECT pg_read_file('/etc/passwd')",
      "SELECT lo_import('/etc/passwd')", "SELECT * FROM pg_read_binary_file('PG_VERSION')",
      "SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats",
      "SELECT query FROM pg_stat_activity WHERE query LIKE '%zeta%' AND pid <> pg_backend_pid()",
      "SELECT * FROM pg_prepared_statements", "SELECT * FROM pg_cursors",
      "SELECT * FROM pg_authid", "SELECT * FROM pg_largeobject", "SELECT * FROM pg_user_mappings",
      "SELECT query_to_xml('SELECT * FROM app.orders', true, false, '')::text",
      "SELECT table_to_xml('app.orders', true, false, '')::text",
      "SELECT database_to_xml(true, false, '')::text",
      "SELECT ts_stat('SELECT to_tsvector(note) FROM app.orders')",
      "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM app.orders WHERE note LIKE 'zeta%'",
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '\(other.user)'",
      // What is left to the next borrower.
      "PREPARE tenancy AS SELECT * FROM app.orders", "DEALLOCATE ALL", "DISCARD ALL",
      "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM app.orders", "LISTEN zeta", "UNLISTEN *",
      "SELECT pg_advisory_lock(1)", "SELECT pg_advisory_lock_shared(2, 3)", "BEGIN", "COMMIT",
      "ROLLBACK", "SAVEPOINT s", "START TRANSACTION READ ONLY", "PREPARE TRANSACTION 'x'",
      // In the middle of something.
      "SELECT * FROM app.orders WHERE 1 / (id - 2) > 0",
      "SELECT note::int FROM app.orders WHERE note LIKE 'zeta%'",
      "SELECT CASE WHEN EXISTS (SELECT FROM app.orders WHERE note LIKE 'zeta%') THEN 1/0 END",
      "DO $$ BEGIN PERFORM set_config('role', '\(other.user)', false); EXECUTE 'SELECT 1'; END $$",
      "DO $$ BEGIN RAISE EXCEPTION '%', (SELECT string_agg(note, ',') FROM app.orders); END $$",
      "SELECT 1; SET ROLE \(other.user)", "SELECT 1) UNION SELECT note FROM app.orders --",
    ]
    if other.database != "tenants" {
      attacks.append("SELECT * FROM \(other.database).public.orders")
    }
    return attacks
  }

  @Test(arguments: [IsolationModel.database, .schema, .shared])
  func nothingReachesAnother(_ model: IsolationModel) async throws {
    let (acme, zeta) = (
      try cluster.makeTenant("acme", model), try cluster.makeTenant("zeta", model)
    )
    let other = try #require(zeta.postgreSQL)
    // One connection, so that the next borrower has what the last has left.
    let (data, _) = adapter([acme, zeta]) { $0.maximumConnectionsPerTenant = 1 }
    let attacks = Self.attacks(other)
    // The tenants' own, and its login's search path, may be changed by what a login may do to itself.
    let rows: [DataValue] = ["acme 1", "acme 2", "acme 3"]
    for attack in attacks {
      try await acme.run {
        // By themselves, and within a transaction that goes on.
        let alone = try await Self.seen { try await data.query(attack) }
        #expect(!Self.isLeak(alone), "\(attack)")
        let state = try await data.query(Self.state)
        #expect(state.first?.values == Self.cleanState(acme), "\(attack)")
        let transaction = try await data.beginTransaction()
        let within = try await Self.seen { try await transaction.query(attack) }
        #expect(!Self.isLeak(within), "\(attack)")
        let then = try await Self.seen { try await transaction.query("SELECT * FROM orders") }
        #expect(!Self.isLeak(then), "\(attack)")
        await data.rollbackTransaction(transaction)
        let next = try await data.query(Self.state)
        #expect(next.first?.values == Self.cleanState(acme), "\(attack)")
        let notes = try await data.query("SELECT note FROM orders ORDER BY id")
        #expect(notes.rows.map { $0.values[0] } == rows, "\(attack)")
      }
    }
    try await zeta.run {
      let notes = try await data.query("SELECT note FROM orders ORDER BY id", as: String.self)
      #expect(notes == ["zeta 1", "zeta 2", "zeta 3"])
    }
    await data.close()
  }

  /// What a borrower could have left.
  private static let state = """
    SELECT session_user::text, current_user::text, current_setting('search_path'),
      current_setting('row_security'), coalesce(current_setting('app.tenant', true), ''),
      (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors WHERE name <> ''),
      (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
      (SELECT count(*) FROM pg_listening_channels()), current_setting('statement_timeout'),
      current_setting('default_transaction_read_only')
    """

  private static func cleanState(_ place: TenantPlace) -> [DataValue] {
    guard let place = place.postgreSQL else { return [] }
    let path = place.searchPath.map { "\"\($0)\"" }.joined(separator: ",")
    return [
      .text(place.user), .text(place.user), .text(path), "on", "", 0, 0, 0, 0, "0", "off",
    ]
  }

  /// All that a statement shows: rows, or why it failed.
  private static func seen(_ body: () async throws -> DataResult) async throws -> String {
    do {
      return try await body().rows.flatMap(\.values).map { "\($0)" }.joined(separator: "|")
    } catch let error as DataError {
      return error.message
    }
  }

  /// Of what is in rows, which names are not.
  private static func isLeak(_ seen: String) -> Bool {
    (1...3).contains { seen.contains("zeta \($0)") }
  }

  @Test func whatWasCancelledLeavesNothing() async throws {
    let acme = try cluster.makeTenant("acme", .shared)
    let (data, _) = adapter([acme]) { $0.maximumConnectionsPerTenant = 1 }
    try await acme.run {
      for turn in 0..<30 {
        let task = Task {
          _ = try? await data.query(
            """
            SELECT set_config('search_path', 'x', false), pg_advisory_lock(\(turn)),
              count(*) FROM generate_series(1, 3000000)
            """)
        }
        if turn % 3 != 0 { try await Task.sleep(for: .milliseconds(turn)) }
        task.cancel()
        await task.value
        let state = try await data.query(Self.state)
        #expect(state.first?.values == Self.cleanState(acme))
      }
    }
    await data.close()
  }
}
