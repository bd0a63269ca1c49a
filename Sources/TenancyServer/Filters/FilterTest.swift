import Tenancy

/// What a filter can ask about a tenant.
enum FilterField: Equatable, Sendable {
  case state
  case isolationModel
  case slug
  case displayName
  /// Of the tenant's limits; empty: it has none of its own.
  case plan
  case createTime
  case updateTime
  /// Nil: all of them.
  case label(String?)
  case flag(String?)
  case setting(String?)

  /// Bytes of a label's, flag's or setting's name.
  static let maximumNameBytes = 320

  private static let maps = ["labels", "feature_flags", "custom_settings"]

  /// - Parameters:
  ///   - word: `slug`, `labels` or `labels.region`; or `labels.`, and the name stands for itself.
  ///   - offset: for what is thrown.
  init(_ word: String, name: String?, at offset: Int) throws(TenancyError) {
    let parts = word.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    var name = name
    if name == nil, parts.count == 2 { name = String(parts[1]) }
    if let name, Self.maps.contains(String(parts[0])) {
      guard (1...Self.maximumNameBytes).contains(name.utf8.count) else {
        throw .filter("a name has 1 to \(Self.maximumNameBytes) bytes", at: offset)
      }
    }
    switch (parts[0], name) {
    case ("state", nil): self = .state
    case ("isolation_model", nil): self = .isolationModel
    case ("slug", nil): self = .slug
    case ("display_name", nil): self = .displayName
    case ("plan", nil): self = .plan
    case ("create_time", nil): self = .createTime
    case ("update_time", nil): self = .updateTime
    case ("labels", _): self = .label(name)
    case ("feature_flags", _): self = .flag(name)
    case ("custom_settings", _): self = .setting(name)
    default:
      throw .filter(
        "fields are state, isolation_model, slug, display_name, plan, create_time, update_time,"
          + " labels.KEY, feature_flags.NAME and custom_settings.NAME", at: offset)
    }
  }
}

/// One comparison of a filter. What a tenant does not have is not compared: such a comparison does not hold, whichever
/// it is.
struct FilterTest: Sendable {
  enum Condition: Equatable, Sendable {
    /// There is something.
    case present
    /// Byte by byte, so that a comparison costs little whatever is in it.
    case text(FilterComparison, String)
    case prefix(isWanted: Bool, String)
    case number(FilterComparison, Double)
    case bool(Bool)
    case time(FilterComparison, Timestamp)
  }

  let field: FilterField
  let condition: Condition
  /// Looks that it is charged for.
  let cost: Int

  /// Bytes of names and values that take about as long as looking at another tenant.
  private static let bytesOfALook = 64

  init(
    _ field: FilterField, _ comparison: FilterComparison, _ value: FilterValue, at offset: Int
  ) throws(TenancyError) {
    (self.field, condition) =
      switch field {
      case .state, .isolationModel:
        (field, try Self.enumeration(field, comparison, value, offset))
      case .slug, .displayName, .plan:
        (field, try Self.text(comparison, value, allowsHas: false, offset))
      case .createTime, .updateTime: (field, try Self.time(comparison, value, offset))
      case .label(nil): try Self.key(comparison, value, offset) { .label($0) }
      case .flag(nil): try Self.key(comparison, value, offset) { .flag($0) }
      case .setting(nil): try Self.key(comparison, value, offset) { .setting($0) }
      case .label: (field, try Self.text(comparison, value, allowsHas: true, offset))
      case .flag: (field, try Self.flag(comparison, value, offset))
      case .setting: (field, try Self.setting(comparison, value, offset))
      }
    cost = 1 + (self.field.bytes + condition.bytes) / Self.bytesOfALook
  }

  // MARK: Understanding

  /// `labels:KEY` and `labels:*`.
  private static func key(
    _ comparison: FilterComparison, _ value: FilterValue, _ offset: Int,
    _ field: (String?) -> FilterField
  ) throws(TenancyError) -> (FilterField, Condition) {
    guard comparison == .has else {
      throw .filter("a name is needed, as in labels.KEY", at: offset)
    }
    switch value {
    case .anything: return (field(nil), .present)
    case .word(let name), .text(let name, isPrefix: false):
      guard (1...FilterField.maximumNameBytes).contains(name.utf8.count) else {
        throw .filter("a name has 1 to \(FilterField.maximumNameBytes) bytes", at: offset)
      }
      return (field(name), .present)
    case .text(_, isPrefix: true): throw .filter("a name can't be a prefix", at: offset)
    }
  }

