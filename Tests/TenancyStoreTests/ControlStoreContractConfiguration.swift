import Tenancy
import TenancyTestSupport
import Testing

/// What the checks of declared configurations are made of.
enum ContractConfiguration {
  static func setting(
    _ name: String, _ type: SettingDefinition.ValueType = .string, version: UInt64 = 1
  ) -> ConfigurationItem {
    var definition = SettingDefinition(
      name: name, type: type, version: version, createTime: Timestamp(nanoseconds: 1),
      updateTime: Timestamp(nanoseconds: 2))
    if type == .integer {
      (definition.minimum, definition.maximum) = (-1.5, 1e9)
      definition.defaultValue = .number(7)
    }
    if type == .string {
      definition.summary = "é \"\\/\u{8}\u{2028}"
      definition.allowedValues = ["", "a/b"]
      (definition.minimumLength, definition.maximumLength) = (0, .max)
      (definition.isSecret, definition.editor, definition.sinceVersion) = (true, .tenant, "2.1")
    }
    if type == .json { definition.defaultValue = .object(["a": .array([.null, .number(0.1)])]) }
    return .setting(definition)
  }
}

extension ContractConfiguration {
  static func plan(_ name: String) -> ConfigurationItem {
    .plan(
      Plan(
        name: name, title: "\"é\"", settings: ["a/b": .array([.null, .number(0.5)])],
        featureFlags: ["é": false],
        limits: (try? [RequestLimit(name: "", requests: 5, period: .day, field: "l")]) ?? [],
        createTime: Timestamp(nanoseconds: 1), updateTime: Timestamp(nanoseconds: 2)))
  }

  static func flag(_ name: String) -> ConfigurationItem {
    .flag(
      FeatureFlag(
        name: name, summary: "\u{2028}", rollout: 7, tenants: [Sample.id(1).description],
        subjects: ["user:\"é/"], editor: .tenant, createTime: Timestamp(nanoseconds: 1),
        updateTime: Timestamp(nanoseconds: 2)))
  }
}

/// The checks of what the platform declares.
extension ControlStoreContract {
  static let configuration = [
    ControlStoreContract("what is declared comes back, changes, and goes") { open in
      let items = [
        ContractConfiguration.flag("a"), ContractConfiguration.plan("a"),
        ContractConfiguration.setting("Z", .integer), ContractConfiguration.setting("a", .json),
        ContractConfiguration.setting("b"),
      ]
      try withStore(open) { (store) throws in
        try store.append([
          Sample.entry(1, items.reversed().map(Change.putConfigurationItem))
        ])
      }
      let changed = ContractConfiguration.setting("a", .bool, version: 2)
      let change: [Change] = [
        .putConfigurationItem(changed), .deleteConfigurationItem(.setting, id: "b"),
        .deleteConfigurationItem(.setting, id: "none"), .deleteConfigurationItem(.flag, id: "a"),
      ]
      try withStore(open) { (store) throws in
        #expect(try store.load().changes == items.map(Change.putConfigurationItem))
        #expect(try ControlState(store.load()).catalog.settingCount == 3)
        try store.append([Sample.entry(2, change)])
      }
      try withStore(open) { (store) throws in
        let catalog = ControlState(try store.load()).catalog
        #expect(catalog.setting("a").map(ConfigurationItem.setting) == changed)
        #expect(catalog.plan("a") != nil && catalog.flag("a") == nil)
        #expect(catalog.settingCount == 2 && catalog.setting("b") == nil)
        #expect(try store.entries(after: 1, limit: 2).map(\.changes) == [change])
      }
    }
  ]
}
