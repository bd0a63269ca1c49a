/// A value of a statement's parameter or of a row's column.
public enum DataValue: Hashable, Sendable {
  /// SQL's NULL.
  case null
  /// A truth value; in SQLite 0 or 1.
  case bool(Bool)
  /// A whole number.
  case integer(Int64)
  /// A number of floating point.
  case real(Double)
  /// A text; and, of what has no case of its own, such as times, UUIDs, JSON and decimals, PostgreSQL's text of it.
  case text(String)
  /// Bytes.
  case bytes([UInt8])

  /// A text, or NULL.
  public init(_ text: String?) { self = text.map(DataValue.text) ?? .null }
  /// A truth value, or NULL.
  public init(_ bool: Bool?) { self = bool.map(DataValue.bool) ?? .null }
  /// A number, or NULL.
  public init(_ number: Double?) { self = number.map(DataValue.real) ?? .null }
  /// Bytes, or NULL.
  public init(_ bytes: [UInt8]?) { self = bytes.map(DataValue.bytes) ?? .null }
  /// A whole number, or NULL; one that has more than 63 bits as its decimal text.
  public init(_ integer: (some BinaryInteger)?) {
    guard let integer else {
      self = .null
      return
    }
    self = Int64(exactly: integer).map(DataValue.integer) ?? .text("\(integer)")
  }

  /// Whether it is NULL.
  public var isNull: Bool { self == .null }

  /// What it takes in memory, about.
  var size: Int {
    switch self {
    case .null, .bool, .integer, .real: 16
    case .text(let text): 16 + text.utf8.count
    case .bytes(let bytes): 16 + bytes.count
    }
  }
}

extension DataValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByStringInterpolation
{
  /// NULL.
  public init(nilLiteral: ()) { self = .null }
  /// A truth value.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// A whole number.
  public init(integerLiteral value: Int64) { self = .integer(value) }
  /// A number.
  public init(floatLiteral value: Double) { self = .real(value) }
  /// A text.
  public init(stringLiteral value: String) { self = .text(value) }
}
