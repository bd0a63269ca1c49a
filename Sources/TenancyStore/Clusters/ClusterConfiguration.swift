internal import Tenancy

/// A PostgreSQL server that tenants' data is made in.
public struct ClusterConfiguration: Sendable {
  /// A table whose rows are tenants', each by its column.
  public struct SharedTable: Hashable, Sendable {
    public var schema: String
    public var table: String
    /// The column that says whose a row is: it has a tenant's `tenantIdentifier`. An index has to begin with it.
    public var tenantColumn: String

    /// Names as the catalog has them.
    public init(schema: String, table: String, tenantColumn: String) {
      self.schema = schema
      self.table = table
      self.tenantColumn = tenantColumn
    }
  }

  /// See `DataCluster.name`.
  public var name: String
  /// As whom, and in which database, things are made: a role that may create databases and roles, and that owns the
  /// database and the shared tables. Schemas are made in that database.
  public var server: PostgreSQLConfiguration
  /// For tenants with SHARED and HYBRID isolation.
  public var sharedTables: [SharedTable]
  /// Whose control plane's it is: see `ControlStore.identity`. Empty: that is not looked at.
  public var store = ""
  /// Of each tenant's login, at most.
  public var connectionsPerTenant: Int
  /// Things that are made at once.
  public var maximumAtOnce: Int

  /// - Parameters:
  ///   - server: its `schema` and `applicationName` are replaced by the cluster's own.
  ///   - connectionsPerTenant: at least one.
  ///   - maximumAtOnce: 1 to 32.
  public init(
    name: String, server: PostgreSQLConfiguration, sharedTables: [SharedTable] = [],
    connectionsPerTenant: Int = 50, maximumAtOnce: Int = 4
  ) {
    self.name = name
    self.server = server
    self.server.schema = ClusterNames.schema
    self.server.applicationName = "tenantd"
    self.sharedTables = sharedTables
    self.connectionsPerTenant = connectionsPerTenant
    self.maximumAtOnce = maximumAtOnce
  }
}

/// What things in a cluster are called. Ids are never used again, so these names are not, either.
enum ClusterNames {
  /// What a cluster knows of its tenants.
  static let schema = "tenancy_cluster"
  /// Who may connect to the cluster's database: tenants that have something there.
  static let tenants = "tenancy_tenants"
  /// And those whose rows are in shared tables.
  static let sharers = "tenancy_sharers"

  /// What the tenant's rights are given to: nobody logs in as it.
  static func role(of id: TenantID) -> String { "tenant_" + digits(id) }

  static func login(_ number: UInt32, of id: TenantID) -> String { "\(role(of: id))_\(number)" }

  /// - Parameter category: the kind of data, where the tenant has several.
  static func database(of id: TenantID, _ category: String? = nil) -> String {
    part(of: id, category)
  }

  /// The schema of one kind of a tenant's data. Others have the name that is in the tenant's configuration.
  static func schema(of id: TenantID, _ category: String) -> String { part(of: id, category) }

  private static func part(of id: TenantID, _ category: String?) -> String {
    category.map { "\(role(of: id))_\($0)" } ?? role(of: id)
  }

  /// The tenant whose 32 digits these are.
  static func tenant(_ digits: String) -> TenantID? {
    guard digits.utf8.count == 32 else { return nil }
    var text = ""
    for (index, digit) in digits.enumerated() {
      if [8, 12, 16, 20].contains(index) { text.append("-") }
      text.append(digit)
    }
    return TenantID(parsing: text)
  }

  /// How things say whose they are.
  static func mark(of id: TenantID) -> String { "tenant \(id)" }

  private static func digits(_ id: TenantID) -> String {
    String(decoding: id.description.utf8.filter { $0 != UInt8(ascii: "-") }, as: UTF8.self)
  }

  /// As SQL has names.
  static func quoted(_ name: String) -> String {
    "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
      + "\""
  }

  /// As SQL has texts, with the standard's strings on.
  static func literal(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
  }
}

extension ClusterConfiguration.SharedTable {
  /// As SQL has it.
  var quoted: String { ClusterNames.quoted(schema) + "." + ClusterNames.quoted(table) }
}

extension ClusterConfiguration {
  /// The schemas of a tenant's login, in the cluster's database.
  func searchPath(of tenant: Tenant) -> [String] {
    var schemas = tenant.dataCategories.filter { $0.model == .schema }.map {
      ClusterNames.schema(of: tenant.id, $0.name)
    }
    if let name = tenant.configuration.schema?.schemaName { schemas.append(name) }
    guard tenant.usesShared else { return schemas }
    for table in sharedTables where !schemas.contains(table.schema) {
      schemas.append(table.schema)
    }
    return schemas
  }
}
