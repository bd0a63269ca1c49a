import Tenancy
import TenancyWire

/// A partial change of a tenant's configuration: what UpdateTenantConfiguration asks for.
struct ConfigurationChange: Sendable {
  private static let whole = [
    "database", "schema", "shared", "custom_settings", "feature_flags", "routes", "limits",
    "placement", "data_categories", "secret_values",
  ]
  private static let settingPrefix = "custom_settings."
  private static let flagPrefix = "feature_flags."
  private static let secretPrefix = "secret_values."
  private static let partsOfLimits = ["limits.plan", "limits.limits"]

  private let sent: V1.TenantConfiguration
  private let paths: Set<String>
  private let isImplied: Bool

  private let keepsConnection: Bool
  private let routes: [RouteRule]
  private let categories: [DataCategory]
  private let limits: LimitSettings?
  private let limitsChange: LimitsChange

  init(
    _ sent: V1.TenantConfiguration, _ mask: GoogleProtobuf.FieldMask?, by caller: Caller,
    _ plans: LimitPlans? = nil
  ) throws(TenancyError) {
    limitsChange = LimitsChange(plans: plans, isPlatform: caller.isPlatform)
    limits = try sent.limits?.domain()
    try sent.database?.refuseSecrets(of: caller)
    keepsConnection = !caller.isPlatform
    let mask = try UpdateMask(mask, all: Self.whole, isKnown: Self.isKnown)
    // Before the writer merges them.
    try TenantRules.check(settings: sent.customSettings ?? [:])
    routes = try sent.domainRoutes()
    categories = try sent.domainCategories()
    self.sent = sent
    paths = mask.paths
    isImplied = mask.isImplied
  }

  private static func isKnown(_ path: String) -> Bool {
    whole.contains(path) || partsOfLimits.contains(path)
      || [settingPrefix, flagPrefix, secretPrefix].contains {
        path.hasPrefix($0) && path.utf8.count > $0.utf8.count
      }
  }

  /// What a path of a tenant's mask names in its configuration; nil: nothing in it.
  static func part(of path: String) -> String? {
    let prefix = "configuration."
    guard path.hasPrefix(prefix) else { return nil }
    let part = String(path.dropFirst(prefix.count))
    return isKnown(part) ? part : nil
  }

  /// The whole configuration is replaced; a password that is not sent stays.
  static func replacement(
    by sent: V1.TenantConfiguration, by caller: Caller, _ plans: LimitPlans? = nil
  ) throws(TenancyError)
    -> @Sendable (TenantConfiguration) throws(TenancyError) -> TenantConfiguration
  {
    try sent.database?.refuseSecrets(of: caller)
    let keepsConnection = !caller.isPlatform
    let sentDomain = try sent.domain()
    let limits = LimitsChange(plans: plans, isPlatform: caller.isPlatform)
    return { (before) throws(TenancyError) in
      var after = sentDomain
      after.database = sent.database?.domain(
        keeping: before.database, keepsConnection: keepsConnection)
      after.limits = try limits.apply(sentDomain.limits, to: before.limits, isNamed: false)
      return after
    }
  }

  /// The password that is to replace the stored one.
  var databasePassword: ClearSecret? {
    guard isImplied || paths.contains("database") else { return nil }
    return sent.database?.clearPassword
  }

  /// Secrets that are to be set, or removed: as the database's password, one that is not sent stays.
  var secrets: [String: ClearSecret?] {
    Self.secrets(sent, isWhole: isImplied || paths.contains("secret_values"), parts: paths)
  }

  /// Settings that are named one by one, and so go where they are not sent.
  var namedSettings: Set<String> { ConfigurationField.settings(in: paths) }

  /// - Parameters:
  ///   - isWhole: whether all that were sent are to be set.
  ///   - parts: paths, of which some name secrets.
  static func secrets(
    _ sent: V1.TenantConfiguration, isWhole: Bool, parts: some Sequence<String>
  ) -> [String: ClearSecret?] {
    var secrets = isWhole ? sent.clearSecrets : [:]
    for path in parts where path.hasPrefix(secretPrefix) {
      let name = String(path.dropFirst(secretPrefix.count))
      secrets[name] = .some(sent.secretValues[name].map { ClearSecret($0) })
    }
    return secrets
  }

  @Sendable
  func apply(_ before: TenantConfiguration) throws(TenancyError) -> TenantConfiguration {
    var after = before
    if isImplied {
      merge(into: &after)
    } else {
      for path in paths { replace(path, in: &after) }
    }
    let isNamed = !paths.isDisjoint(with: Self.partsOfLimits + ["limits"])
    if isNamed || (isImplied && limits != nil) {
      after.limits = try limitsChange.apply(
        changedLimits(before.limits), to: before.limits, isNamed: isNamed)
    }
    return after
  }

  private func changedLimits(_ before: LimitSettings?) -> LimitSettings? {
    if isImplied || paths.contains("limits") { return limits }
    var after = before ?? LimitSettings()
    if paths.contains("limits.plan") { after.plan = limits?.plan ?? "" }
    if paths.contains("limits.limits") { after.limits = limits?.limits ?? [] }
    return after.isEmpty ? nil : after
  }

  /// What is populated is merged, key by key.
  private func merge(into configuration: inout TenantConfiguration) {
    if let database = sent.database {
      configuration.database = database.domain(
        keeping: configuration.database, keepsConnection: keepsConnection)
    }
    if let schema = sent.schema { configuration.schema = schema.domain }
    if let shared = sent.shared { configuration.shared = shared.domain }
    if let placement = sent.placement { configuration.placement = placement.domain }
    if !categories.isEmpty { configuration.dataCategories = categories }
    configuration.customSettings.merge(sent.customSettings ?? [:]) { _, new in new }
    configuration.featureFlags.merge(sent.featureFlags) { _, new in new }
    // Their order counts: they are one.
    if !routes.isEmpty { configuration.routes = routes }
  }

  private func replace(_ path: String, in configuration: inout TenantConfiguration) {
    switch path {
    case "database":
      configuration.database = sent.database?.domain(
        keeping: configuration.database, keepsConnection: keepsConnection)
    case "schema": configuration.schema = sent.schema?.domain
    case "shared": configuration.shared = sent.shared?.domain
    case "placement": configuration.placement = sent.placement?.domain
    case "data_categories": configuration.dataCategories = categories
    case "custom_settings": configuration.customSettings = sent.customSettings ?? [:]
    case "feature_flags": configuration.featureFlags = sent.featureFlags
    case "routes": configuration.routes = routes
    // They are not the tenant's to change: see `apply`.
    case "limits", "limits.plan", "limits.limits": return
    // See `secrets`.
    case "secret_values": return
    case let path where path.hasPrefix(Self.secretPrefix): return
    case let path where path.hasPrefix(Self.settingPrefix):
      let key = String(path.dropFirst(Self.settingPrefix.count))
      configuration.customSettings[key] = sent.customSettings?[key]
    case let path:
      let key = String(path.dropFirst(Self.flagPrefix.count))
      configuration.featureFlags[key] = sent.featureFlags[key]
    }
  }
}
