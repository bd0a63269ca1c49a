/// One customer of the platform.
public struct Tenant: Hashable, Sendable {
  /// Never changes, and is never given to another.
  public let id: TenantID
  /// Unique among tenants, past and present.
  public var slug: Slug
  /// For people; need not be unique.
  public var displayName: String
  /// Changes by the events of `Lifecycle` only.
  public var state: TenantState
  /// Stays while there are data.
  public var isolationModel: IsolationModel
  /// What the tenant and the platform have set for it.
  public var configuration: TenantConfiguration
  /// Counts changes of any kind; the etag is made of it.
  public var version: UInt64
  /// Grows with every lifecycle change; what was issued under an older epoch is void.
  public var epoch: UInt64
  /// When it was created.
  public let createTime: Timestamp
  /// Of the last change of any kind.
  public var updateTime: Timestamp
  /// Set while `state` is `deleted`.
  public var deleteTime: Timestamp?
  /// When a deleted tenant's data may be destroyed.
  public var purgeTime: Timestamp?
  /// Why the tenant is `provisionFailed`, in `maintenance` or `suspended` where that was said, for operators; else
  /// empty.
  public var stateReason: String
  /// The keys that sign its tokens, the newest first: `TokenKey.maximumCount` at most, of which one signs at most,
  /// and then the first does. They are no part of what callers see: `version` does not count their changes.
  public var tokenKeys: [TokenKey]
  /// By which tokens its callers may say who they are: no part of what callers see, either.
  public var authentication: AuthenticationSettings
  /// Tokens of other issuers, who know of no epochs, are void if they were issued by then; nil: none are. Moves with
  /// the epoch, once the tenant was active.
  public var tokenHorizon: Timestamp?
  private var planBox: Box<LifecyclePlans>?
  private var loginBox: Box<DataLogin>?
  /// As whom its programs log in where a cluster has its data; nil where none has. No part of what callers see, either.
  public var dataLogin: DataLogin? {
    get { loginBox?.value }
    set { loginBox = newValue.map(Box.init) }
  }
  /// What is to become of it, and what keeps it from it.
  public var plans: LifecyclePlans {
    get { planBox?.value ?? LifecyclePlans() }
    set { planBox = newValue.isEmpty ? nil : Box(newValue) }
  }

  private var metadataBox: Box<TenantMetadata>?
  /// What the platform notes on it.
  public var metadata: TenantMetadata {
    get { metadataBox?.value ?? TenantMetadata() }
    set { metadataBox = newValue.isEmpty ? nil : Box(newValue) }
  }

  /// Validates nothing: that is up to `TenantCommands`.
  public init(
    id: TenantID, slug: Slug, displayName: String, state: TenantState,
    isolationModel: IsolationModel, configuration: TenantConfiguration, version: UInt64,
    epoch: UInt64, createTime: Timestamp, updateTime: Timestamp, deleteTime: Timestamp? = nil,
    purgeTime: Timestamp? = nil, stateReason: String = "", tokenKeys: [TokenKey] = [],
    authentication: AuthenticationSettings = AuthenticationSettings(),
    tokenHorizon: Timestamp? = nil, plans: LifecyclePlans = LifecyclePlans(),
    dataLogin: DataLogin? = nil,
    metadata: TenantMetadata = TenantMetadata()
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
    self.tokenKeys = tokenKeys
    self.authentication = authentication
    self.tokenHorizon = tokenHorizon
    planBox = plans.isEmpty ? nil : Box(plans)
    loginBox = dataLogin.map(Box.init)
    metadataBox = metadata.isEmpty ? nil : Box(metadata)
  }

  /// Whether there are plans: cheaper than to ask these.
  public var hasPlans: Bool { planBox != nil }

  /// Whether there are labels or annotations: cheaper than to ask these.
  public var hasMetadata: Bool { metadataBox != nil }

  /// Names this version; an update that carries it fails if the tenant has changed since.
  public var etag: String { "v\(version)" }
}

/// Where a tenant stands in its life. Raw values are those stored on disk.
public enum TenantState: String, Hashable, Sendable, CaseIterable, Codable {
  /// Created; nothing is made for it yet.
  case pending
  /// Its resources are being made.
  case provisioning
  /// Its calls are served: no other state's are.
  case active
  /// Kept out by an operator.
  case suspended
  /// Out of service for a while, by an operator or since a resource is missing: its clients may try again later.
  case maintenance
  /// A step failed; `Tenant.stateReason` says which and why.
  case provisionFailed = "provision_failed"
  /// As if it weren't there, for its callers; operators still see it, and may take it back.
  case deleted
  /// What it has is being destroyed, which can't be taken back.
  case purging
  /// All of it is destroyed. The store keeps the id and the names, so that nobody else gets them; the state of the
  /// control plane has no such tenant.
  case purged

  /// Whether it is as if it weren't there, for its callers.
  public var isGone: Bool { self == .deleted || self == .purging || self == .purged }
}

/// How a tenant's data is kept apart from that of others. Raw values are those stored on disk.
public enum IsolationModel: String, Hashable, Sendable, CaseIterable, Codable {
  /// A database of its own.
  case database
  /// A schema of its own in a shared database.
  case schema
  /// Rows of shared tables.
  case shared
  /// By kind of data, each as its `DataCategory` says; without any, a schema of its own, and rows of shared tables.
  case hybrid