  private static func text(
    _ comparison: FilterComparison, _ value: FilterValue, allowsHas: Bool, _ offset: Int
  ) throws(TenancyError) -> Condition {
    guard allowsHas || comparison != .has else {
      throw .filter(": is for labels, feature_flags and custom_settings", at: offset)
    }
    switch value {
    case .anything where comparison == .has: return .present
    case .anything: throw .filter("* stands behind : only", at: offset)
    case .word(let text), .text(let text, isPrefix: false):
      return .text(comparison == .has ? .equal : comparison, text)
    case .text(let text, isPrefix: true):
      guard [.equal, .notEqual, .has].contains(comparison) else {
        throw .filter("a prefix goes with =, != and : only", at: offset)
      }
      return .prefix(isWanted: comparison != .notEqual, text)
    }
  }

  /// Values are written as in the API, with or without their prefix.
  private static func enumeration(
    _ field: FilterField, _ comparison: FilterComparison, _ value: FilterValue, _ offset: Int
  ) throws(TenancyError) -> Condition {
    guard comparison == .equal || comparison == .notEqual else {
      throw .filter("only = and != go with this field", at: offset)
    }
    let isState = field == .state
    let known =
      isState ? TenantState.allCases.map(\.rawValue) : IsolationModel.allCases.map(\.rawValue)
    let prefix = isState ? "TENANT_STATE_" : "ISOLATION_MODEL_"
    let (text, isWhole) =
      switch value {
      case .word(let word): (word, true)
      case .text(let text, let isPrefix): (text, !isPrefix)
      case .anything: ("*", false)
      }
    let name = text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : text
    guard isWhole, name == name.uppercased(), known.contains(name.lowercased()) else {
      throw .filter("no value of \(isState ? "state" : "isolation_model")", at: offset)
    }
    return .text(comparison, name.lowercased())
  }

  private static func time(
    _ comparison: FilterComparison, _ value: FilterValue, _ offset: Int
  ) throws(TenancyError) -> Condition {
    guard comparison != .has else {
      throw .filter(": is for labels, feature_flags and custom_settings", at: offset)
    }
    guard case .text(let text, isPrefix: false) = value, let moment = Timestamp(rfc3339: text)
    else {
      throw .filter("a time is quoted, as in \"2026-01-31T09:30:00Z\"", at: offset)
    }
    return .time(comparison, moment)
  }

  private static func flag(
    _ comparison: FilterComparison, _ value: FilterValue, _ offset: Int
  ) throws(TenancyError) -> Condition {
    if value == .anything, comparison == .has { return .present }
    return try bool(comparison, value, offset)
  }

  private static func bool(
    _ comparison: FilterComparison, _ value: FilterValue, _ offset: Int
  ) throws(TenancyError) -> Condition {
    guard [.equal, .notEqual, .has].contains(comparison) else {
      throw .filter("only =, != and : go with true and false", at: offset)
    }
    switch value {
    case .word("true"): return .bool(comparison != .notEqual)
    case .word("false"): return .bool(comparison == .notEqual)
    case .word, .text, .anything: throw .filter("expected true or false", at: offset)
    }
  }

  /// What is not quoted is a number or a truth value if it looks like one.
  private static func setting(
    _ comparison: FilterComparison, _ value: FilterValue, _ offset: Int
  ) throws(TenancyError) -> Condition {
    if case .word(let word) = value {
      if word == "true" || word == "false" { return try bool(comparison, value, offset) }
      if let number = number(word) {
        return .number(comparison == .has ? .equal : comparison, number)
      }
    }
    return try text(comparison, value, allowsHas: true, offset)
  }

  private static func number(_ word: String) -> Double? {
    // Not what else `Double` would take: hexadecimal digits, infinity.
    guard word.utf8.allSatisfy({ "0123456789.eE+-".utf8.contains($0) }),
      let number = Double(word), number.isFinite
    else { return nil }
    return number
  }
}

extension FilterField {
  fileprivate var bytes: Int {
    switch self {
    case .label(let name), .flag(let name), .setting(let name): name?.utf8.count ?? 0
    case .state, .isolationModel, .slug, .displayName, .plan, .createTime, .updateTime: 0
    }
  }
}

extension FilterTest.Condition {
  fileprivate var bytes: Int {
    switch self {
    case .text(_, let text), .prefix(_, let text): text.utf8.count
    case .present, .number, .bool, .time: 0
    }
  }
}
