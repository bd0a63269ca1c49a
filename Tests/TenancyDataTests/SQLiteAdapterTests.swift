import Tenancy
import TenancyData
import TenancyDatabase
import TenancyStore
import TenancyTestSupport
import Testing

/// Tenants' data in files, as the embedded data plane makes them.
final class Files {
  let directory: TemporaryDirectory
  private let plane: SQLiteDataPlane

  init() throws {
    directory = try TemporaryDirectory()
    plane = try SQLiteDataPlane(directory: directory.file("data"))
  }

  /// What tenants call `orders`, and the file `all_orders`.
  static let orders = SQLitePlace.SharedTable(
    name: "orders", table: "all_orders", tenantColumn: "tenant_id")

  var sharedFile: String { directory.file("data/shared.sqlite") }

  private static let shape = """
    (tenant_id TEXT, id INTEGER, note TEXT DEFAULT 'none', PRIMARY KEY (tenant_id, id)) STRICT
    """

  func execute(_ path: String, _ sql: String) throws {
    try SQLiteConnection(path: path).execute(sql)
  }

  func text(_ path: String, _ sql: String) throws -> String {
    try SQLiteConnection(path: path).text(sql)
  }

  /// As `Cluster.makeTenant`.
  func makeTenant(_ name: String, _ model: IsolationModel) throws -> TenantPlace {
    let id = TenantID.generate(atMilliseconds: 1_800_000_000_000)
    let identifier = "\(name)-\(id.low)"
    var configuration = TenantConfiguration()
    if model == .schema {
      configuration.schema = SchemaConfiguration(schemaName: "\(name)_\(id.low)")
    }
    if model == .shared {
      configuration.shared = SharedConfiguration(tenantIdentifier: identifier)
    }
    let tenant = Tenant(
      id: id, slug: Sample.slug(name), displayName: name, state: .active, isolationModel: model,
      configuration: configuration, version: 1, epoch: 1, createTime: Sample.moment,
      updateTime: Sample.moment)
    for step in plane.steps(for: tenant) { try plane.perform(step, for: tenant, nil) }
    var path = directory.file("data/databases/\(id).sqlite")
    if let schema = configuration.schema?.schemaName {
      path = directory.file("data/schemas/\(schema).sqlite")
    }
    let rows = (1...3).map { "('\(identifier)', \($0), '\(name) \($0)')" }.joined(separator: ", ")
    guard model == .shared else {
      try execute(path, "CREATE TABLE orders \(Self.shape); INSERT INTO orders VALUES \(rows)")
      return TenantPlace(tenant: id, epoch: 1, .sqlite(SQLitePlace(path: path)))
    }
    try execute(
      sharedFile,
      """
      CREATE TABLE IF NOT EXISTS all_orders \(Self.shape); INSERT INTO all_orders VALUES \(rows)
      """)
    return TenantPlace(
      tenant: id, epoch: 1,
      .sqlite(
        SQLitePlace(
          path: sharedFile, share: .rows(tenantIdentifier: identifier, tables: [Self.orders]))))
  }
}

extension TenantPlace {
  var sqlite: SQLitePlace? {
    guard case .sqlite(let place) = site else { return nil }
    return place
  }

  var identifier: String {
    guard case .rows(let identifier, _) = sqlite?.share else { return "" }
    return identifier
  }
}

@Suite("Data in SQLite", .timeLimit(.minutes(2)))
struct SQLiteAdapterTests {
  private let files: Files

  init() throws { files = try Files() }

  private struct Order: Codable, Hashable {
    var id: Int
    var note: String?
  }

  private static let models: [IsolationModel] = [.database, .schema, .shared]

