public import Tenancy
import TenancyDatabase

/// Makes tenants' data in a PostgreSQL server: a database, a schema, or rows of shared tables, and in each case logins
/// of the tenant's own that reach nothing else. Blocks; thread-safe.
///
/// What there is says whose it is, in its comment, and the cluster's registry has a row for each tenant, made first and
/// removed last. What belongs to another is left alone.
public final class PostgreSQLCluster: ClusterDataPlane {
  /// Raw values are recorded in the control plane, with `/` and the kind of data if they are of one: they never change.
  enum Step: String, CaseIterable {
    case register = "register_in_cluster"
    case createRoles = "create_cluster_roles"
    case createDatabase = "create_cluster_database"
    case prepareDatabase = "prepare_cluster_database"
    case createSchema = "create_cluster_schema"
    case grantShared = "grant_cluster_tables"
  }

  let configuration: ClusterConfiguration
  private let lanes: ClusterLanes
  /// Of its own: to look at what there is keeps nobody waiting who makes something.
  private let meterLanes: ClusterLanes
  public let place: String?

  /// Connects to nothing yet.
  public init(_ configuration: ClusterConfiguration) {
    self.configuration = configuration
    place = DataCluster.place(configuration.name)
    lanes = ClusterLanes(configuration.server, count: configuration.maximumAtOnce)
    meterLanes = ClusterLanes(configuration.server, count: 1)
  }

  public var makesLogins: Bool { true }

  public func steps(for tenant: Tenant) -> [String] {
    var steps: [(Step, category: String)] = [(.register, ""), (.createRoles, "")]
    if tenant.usesDatabase { steps += [(.createDatabase, ""), (.prepareDatabase, "")] }
    if tenant.usesSchema { steps.append((.createSchema, "")) }
    for category in tenant.dataCategories {
      switch category.model {
      case .database:
        steps += [(.createDatabase, category.name), (.prepareDatabase, category.name)]
      case .schema: steps.append((.createSchema, category.name))
      case .shared, .hybrid: continue
      }
    }
    if tenant.usesShared { steps.append((.grantShared, "")) }
    return steps.map { $0.category.isEmpty ? $0.0.rawValue : "\($0.0.rawValue)/\($0.category)" }
  }

  private static func parse(_ text: String) -> (step: Step, category: String?)? {
    let parts = text.split(separator: "/", maxSplits: 1)
    guard let step = parts.first.flatMap({ Step(rawValue: String($0)) }) else { return nil }
    return (step, parts.count == 2 ? parts.last.map(String.init) : nil)
  }

  public func refusal(for tenant: Tenant) -> String? {
    if let database = tenant.configuration.database, !database.connectionString.isEmpty {
      return
        "a tenant with a connection_string has a database elsewhere: none is made for it in a cluster"
    }
    if tenant.usesShared, configuration.sharedTables.isEmpty {
      return "the cluster \(configuration.name) has no shared_tables"
    }
    return nil
  }

  public func perform(_ step: String, for tenant: Tenant, _ password: ClearSecret?) throws {
    guard let (step, category) = Self.parse(step) else {
      throw StoreError(.corrupt, "unknown provisioning step \(step)")
    }
    try use { work in
      switch step {
      case .register: try work.register(tenant)
      case .createRoles:
        guard let login = tenant.dataLogin, let password else {
          throw StoreError(.corrupt, "the tenant has no login")
        }
        try work.createRoles(tenant, login.number, password)
      case .createDatabase: try work.createDatabase(tenant, category)
      case .prepareDatabase:
        try lanes.use(database: ClusterNames.database(of: tenant.id, category)) {
          try ClusterWork(configuration, $0).prepareDatabase(tenant)
        }
      case .createSchema: try work.createSchema(tenant, category)
      case .grantShared: try work.grantShared(tenant)
      }
    }
  }

  public func destroy(for tenant: Tenant, permit: () throws -> Void) throws {
    try use { try $0.destroy(tenant.id, isRegistered: true, permit) }
  }

