internal import Tenancy

/// A tenant as the log has it: see `ChangeDocument`.
struct TenantDocument: Codable {
  let id, slug, displayName: String
  let state: TenantState
  let isolationModel: IsolationModel
  let configuration: ConfigurationDocument
  let version, epoch: UInt64
  let createTime, updateTime: Int64
  let deleteTime, purgeTime: Int64?
  let stateReason: String?
  let tokenKeys: [TokenKeyDocument]?
  let authentication: AuthenticationSettings?
  let tokenHorizon: Int64?
  let plans: LifecyclePlansDocument?
  let dataLogin: DataLoginDocument?
  let metadata: TenantMetadataDocument?

  init(_ tenant: Tenant) {
    id = tenant.id.description
    slug = tenant.slug.text
    displayName = tenant.displayName
    state = tenant.state
    isolationModel = tenant.isolationModel
    configuration = ConfigurationDocument(tenant.configuration)
    version = tenant.version
    epoch = tenant.epoch
    createTime = tenant.createTime.nanoseconds
    updateTime = tenant.updateTime.nanoseconds
    deleteTime = tenant.deleteTime?.nanoseconds
    purgeTime = tenant.purgeTime?.nanoseconds
    stateReason = tenant.stateReason.isEmpty ? nil : tenant.stateReason
    tokenKeys = tenant.tokenKeys.isEmpty ? nil : tenant.tokenKeys.map(TokenKeyDocument.init)
    authentication = tenant.authentication.isDefault ? nil : tenant.authentication
    tokenHorizon = tenant.tokenHorizon?.nanoseconds
    plans = tenant.hasPlans ? LifecyclePlansDocument(tenant.plans) : nil
    dataLogin = tenant.dataLogin.map(DataLoginDocument.init)
    metadata = tenant.hasMetadata ? TenantMetadataDocument(tenant.metadata) : nil
  }

  func tenant() throws(ChangeDecodingError) -> Tenant {
    Tenant(
      id: try TenantID(parsing: id).decoded(), slug: try Slug(parsing: slug).decoded(),
      displayName: displayName, state: state, isolationModel: isolationModel,
      configuration: try configuration.configuration(), version: version, epoch: epoch,
      createTime: Timestamp(nanoseconds: createTime),
      updateTime: Timestamp(nanoseconds: updateTime),
      deleteTime: deleteTime.map(Timestamp.init(nanoseconds:)),
      purgeTime: purgeTime.map(Timestamp.init(nanoseconds:)), stateReason: stateReason ?? "",
      tokenKeys: tokenKeys?.map(\.key) ?? [],
      authentication: authentication ?? AuthenticationSettings(),
      tokenHorizon: tokenHorizon.map(Timestamp.init(nanoseconds:)),
      plans: plans?.plans ?? LifecyclePlans(), dataLogin: dataLogin?.login,
      metadata: metadata?.metadata ?? TenantMetadata())
  }
}

struct ConfigurationDocument: Codable {
  let database: DatabaseDocument?
  let schema: SchemaConfiguration?
  let shared: SharedConfiguration?
  let customSettings: [String: JSONValue]
  let featureFlags: [String: Bool]
  /// Nil: none.
  let routes: [RouteRule]?
  let limits: LimitSettings?
  let placement: PlacementSettings?
  /// Nil: none.
  let dataCategories: [DataCategory]?
  /// Nil: none.
  let secretSettings: [String: SecretSetting]?

  init(_ configuration: TenantConfiguration) {
    let secrets = configuration.secretSettings
    secretSettings = secrets.isEmpty ? nil : secrets
    database = configuration.database.map(DatabaseDocument.init)
    schema = configuration.schema
    shared = configuration.shared
    customSettings = configuration.customSettings
    featureFlags = configuration.featureFlags
    routes = configuration.routes.isEmpty ? nil : configuration.routes
    limits = configuration.limits
    placement = configuration.placement
    let categories = configuration.dataCategories
    dataCategories = categories.isEmpty ? nil : categories
  }

  func configuration() throws(ChangeDecodingError) -> TenantConfiguration {
    TenantConfiguration(
      database: try database?.configuration(), schema: schema, shared: shared,
      customSettings: customSettings, featureFlags: featureFlags, routes: routes ?? [],
      limits: limits, placement: placement, dataCategories: dataCategories ?? [],
      secretSettings: secretSettings ?? [:])
  }
}

struct DatabaseDocument: Codable {
  let connectionString: String?
  let username: String
  let password: SecretReference?
  let redacted: Bool?

  init(_ database: DatabaseConfiguration) {
    let isSecret = database.hasSecretConnectionString
    connectionString = isSecret ? nil : database.connectionString
    username = database.username
    password = database.password
    redacted = isSecret ? true : nil
  }

  func configuration() throws(ChangeDecodingError) -> DatabaseConfiguration {
    guard redacted != true else { throw .redacted }
    return DatabaseConfiguration(
      connectionString: try connectionString.decoded(), username: username, password: password)
  }
}
