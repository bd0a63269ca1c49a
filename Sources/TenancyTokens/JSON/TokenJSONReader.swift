/// Why bytes are not JSON as it is read here.
package enum TokenJSONError: String, Error, Sendable {
  /// Not RFC 8259, a byte-order mark, or something behind the value.
  case malformed
  /// No UTF-8, a NUL, or half of a surrogate pair.
  case text
  /// Two members of one object have the same name.
  case duplicate
  /// More of something than is read.
  case limit
}

/// Reads JSON as RFC 8259 has it and no other way. What people's readers forgive is refused: two members of
/// one name (also when one is escaped), NUL in text, a byte-order mark, lone surrogates, numbers such as
/// `01`, `+1` and `NaN`, and anything behind the value. Sans-IO; what it costs is bounded by its limits.
package struct TokenJSONReader {
  /// What is read at most.
  package struct Limits: Sendable {
    /// Of the whole text.
    package var bytes: Int
    /// Objects and lists within one another; the outermost counts.
    package var depth = 8
    /// Values, of all depths together.
    package var values = 2_048
    /// Of a number.
    package var numberBytes = 64

    package init(bytes: Int) { self.bytes = bytes }
  }

  private let bytes: [UInt8]
  private let limits: Limits
  private var at = 0
  private var values = 0

  /// The members of the object that `bytes` are.
  package static func object(
    _ bytes: [UInt8], _ limits: Limits
  ) throws(TokenJSONError) -> [TokenJSON.Member] {
    guard case .object(let members) = try value(bytes, limits) else { throw .malformed }
    return members
  }

  /// The value that `bytes` are.
  package static func value(
    _ bytes: [UInt8], _ limits: Limits
  ) throws(TokenJSONError) -> TokenJSON {
    guard bytes.count <= limits.bytes else { throw .limit }
    var reader = TokenJSONReader(bytes: bytes, limits: limits)
    let value = try reader.value(depth: 1)
    reader.skipSpace()
    guard reader.at == bytes.count else { throw .malformed }
    return value
  }

  private init(bytes: [UInt8], limits: Limits) {
    self.bytes = bytes
    self.limits = limits
  }

  private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { at += 1 }
  }

  private mutating func take(_ wanted: Unicode.Scalar) -> Bool {
    guard next == UInt8(ascii: wanted) else { return false }
    at += 1
    return true
  }

  private mutating func value(depth: Int) throws(TokenJSONError) -> TokenJSON {
    values += 1
    guard values <= limits.values else { throw .limit }
    skipSpace()
    switch next {
    case UInt8(ascii: "{"):
      at += 1
      return .object(try members(depth))
    case UInt8(ascii: "["):
      at += 1
      return .list(try elements(depth))
    case UInt8(ascii: "\""):
      at += 1
      return .text(try text())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return .number(try number())
    }
  }

  private mutating func word(
    _ word: StaticString, _ value: TokenJSON
  ) throws(TokenJSONError) -> TokenJSON {
    let end = at + word.utf8CodeUnitCount
    guard end <= bytes.count, bytes[at..<end].elementsEqual(String(describing: word).utf8) else {
      throw .malformed
    }
    at = end
    return value
  }

  // MARK: Objects and lists

  private mutating func members(_ depth: Int) throws(TokenJSONError) -> [TokenJSON.Member] {
    guard depth <= limits.depth else { throw .limit }
    var members: [TokenJSON.Member] = []
    skipSpace()
    if take("}") { return [] }
    repeat {
      skipSpace()
      guard take("\"") else { throw .malformed }
      let name = try text()
      skipSpace()
      guard take(":") else { throw .malformed }
      members.append(TokenJSON.Member(name, try value(depth: depth + 1)))
      skipSpace()
    } while take(",")
    guard take("}") else { throw .malformed }
    // In order, those of one name are neighbours; that costs less than a set of the names.
    members.sort { $0.name < $1.name }
    for at in members.indices.dropFirst() where members[at - 1].name == members[at].name {
      throw .duplicate
    }
    return members
  }

  private mutating func elements(_ depth: Int) throws(TokenJSONError) -> [TokenJSON] {
    guard depth <= limits.depth else { throw .limit }
    var elements: [TokenJSON] = []
    skipSpace()
    if take("]") { return [] }
    repeat {
      elements.append(try value(depth: depth + 1))
      skipSpace()
    } while take(",")
    guard take("]") else { throw .malformed }
    return elements
  }

  // MARK: Numbers

  private mutating func number() throws(TokenJSONError) -> String {
    let start = at
    _ = take("-")
    if !take("0") { try digits() }
    if take(".") { try digits() }
    if take("e") || take("E") {
      if !take("+") { _ = take("-") }
      try digits()
    }
    guard at - start <= limits.numberBytes else { throw .limit }
    return String(decoding: bytes[start..<at], as: UTF8.self)
  }

  /// At least one.
  private mutating func digits() throws(TokenJSONError) {
    let start = at
    while let byte = next, (0x30...0x39).contains(byte) { at += 1 }
    guard at > start else { throw .malformed }
  }

  // MARK: Text

  /// Behind the opening quotation mark.
  private mutating func text() throws(TokenJSONError) -> ExactText {
    var start = at
    var hasEscapes = false
    var unescaped: [UInt8] = []
    while let byte = next {
      if byte == UInt8(ascii: "\"") {
        defer { at += 1 }
        guard hasEscapes else { return try Self.text(bytes[start..<at]) }
        unescaped += bytes[start..<at]
        return try Self.text(unescaped[...])
      } else if byte == UInt8(ascii: "\\") {
        hasEscapes = true
        unescaped += bytes[start..<at]
        at += 1
        unescaped += String(try escaped()).utf8
        start = at
      } else if byte < 0x20 {
        throw byte == 0 ? .text : .malformed
      } else {
        at += 1
      }
    }
    throw .malformed
  }

  private static func text(_ bytes: ArraySlice<UInt8>) throws(TokenJSONError) -> ExactText {
    guard let text = String(validating: bytes, as: UTF8.self) else { throw .text }
    return ExactText(text)
  }

  /// Behind the backslash.
  private mutating func escaped() throws(TokenJSONError) -> Unicode.Scalar {
    guard let kind = next else { throw .malformed }
    at += 1
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(kind)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): return try unicode()
    default: throw .malformed
    }
  }

  private mutating func unicode() throws(TokenJSONError) -> Unicode.Scalar {
    var code = try hex()
    if (0xD800..<0xDC00).contains(code) {
      guard take("\\"), take("u") else { throw .text }
      let low = try hex()
      guard (0xDC00..<0xE000).contains(low) else { throw .text }
      // In range: both halves have ten bits.
      code = 0x10000 + ((code & 0x3FF) << 10 | (low & 0x3FF))
    }
    guard code != 0, let scalar = Unicode.Scalar(code) else { throw .text }
    return scalar
  }

  private mutating func hex() throws(TokenJSONError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw .malformed
      }
      code = code << 4 | UInt32(truncatingIfNeeded: digit)
      at += 1
    }
    return code
  }
}
