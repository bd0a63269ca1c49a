import Tenancy

/// What a filter is made of, and where each part begins.
struct FilterToken {
  enum Kind: Equatable {
    /// A keyword, a field with the name behind it, or a value that is not quoted.
    case word(String)
    /// Of a quoted text what is between the quotes; `isPrefix` if a `*` ends it, which is left out then.
    case text(String, isPrefix: Bool)
    case comparison(FilterComparison)
    case open
    case close
    case minus
    case star
    case end
  }

  let kind: Kind
  /// Bytes before it.
  let offset: Int
  /// Whether nothing is between it and the one before.
  let isAdjacent: Bool
}

/// How a field and a value are compared.
enum FilterComparison: String, CaseIterable, Sendable {
  case equal = "="
  case notEqual = "!="
  case less = "<"
  case lessOrEqual = "<="
  case greater = ">"
  case greaterOrEqual = ">="
  /// A map has a key, or the key a value.
  case has = ":"
}

/// A filter's bytes, taken apart from left to right.
struct FilterLexer {
  private let bytes: [UInt8]
  private var at = 0

  /// - Parameter text: as long as a filter may be, at most.
  init(_ text: String) { bytes = Array(text.utf8) }

  /// All of them, the end included.
  static func tokens(of text: String) throws(TenancyError) -> [FilterToken] {
    var lexer = FilterLexer(text)
    var tokens: [FilterToken] = []
    while true {
      let token = try lexer.next()
      tokens.append(token)
      if token.kind == .end { return tokens }
    }
  }

  private mutating func next() throws(TenancyError) -> FilterToken {
    let before = at
    while at < bytes.count, bytes[at] == UInt8(ascii: " ") { at += 1 }
    let (start, isAdjacent) = (at, at == before && at > 0)
    guard at < bytes.count else {
      return FilterToken(kind: .end, offset: start, isAdjacent: isAdjacent)
    }
    return FilterToken(kind: try kind(), offset: start, isAdjacent: isAdjacent)
  }

  private mutating func kind() throws(TenancyError) -> FilterToken.Kind {
    let start = at
    let byte = bytes[at]
    at += 1
    let isDoubled = at < bytes.count && bytes[at] == UInt8(ascii: "=")
    func longer(_ long: FilterComparison, _ short: FilterComparison) -> FilterToken.Kind {
      if isDoubled { at += 1 }
      return .comparison(isDoubled ? long : short)
    }
    switch byte {
    case UInt8(ascii: "("): return .open
    case UInt8(ascii: ")"): return .close
    case UInt8(ascii: "-"): return .minus
    case UInt8(ascii: "*"): return .star
    case UInt8(ascii: ":"): return .comparison(.has)
    case UInt8(ascii: "="): return .comparison(.equal)
    case UInt8(ascii: "<"): return longer(.lessOrEqual, .less)
    case UInt8(ascii: ">"): return longer(.greaterOrEqual, .greater)
    case UInt8(ascii: "!") where isDoubled: return longer(.notEqual, .notEqual)
    case UInt8(ascii: "\""), UInt8(ascii: "'"): return try quoted(byte, from: start)
    default:
      at = start
      while at < bytes.count, Self.isWordByte(bytes[at]) { at += 1 }
      guard at > start else { throw .filter("unexpected character", at: start) }
      return .word(String(decoding: bytes[start..<at], as: UTF8.self))
    }
  }

  /// A backslash takes away what a quote, a `*` or another backslash means.
  private mutating func quoted(
    _ quote: UInt8, from start: Int
  ) throws(TenancyError) -> FilterToken.Kind {
    var text: [UInt8] = []
    var endsWithStar = false
    while at < bytes.count {
      let byte = bytes[at]
      at += 1
      if byte == quote {
        if endsWithStar { text.removeLast() }
        // Valid: it is cut between characters only.
        return .text(String(decoding: text, as: UTF8.self), isPrefix: endsWithStar)
      }
      endsWithStar = byte == UInt8(ascii: "*")
      guard byte == UInt8(ascii: "\\") else {
        text.append(byte)
        continue
      }
      guard at < bytes.count, Self.escapable.contains(bytes[at]) else {
        throw .filter("a \\ stands before a quote, * or \\ only", at: at - 1)
      }
      text.append(bytes[at])
      at += 1
    }
    throw .filter("a quoted text is not closed", at: start)
  }

  private static let escapable = Array(#""'*\"#.utf8)

  private static func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"),
      UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: "+"):
      true
    default: false
    }
  }
}

extension TenancyError {
  /// What is wrong with a filter, and where: bytes before it, of which the message counts one more.
  static func filter(_ description: String, at offset: Int) -> TenancyError {
    let text = "\(description), at \(offset + 1)"
    return TenancyError(
      .invalidArgument, .invalidFilter, "filter: \(text)",
      metadata: ["field": "filter", "position": String(offset + 1)],
      violations: [FieldViolation(field: "filter", description: text)])
  }
}
