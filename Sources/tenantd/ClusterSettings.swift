import Tenancy
import TenancyStore

/// The configuration's `clusters`: where tenants' data is made.
struct ClusterSettings: Sendable {
  let configuration: ClusterConfiguration
  let rules: DataCluster.Rules

  init(_ settings: inout SettingsReader) throws {
    let name = try settings.string("name")
    guard PlacementSettings.isName(name) else {
      throw settings.error("name: written as a slug")
    }
    var rules = DataCluster.Rules()
    if let region = try settings.optionalString("region") {
      guard PlacementSettings.isName(region) else {
        throw settings.error("region: written as a slug")
      }
      rules.region = region
    }
    rules.plans = Set(try settings.strings("plans") ?? [])
    rules.models = Set(
      try (settings.strings("isolation_models") ?? []).map { name in
        guard let model = IsolationModel(rawValue: name) else {
          throw settings.error(
            "isolation_models: some of \(IsolationModel.allCases.map(\.rawValue))")
        }
        return model
      })
    rules.maximumTenants = try settings.integer("maximum_tenants", in: 1...10_000_000)
    self.rules = rules
    let server = try settings.section("postgresql") { try Self.server(&$0) }
    guard let server else { throw settings.error("postgresql is required") }
    var configuration = ClusterConfiguration(name: name, server: server)
    configuration.maximumAtOnce =
      try settings.integer("at_once", in: 1...32) ?? configuration.maximumAtOnce
    configuration.connectionsPerTenant =
      try settings.integer("connections_per_tenant", in: 1...100_000)
      ?? configuration.connectionsPerTenant
    configuration.sharedTables = try settings.list("shared_tables") { table in
      ClusterConfiguration.SharedTable(
        schema: try table.string("schema"), table: try table.string("table"),
        tenantColumn: try table.string("tenant_column"))
    }
    self.configuration = configuration
  }

  private static func server(
    _ settings: inout SettingsReader
  ) throws -> PostgreSQLConfiguration {
    let server = try StoreSettings.server(&settings, statementTimeout: .seconds(60))
    if let problem = server.problem { throw settings.error(problem) }
    return server
  }

  /// Connects to nothing yet.
  /// - Parameter store: see `ControlStore.identity`.
  /// - Throws: if others can read or write its files.
  func open(of store: String) throws -> DataCluster {
    var configuration = configuration
    configuration.store = store
    try StoreSettings.checkFiles(of: configuration.server)
    return DataCluster(
      name: configuration.name, dataPlane: PostgreSQLCluster(configuration), rules: rules,
      maximumAtOnce: configuration.maximumAtOnce)
  }

  /// - Throws: `ConfigurationError` if they can't be what they are together.
  static func check(
    _ clusters: [ClusterSettings], hasSecrets: Bool, _ root: SettingsReader
  ) throws {
    if clusters.isEmpty { return }
    guard Set(clusters.map(\.configuration.name)).count == clusters.count else {
      throw root.error("clusters: two have the same name")
    }
    guard hasSecrets else {
      throw root.error(
        "clusters: needs secrets.master_key, which the passwords of tenants' logins are sealed with"
      )
    }
  }
}

extension Daemon {
  /// Nothing is connected to yet.
  func makeProvisioner(
    _ own: any DataPlane, _ plane: ControlPlane, _ vault: SecretVault?, _ terms: Provisioner.Terms
  ) throws -> Provisioner {
    let clusters = try configuration.clusters.map { try $0.open(of: plane.storeIdentity) }
    return Provisioner(plane, own, clusters: clusters, vault: vault, terms: terms) {
      [logger] tenant, why in
      logger.error("tenant's resources", metadata: ["tenant": "\(tenant)", "reason": "\(why)"])
    }
  }
}
