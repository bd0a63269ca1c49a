/// The values of literals. Langdef, "Numeric Values", "String and Bytes Values".
enum Literals {
  /// The int of digits, with the sign in front of them.
  static func int(_ text: ArraySlice<UInt8>, negative: Bool, at offset: Int) throws(Refusal)
    -> Int64
  {
    guard let magnitude = magnitude(text) else { throw range("int", offset) }
    if negative {
      guard magnitude <= UInt64(Int64.max) + 1 else { throw range("int", offset) }
      return Int64(truncatingIfNeeded: 0 &- magnitude)
    }
    guard let value = Int64(exactly: magnitude) else { throw range("int", offset) }
    return value
  }

  static func uint(_ text: ArraySlice<UInt8>, at offset: Int) throws(Refusal) -> UInt64 {
    guard let value = magnitude(text.dropLast()) else { throw range("uint", offset) }
    return value
  }

  static func double(_ text: ArraySlice<UInt8>, at offset: Int) throws(Refusal) -> Double {
    guard let value = Double(String(decoding: text, as: UTF8.self)), value.isFinite else {
      throw range("double", offset)
    }
    return value
  }

  private static func range(_ type: String, _ offset: Int) -> Refusal {
    Refusal(.literal, at: offset, "this number is outside the range of \(type)")
  }

  private static func magnitude(_ text: ArraySlice<UInt8>) -> UInt64? {
    var digits = text
    var radix: UInt64 = 10
    if text.count > 2, text[text.startIndex + 1] | 0x20 == UInt8(ascii: "x") {
      digits = text.dropFirst(2)
      radix = 16
    }
    var value: UInt64 = 0
    for byte in digits {
      guard let digit = Lexer.hexValue(byte) else { return nil }
      let (scaled, over) = value.multipliedReportingOverflow(by: radix)
      let (sum, carry) = scaled.addingReportingOverflow(UInt64(digit))
      if over || carry { return nil }
      value = sum
    }
    return value
  }

  /// The string of a token, without its quotes.
  static func string(_ token: Token, in source: [UInt8]) throws(Refusal) -> String {
    let bytes = try unquoted(token, in: source, isBytes: false)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The bytes of a token, without its quotes.
  static func bytes(_ token: Token, in source: [UInt8]) throws(Refusal) -> [UInt8] {
    try unquoted(token, in: source, isBytes: true)
  }

  private static func unquoted(_ token: Token, in source: [UInt8], isBytes: Bool)
    throws(Refusal) -> [UInt8]
  {
    var start = token.start + (isBytes ? 1 : 0)
    let isRaw = source[start] | 0x20 == UInt8(ascii: "r")
    start += isRaw ? 1 : 0
    let quote = source[start]
    let isTriple =
      token.end - start >= 6 && source[start + 1] == quote && source[start + 2] == quote
    let width = isTriple ? 3 : 1
    let body = source[start + width..<token.end - width]
    if isRaw { return Array(body) }
    var result: [UInt8] = []
    result.reserveCapacity(body.count)
    var at = body.startIndex
    while at < body.endIndex {
      if body[at] == UInt8(ascii: "\\") {
        try unescape(body, &at, into: &result, isBytes: isBytes)
      } else {
        result.append(body[at])
        at += 1
      }
    }
    return result
  }

  private static func unescape(
    _ body: ArraySlice<UInt8>, _ at: inout Int, into result: inout [UInt8], isBytes: Bool
  ) throws(Refusal) {
    let start = at
    let kind = start + 1 < body.endIndex ? body[start + 1] : 0
    at += 2
    switch kind {
    case UInt8(ascii: "\\"), UInt8(ascii: "?"), UInt8(ascii: "\""), UInt8(ascii: "'"),
      UInt8(ascii: "`"):
      result.append(kind)
    case UInt8(ascii: "a"): result.append(0x07)
    case UInt8(ascii: "b"): result.append(0x08)
    case UInt8(ascii: "f"): result.append(0x0C)
    case UInt8(ascii: "n"): result.append(0x0A)
    case UInt8(ascii: "r"): result.append(0x0D)
    case UInt8(ascii: "t"): result.append(0x09)
    case UInt8(ascii: "v"): result.append(0x0B)
    case UInt8(ascii: "x"), UInt8(ascii: "X"):
      let value = try digits(2, radix: 16, body, &at, start)
      try append(value, to: &result, asOctet: isBytes, start)
    case UInt8(ascii: "u") where !isBytes, UInt8(ascii: "U") where !isBytes:
      let value = try digits(kind == UInt8(ascii: "u") ? 4 : 8, radix: 16, body, &at, start)
      try append(value, to: &result, asOctet: false, start)
    case UInt8(ascii: "0")...UInt8(ascii: "3"):
      at -= 1
      let value = try digits(3, radix: 8, body, &at, start)
      try append(value, to: &result, asOctet: isBytes, start)
    default:
      throw Refusal(.literal, at: start, "this is no escape sequence")
    }
  }

  private static func digits(
    _ count: Int, radix: UInt32, _ body: ArraySlice<UInt8>, _ at: inout Int, _ start: Int
  ) throws(Refusal) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<count {
      guard at < body.endIndex, let digit = Lexer.hexValue(body[at]), digit < radix else {
        throw Refusal(.literal, at: start, "this escape sequence wants \(count) digits")
      }
      value = value &* radix &+ digit
      at += 1
    }
    return value
  }

  private static func append(
    _ value: UInt32, to result: inout [UInt8], asOctet: Bool, _ start: Int
  ) throws(Refusal) {
    if asOctet {
      result.append(UInt8(truncatingIfNeeded: value))
    } else if let scalar = Unicode.Scalar(value) {
      result.append(contentsOf: UTF8.encode(scalar)?.map { $0 } ?? [])
    } else {
      throw Refusal(.literal, at: start, "this escape sequence is no code point")
    }
  }
}
