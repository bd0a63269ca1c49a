/// What the platform declares of its tenants' configurations. A value with shared structure: a change costs the same
/// among ten and among a thousand.
public struct ConfigurationCatalog: Sendable {
  private var settings = OrderedTree<SettingDefinition>()
  private var plans = OrderedTree<Plan>()
  private var flags = OrderedTree<FeatureFlag>()
  /// How many tenants name a plan, be it declared or not.
  private var planUses = ByteTable<Int>()
  /// How many settings are declared to be secret.
  private var secretCount = 0
  /// Another number with each change of what is declared, the same on all nodes and after a restart. No secret.
  public private(set) var fingerprint: UInt64 = 0

  /// Nothing is declared.
  public init() {}

  // MARK: Reading

  /// Whether settings are declared.
  public var hasSettings: Bool { !settings.isEmpty }

  /// Whether some are declared to be secret.
  public var hasSecrets: Bool { secretCount > 0 }

  /// How many are.
  public var settingCount: Int { settings.count }

  /// The definition of a setting; nil: it is not declared.
  public func setting(_ name: String) -> SettingDefinition? { settings.find(name) }

  /// The definitions in order of their names, those behind `name` if it is given.
  public func settings(after name: String? = nil) -> Cursor<SettingDefinition> {
    settings.cursor(after: name)
  }

  /// How many plans there are.
  public var planCount: Int { plans.count }

  /// A plan by its name; nil: it is not declared.
  public func plan(_ name: String) -> Plan? { plans.find(name) }

  /// The plan that a tenant has; nil: it names none, or one that is not declared, as those of a node's configuration.
  public func plan(of configuration: TenantConfiguration) -> Plan? {
    guard let name = configuration.limits?.plan, !name.isEmpty else { return nil }
    return plans.find(name)
  }

  /// The plans in order of their names, those behind `name` if it is given.
  public func plans(after name: String? = nil) -> Cursor<Plan> { plans.cursor(after: name) }

  /// How many tenants name a plan, deleted ones included that are not purged.
  public func tenants(of plan: String) -> Int { planUses[plan] ?? 0 }

  /// Whether flags are declared.
  public var hasFlags: Bool { !flags.isEmpty }

  /// How many are.
  public var flagCount: Int { flags.count }

  /// The definition of a flag; nil: it is not declared.
  public func flag(_ name: String) -> FeatureFlag? { flags.find(name) }

  /// The flags in order of their names, those behind `name` if it is given.
  public func flags(after name: String? = nil) -> Cursor<FeatureFlag> { flags.cursor(after: name) }

  // MARK: Changing

  mutating func put(_ item: ConfigurationItem) {
    let former: ConfigurationItem?
    switch item {
    case .setting(let definition): former = settings.put(definition).map { .setting($0) }
    case .plan(let plan): former = plans.put(plan).map { .plan($0) }
    case .flag(let flag): former = flags.put(flag).map { .flag($0) }
    }
    secretCount += (item.isSecretSetting ? 1 : 0) - (former?.isSecretSetting == true ? 1 : 0)
    // A sum, so that it does not matter in which order they came.
    fingerprint = fingerprint &- (former?.fingerprint ?? 0) &+ item.fingerprint
  }

  mutating func remove(_ kind: ConfigurationItem.Kind, _ id: String) {
    let former: ConfigurationItem?
    switch kind {
    case .setting: former = settings.remove(id).map { .setting($0) }
    case .plan: former = plans.remove(id).map { .plan($0) }
    case .flag: former = flags.remove(id).map { .flag($0) }
    }
    if former?.isSecretSetting == true { secretCount -= 1 }
    fingerprint &-= former?.fingerprint ?? 0
  }

  /// A tenant has another plan. Empty or nil: none.
  mutating func notePlan(_ former: String?, _ plan: String?) {
    guard former != plan else { return }
    if let former, !former.isEmpty {
      let left = tenants(of: former) - 1
      planUses[former] = left > 0 ? left : nil
    }
    if let plan, !plan.isEmpty { planUses[plan] = tenants(of: plan) + 1 }
  }

  func unsharedNodes(with other: Self) -> Int {
    settings.unsharedNodes(with: other.settings) + plans.unsharedNodes(with: other.plans)
      + flags.unsharedNodes(with: other.flags) + planUses.unshared(with: other.planUses).nodes
  }
}

extension ConfigurationItem {
  fileprivate var isSecretSetting: Bool {
    if case .setting(let definition) = self { definition.isSecret } else { false }
  }
}
