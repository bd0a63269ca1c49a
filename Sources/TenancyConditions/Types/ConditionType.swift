/// A type that expressions are checked against before they are evaluated. Langdef, "Gradual Type
/// Checking".
public indirect enum ConditionType: Sendable, Hashable, CustomStringConvertible {
  /// Of whatever type: checked when it is evaluated.
  case dyn
  /// Of one of the types without parameters.
  case null, bool, int, uint, double, string, bytes, timestamp, duration, type
  /// A list with elements of one type.
  case list(ConditionType)
  /// A map with keys of one type and values of one.
  case map(key: ConditionType, value: ConditionType)

  /// As CEL writes it.
  public var description: String {
    switch self {
    case .dyn: "dyn"
    case .null: "null_type"
    case .bool: "bool"
    case .int: "int"
    case .uint: "uint"
    case .double: "double"
    case .string: "string"
    case .bytes: "bytes"
    case .timestamp: "timestamp"
    case .duration: "duration"
    case .type: "type"
    case .list(let element): "list(\(element))"
    case .map(let key, let value): "map(\(key), \(value))"
    }
  }

  /// Whether a value of one type could be one of the other.
  static func agree(_ left: ConditionType, _ right: ConditionType) -> Bool {
    switch (left, right) {
    case (.dyn, _), (_, .dyn): true
    case (.list(let left), .list(let right)): agree(left, right)
    case (.map(let leftKey, let left), .map(let rightKey, let right)):
      agree(leftKey, rightKey) && agree(left, right)
    default: left == right
    }
  }

  /// The type of what is of either type; dyn where they differ.
  static func join(_ left: ConditionType, _ right: ConditionType) -> ConditionType {
    switch (left, right) {
    case (.list(let left), .list(let right)): .list(join(left, right))
    case (.map(let leftKey, let left), .map(let rightKey, let right)):
      .map(key: join(leftKey, rightKey), value: join(left, right))
    default: left == right ? left : .dyn
    }
  }

  /// Lists and maps within one another.
  var depth: Int {
    switch self {
    case .list(let element): 1 + element.depth
    case .map(let key, let value): 1 + max(key.depth, value.depth)
    default: 0
    }
  }

  /// Whether keys of maps can be of this type.
  var isKey: Bool {
    switch self {
    case .dyn, .bool, .int, .uint, .string: true
    default: false
    }
  }

  init(_ value: ConditionValue) {
    switch value {
    case .null: self = .null
    case .bool: self = .bool
    case .int: self = .int
    case .uint: self = .uint
    case .double: self = .double
    case .string: self = .string
    case .bytes: self = .bytes
    case .timestamp: self = .timestamp
    case .duration: self = .duration
    case .type: self = .type
    case .list: self = .list(.dyn)
    case .map: self = .map(key: .dyn, value: .dyn)
    }
  }
}
