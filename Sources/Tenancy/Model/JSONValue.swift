/// Any JSON value.
///
/// As everywhere in Swift, keys that are canonically equivalent are the same key.
public enum JSONValue: Hashable, Sendable {
  /// `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// Integers beyond 2⁵³ lose digits (RFC 8259 §6).
  case number(Double)
  /// Unescaped text.
  case string(String)
  /// Values in order.
  case array([JSONValue])
  /// Members, in no order.
  case object([String: JSONValue])
}

extension JSONValue: CustomStringConvertible {
  public var description: String { text() }

  /// JSON text, with the keys of objects in order; `pretty` takes a line for each value.
  ///
  /// JSON has no number for NaN and infinity: they become null.
  public func text(pretty: Bool = false) -> String {
    var writer = JSONWriter(pretty: pretty)
    writer.write(self)
    return writer.text
  }
}

/// Writes JSON text.
private struct JSONWriter {
  let pretty: Bool
  var text = ""
  private var depth = 0

  init(pretty: Bool) { self.pretty = pretty }

  mutating func write(_ value: JSONValue) {
    switch value {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .number(let value): write(value)
    case .string(let value): write(value)
    case .array(let values):
      write(values, between: "[", and: "]") { writer, value in writer.write(value) }
    case .object(let object):
      write(object.sorted { $0.key < $1.key }, between: "{", and: "}") { writer, entry in
        writer.write(entry.key)
        writer.text += writer.pretty ? ": " : ":"
        writer.write(entry.value)
      }
    }
  }

  private mutating func write<Element>(
    _ elements: [Element], between open: String, and close: String,
    element write: (inout JSONWriter, Element) -> Void
  ) {
    text += open
    depth += 1
    for (index, element) in elements.enumerated() {
      if index > 0 { text += "," }
      newLine()
      write(&self, element)
    }
    depth -= 1
    if !elements.isEmpty { newLine() }
    text += close
  }

  private mutating func newLine() {
    if pretty { text += "\n" + String(repeating: "  ", count: depth) }
  }

  private mutating func write(_ number: Double) {
    /// Up to here every integer has a `Double` of its own.
    let exactIntegers = 9_007_199_254_740_992.0
    if !number.isFinite {
      text += "null"
    } else if number == number.rounded(), number.magnitude <= exactIntegers {
      text += String(Int64(number))
    } else {
      text += number.description
    }
  }

  private mutating func write(_ string: String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case "\u{0}"..<" ":
        let hex = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}

extension JSONValue: Codable {
  public init(from decoder: any Decoder) throws {
    let box = try decoder.singleValueContainer()
    if box.decodeNil() {
      self = .null
    } else if let value = try? box.decode(Bool.self) {  // Not a Bool: the next kind is tried.
      self = .bool(value)
    } else if let value = try? box.decode(Double.self) {  // Likewise.
      self = .number(value)
    } else if let value = try? box.decode(String.self) {  // Likewise.
      self = .string(value)
    } else if let value = try? box.decode([JSONValue].self) {  // Likewise.
      self = .array(value)
    } else {
      self = .object(try box.decode([String: JSONValue].self))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var box = encoder.singleValueContainer()
    switch self {
    case .null: try box.encodeNil()
    case .bool(let value): try box.encode(value)
    case .number(let value): try box.encode(value)
    case .string(let value): try box.encode(value)
    case .array(let value): try box.encode(value)
    case .object(let value): try box.encode(value)
    }
  }
}
