import Tenancy
import TenancyClient
import TenancyContext
import TenancyData
import TenancyDataClient
import TenancyRPC
import TenancyTestSupport
import TenancyWire
import Testing

@testable import TenancyStore

/// Data of tenants that a server has provisioned in a cluster, found by asking it.
@Suite(
  "Places that a server knows", .enabled(if: PostgreSQLServer.isInstalled), .timeLimit(.minutes(2)))
struct ServerPlacesTests {
  private let database: PostgreSQLServer
  private let cluster: DataCluster

  init() throws {
    database = try PostgreSQLServer()
    try Self.execute(
      database, "postgres",
      [
        "CREATE DATABASE tenants",
        "REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1, tenants FROM PUBLIC",
      ])
    try Self.execute(
      database, "tenants",
      [
        "CREATE SCHEMA app",
        "CREATE TABLE app.orders (tenant_id text, id int, note text, PRIMARY KEY (tenant_id, id))",
      ])
    let server = PostgreSQLConfiguration(
      hosts: [.init("127.0.0.1", port: database.port)], database: "tenants", user: "tenancy")
    var configuration = server
    configuration.passwordFile = "\(database.directory)/password"
    cluster = DataCluster(
      name: "one",
      dataPlane: PostgreSQLCluster(
        ClusterConfiguration(
          name: "one", server: configuration,
          sharedTables: [.init(schema: "app", table: "orders", tenantColumn: "tenant_id")])),
      rules: DataCluster.Rules())
  }

  private static func execute(
    _ server: PostgreSQLServer, _ name: String, _ statements: [String]
  ) throws {
    let connection = try PostgreSQLConnection(
      [
        ("host", server.directory), ("port", "\(server.port)"), ("dbname", name),
        ("user", "tenancy"), ("sslmode", "disable"),
      ], until: Deadline(in: .seconds(10)))
    for sql in statements { try connection.runScript(sql, until: Deadline(in: .seconds(10))) }
  }

  @Test func itIsFoundAndFollowed() async throws {
    try await withLiveServer(clusters: [cluster]) { server in
      let channel = RPCChannel(server.operatorTarget)
      let manager = TenantManagerClient(channel)
      var ids: [String: TenantID] = [:]
      for name in ["acme", "zeta"] {
        let made = try await manager.createTenant(
          V1.CreateTenantRequest(
            tenant: V1.Tenant(
              slug: name, displayName: name, isolationModel: .shared,
              configuration: V1.TenantConfiguration(
                shared: V1.SharedConfig(tenantIdentifier: "t-\(name)")))))
        _ = try await manager.provisionTenantResources(
          V1.ProvisionTenantResourcesRequest(name: made.name))
        ids[name] = TenantID(parsing: String(made.name.dropFirst("tenants/".count)))
      }
      let (acme, zeta) = (try #require(ids["acme"]), try #require(ids["zeta"]))
      let data = MultiTenantDatabaseAdapter(places: ServerPlaces(channel))
      for (id, name) in [(acme, "acme"), (zeta, "zeta")] {
        try await TenantContext.with(TenantContext(id: id)) {
          try await data.query(
            "INSERT INTO orders VALUES ($1, 1, $2)", [.text("t-\(name)"), .text(name)])
          let notes = try await data.query("SELECT note FROM orders", as: String.self)
          #expect(notes == [name])
        }
      }
      try await isEndedWithTheTenant(acme, data, manager)
      let notes = try await TenantContext.with(TenantContext(id: zeta)) {
        try await data.query("SELECT note FROM orders", as: String.self)
      }
      #expect(notes == ["zeta"])
      // A tenant that is not there, and one that is nobody's.
      let nobody = TenantID.generate(atMilliseconds: 1)
      let unknown = await code {
        try await TenantContext.with(TenantContext(id: nobody)) { try await data.query("SELECT 1") }
      }
      #expect(unknown == .tenantUnavailable)
      await data.close()
      await channel.close()
    }
  }

  /// What is begun when the tenant is suspended is undone, and goes on when it is back.
  private func isEndedWithTheTenant(
    _ tenant: TenantID, _ data: MultiTenantDatabaseAdapter, _ manager: TenantManagerClient
  ) async throws {
    let name = "tenants/\(tenant)"
    try await TenantContext.with(TenantContext(id: tenant)) {
      let transaction = try await data.beginTransaction()
      try await transaction.query("UPDATE orders SET note = 'lost'")
      _ = try await manager.deactivateTenant(V1.DeactivateTenantRequest(name: name))
      while await code({ try await transaction.query("SELECT 1") }) == nil {
        try await Task.sleep(for: .milliseconds(5))
      }
      let commit = await code { try await data.commitTransaction(transaction) }
      #expect(commit != nil)
      let suspended = await code { try await data.query("SELECT 1") }
      #expect(suspended == .tenantUnavailable)
      _ = try await manager.activateTenant(V1.ActivateTenantRequest(name: name))
      // The login may be opened a moment later, and what is told of the former epoch come late.
      while await code({ try await data.query("SELECT 1") }) != nil {
        try await Task.sleep(for: .milliseconds(5))
      }
      let notes = try await data.query("SELECT note FROM orders", as: String.self)
      #expect(notes == ["acme"])
    }
  }

  private func code<Value>(_ body: () async throws -> Value) async -> DataError.Code? {
    do {
      _ = try await body()
      return nil
    } catch {
      return (error as? DataError)?.code
    }
  }
}
