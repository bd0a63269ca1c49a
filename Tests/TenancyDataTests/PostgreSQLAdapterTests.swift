import Tenancy
import TenancyData
import Testing

private let models: [IsolationModel] = [.database, .schema, .shared]

@Suite("Data in PostgreSQL", .enabled(if: Cluster.isInstalled), .timeLimit(.minutes(2)))
struct PostgreSQLAdapterTests {
  private let cluster: Cluster

  init() throws { cluster = try Cluster.shared.get() }

  private struct Order: Codable, Hashable {
    var id: Int
    var note: String?
  }

  @Test(arguments: models) func eachTenantHasItsOwnRows(_ model: IsolationModel) async throws {
    let (acme, zeta) = (
      try cluster.makeTenant("acme", model), try cluster.makeTenant("zeta", model)
    )
    let (data, _) = adapter([acme, zeta])
    for (place, name) in [(acme, "acme"), (zeta, "zeta")] {
      try await place.run {
        let found = try await data.query(
          "SELECT id, note FROM orders WHERE id >= $1 ORDER BY id", [2], as: Order.self)
        #expect(found == [Order(id: 2, note: "\(name) 2"), Order(id: 3, note: "\(name) 3")])
        let changed = try await data.query(
          "UPDATE orders SET note = $1 WHERE id = $2", [.text("\(name)'s"), 3])
        #expect(changed.changedRows == 1 && changed.rows.isEmpty)
      }
    }
    let notes = try await acme.run {
      try await data.query("SELECT note FROM orders ORDER BY id", as: String.self)
    }
    #expect(notes == ["acme 1", "acme 2", "acme's"])
    await data.close()
  }

  @Test func withoutATenantThereIsNothing() async throws {
    let acme = try cluster.makeTenant("acme", .schema)
    let (data, table) = adapter([acme])
    #expect(await refusal { try await data.query("SELECT 1") }?.code == .noTenant)
    #expect(await refusal { try await data.beginTransaction() }?.code == .noTenant)
    #expect(data.connections == 0)
    table.remove(acme.tenant)
    let gone = await refusal { try await acme.run { try await data.query("SELECT 1") } }
    #expect(gone?.code == .tenantUnavailable)
    await data.close()
    let closed = await refusal { try await acme.run { try await data.query("SELECT 1") } }
    #expect(closed?.code == .tenantUnavailable)
  }

