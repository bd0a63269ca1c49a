/// The parts of a configuration of which there is a history, as masks name them.
public enum ConfigurationField {
  static let settings = "custom_settings."
  static let flags = "feature_flags."
  static let plan = "limits.plan"
  static let limits = "limits.limits"

  /// Bytes of one, at most.
  static let maximumBytes = 1_024

  /// Whether it can be the name of one.
  static func isField(_ text: String) -> Bool {
    guard text.utf8.count <= maximumBytes else { return false }
    return text == plan || text == limits
      || [settings, flags].contains { text.hasPrefix($0) && text.utf8.count > $0.utf8.count }
  }

  /// The names of settings among fields.
  public static func settings(in fields: some Sequence<String>) -> Set<String> {
    Set(fields.filter { $0.hasPrefix(settings) }.map { String($0.dropFirst(settings.count)) })
  }

  /// - Parameter field: what it is called in the request.
  /// - Throws: INVALID_ARGUMENT for what can't be the name of one.
  public static func require(_ text: String, field: String) throws(TenancyError) {
    if isField(text) { return }
    throw .invalid(
      field, "must be custom_settings.NAME, feature_flags.NAME, limits.plan or limits.limits")
  }
}

/// Collects what is different between two configurations.
private struct EditCollector {
  private(set) var edits: [SettingEdit] = []
  /// Fields that are, or were, secret: of those no values are told.
  private var secrets: Set<String> = []

  mutating func compare(_ field: String, secret before: UInt64?, _ after: UInt64?) {
    guard before != after else { return }
    secrets.insert(field)
    edits.append(SettingEdit(field: field, versionBefore: before, versionAfter: after))
  }

  mutating func compare(_ field: String, _ before: JSONValue?, _ after: JSONValue?) {
    if !secrets.isEmpty, secrets.contains(field) { return }
    switch (before, after) {
    case (nil, nil): return
    case (let before?, let after?) where before.hasSameBytes(as: after): return
    default: edits.append(SettingEdit(field: field, before: before, after: after))
    }
  }

  mutating func compare<Value>(
    _ prefix: String, _ before: [String: Value], _ after: [String: Value],
    _ json: (Value) -> JSONValue
  ) {
    for (key, value) in after {
      // A key in other bytes is another one.
      let former = before.index(forKey: key).flatMap { at in
        before[at].key.hasSameBytes(as: key) ? before[at].value : nil
      }
      compare(prefix + key, former.map(json), json(value))
    }
    for (key, value) in before {
      let isKept = after.index(forKey: key).map { after[$0].key.hasSameBytes(as: key) } ?? false
      if !isKept { compare(prefix + key, json(value), nil) }
    }
  }

  mutating func compare(_ field: String, _ before: [RequestLimit], _ after: [RequestLimit]) {
    if before == after { return }
    compare(field, before.isEmpty ? nil : before.json, after.isEmpty ? nil : after.json)
  }

  var sorted: [SettingEdit] { edits.sorted { ByteOrder($0.field) < ByteOrder($1.field) } }
}

extension TenantConfiguration {
  /// What was done to it since it was another, in the order of the fields.
  func edits(since before: TenantConfiguration) -> [SettingEdit] {
    var collector = EditCollector()
    for name in Set(before.secretSettings.keys).union(secretSettings.keys) {
      collector.compare(
        ConfigurationField.settings + name,
        secret: before.secretSettings[name]?.reference.version,
        secretSettings[name]?.reference.version)
    }
    collector.compare(
      ConfigurationField.settings, before.customSettings, customSettings
    ) { $0 }
    collector.compare(
      ConfigurationField.flags, before.featureFlags, featureFlags
    ) { .bool($0) }
    let (former, now) = (before.limits ?? LimitSettings(), limits ?? LimitSettings())
    collector.compare(
      ConfigurationField.plan, former.plan.isEmpty ? nil : .string(former.plan),
      now.plan.isEmpty ? nil : .string(now.plan))
    collector.compare(ConfigurationField.limits, former.limits, now.limits)
    return collector.sorted
  }

