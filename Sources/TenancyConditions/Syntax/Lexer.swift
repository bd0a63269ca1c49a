/// Splits source text into tokens, in one pass. Langdef, "Syntax".
struct Lexer {
  private let source: [UInt8]
  private var at = 0

  private init(_ source: [UInt8]) { self.source = source }

  static func tokens(of source: [UInt8]) throws(Refusal) -> [Token] {
    var lexer = Lexer(source)
    var tokens: [Token] = []
    while true {
      let token = try lexer.next()
      tokens.append(token)
      if token.kind == .end { return tokens }
    }
  }

  private func byte(_ offset: Int = 0) -> UInt8 {
    at + offset < source.count ? source[at + offset] : 0
  }

  private mutating func next() throws(Refusal) -> Token {
    skipBlanks()
    let start = at
    guard at < source.count else { return Token(kind: .end, start: at, end: at) }
    let first = source[at]
    let kind: Token.Kind
    if Lexer.isDigit(first) || (first == UInt8(ascii: ".") && Lexer.isDigit(byte(1))) {
      kind = try number()
    } else if let quoted = quotedAhead() {
      kind = quoted.bytes ? .bytes : .string
      try skipQuoted(after: quoted.prefix, raw: quoted.raw)
    } else if Lexer.isNameStart(first) {
      while Lexer.isNameStart(byte()) || Lexer.isDigit(byte()) { at += 1 }
      kind = Lexer.keyword(source[start..<at])
    } else {
      kind = try symbol()
    }
    return Token(kind: kind, start: start, end: at)
  }

  private mutating func skipBlanks() {
    while at < source.count {
      switch source[at] {
      case 0x20, 0x09, 0x0A, 0x0C, 0x0D: at += 1
      case UInt8(ascii: "/") where byte(1) == UInt8(ascii: "/"):
        while at < source.count, source[at] != 0x0A { at += 1 }
      default: return
      }
    }
  }

  private static func keyword(_ text: ArraySlice<UInt8>) -> Token.Kind {
    if text.elementsEqual("true".utf8) { return .true }
    if text.elementsEqual("false".utf8) { return .false }
    if text.elementsEqual("null".utf8) { return .null }
    return text.elementsEqual("in".utf8) ? .in : .name
  }

  static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

  static func isNameStart(_ byte: UInt8) -> Bool {
    (byte >= 0x61 && byte <= 0x7A) || (byte >= 0x41 && byte <= 0x5A) || byte == 0x5F
  }

  static func hexValue(_ byte: UInt8) -> UInt32? {
    switch byte {
    case 0x30...0x39: UInt32(truncatingIfNeeded: byte &- 0x30)
    case 0x41...0x46: UInt32(truncatingIfNeeded: byte &- 0x37)
    case 0x61...0x66: UInt32(truncatingIfNeeded: byte &- 0x57)
    default: nil
    }
  }

  // MARK: numbers

  private mutating func number() throws(Refusal) -> Token.Kind {
    let start = at
    if byte() == UInt8(ascii: "0"), byte(1) | 0x20 == UInt8(ascii: "x") {
      at += 2
      let digits = at
      while Lexer.hexValue(byte()) != nil { at += 1 }
      guard at > digits else { throw malformed(start) }
      return try integerEnd(start)
    }
    digits()
    var isDouble = false
    if byte() == UInt8(ascii: "."), Lexer.isDigit(byte(1)) {
      isDouble = true
      at += 1
      digits()
    }
    if byte() | 0x20 == UInt8(ascii: "e") {
      let sign = byte(1) == UInt8(ascii: "+") || byte(1) == UInt8(ascii: "-") ? 1 : 0
      guard Lexer.isDigit(byte(1 + sign)) else { throw malformed(start) }
      isDouble = true
      at += 1 + sign
      digits()
    }
    guard isDouble else { return try integerEnd(start) }
    if Lexer.isNameStart(byte()) { throw malformed(start) }
    return .double
  }

  private mutating func digits() {
    while Lexer.isDigit(byte()) { at += 1 }
  }

