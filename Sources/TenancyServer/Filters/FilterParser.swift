import Tenancy

/// A filter as it was understood.
indirect enum FilterNode: Sendable {
  /// All of them hold; of none that is so.
  case all([FilterNode])
  /// One of them holds.
  case any([FilterNode])
  case not(FilterNode)
  case test(FilterTest)
}

/// The grammar of AIP-160, by recursive descent. OR binds tighter than AND, and what stands side by side is joined as
/// by AND:
///
///     expression  = sequence { "AND" sequence }
///     sequence    = factor { factor }
///     factor      = term { "OR" term }
///     term        = [ "NOT" | "-" ] ( restriction | "(" expression ")" )
///     restriction = field comparison ( value | "(" expression of values ")" )
///
/// A `-` right before a number is part of it among values.
struct FilterParser {
  /// Bytes of a filter.
  static let maximumLength = 2048
  /// Comparisons of a filter with one tenant.
  static let maximumTests = 100
  /// Parentheses within each other.
  static let maximumDepth = 16

  private typealias Leaf = (inout FilterParser) throws(TenancyError) -> FilterNode

  private let tokens: [FilterToken]
  private var position = 0
  private var depth = 0
  private var tests = 0
  /// Whether it is among the values of one field.
  private var isAmongValues = false

  /// - Throws: INVALID_ARGUMENT with the place of what is wrong.
  static func parse(_ text: String) throws(TenancyError) -> FilterNode {
    guard text.utf8.count <= maximumLength else {
      throw .filter("longer than \(maximumLength) bytes", at: maximumLength)
    }
    var parser = FilterParser(tokens: try FilterLexer.tokens(of: text))
    if parser.next.kind == .end { return .all([]) }
    let node = try parser.expression { parser throws(TenancyError) in try parser.restriction() }
    guard parser.next.kind == .end else { throw .filter("unexpected )", at: parser.next.offset) }
    return node
  }

  private init(tokens: [FilterToken]) { self.tokens = tokens }

  // In range: the end is the last of them, and nothing goes beyond it.
  private var next: FilterToken { tokens[position] }

  private mutating func take() -> FilterToken {
    let token = next
    if token.kind != .end { position += 1 }
    return token
  }

  private mutating func takes(_ kind: FilterToken.Kind) -> Bool {
    guard next.kind == kind else { return false }
    position += 1
    return true
  }

  // MARK: Joining

  private mutating func expression(_ leaf: Leaf) throws(TenancyError) -> FilterNode {
    var parts = try sequence(leaf)
    while takes(Self.and) { parts += try sequence(leaf) }
    return parts.count == 1 ? parts[0] : .all(parts)
  }

  /// Never empty.
  private mutating func sequence(_ leaf: Leaf) throws(TenancyError) -> [FilterNode] {
    var parts: [FilterNode] = []
    repeat {
      switch try factor(leaf) {
      case .all(let more): parts += more
      case let part: parts.append(part)
      }
    } while next.kind != .end && next.kind != .close && next.kind != Self.and
    return parts
  }

  private mutating func factor(_ leaf: Leaf) throws(TenancyError) -> FilterNode {
    var parts = [try term(leaf)]
    while takes(Self.or) { parts.append(try term(leaf)) }
    return parts.count == 1 ? parts[0] : .any(parts)
  }

  private mutating func term(_ leaf: Leaf) throws(TenancyError) -> FilterNode {
    let isNegated: Bool
    if isAmongValues, isAtNegativeNumber {
      isNegated = false
    } else if takes(.minus) {
      guard next.isAdjacent else {
        throw .filter("nothing may be between - and what it is about", at: next.offset)
      }
      isNegated = true
    } else {
      isNegated = takes(Self.not)
    }
    let node = next.kind == .open ? try composite(leaf) : try leaf(&self)
    return isNegated ? .not(node) : node
  }

  /// Whether a minus and the number that it is part of are next.
  private var isAtNegativeNumber: Bool {
    guard next.kind == .minus else { return false }
    // In range: the end comes behind it.
    let behind = tokens[position + 1]
    guard behind.isAdjacent, case .word(let word) = behind.kind else { return false }
    return "0"..."9" ~= (word.unicodeScalars.first ?? "-") && Double(word) != nil
  }

  private mutating func composite(_ leaf: Leaf) throws(TenancyError) -> FilterNode {
    let start = take().offset
    depth += 1
    guard depth <= Self.maximumDepth else {
      throw .filter("nested deeper than \(Self.maximumDepth)", at: start)
    }
    let node = try expression(leaf)
    guard takes(.close) else { throw .filter("a ( is not closed", at: start) }
    depth -= 1
    return node
  }

  private static let and = FilterToken.Kind.word("AND")
  private static let or = FilterToken.Kind.word("OR")
  private static let not = FilterToken.Kind.word("NOT")

  private static func isKeyword(_ kind: FilterToken.Kind) -> Bool {
    kind == and || kind == or || kind == not
  }

  // MARK: Comparing

  private mutating func restriction() throws(TenancyError) -> FilterNode {
    let token = take()
    guard case .word(let word) = token.kind, !Self.isKeyword(token.kind) else {
      throw .filter("expected a field", at: token.offset)
    }
    let field = try FilterField(word, name: quotedName(behind: word), at: token.offset)
    let sign = take()
    guard case .comparison(let comparison) = sign.kind else {
      throw .filter("expected = != < <= > >= or : behind \(word)", at: sign.offset)
    }
    guard next.kind == .open else { return try test(field, comparison) }
    guard comparison == .equal || comparison == .has else {
      throw .filter("only = and : can be followed by (", at: next.offset)
    }
    isAmongValues = true
    let node = try composite { parser throws(TenancyError) in try parser.test(field, comparison) }
    isAmongValues = false
    return node
  }

  /// The name in `labels."a name"`.
  private mutating func quotedName(behind word: String) -> String? {
    guard word.hasSuffix("."), next.isAdjacent, case .text(let text, let isPrefix) = next.kind
    else { return nil }
    position += 1
    return isPrefix ? text + "*" : text
  }

  private mutating func test(
    _ field: FilterField, _ comparison: FilterComparison
  ) throws(TenancyError) -> FilterNode {
    var token = take()
    let start = token.offset
    tests += 1
    guard tests <= Self.maximumTests else {
      throw .filter("more than \(Self.maximumTests) comparisons", at: start)
    }
    let isNegative = token.kind == .minus && next.isAdjacent
    if isNegative { token = take() }
    let value: FilterValue
    switch token.kind {
    case .word(let word) where !Self.isKeyword(token.kind):
      value = .word(isNegative ? "-" + word : word)
    case .text(let text, let isPrefix) where !isNegative: value = .text(text, isPrefix: isPrefix)
    case .star where !isNegative: value = .anything
    case .word, .text, .comparison, .open, .close, .minus, .star, .end:
      throw .filter("expected a value", at: start)
    }
    return .test(try FilterTest(field, comparison, value, at: start))
  }
}

/// What a field is compared with.
enum FilterValue: Equatable {
  case word(String)
  case text(String, isPrefix: Bool)
  /// `*`.
  case anything
}