  @Test func valuesComeAndGo() async throws {
    let acme = try cluster.makeTenant("acme", .schema)
    let (data, _) = adapter([acme])
    try await acme.run {
      let values: [DataValue] = [
        true, 7, 2.5, "t'ëxt\\", .bytes([0, 1, 255]), nil, .integer(.min), .bytes([]), "",
      ]
      let result = try await data.query(
        """
        SELECT $1::bool, $2::int, $3::float8, $4::text, $5::bytea, $6::text, $7::bigint, $8::bytea,
          $9::text
        """, values)
      #expect(result.first?.values == values)
      let row = try #require(
        try await data.query("SELECT 1 AS a, NULL::int AS b, '{\"x\":1}'::jsonb AS c").first)
      #expect(row["a"] == 1 && row["b"] == .null && row["c"] == "{\"x\": 1}" && row["d"] == nil)
      let wrong = await refusal { try row.decode(as: Order.self) }
      #expect(wrong?.code == .decoding)
      let nul = await refusal { try await data.query("SELECT $1::text", ["a\0b"]) }
      #expect(nul?.code == .invalidParameter)
    }
    await data.close()
  }

  @Test func statementsThatFailAreToldApart() async throws {
    let acme = try cluster.makeTenant("acme", .schema)
    let (data, _) = adapter([acme]) { $0.maximumConnectionsPerTenant = 1 }
    try await acme.run {
      let refused: [(String, DataError.Code)] = [
        ("SELECT 1; SELECT 2", .notOneStatement), ("", .notOneStatement), ("SELEC 1", .statement),
        ("SELECT * FROM nothing", .statement), ("SELECT 1/0", .statement),
        ("INSERT INTO orders VALUES ('a', 1, 'b')", .constraint),
        ("CREATE TABLE t (x int)", .denied), ("COPY orders TO STDOUT", .unsupported),
        ("COPY orders FROM STDIN", .unsupported), ("BEGIN", .denied), ("SELECT 1\0", .statement),
      ]
      for (sql, code) in refused {
        let error = await refusal { try await data.query(sql) }
        #expect(error?.code == code, "\(sql): \(String(describing: error))")
        // The next one has nothing of it.
        try await expectAnswer(data)
      }
    }
    await data.close()
  }

  @Test func rowsComeAsTheyAreTaken() async throws {
    let acme = try cluster.makeTenant("acme", .shared)
    let (data, _) = adapter([acme]) {
      $0.maximumConnectionsPerTenant = 1
      $0.maximumResultBytes = 100_000
    }
    try await acme.run {
      let sum = try await data.withRows("SELECT n FROM generate_series(1, $1::int) n", [20_000]) {
        rows in
        var sum = 0
        for try await row in rows { sum += try row.decode(as: Int.self) }
        return sum
      }
      #expect(sum == 20_000 * 20_001 / 2)
      // Of what nobody takes the server makes no more than the socket holds: it would be 100 GB.
      let first = try await data.withRows(
        "SELECT repeat('x', 1000), generate_series(1, 100000000)"
      ) { rows in
        for try await row in rows { return row.values[0] }
        return .null
      }
      #expect(first == .text(String(repeating: "x", count: 1000)))
      try await expectAnswer(data)
      let large = await refusal {
        try await data.query("SELECT repeat('x', 1000), generate_series(1, 100000000)")
      }
      #expect(large?.code == .resultTooLarge)
      try await expectAnswer(data)
    }
    await data.close()
  }

  @Test func cancellationsAndDeadlinesReachTheServer() async throws {
    let acme = try cluster.makeTenant("acme", .database)
    let (data, _) = adapter([acme]) { $0.maximumConnectionsPerTenant = 1 }
    let database = try #require(acme.postgreSQL?.database)
    let busy = """
      SELECT count(*)::text FROM pg_stat_activity WHERE datname = '\(database)' AND state = 'active'
      """
    try await acme.run {
      let late = await refusal {
        try await data.query(
          "SELECT pg_sleep(600)", options: QueryOptions(timeout: .milliseconds(200)))
      }
      #expect(late?.code == .deadlineExceeded)
      #expect(try cluster.look(busy) == "0")
      // On the same connection.
      let number = try await data.query("SELECT pg_backend_pid()", as: Int.self)
      let sleeper = Task {
        await refusal { try await data.query("SELECT pg_sleep(600)") }
      }
      while try cluster.look(busy) == "0" { await Task.yield() }
      sleeper.cancel()
      #expect(await sleeper.value?.code == .cancelled)
      #expect(try cluster.look(busy) == "0")
      #expect(try await data.query("SELECT pg_backend_pid()", as: Int.self) == number)
    }
    await data.close()
  }

  @Test func aTenantWhoseEpochMovesIsRolledBack() async throws {
    let acme = try cluster.makeTenant("acme", .shared)
    let (data, table) = adapter([acme])
    let transaction = try await acme.run {
      let transaction = try await data.beginTransaction()
      try await transaction.query("UPDATE orders SET note = 'lost'")
      return transaction
    }
    let user = try #require(acme.postgreSQL?.user)
    let sleeper = Task {
      await refusal { try await acme.run { try await data.query("SELECT pg_sleep(600)") } }
    }
    let sessions = "SELECT count(*)::text FROM pg_stat_activity WHERE usename = '\(user)'"
    // Not what it asks when it connects.
    let sleeping = "\(sessions) AND state = 'active' AND query LIKE '%pg_sleep%'"
    while try cluster.look(sleeping) == "0" { await Task.yield() }
    table.remove(acme.tenant)
    #expect(await sleeper.value?.code == .revoked)
    while try cluster.look(sessions) != "0" { await Task.yield() }
    let more = await refusal {
      try await acme.run { try await transaction.query("SELECT 1") }
    }
    #expect(more?.code == .revoked)
    await #expect(throws: DataError.self) { try await data.commitTransaction(transaction) }
    table.set(TenantPlace(tenant: acme.tenant, epoch: 3, acme.site))
    let notes = try await acme.run {
      try await data.query("SELECT note FROM orders", as: String.self)
    }
    #expect(!notes.contains("lost"))
    await data.close()
  }

  /// Whoever answers places may be wrong: what is there is looked at.
  @Test func aPlaceThatIsNotTheTenantsIsRefused() async throws {
    let (acme, zeta) = (
      try cluster.makeTenant("acme", .shared), try cluster.makeTenant("zeta", .shared)
    )
    let own = try #require(acme.postgreSQL)
    var mixed = own
    mixed.tenantIdentifier = zeta.postgreSQL?.tenantIdentifier
    var almighty = own
    (almighty.user, almighty.password, almighty.tenantIdentifier) = ("tenancy", "", nil)
    almighty.hosts = [.init(cluster.server.directory, port: cluster.server.port)]
    var remote = own
    remote.hosts = [.init("db.example", port: 5432)]
    var wrong = own
    wrong.password = "x"
    let expected: [(PostgreSQLPlace, DataError.Code)] = [
      (mixed, .unsafePlace), (almighty, .unsafePlace), (remote, .unsafePlace), (wrong, .connection),
    ]
    for (place, code) in expected {
      let (data, _) = adapter([TenantPlace(tenant: acme.tenant, epoch: 1, .postgreSQL(place))])
      let error = await refusal { try await acme.run { try await data.query("SELECT 1") } }
      #expect(error?.code == code)
      #expect(data.connections == 0)
      await data.close()
    }
    #expect(!"\(own)".contains(own.password))
  }
}