  @Test(arguments: models) func eachTenantHasItsOwnRows(_ model: IsolationModel) async throws {
    let (acme, zeta) = (try files.makeTenant("acme", model), try files.makeTenant("zeta", model))
    let (data, _) = adapter([acme, zeta])
    for (place, name) in [(acme, "acme"), (zeta, "zeta")] {
      try await place.run {
        let found = try await data.query(
          "SELECT id, note FROM orders WHERE id >= $1 ORDER BY id", [2], as: Order.self)
        #expect(found == [Order(id: 2, note: "\(name) 2"), Order(id: 3, note: "\(name) 3")])
        let changed = try await data.query(
          "UPDATE orders SET note = $1 WHERE id = $2", [.text("\(name)'s"), 3])
        #expect(changed.changedRows == 1 && changed.rows.isEmpty)
        let gone = try await data.query("DELETE FROM orders WHERE id = 1")
        #expect(gone.changedRows == 1)
      }
    }
    for (place, name) in [(acme, "acme"), (zeta, "zeta")] {
      let notes = try await place.run {
        try await data.query("SELECT note FROM orders ORDER BY id", as: String.self)
      }
      #expect(notes == ["\(name) 2", "\(name)'s"])
    }
    await data.close()
  }

  @Test func valuesComeAndGo() async throws {
    let acme = try files.makeTenant("acme", .database)
    let (data, _) = adapter([acme])
    try await acme.run {
      let values: [DataValue] = [7, 2.5, "t'ëx\0t\\", .bytes([0, 1, 255]), nil, .bytes([]), ""]
      let result = try await data.query("SELECT $1, $2, $3, $4, $5, $6, $7", values)
      #expect(result.first?.values == values)
      let bool = try await data.query("SELECT $1", [true], as: Bool.self)
      #expect(bool == [true])
    }
    await data.close()
  }

  @Test func rowsComeAsTheyAreTaken() async throws {
    let acme = try files.makeTenant("acme", .database)
    let (data, _) = adapter([acme]) {
      $0.maximumConnectionsPerTenant = 1
      $0.maximumResultBytes = 100_000
    }
    let endless = """
      WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT n FROM n
      """
    try await acme.run {
      let sum = try await data.withRows(endless) { rows in
        var sum = 0
        for try await row in rows {
          sum += try row.decode(as: Int.self)
          if sum > 1_000_000 { break }
        }
        return sum
      }
      #expect(sum > 1_000_000)
      try await expectAnswer(data)
      #expect(await refusal { try await data.query(endless) }?.code == .resultTooLarge)
      try await expectAnswer(data)
    }
    await data.close()
  }

  @Test func cancellationsAndDeadlinesEndStatements() async throws {
    let acme = try files.makeTenant("acme", .shared)
    let (data, table) = adapter([acme]) { $0.maximumConnectionsPerTenant = 1 }
    let endless = """
      WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT count(n) FROM n
      """
    try await acme.run {
      let late = await refusal {
        try await data.query(endless, options: QueryOptions(timeout: .milliseconds(100)))
      }
      #expect(late?.code == .deadlineExceeded)
      try await expectAnswer(data)
      let runner = Task { await refusal { try await data.query(endless) } }
      try await Task.sleep(for: .milliseconds(50))
      runner.cancel()
      #expect(await runner.value?.code == .cancelled)
      try await expectAnswer(data)
      // The tenant is suspended in the middle of a transaction.
      let transaction = try await data.beginTransaction()
      try await transaction.query("DELETE FROM orders")
      table.remove(acme.tenant)
      while await refusal({ try await transaction.query("SELECT 1") })?.code != .revoked {
        await Task.yield()
      }
      await data.rollbackTransaction(transaction)
    }
    let left = try files.text(files.sharedFile, "SELECT count(*) FROM all_orders")
    #expect(left == "3")
    await data.close()
  }