  /// Whether there may be a `TenantConfiguration.database`.
  public var usesDatabase: Bool { self == .database }
}

/// A tenant's settings.
public struct TenantConfiguration: Hashable, Sendable, Codable {
  /// For `.database`.
  public var database: DatabaseConfiguration?
  /// For `.schema`, and `.hybrid` without categories.
  public var schema: SchemaConfiguration?
  /// For `.shared`, and `.hybrid` unless none of its categories is.
  public var shared: SharedConfiguration?
  /// The application's own: at most 64 KiB as JSON, nested at most 32 deep.
  public var customSettings: [String: JSONValue]
  /// Name (1 to 128 bytes) to on or off; at most 1,000.
  public var featureFlags: [String: Bool]
  /// What its HTTP requests need besides what the platform's rules say: the first that covers one counts.
  public var routes: [RouteRule]
  /// What its requests are limited by besides what its plan says; nil: by the usual plan. The platform's to set.
  public var limits: LimitSettings?
  /// Where its data is to be made; nil: wherever there is room. The platform's to set.
  public var placement: PlacementSettings?
  /// For `.hybrid`: at most `DataCategory.maximumCount`. The platform's to set.
  public var dataCategories: [DataCategory]
  /// Of settings that are secret, which values there are.
  public var secretSettings: [String: SecretSetting]

  /// Validates nothing: that is up to `TenantCommands`.
  public init(
    database: DatabaseConfiguration? = nil, schema: SchemaConfiguration? = nil,
    shared: SharedConfiguration? = nil, customSettings: [String: JSONValue] = [:],
    featureFlags: [String: Bool] = [:], routes: [RouteRule] = [], limits: LimitSettings? = nil,
    placement: PlacementSettings? = nil, dataCategories: [DataCategory] = [],
    secretSettings: [String: SecretSetting] = [:]
  ) {
    self.dataCategories = dataCategories
    self.secretSettings = secretSettings
    self.database = database
    self.schema = schema
    self.shared = shared
    self.customSettings = customSettings
    self.featureFlags = featureFlags
    self.routes = routes
    self.limits = limits
    self.placement = placement
  }

  private enum Key: String, CodingKey {
    case database, schema, shared, customSettings, featureFlags, routes, limits, placement
    case dataCategories, secretSettings
  }

  /// - Throws: `DecodingError` for what is none.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    database = try values.decodeIfPresent(DatabaseConfiguration.self, forKey: .database)
    schema = try values.decodeIfPresent(SchemaConfiguration.self, forKey: .schema)
    shared = try values.decodeIfPresent(SharedConfiguration.self, forKey: .shared)
    customSettings = try values.decode([String: JSONValue].self, forKey: .customSettings)
    featureFlags = try values.decode([String: Bool].self, forKey: .featureFlags)
    // Earlier versions have none.
    routes = try values.decodeIfPresent([RouteRule].self, forKey: .routes) ?? []
    limits = try values.decodeIfPresent(LimitSettings.self, forKey: .limits)
    placement = try values.decodeIfPresent(PlacementSettings.self, forKey: .placement)
    dataCategories =
      try values.decodeIfPresent([DataCategory].self, forKey: .dataCategories) ?? []
    secretSettings =
      try values.decodeIfPresent([String: SecretSetting].self, forKey: .secretSettings) ?? [:]
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encodeIfPresent(database, forKey: .database)
    try values.encodeIfPresent(schema, forKey: .schema)
    try values.encodeIfPresent(shared, forKey: .shared)
    try values.encode(customSettings, forKey: .customSettings)
    try values.encode(featureFlags, forKey: .featureFlags)
    if !routes.isEmpty { try values.encode(routes, forKey: .routes) }
    try values.encodeIfPresent(limits, forKey: .limits)
    try values.encodeIfPresent(placement, forKey: .placement)
    if !dataCategories.isEmpty { try values.encode(dataCategories, forKey: .dataCategories) }
    if !secretSettings.isEmpty { try values.encode(secretSettings, forKey: .secretSettings) }
  }
}

/// Where a tenant's own database is.
public struct DatabaseConfiguration: Hashable, Sendable, Codable {
  /// As the tenant's programs understand it, at most 2,048 bytes; without a password.
  public var connectionString: String
  /// Empty: the one of `connectionString`, if any.
  public var username: String
  /// Which sealed secret it is; nil where none is stored. The password itself is in requests only, and with
  /// who opens it for use: see `SecretVault`.
  public var password: SecretReference?

  /// Validates nothing: that is up to `TenantCommands`.
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

/// Where a tenant's own schema is.
public struct SchemaConfiguration: Hashable, Sendable, Codable {
  /// An SQL identifier, unique among tenants: see `TenantCommands.isSchemaName`.
  public var schemaName: String
  /// Validates nothing: that is up to `TenantCommands`.
  public init(schemaName: String) { self.schemaName = schemaName }
}

/// What a tenant is called in tables that it shares with others.
public struct SharedConfiguration: Hashable, Sendable, Codable {
  /// The value of the tenant column, unique among tenants: see `TenantCommands.isTenantIdentifier`.
  public var tenantIdentifier: String
  /// Validates nothing: that is up to `TenantCommands`.
  public init(tenantIdentifier: String) { self.tenantIdentifier = tenantIdentifier }
}
