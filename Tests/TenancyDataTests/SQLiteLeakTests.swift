import Tenancy
import TenancyData
import TenancyTestSupport
import Testing

/// What SQL that was smuggled into a statement may try in SQLite, as one tenant looking for another.
@Suite("Leaks in SQLite", .timeLimit(.minutes(2)))
struct SQLiteLeakTests {
  private let files: Files

  init() throws { files = try Files() }

  private static func attacks(_ other: TenantPlace) -> [String] {
    let path = other.sqlite?.path ?? ""
    let identifier = other.identifier
    return [
      // Other files.
      "ATTACH '\(path)' AS other", "ATTACH DATABASE ':memory:' AS other", "DETACH main",
      "VACUUM", "VACUUM INTO '/tmp/zeta.sqlite'", "SELECT load_extension('/tmp/x')",
      "SELECT readfile('\(path)')", "SELECT writefile('/tmp/zeta', 'x')",
      "SELECT * FROM fsdir('/')",
      // What is beneath.
      "SELECT * FROM all_orders", "SELECT * FROM main.all_orders",
      "SELECT count(*) FROM all_orders",
      "SELECT 1 FROM all_orders WHERE note LIKE 'zeta%'",
      "SELECT 'zeta ' || count(*) FROM ALL_ORDERS",
      "SELECT 'zeta ' || (count(*) - 3) FROM all_orders", "SELECT 'zeta 1' FROM tenancy_tenants",
      "SELECT 'zeta 1' FROM main.sqlite_schema", "SELECT 'zeta 1' FROM dbstat",
      "SELECT 'zeta 1' FROM SQLITE_SCHEMA LIMIT 1", "SELECT 'zeta 1' FROM pragma_table_list",
      "SELECT rowid FROM main.all_orders",
      "WITH orders AS (SELECT * FROM main.all_orders) SELECT * FROM orders",
      "WITH all_orders AS (SELECT * FROM main.all_orders) SELECT * FROM all_orders",
      "WITH orders(a, b, c) AS (SELECT * FROM main.all_orders) SELECT * FROM temp.orders, orders",
      """
      WITH RECURSIVE orders AS (SELECT * FROM main.all_orders UNION SELECT * FROM orders)
      SELECT * FROM orders
      """,
      """
      WITH rows AS (SELECT * FROM main.all_orders), "insert" AS (SELECT * FROM rows)
      SELECT * FROM "insert"
      """,
      "SELECT * FROM (SELECT * FROM main.all_orders) AS orders",
      "SELECT (SELECT group_concat(note) FROM main.all_orders) FROM orders",
      "SELECT * FROM orders WHERE id IN (SELECT id FROM main.all_orders)",
      "SELECT * FROM orders JOIN main.all_orders USING (id)",
      "SELECT * FROM orders UNION ALL SELECT * FROM main.all_orders",
      "UPDATE orders SET note = (SELECT group_concat(note) FROM main.all_orders)",
      "UPDATE orders SET note = x.note FROM main.all_orders AS x RETURNING note",
      "DELETE FROM orders WHERE id IN (SELECT id FROM main.all_orders WHERE note LIKE 'zeta%')",
      "INSERT INTO orders SELECT * FROM main.all_orders",
      "INSERT INTO orders (id, note) SELECT 9, group_concat(note) FROM main.all_orders",
      "INSERT INTO orders (id, note) VALUES (9, (SELECT max(note) FROM main.all_orders))",
      "INSERT INTO main.all_orders VALUES ('\(identifier)', 8, 'x')",
      "UPDATE main.all_orders SET note = 'x'", "DELETE FROM main.all_orders",
      "REPLACE INTO main.all_orders VALUES ('\(identifier)', 1, 'x')",
      // Rows that would be another's.
      "INSERT INTO orders VALUES ('\(identifier)', 8, 'x')",
      "INSERT OR REPLACE INTO orders VALUES ('\(identifier)', 1, 'x')",
      "INSERT OR IGNORE INTO orders VALUES ('\(identifier)', 1, 'x')",
      "UPDATE orders SET tenant_id = '\(identifier)'",
      "UPDATE OR REPLACE orders SET tenant_id = '\(identifier)'",
      "UPDATE orders SET tenant_id = NULL", "UPDATE orders SET tenant_id = upper(tenant_id)",
      "DELETE FROM orders WHERE tenant_id = '\(identifier)'",
      // The catalog, and what shows what there is.
      "SELECT * FROM sqlite_schema", "SELECT * FROM sqlite_master",
      "SELECT * FROM sqlite_temp_schema", "SELECT * FROM temp.sqlite_master",
      "SELECT * FROM sqlite_temp_master", "SELECT * FROM main.sqlite_schema",
      "SELECT * FROM sqlite_sequence", "SELECT * FROM sqlite_stat1", "SELECT * FROM dbstat",
      "SELECT * FROM sqlite_dbpage", "SELECT * FROM tenancy_tenants", "SELECT * FROM tenancy_owner",
      "SELECT * FROM pragma_table_list", "SELECT * FROM pragma_database_list",
      "SELECT * FROM pragma_table_info('all_orders')", "SELECT * FROM pragma_function_list",
      "EXPLAIN SELECT * FROM orders", "EXPLAIN QUERY PLAN SELECT * FROM orders",
      "PRAGMA database_list", "PRAGMA table_list", "PRAGMA writable_schema = ON",
      "PRAGMA trusted_schema = ON", "PRAGMA foreign_keys = OFF", "PRAGMA journal_mode = DELETE",
      "PRAGMA user_version = 7", "PRAGMA temp_store_directory = '/tmp'", "PRAGMA query_only = 1",
      "UPDATE sqlite_schema SET sql = ''", "DELETE FROM temp.sqlite_schema",
      // What is made, changed and left.
      "CREATE TABLE t (x)", "CREATE TEMP TABLE orders (x)", "CREATE TEMP TABLE t AS SELECT 1",
      "CREATE VIEW v AS SELECT * FROM all_orders",
      "CREATE TEMP VIEW v AS SELECT * FROM main.all_orders",
      "CREATE TEMP TRIGGER t AFTER INSERT ON main.all_orders BEGIN SELECT 1; END",
      "CREATE INDEX i ON all_orders (note)", "CREATE VIRTUAL TABLE v USING fts5(x)",
      "CREATE VIRTUAL TABLE temp.v USING dbstat(main)", "DROP TABLE all_orders",
      "DROP VIEW temp.orders", "DROP VIEW orders", "DROP TABLE orders",
      "ALTER TABLE all_orders RENAME TO x", "ALTER TABLE orders ADD COLUMN x", "ANALYZE",
      "ANALYZE main.all_orders", "REINDEX", "BEGIN", "BEGIN EXCLUSIVE", "COMMIT", "END",
      "ROLLBACK", "SAVEPOINT s", "RELEASE tenancy_1", "ROLLBACK TO tenancy_1",
      "SELECT 1; SELECT * FROM main.all_orders", "SELECT 1; ATTACH '\(path)' AS other",
      "SELECT 1\0; ATTACH '\(path)' AS other", "/* */ -- x\n;ATTACH '\(path)' AS other",
      // In the middle of something, and by errors.
      "SELECT abs(-9223372036854775808) FROM orders", "SELECT json(note) FROM main.all_orders",
      "SELECT CASE WHEN EXISTS (SELECT 1 FROM main.all_orders) THEN abs(-9223372036854775808) END",
      "SELECT nothing FROM orders", "SELECT orders.nothing FROM orders, orders",
      "SELECT printf('%s', note) FROM orders AS main", "SELECT * FROM orders INDEXED BY i",
      "SELECT fts3_tokenizer('simple')", "SELECT sqlite_compileoption_get(1)",
      "SELECT sqlite_offset(note) FROM orders", "SELECT zeroblob(1000000000)",
    ]
  }

