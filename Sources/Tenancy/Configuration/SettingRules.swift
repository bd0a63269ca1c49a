/// The rules for declaring settings, and for what tenants' settings may be then. Field names are those of the API.
extension SettingDefinition {
  /// Looks for all that is wrong with it.
  /// - Parameter field: what it is called in the request, such as `setting_definition`.
  func check(field: String, _ checks: inout FieldChecks) {
    func note(_ name: String, _ what: String) { checks.note(.invalid("\(field).\(name)", what)) }
    if !summary.isForPeople(characters: Self.maximumSummaryLength) {
      note("description", "at most \(Self.maximumSummaryLength) characters, none of them control")
    }
    if !sinceVersion.isForPeople(characters: Self.maximumSinceVersionBytes)
      || sinceVersion.utf8.count > Self.maximumSinceVersionBytes
    {
      note(
        "since_version", "at most \(Self.maximumSinceVersionBytes) bytes, none of them control")
    }
    checkRange(note)
    checkLengths(note)
    checkAllowed(note)
    if let defaultValue, let problem = problem(withDefault: defaultValue) {
      note("default_value", problem)
    }
  }

  /// Whether it is what a command can have made.
  public var isSound: Bool {
    var checks = FieldChecks()
    check(field: "", &checks)
    return Self.isName(name) && checks.passed && version >= 1
  }

  private func checkRange(_ note: (String, String) -> Void) {
    let hasRange = [.integer, .number, .duration].contains(type)
    for (name, bound) in [("minimum", minimum), ("maximum", maximum)] {
      guard let bound else { continue }
      if !hasRange {
        note(name, "only for INTEGER, NUMBER and DURATION")
      } else if !bound.isFinite {
        note(name, "must be finite")
      }
    }
    if let minimum, let maximum, minimum > maximum { note("maximum", "is less than minimum") }
  }

  private func checkLengths(_ note: (String, String) -> Void) {
    let hasLength = type == .string || type == .stringList
    for (name, length) in [("minimum_length", minimumLength), ("maximum_length", maximumLength)]
    where length != nil && !hasLength {
      note(name, "only for STRING and STRING_LIST")
    }
    if let minimumLength, let maximumLength, minimumLength > maximumLength {
      note("maximum_length", "is less than minimum_length")
    }
  }

  private func checkAllowed(_ note: (String, String) -> Void) {
    guard !allowedValues.isEmpty else { return }
    guard type == .string || type == .stringList else {
      return note("allowed_values", "only for STRING and STRING_LIST")
    }
    guard allowedValues.count <= Self.maximumAllowedValues else {
      return note("allowed_values", "more than \(Self.maximumAllowedValues)")
    }
    var seen: Set<[UInt8]> = []
    for (index, text) in allowedValues.enumerated() {
      if text.utf8.count > Self.maximumAllowedValueBytes {
        note("allowed_values[\(index)]", "at most \(Self.maximumAllowedValueBytes) bytes")
      } else if !seen.insert(Array(text.utf8)).inserted {
        note("allowed_values[\(index)]", "is there twice")
      }
    }
  }

  private func problem(withDefault value: JSONValue) -> String? {
    // The store has null for none.
    guard value != .null else { return "null is no default: leave it out" }
    var bytes = 0
    guard TenantRules.measure(value, depth: 1, into: &bytes) else {
      return "nested deeper than \(TenantRules.maximumSettingsDepth)"
    }
    guard bytes <= Self.maximumDefaultBytes else {
      return "more than \(Self.maximumDefaultBytes) bytes"
    }
    return problem(with: value)
  }
}

extension String {
  /// Whether it is not longer than that, and has no control characters.
  func isForPeople(characters limit: Int) -> Bool {
    hasAtMost(characters: limit)
      && !unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }
  }
}

