/// What the platform declares of its tenants' configurations. A value with shared structure: a change costs the same
/// among ten and among a thousand.
public struct ConfigurationCatalog: Sendable {
  private var settings = OrderedTree<SettingDefinition>()

  /// Nothing is declared.
  public init() {}

  // MARK: Reading

  /// Whether settings are declared.
  public var hasSettings: Bool { !settings.isEmpty }

  /// How many are.
  public var settingCount: Int { settings.count }

  /// The definition of a setting; nil: it is not declared.
  public func setting(_ name: String) -> SettingDefinition? { settings.find(name) }

  /// The definitions in order of their names, those behind `name` if it is given.
  public func settings(after name: String? = nil) -> Cursor<SettingDefinition> {
    settings.cursor(after: name)
  }

  // MARK: Changing

  mutating func put(_ item: ConfigurationItem) {
    switch item {
    case .setting(let definition): settings.put(definition)
    }
  }

  mutating func remove(_ kind: ConfigurationItem.Kind, _ id: String) {
    switch kind {
    case .setting: settings.remove(id)
    }
  }

  func unsharedNodes(with other: Self) -> Int { settings.unsharedNodes(with: other.settings) }
}