  @Test(arguments: [IsolationModel.database, .schema, .shared])
  func nothingReachesAnother(_ model: IsolationModel) async throws {
    let (acme, zeta) = (try files.makeTenant("acme", model), try files.makeTenant("zeta", model))
    let (data, _) = adapter([acme, zeta]) {
      $0.maximumConnectionsPerTenant = 1
      $0.statementTimeout = .seconds(2)
    }
    let rows: [DataValue] = ["acme 1", "acme 2", "acme 3"]
    for attack in Self.attacks(zeta) {
      try await acme.run {
        if !Self.writes(attack) {
          let seen = await Self.seen { try await data.query(attack) }
          #expect(!Self.isLeak(seen), "\(attack): \(seen)")
        }
        // The own rows may go: those are the attacker's.
        let transaction = try await data.beginTransaction()
        let seen = await Self.seen { try await transaction.query(attack) }
        #expect(!Self.isLeak(seen), "\(attack): \(seen)")
        let then = await Self.seen { try await transaction.query("SELECT * FROM orders") }
        #expect(!Self.isLeak(then), "\(attack): \(then)")
        await data.rollbackTransaction(transaction)
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

  /// What is run in a transaction only, to be undone.
  private static func writes(_ attack: String) -> Bool {
    ["INSERT", "UPDATE", "DELETE", "REPLACE"].contains { attack.hasPrefix($0) }
  }

  private static func seen(_ body: () async throws -> DataResult) async -> String {
    do {
      return try await body().rows.flatMap(\.values).map { "\($0)" }.joined(separator: "|")
    } catch {
      return "\(error)"
    }
  }

  private static func isLeak(_ seen: String) -> Bool {
    (1...3).contains { seen.contains("zeta \($0)") }
      || seen.contains("all_orders\" \"") || seen.contains("rows_") || seen.contains("_0\"")
  }

  /// Of these nothing is run, whatever it would show.
  @Test(arguments: [IsolationModel.database, .shared])
  func whatStatementsMayNotIsRefused(_ model: IsolationModel) async throws {
    let acme = try files.makeTenant("acme", model)
    let (data, _) = adapter([acme]) { $0.maximumConnectionsPerTenant = 1 }
    let refused: [(String, DataError.Code)] = [
      ("ATTACH 'x' AS y", .denied), ("VACUUM INTO '/tmp/x'", .denied),
      ("PRAGMA user_version", .denied),
      ("CREATE TEMP TABLE t (x)", .denied), ("DROP TABLE orders", .denied), ("BEGIN", .denied),
      ("SAVEPOINT s", .denied), ("EXPLAIN SELECT 1", .denied),
      ("SELECT * FROM sqlite_schema", .denied),
      ("SELECT * FROM pragma_database_list", .statement), ("SELECT 1; SELECT 2", .notOneStatement),
      ("", .notOneStatement), ("-- nothing", .notOneStatement), ("SELECT 1\0", .notOneStatement),
      ("SELECT $1", .invalidParameter), ("SELEC 1", .statement),
      ("INSERT INTO orders SELECT * FROM orders", .constraint),
    ]
    try await acme.run {
      for (sql, code) in refused {
        let error = await refusal { try await data.query(sql) }
        #expect(error?.code == code, "\(sql): \(String(describing: error))")
      }
      // Blanks and comments are no statement.
      let found = try await data.query("SELECT 1 ; -- one\n /* two */ ;", as: Int.self)
      #expect(found == [1])
      let json = try await data.query("SELECT value FROM json_each('[1,2]')", as: Int.self)
      #expect(json == [1, 2])
      for sql in [
        "SELECT count(*) FROM orders", "SELECT count(*) FROM ORDERS",
        "WITH o AS (SELECT * FROM orders) SELECT count(*) FROM o",
        "SELECT count(*) FROM (SELECT 1 FROM orders LIMIT 3)",
        "SELECT count(*) FROM temp.orders WHERE EXISTS (SELECT 1 FROM orders LIMIT 1)",
        "SELECT count(DISTINCT a.id) FROM orders a, orders b, json_each('[1]')",
      ] where model == .shared || !sql.contains("temp.") {
        let count = try await data.query(sql, as: Int.self)
        #expect(count == [3], "\(sql)")
      }
    }
    await data.close()
  }
}
