/// Where a value of a tenant's configuration comes from, the nearest to the tenant last.
public enum ConfigurationLevel: Hashable, Sendable, CaseIterable {
  /// The default that the platform has declared.
  case platform
  /// The tenant's plan.
  case plan
  /// The tenant's own configuration.
  case tenant
}

/// What a tenant's settings come to: its own, else its plan's, else the defaults. Of names that nobody has declared, and
/// so nobody guards, what the plan says counts before what the tenant does. Each question costs what it touches.
public struct EffectiveConfiguration: Sendable {
  /// What one level says of a setting.
  public struct Saying: Hashable, Sendable {
    /// Which level.
    public let level: ConfigurationLevel
    /// Its value.
    public let value: JSONValue
    /// Why it is passed over, for people; nil: it is not.
    public let problem: String?
  }

  private let tenant: TenantConfiguration
  /// The plan that the tenant names, if the platform has declared it.
  public let plan: Plan?
  private let catalog: ConfigurationCatalog
  /// Changes with the tenant, and with whatever is declared.
  public let etag: String

  /// - Parameter catalog: of the state that the tenant is of.
  public init(of tenant: Tenant, _ catalog: ConfigurationCatalog) {
    self.tenant = tenant.configuration
    self.catalog = catalog
    etag = "\(tenant.etag)-\(String(catalog.fingerprint, radix: 16))"
    plan = catalog.plan(of: tenant.configuration)
  }

  /// What the levels say of a setting, what counts before the others first.
  public func sayings(of setting: String) -> [Saying] {
    let definition = catalog.setting(setting)
    var sayings: [Saying] = []
    func add(_ level: ConfigurationLevel, _ value: JSONValue?) {
      guard let value else { return }
      sayings.append(
        Saying(level: level, value: value, problem: definition?.problem(with: value)))
    }
    if definition == nil { add(.plan, plan?.settings[setting]) }
    add(.tenant, tenant.customSettings[setting])
    if definition != nil { add(.plan, plan?.settings[setting]) }
    add(.platform, definition?.defaultValue)
    return sayings
  }

  /// The tenant's secret value of a setting, which is the only one that it has; nil: there is none.
  public func secret(of setting: String) -> SecretSetting? { tenant.secretSettings[setting] }

  /// Whether values of a setting are not to be shown, be they stored in the clear from before it was declared so.
  public func hides(_ setting: String) -> Bool { catalog.setting(setting)?.isSecret ?? false }

  /// What counts of them; nil: the setting has no value.
  public func value(of setting: String) -> Saying? {
    sayings(of: setting).first { $0.problem == nil }
  }

  /// All settings that are declared, or of which a level says something, in the order of their names. Bounded by what is
  /// declared, and by what a tenant and a plan may have.
  public func settings() -> [String] {
    var names = Set(tenant.customSettings.keys).union(tenant.secretSettings.keys)
    if let plan { names.formUnion(plan.settings.keys) }
    var (definitions, budget) = (catalog.settings(), WorkBudget.uncapped)
    while let definition = definitions.next(&budget) { names.insert(definition.name) }
    return names.sorted()
  }

  /// Whether the tenant's configuration or its plan says of a flag; nil: neither does.
  public func flag(_ name: String) -> (level: ConfigurationLevel, isOn: Bool)? {
    let planned = plan?.featureFlags[name].map { (level: ConfigurationLevel.plan, isOn: $0) }
    // Whoever administers the tenant sets what is not declared.
    if let planned, catalog.flag(name) == nil { return planned }
    if let isOn = tenant.featureFlags[name] { return (.tenant, isOn) }
    return planned
  }

  /// All flags that there are, in the order of their names.
  public func flags() -> [String] {
    var names = Set(tenant.featureFlags.keys)
    if let plan { names.formUnion(plan.featureFlags.keys) }
    var (all, budget) = (catalog.flags(), WorkBudget.uncapped)
    while let flag = all.next(&budget) { names.insert(flag.name) }
    return names.sorted()
  }
}