extension ConfigurationCatalog {
  /// Judges what a request makes of a tenant's settings and flags: those that it changes, and no others, so that a value
  /// that a later definition does not take keeps nobody from changing what else there is.
  /// - Parameter isPlatform: whether a platform identity asks.
  /// - Throws: PERMISSION_DENIED with SETTING_NOT_OWN for changes that only the platform may make, which its
  ///   violations name.
  func check(
    _ after: TenantConfiguration, from former: TenantConfiguration, isPlatform: Bool,
    _ checks: inout FieldChecks
  ) throws(TenancyError) {
    var refused: [TenancyError.FieldViolation] = []
    func mayChange(_ name: String, _ field: String, _ editor: SettingDefinition.Editor) -> Bool {
      if isPlatform || editor == .tenant { return true }
      if refused.count < FieldChecks.maximumViolations {
        refused.append(
          .init(field: "configuration.\(field).\(name)", description: "is the platform's to change")
        )
      }
      return false
    }
    let settings = Self.changed(
      after.customSettings, former.customSettings, "custom_settings", &checks, { setting($0) }
    ) { $0.hasSameBytes(as: $1) }
    for definition in settings
    where mayChange(definition.name, "custom_settings", definition.editor) {
      guard let value = after.customSettings[definition.name],
        let problem = definition.problem(with: value)
      else { continue }
      checks.note(.invalid("configuration.custom_settings.\(definition.name)", problem))
    }
    let flags = Self.changed(
      after.featureFlags, former.featureFlags, "feature_flags", &checks, { flag($0) }, ==)
    for flag in flags { _ = mayChange(flag.name, "feature_flags", flag.editor) }
    guard let first = refused.first else { return }
    throw TenancyError(
      .permissionDenied, .settingNotOwn, "\(first.field) \(first.description)",
      metadata: ["field": first.field], violations: refused)
  }

  /// What is declared of what a request changes, in the order of names. Only these are sorted: there can be many keys.
  /// Swift takes keys that are canonically equivalent for the same, and others do not: one that stands for another in
  /// other bytes is refused.
  private static func changed<Value, Declared: Ordered>(
    _ after: [String: Value], _ former: [String: Value], _ field: String,
    _ checks: inout FieldChecks, _ declared: (String) -> Declared?,
    _ isSame: (Value, Value) -> Bool
  ) -> [Declared] where Declared.OrderKey == String {
    var (found, misspelled): ([Declared], [String]) = ([], [])
    for (key, value) in after {
      if let at = former.index(forKey: key) {
        guard former[at].key.hasSameBytes(as: key) else {
          misspelled.append("")
          continue
        }
        if isSame(former[at].value, value) { continue }
      }
      guard let name = name(standingFor: key), let item = declared(name) else { continue }
      if name.hasSameBytes(as: key) { found.append(item) } else { misspelled.append(".\(name)") }
    }
    for key in former.keys where after[key] == nil {
      if let name = name(standingFor: key), let item = declared(name) { found.append(item) }
    }
    for name in misspelled.sorted() {
      checks.note(
        .invalid("configuration.\(field)\(name)", "has a key that is another one in other bytes"))
    }
    return found.sorted { $0.orderKey < $1.orderKey }
  }

  /// The name for which Swift takes a key, if it can be declared. Of all that is not ASCII, the Kelvin sign alone is
  /// canonically equivalent to a character of names.
  private static func name(standingFor key: String) -> String? {
    if SettingDefinition.isName(key) { return key }
    guard key.utf8.count <= 3 * SettingDefinition.maximumNameBytes,
      key.unicodeScalars.contains("\u{212A}")
    else { return nil }
    let name = String(
      String.UnicodeScalarView(key.unicodeScalars.map { $0 == "\u{212A}" ? "K" : $0 }))
    return SettingDefinition.isName(name) ? name : nil
  }
}

extension JSONValue {
  /// Unlike `==`, which takes texts that are canonically equivalent for equal.
  func hasSameBytes(as other: JSONValue) -> Bool {
    switch (self, other) {
    case (.string(let text), .string(let other)): text.hasSameBytes(as: other)
    case (.array(let values), .array(let others)):
      values.count == others.count
        && zip(values, others).allSatisfy { $0.hasSameBytes(as: $1) }
    case (.object(let members), .object(let others)):
      members.count == others.count
        && members.allSatisfy { key, value in
          others.index(forKey: key).map {
            others[$0].key.hasSameBytes(as: key) && others[$0].value.hasSameBytes(as: value)
          } ?? false
        }
    default: self == other
    }
  }
}