  private mutating func integerEnd(_ start: Int) throws(Refusal) -> Token.Kind {
    var kind = Token.Kind.int
    if byte() | 0x20 == UInt8(ascii: "u") {
      kind = .uint
      at += 1
    }
    if Lexer.isNameStart(byte()) || Lexer.isDigit(byte()) { throw malformed(start) }
    return kind
  }

  private func malformed(_ start: Int) -> Refusal {
    Refusal(.literal, at: start, "a number is malformed")
  }

  // MARK: strings and bytes

  private func quotedAhead() -> (prefix: Int, raw: Bool, bytes: Bool)? {
    var prefix = 0
    var raw = false
    var bytes = false
    if byte(prefix) | 0x20 == UInt8(ascii: "b") {
      bytes = true
      prefix += 1
    }
    if byte(prefix) | 0x20 == UInt8(ascii: "r") {
      raw = true
      prefix += 1
    }
    let quote = byte(prefix)
    guard quote == 0x22 || quote == 0x27 else { return nil }
    return (prefix, raw, bytes)
  }

  private mutating func skipQuoted(after prefix: Int, raw: Bool) throws(Refusal) {
    let start = at
    at += prefix
    let quote = byte()
    let isTriple = byte(1) == quote && byte(2) == quote
    at += isTriple ? 3 : 1
    while at < source.count {
      if byte() == quote, !isTriple || (byte(1) == quote && byte(2) == quote) {
        at += isTriple ? 3 : 1
        return
      }
      if !isTriple, byte() == 0x0A || byte() == 0x0D { break }
      at += byte() == UInt8(ascii: "\\") && !raw ? 2 : 1
    }
    throw Refusal(.literal, at: start, "a string is not closed")
  }

  // MARK: symbols

  private mutating func symbol() throws(Refusal) -> Token.Kind {
    let start = at
    let first = source[at]
    if let pair = pair(first, byte(1)) {
      at += 2
      return pair
    }
    at += 1
    switch first {
    case UInt8(ascii: "?"): return .question
    case UInt8(ascii: ":"): return .colon
    case UInt8(ascii: ","): return .comma
    case UInt8(ascii: "."): return .dot
    case UInt8(ascii: "("): return .leftParen
    case UInt8(ascii: ")"): return .rightParen
    case UInt8(ascii: "["): return .leftBracket
    case UInt8(ascii: "]"): return .rightBracket
    case UInt8(ascii: "{"): return .leftBrace
    case UInt8(ascii: "}"): return .rightBrace
    case UInt8(ascii: "!"): return .not
    case UInt8(ascii: "-"): return .minus
    case UInt8(ascii: "+"): return .plus
    case UInt8(ascii: "*"): return .star
    case UInt8(ascii: "/"): return .slash
    case UInt8(ascii: "%"): return .percent
    case UInt8(ascii: "<"): return .less
    case UInt8(ascii: ">"): return .greater
    case UInt8(ascii: "="):
      throw Refusal(.syntax, at: start, "'=' compares nothing; expected '=='")
    case UInt8(ascii: "&"): throw Refusal(.syntax, at: start, "expected '&&'")
    case UInt8(ascii: "|"): throw Refusal(.syntax, at: start, "expected '||'")
    default: throw Refusal(.syntax, at: start, "this character has no meaning here")
    }
  }

  private func pair(_ first: UInt8, _ second: UInt8) -> Token.Kind? {
    switch (first, second) {
    case (UInt8(ascii: "&"), UInt8(ascii: "&")): .and
    case (UInt8(ascii: "|"), UInt8(ascii: "|")): .or
    case (UInt8(ascii: "="), UInt8(ascii: "=")): .equal
    case (UInt8(ascii: "!"), UInt8(ascii: "=")): .notEqual
    case (UInt8(ascii: "<"), UInt8(ascii: "=")): .lessEqual
    case (UInt8(ascii: ">"), UInt8(ascii: "=")): .greaterEqual
    default: nil
    }
  }
}
