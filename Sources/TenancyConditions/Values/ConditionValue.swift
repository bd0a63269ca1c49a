/// A value of CEL. Langdef, "Values".
///
/// Texts are compared by code points, never by canonical equivalence, so that there is no `==` here:
/// CEL's equality can fail, and is the evaluator's.
public enum ConditionValue: Sendable {
  /// No value.
  case null
  /// True or false.
  case bool(Bool)
  /// A signed integer.
  case int(Int64)
  /// An unsigned integer.
  case uint(UInt64)
  /// A floating-point number.
  case double(Double)
  /// A text.
  case string(String)
  /// Bytes that need not be a text.
  case bytes([UInt8])
  /// A moment.
  case timestamp(ConditionTimestamp)
  /// A length of time; ±292 years.
  case duration(nanoseconds: Int64)
  /// Values in an order.
  case list([ConditionValue])
  /// Values by their keys.
  case map(ConditionMap)
  /// What `type()` returns.
  case type(Kind)

  /// The types that values have at evaluation. Langdef, "Type Values".
  public enum Kind: String, Sendable, CaseIterable {
    /// Of `null`.
    case null = "null_type"
    /// Called as CEL writes them.
    case bool, int, uint, double, string, bytes
    /// Of moments.
    case timestamp = "google.protobuf.Timestamp"
    /// Of lengths of time.
    case duration = "google.protobuf.Duration"
    /// Of values with elements, and of types themselves.
    case list, map, type
  }

  /// The type of this value.
  public var kind: Kind {
    switch self {
    case .null: .null
    case .bool: .bool
    case .int: .int
    case .uint: .uint
    case .double: .double
    case .string: .string
    case .bytes: .bytes
    case .timestamp: .timestamp
    case .duration: .duration
    case .list: .list
    case .map: .map
    case .type: .type
    }
  }
}

/// What can be a key of a map, or an element of a set: numbers that are equal are one key, and texts
/// are equal only byte by byte. Langdef, "Numbers".
enum ConditionKey: Sendable {
  case bool(Bool)
  /// An int, and every number that an int can be.
  case int(Int64)
  /// A uint above the largest int.
  case large(UInt64)
  case string(String)

  /// The key of a value; nil if it has none, and so is in no map.
  init?(_ value: ConditionValue) {
    switch value {
    case .bool(let value): self = .bool(value)
    case .int(let value): self = .int(value)
    case .uint(let value): self = Int64(exactly: value).map { .int($0) } ?? .large(value)
    case .double(let value):
      if let exact = Int64(exactly: value) {
        self = .int(exact)
      } else if let exact = UInt64(exactly: value) {
        self = .large(exact)
      } else {
        return nil
      }
    case .string(let value): self = .string(value)
    default: return nil
    }
  }
}

extension ConditionKey: Hashable {
  static func == (left: ConditionKey, right: ConditionKey) -> Bool {
    switch (left, right) {
    case (.bool(let left), .bool(let right)): left == right
    case (.int(let left), .int(let right)): left == right
    case (.large(let left), .large(let right)): left == right
    case (.string(let left), .string(let right)): Text.same(left, right)
    default: false
    }
  }

  func hash(into hasher: inout Hasher) {
    switch self {
    case .bool(let value): hasher.combine(value)
    case .int(let value): hasher.combine(value)
    case .large(let value): hasher.combine(value)
    case .string(let value): Text.hash(value, into: &hasher)
    }
  }
}

/// A map of CEL: its entries in their order, found by key. Langdef, "Aggregate Values".
public struct ConditionMap: Sendable {
  /// The entries, in the order in which they were given.
  public let entries: [(key: ConditionValue, value: ConditionValue)]
  private let index: [ConditionKey: Int]
  /// Whether it was made of names: all of its keys are texts.
  let hasNames: Bool

  /// A map of these entries; nil if two keys are equal, or one is no bool, int, uint or string.
  public init?(_ entries: [(key: ConditionValue, value: ConditionValue)]) {
    var index: [ConditionKey: Int] = [:]
    index.reserveCapacity(entries.count)
    for (place, entry) in entries.enumerated() {
      if case .double = entry.key { return nil }
      guard let key = ConditionKey(entry.key), index.updateValue(place, forKey: key) == nil else {
        return nil
      }
    }
    self.entries = entries
    self.index = index
    hasNames = false
  }

  /// A map with names as keys.
  public init(_ values: [String: ConditionValue]) {
    var index: [ConditionKey: Int] = [:]
    var entries: [(key: ConditionValue, value: ConditionValue)] = []
    for (key, value) in values {
      index[.string(key)] = entries.count
      entries.append((.string(key), value))
    }
    self.entries = entries
    self.index = index
    hasNames = true
  }

  /// The entries.
  public var count: Int { entries.count }

  /// The value of a key; nil if there is none. A number finds its equal of any type.
  public subscript(key: ConditionValue) -> ConditionValue? {
    guard let key = ConditionKey(key) else { return nil }
    return self[key]
  }

  subscript(key: ConditionKey) -> ConditionValue? {
    guard let place = index[key] else { return nil }
    return entries[place].value
  }

  /// Whether keys of this kind could be in the map: others are an error to look up.
  static func mayBeKey(_ value: ConditionValue) -> Bool {
    switch value {
    case .bool, .int, .uint, .double, .string: true
    default: false
    }
  }
}
