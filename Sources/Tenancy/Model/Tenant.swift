/// One customer of the platform.
public struct Tenant: Hashable, Sendable {
  public let id: TenantID
  public var slug: Slug
  public var displayName: String
  public var state: TenantState
  public var isolationModel: IsolationModel
  public var configuration: TenantConfiguration
  /// Counts changes of any kind; the etag is made of it.
  public var version: UInt64
  /// Grows with every lifecycle change; what was issued under an older epoch is void.
  public var epoch: UInt64
  public let createTime: Timestamp
  public var updateTime: Timestamp
  /// Set while `state` is `deleted`.
  public var deleteTime: Timestamp?
  /// When a deleted tenant's data may be destroyed.
  public var purgeTime: Timestamp?
  /// Why the tenant is `provisionFailed` or in `maintenance`, for operators; else empty.
  public var stateReason: String

  public init(
    id: TenantID, slug: Slug, displayName: String, state: TenantState,
    isolationModel: IsolationModel, configuration: TenantConfiguration, version: UInt64,
    epoch: UInt64, createTime: Timestamp, updateTime: Timestamp, deleteTime: Timestamp? = nil,
    purgeTime: Timestamp? = nil, stateReason: String = ""
  ) {
    self.id = id
    self.slug = slug
    self.displayName = displayName
    self.state = state
    self.isolationModel = isolationModel
    self.configuration = configuration
    self.version = version
    self.epoch = epoch
    self.createTime = createTime
    self.updateTime = updateTime
    self.deleteTime = deleteTime
    self.purgeTime = purgeTime
    self.stateReason = stateReason
  }

  public var etag: String { "v\(version)" }
}

/// Where a tenant stands in its life. Raw values are those stored on disk.
public enum TenantState: String, Hashable, Sendable, CaseIterable, Codable {
  case pending, provisioning, active, suspended, maintenance
  case provisionFailed = "provision_failed"
  case deleted
}

/// How a tenant's data is kept apart from that of others. Raw values are those stored on disk.
public enum IsolationModel: String, Hashable, Sendable, CaseIterable, Codable {
  case database, schema, shared, hybrid

  public var usesDatabase: Bool { self == .database }
  public var usesSchema: Bool { self == .schema || self == .hybrid }
  public var usesShared: Bool { self == .shared || self == .hybrid }
}

/// A tenant's settings.
public struct TenantConfiguration: Hashable, Sendable, Codable {
  public var database: DatabaseConfiguration?
  public var schema: SchemaConfiguration?
  public var shared: SharedConfiguration?
  public var customSettings: [String: JSONValue]
  public var featureFlags: [String: Bool]

  public init(
    database: DatabaseConfiguration? = nil, schema: SchemaConfiguration? = nil,
    shared: SharedConfiguration? = nil, customSettings: [String: JSONValue] = [:],
    featureFlags: [String: Bool] = [:]
  ) {
    self.database = database
    self.schema = schema
    self.shared = shared
    self.customSettings = customSettings
    self.featureFlags = featureFlags
  }
}

public struct DatabaseConfiguration: Hashable, Sendable, Codable {
  public var connectionString: String
  public var username: String
  /// Which sealed secret it is; nil where none is stored. The password itself is in requests only, and with
  /// who opens it for use: see `SecretVault`.
  public var password: SecretReference?

  public init(connectionString: String, username: String, password: SecretReference? = nil) {
    self.connectionString = connectionString
    self.username = username
    self.password = password
  }

  /// Which database it is, and as whom; nil where it names none.
  var place: DatabasePlace? {
    connectionString.isEmpty
      ? nil : DatabasePlace(connectionString: connectionString, username: username)
  }
}

public struct SchemaConfiguration: Hashable, Sendable, Codable {
  public var schemaName: String
  public init(schemaName: String) { self.schemaName = schemaName }
}

public struct SharedConfiguration: Hashable, Sendable, Codable {
  public var tenantIdentifier: String
  public init(tenantIdentifier: String) { self.tenantIdentifier = tenantIdentifier }
}