  public func destroyAll(of tenant: TenantID, permit: () throws -> Void) throws {
    try use { try $0.destroy(tenant, isRegistered: false, permit) }
  }

  public func makeLogin(_ number: UInt32, for tenant: Tenant, _ password: ClearSecret) throws {
    try use { try $0.createRoles(tenant, number, password) }
  }

  public func dropLogin(_ number: UInt32, of tenant: TenantID) throws {
    try use { work in
      try work.dropLogin(number, of: tenant) { script in
        for database in try work.databases(of: tenant) {
          try lanes.use(database: database) {
            try ClusterWork(configuration, $0).script([script])
          }
        }
      }
    }
  }

  public func settleLogins(of tenant: Tenant, isRepair: Bool) throws {
    try use {
      if isRepair { try $0.setEpoch(of: tenant) }
      try $0.settleLogins(of: tenant)
    }
  }

  public func logins() throws -> [TenantID: [UInt32: Bool]] { try use { try $0.logins() } }

  public func strayRows(limit: Int) throws -> [String: [String]] {
    try use { try $0.strayRows(limit: limit) }
  }

  public func removeStrayRows(of identifier: String, permit: () throws -> Void) throws {
    try use { try $0.removeStrays(of: identifier, permit) }
  }

  public func inventory() throws -> [TenantID: [String]] { try use { try $0.inventory() } }

  public func repair(_ tenant: Tenant, _ password: ClearSecret) throws {
    // The store's word counts, be it that of a backup.
    try use { try $0.setEpoch(of: tenant) }
    for step in steps(for: tenant) {
      switch Self.parse(step)?.step {
      case .register, .createRoles: try perform(step, for: tenant, password)
      case .createDatabase, .createSchema:
        // An empty one in the place of one that had data would hide that these are lost.
        if let missing = try missing(among: [tenant])[tenant.id] {
          throw StoreError(.conflict, "\(missing): restore it, or deprovision the tenant")
        }
        try perform(step, for: tenant, password)
      case .prepareDatabase, .grantShared, nil: try perform(step, for: tenant, password)
      }
    }
    try settleLogins(of: tenant, isRepair: true)
  }

  public func missing(among tenants: [Tenant]) throws -> [TenantID: String] {
    var missing: [TenantID: String] = [:]
    for start in stride(from: 0, to: tenants.count, by: Self.tenantsPerLook) {
      let part = tenants[start..<min(tenants.count, start + Self.tenantsPerLook)]
      missing.merge(try use { try $0.missing(among: part) }) { first, _ in first }
    }
    return missing
  }

  private static let tenantsPerLook = 1000

  public func load() throws -> Int { try use { try $0.count() } }

  public func location(of tenant: Tenant, _ category: DataCategory?) -> DataLocation? {
    guard let login = tenant.dataLogin else { return nil }
    let server = configuration.server
    let isOwn = tenant.usesDatabase || category?.model == .database
    return DataLocation(
      hosts: server.hosts.map { "\($0.name):\($0.port)" }, isTLS: server.tls != nil,
      database: isOwn
        ? ClusterNames.database(of: tenant.id, category?.name) : server.database,
      searchPath: isOwn ? ["public"] : configuration.searchPath(of: tenant),
      username: ClusterNames.login(login.number, of: tenant.id))
  }

  public func usage(of tenant: Tenant) throws -> DataUsage {
    try meterLanes.use(preparing: { _ in }) { [configuration] in
      do {
        return try ClusterWork(configuration, $0).usage(of: tenant)
      } catch let error as PostgreSQLError where Self.busy.contains(error.sqlState) {
        // The server has answered, so it is reached: a tenant may hold its tables locked.
        return DataUsage(problem: "it can't be measured now: \(error)")
      }
    }
  }

  /// `lock_not_available` and `query_canceled`.
  private static let busy = ["55P03", "57014"]

  private func use<Result: Sendable>(_ body: (ClusterWork) throws -> Result) throws -> Result {
    try lanes.use { [configuration] connection in
      try ClusterSetup(configuration: configuration).run(connection)
    } _: { connection in
      try body(ClusterWork(configuration, connection))
    }
  }
}