  @Test func transactionsAreCommittedOrRolledBack() async throws {
    let acme = try files.makeTenant("acme", .shared)
    let (data, _) = adapter([acme])
    try await acme.run {
      try await data.withTransaction { transaction in
        try await transaction.query("UPDATE orders SET note = 'one' WHERE id = 1")
        await #expect(throws: DataError.self) {
          try await transaction.withSavepoint {
            try await transaction.query("DELETE FROM orders")
            try await transaction.query("SELECT * FROM nothing")
          }
        }
      }
      let transaction = try await data.beginTransaction()
      try await transaction.query("DELETE FROM orders")
      await data.rollbackTransaction(transaction)
      // One that is forgotten keeps nobody from writing.
      do { try await data.beginTransaction().query("DELETE FROM orders") }
      let notes = try await data.query("SELECT note FROM orders ORDER BY id", as: String.self)
      #expect(notes == ["one", "acme 2", "acme 3"])
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<8 {
          group.addTask {
            for _ in 0..<5 {
              try await data.withTransaction(options: TransactionOptions(retries: 5)) {
                let count = try await $0.query("SELECT count(*) FROM orders", as: Int.self)
                try await $0.query(
                  "INSERT INTO orders (id) VALUES ($1)", [.integer(Int64(count[0]) + 1)])
              }
            }
          }
        }
        try await group.waitForAll()
      }
      let count = try await data.query("SELECT count(*) FROM orders", as: Int.self)
      #expect(count == [43])
      let defaults = try await data.query(
        "SELECT DISTINCT note FROM orders WHERE id > 3", as: String.self)
      #expect(defaults == ["none"])
    }
    await data.close()
  }

  @Test func aFileThatIsNotTheTenantsIsRefused() async throws {
    let (acme, zeta) = (
      try files.makeTenant("acme", .database), try files.makeTenant("zeta", .database)
    )
    let (some, other) = (
      try files.makeTenant("acme", .shared), try files.makeTenant("zeta", .shared)
    )
    for (tenant, site) in [
      (acme, zeta.site), (some, other.site), (acme, some.site), (some, acme.site),
      (acme, .sqlite(SQLitePlace(path: files.sharedFile))),
    ] {
      let (data, _) = adapter([TenantPlace(tenant: tenant.tenant, epoch: 1, site)])
      let error = await refusal { try await tenant.run { try await data.query("SELECT 1") } }
      #expect(error?.code == .unsafePlace)
      #expect(data.connections == 0)
      await data.close()
    }
    let (data, _) = adapter([
      TenantPlace(
        tenant: acme.tenant, epoch: 1, .sqlite(SQLitePlace(path: files.directory.file("none"))))
    ])
    let none = await refusal { try await acme.run { try await data.query("SELECT 1") } }
    #expect(none?.code == .connection)
    await data.close()
  }

  /// What one tenant could learn another's values by.
  @Test(arguments: [
    "(tenant_id TEXT, id INTEGER PRIMARY KEY, note TEXT)",
    "(tenant_id TEXT, id INTEGER, note TEXT UNIQUE, PRIMARY KEY (tenant_id, id))",
    "(tenant_id TEXT, id INTEGER, note TEXT)",
    "(tenant_id INTEGER, id INTEGER, note TEXT, PRIMARY KEY (tenant_id, id))",
    "(tenant_id, id INTEGER, note TEXT, PRIMARY KEY (tenant_id, id))",
    "(id INTEGER PRIMARY KEY, note TEXT)",
    "(tenant_id TEXT, id INTEGER, parent INTEGER REFERENCES all_orders(id), PRIMARY KEY (tenant_id, id))",
  ])
  func anUnsafeTableIsRefused(_ shape: String) async throws {
    let acme = try files.makeTenant("acme", .shared)
    try files.execute(files.sharedFile, "CREATE TABLE bad \(shape)")
    let place = SQLitePlace(
      path: files.sharedFile,
      share: .rows(
        tenantIdentifier: acme.identifier,
        tables: [Files.orders, .init(name: "good", table: "bad", tenantColumn: "tenant_id")]))
    let (data, _) = adapter([TenantPlace(tenant: acme.tenant, epoch: 1, .sqlite(place))])
    let error = await refusal { try await acme.run { try await data.query("SELECT 1") } }
    #expect(error?.code == .unsafePlace && error?.message.contains("bad") == true)
    await data.close()
  }
}
