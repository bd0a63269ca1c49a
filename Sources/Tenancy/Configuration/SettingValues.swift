/// A span of time as a setting has it: a whole number and a unit, such as `250ms`, `90s`, `5m`, `8h` and `30d`.
public enum SettingDuration {
  /// A hundred years.
  public static let maximumSeconds = 36_500 * 86_400.0

  /// Seconds.
  /// - Returns: nil for what is none, and what is longer.
  public static func seconds(_ text: String) -> Double? {
    guard text.utf8.count <= 24 else { return nil }
    let digits = text.utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    guard let unit = units[String(text.utf8.dropFirst(digits.count)) ?? ""],
      let count = Int64(String(digits) ?? "")
    else { return nil }
    let seconds = Double(count) * unit
    return seconds <= maximumSeconds ? seconds : nil
  }

  private static let units = ["ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400]
}

extension SettingDefinition {
  /// Why a tenant can't have a value, for people. What that takes grows with the value alone.
  /// - Returns: nil where it fits.
  public func problem(with value: JSONValue) -> String? {
    if isSecret { return "is a secret, and settings are stored in the clear: see secret_values" }
    switch (type, value) {
    case (.json, _), (.bool, .bool): return nil
    case (.string, .string(let text)): return problem(withText: text)
    case (.integer, .number(let number)):
      guard number == number.rounded(), Self.integers.contains(number) else {
        return "must be a whole number, from -2^53 to 2^53"
      }
      return problem(withNumber: number, unit: "")
    case (.number, .number(let number)): return problem(withNumber: number, unit: "")
    case (.duration, .string(let text)):
      guard let seconds = SettingDuration.seconds(text) else { return Self.noDuration }
      return problem(withNumber: seconds, unit: " seconds")
    case (.stringList, .array(let items)): return problem(withItems: items)
    case (.string, _): return "must be text"
    case (.integer, _), (.number, _): return "must be a number"
    case (.bool, _): return "must be true or false"
    case (.duration, _): return Self.noDuration
    case (.stringList, _): return "must be a list of texts"
    }
  }

  private static let noDuration = "must be a whole number and one of ms, s, m, h and d, as in 90s"

  private func problem(withNumber number: Double, unit: String) -> String? {
    if let minimum, number < minimum {
      return "must be at least \(JSONValue.number(minimum))\(unit)"
    }
    if let maximum, number > maximum {
      return "must be at most \(JSONValue.number(maximum))\(unit)"
    }
    return nil
  }

  func problem(withText text: String) -> String? {
    if let minimumLength, text.unicodeScalars.count < minimumLength {
      return "must have at least \(minimumLength) characters"
    }
    if let maximumLength, !text.hasAtMost(characters: maximumLength) {
      return "must have at most \(maximumLength) characters"
    }
    return isAllowed(text) ? nil : "must be one of \(allowedText)"
  }

  private func problem(withItems items: [JSONValue]) -> String? {
    if let minimumLength, items.count < minimumLength {
      return "must have at least \(minimumLength) elements"
    }
    if let maximumLength, items.count > maximumLength {
      return "must have at most \(maximumLength) elements"
    }
    // Each is looked for among the allowed ones: as a set, so that it takes the same however many these are.
    let allowed = Set(allowedValues.map { Array($0.utf8) })
    for (index, item) in items.enumerated() {
      guard case .string(let text) = item else { return "[\(index)] must be text" }
      guard allowed.isEmpty || allowed.contains(Array(text.utf8)) else {
        return "[\(index)] must be one of \(allowedText)"
      }
    }
    return nil
  }

  /// Byte by byte: what merely looks the same is another value.
  private func isAllowed(_ text: String) -> Bool {
    allowedValues.isEmpty
      || allowedValues.contains { $0.utf8.elementsEqual(text.utf8) }
  }

  private var allowedText: String { allowedValues.joined(separator: ", ") }
}
