import Synchronization
import Tenancy
import TenancyContext
import TenancyData
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// A PostgreSQL server that tenants' data is made in as tenantd does it. One for all tests.
final class Cluster: Sendable {
  static let shared = Result { try Cluster() }
  static var isInstalled: Bool { PostgreSQLServer.isInstalled }

  let server: PostgreSQLServer
  private let cluster: PostgreSQLCluster

  private init() throws {
    server = try PostgreSQLServer()
    try Self.execute(
      server, "postgres", "tenancy",
      [
        "CREATE ROLE provisioner LOGIN CREATEDB CREATEROLE",
        "CREATE DATABASE tenants OWNER provisioner",
        "REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC",
      ])
    try Self.execute(
      server, "tenants", "provisioner",
      [
        "CREATE SCHEMA app",
        """
        CREATE TABLE app.orders (
          tenant_id text, id integer, note text, PRIMARY KEY (tenant_id, id))
        """,
      ])
    var configuration = PostgreSQLConfiguration(
      hosts: [.init(server.directory, port: server.port)], database: "tenants", user: "provisioner")
    configuration.statementTimeout = .seconds(30)
    cluster = PostgreSQLCluster(
      ClusterConfiguration(
        name: "one", server: configuration,
        sharedTables: [.init(schema: "app", table: "orders", tenantColumn: "tenant_id")]))
  }

  /// Runs statements as a user whom the socket trusts.
  static func execute(
    _ server: PostgreSQLServer, _ database: String, _ user: String, _ statements: [String]
  ) throws {
    let connection = try connect(server, database, user)
    for statement in statements {
      try connection.runScript(statement, until: Deadline(in: .seconds(30)))
    }
  }

  private static func connect(
    _ server: PostgreSQLServer, _ database: String, _ user: String
  ) throws -> PostgreSQLConnection {
    try PostgreSQLConnection(
      [
        ("host", server.directory), ("port", "\(server.port)"), ("dbname", database),
        ("user", user), ("sslmode", "disable"),
      ], until: Deadline(in: .seconds(10)))
  }

  /// As the superuser: the first value of the first row.
  func look(_ sql: String, _ database: String = "tenants") throws -> String? {
    let connection = try Self.connect(server, database, "tenancy")
    let result = try connection.run(sql, until: Deadline(in: .seconds(10)))
    return result.rowCount == 0 ? nil : result.row(0).text(0)
  }

  // MARK: Tenants

  /// A tenant of this model that has a table `orders` with rows of its own, whose notes have `name`.
  func makeTenant(
    _ name: String, _ model: IsolationModel, rows: Int = 3
  ) throws -> TenantPlace {
    let id = TenantID.generate(atMilliseconds: 1_800_000_000_000)
    let identifier = "\(name)-\(id.low)"
    var configuration = TenantConfiguration()
    if model == .schema {
      configuration.schema = SchemaConfiguration(schemaName: "\(name)_\(id.low)")
    }
    if model == .shared {
      configuration.shared = SharedConfiguration(tenantIdentifier: identifier)
    }
    let password = "\(id.high)-\(id.low)"
    let tenant = Tenant(
      id: id, slug: Sample.slug(name), displayName: name, state: .active, isolationModel: model,
      configuration: configuration, version: 1, epoch: 1, createTime: Sample.moment,
      updateTime: Sample.moment,
      dataLogin: DataLogin(
        number: 1, password: SecretReference(version: 1, key: KeyID(high: 0, low: 1)),
        createTime: Sample.moment))
    for step in cluster.steps(for: tenant) {
      try cluster.perform(step, for: tenant, ClearSecret(password))
    }
    guard let location = cluster.location(of: tenant, nil) else {
      throw PostgreSQLServer.Failure(what: "the tenant has no place")
    }
    let table = "\(location.searchPath[0]).orders"
    if model != .shared {
      try Self.execute(
        server, location.database, "provisioner",
        ["CREATE TABLE \(table) (tenant_id text, id integer PRIMARY KEY, note text)"])
    }
    try Self.execute(
      server, location.database, "provisioner",
      [
        """
        INSERT INTO \(table) SELECT '\(identifier)', n, '\(name) ' || n
        FROM generate_series(1, \(rows)) n
        """
      ])
    return TenantPlace(
      tenant: id, epoch: 1,
      .postgreSQL(
        PostgreSQLPlace(
          hosts: [.init("127.0.0.1", port: server.port)], database: location.database,
          user: location.username, password: password, searchPath: location.searchPath,
          tenantIdentifier: model == .shared ? identifier : nil)))
  }
}

extension TenantPlace {
  /// Runs `body` as its tenant.
  func run<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
    try await TenantContext.with(TenantContext(id: tenant), body)
  }

  var postgreSQL: PostgreSQLPlace? {
    guard case .postgreSQL(let place) = site else { return nil }
    return place
  }
}

/// An adapter of these places.
func adapter(
  _ places: [TenantPlace], _ change: (inout DataConfiguration) -> Void = { _ in }
) -> (MultiTenantDatabaseAdapter, TenantPlaceTable) {
  let table = TenantPlaceTable()
  for place in places { table.set(place) }
  var configuration = DataConfiguration()
  change(&configuration)
  return (MultiTenantDatabaseAdapter(places: table, configuration: configuration), table)
}

/// Why it was refused.
func refusal<Value>(_ body: () async throws -> Value) async -> DataError? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error as? DataError
  }
}

/// That a connection of the task's tenant is as it should be.
func expectAnswer(_ data: MultiTenantDatabaseAdapter) async throws {
  let found = try await data.query("SELECT 1", as: Int.self)
  #expect(found == [1])
}

/// A number for several tasks.
final class Counter: Sendable {
  private let value = Atomic(0)
  var count: Int { value.load(ordering: .relaxed) }
  func add() { value.add(1, ordering: .relaxed) }
  func raise(to other: Int) { value.max(other, ordering: .relaxed) }
}