  /// The value of a field; nil: it has none.
  func value(of field: String) -> JSONValue? {
    switch field {
    case ConfigurationField.plan:
      return (limits?.plan).flatMap { $0.isEmpty ? nil : .string($0) }
    case ConfigurationField.limits:
      return (limits?.limits).flatMap { $0.isEmpty ? nil : $0.json }
    case let field where field.hasPrefix(ConfigurationField.settings):
      return customSettings[String(field.dropFirst(ConfigurationField.settings.count))]
    case let field where field.hasPrefix(ConfigurationField.flags):
      let name = String(field.dropFirst(ConfigurationField.flags.count))
      return featureFlags[name].map { .bool($0) }
    default: return nil
    }
  }

  /// What is different between two of its pasts, in the order of the fields.
  public func differences(
    between past: ConfigurationPast, _ later: ConfigurationPast
  ) -> [SettingEdit] {
    var collector = EditCollector()
    for field in Set(past.versions.keys).union(later.versions.keys) {
      let name = String(field.text.dropFirst(ConfigurationField.settings.count))
      let now = secretSettings[name]?.reference.version
      collector.compare(
        field.text, secret: past.versions[field] ?? now, later.versions[field] ?? now)
    }
    for field in Set(past.values.keys).union(later.values.keys) {
      let now = value(of: field.text)
      collector.compare(
        field.text, past.value(of: field.text, now: now), later.value(of: field.text, now: now))
    }
    return collector.sorted
  }

  /// Gives a field a value that it had.
  /// - Parameter value: nil: none.
  /// - Returns: whether it can have it: what earlier versions of the program have stored may be none any more.
  mutating func set(_ field: String, to value: JSONValue?) -> Bool {
    switch (field, value) {
    case (ConfigurationField.plan, nil): setLimits { $0.plan = "" }
    case (ConfigurationField.plan, .string(let plan)?): setLimits { $0.plan = plan }
    case (ConfigurationField.limits, nil): setLimits { $0.limits = [] }
    case (ConfigurationField.limits, let value?):
      guard let limits = [RequestLimit](json: value) else { return false }
      setLimits { $0.limits = limits }
    case (let field, let value) where field.hasPrefix(ConfigurationField.settings):
      let name = String(field.dropFirst(ConfigurationField.settings.count))
      // Otherwise a key that is canonically equivalent would keep its bytes.
      customSettings[name] = nil
      customSettings[name] = value
    case (let field, nil) where field.hasPrefix(ConfigurationField.flags):
      featureFlags[String(field.dropFirst(ConfigurationField.flags.count))] = nil
    case (let field, .bool(let isOn)?) where field.hasPrefix(ConfigurationField.flags):
      featureFlags[String(field.dropFirst(ConfigurationField.flags.count))] = isOn
    default: return false
    }
    return true
  }

  private mutating func setLimits(_ change: (inout LimitSettings) -> Void) {
    var settings = limits ?? LimitSettings()
    change(&settings)
    limits = settings.isEmpty ? nil : settings
  }
}

extension Plan {
  /// What was done to it since it was another, in the order of the fields. A plan calls its settings as tenants do.
  func edits(since before: Plan?) -> [SettingEdit] {
    var collector = EditCollector()
    collector.compare(ConfigurationField.settings, before?.settings ?? [:], settings) { $0 }
    collector.compare(ConfigurationField.flags, before?.featureFlags ?? [:], featureFlags) {
      .bool($0)
    }
    collector.compare(ConfigurationField.limits, before?.limits ?? [], limits)
    return collector.sorted
  }
}

extension [RequestLimit] {
  /// As the history has them.
  fileprivate var json: JSONValue {
    .array(
      map { limit in
        .object([
          "name": .string(limit.name), "requests": .number(Double(limit.requests)),
          "period": .string(limit.period.rawValue), "burst": .number(Double(limit.burst)),
        ])
      })
  }

  /// Nil for what are none.
  fileprivate init?(json: JSONValue) {
    guard case .array(let values) = json else { return nil }
    self = []
    for value in values {
      guard case .object(let members) = value, case .string(let name)? = members["name"],
        case .string(let text)? = members["period"],
        let period = RequestLimit.Period(rawValue: text),
        case .number(let requests)? = members["requests"], let requests = Int64(exactly: requests),
        case .number(let burst)? = members["burst"], let burst = Int64(exactly: burst)
      else { return nil }
      do throws(TenancyError) {
        append(
          try RequestLimit(
            name: name, requests: requests, period: period,
            burst: period.isCalendar ? 0 : burst, field: ""))
      } catch {
        return nil
      }
    }
  }
}
