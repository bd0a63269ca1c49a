/// Parses CEL's grammar by descent, its depth bounded. Langdef, "Syntax".
struct Parser {
  let source: [UInt8]
  private let tokens: [Token]
  private let limits: ConditionLimits
  private var at = 0
  private var nesting = 0
  private(set) var nodes = 0

  /// Parses a whole expression.
  static func parse(_ source: [UInt8], _ limits: ConditionLimits) throws(Refusal) -> Node {
    guard source.count <= limits.maximumSourceBytes else {
      throw Refusal(
        .size, at: 0, "the expression is longer than \(limits.maximumSourceBytes) bytes")
    }
    var parser = Parser(source, try Lexer.tokens(of: source), limits)
    let node = try parser.expression()
    guard parser.token.kind == .end else { throw parser.unexpected("an operator or the end") }
    return node
  }

  private init(_ source: [UInt8], _ tokens: [Token], _ limits: ConditionLimits) {
    self.source = source
    self.tokens = tokens
    self.limits = limits
  }

  // MARK: tokens

  var token: Token { tokens[min(at, tokens.count - 1)] }
  private var previousEnd: Int { at > 0 ? tokens[at - 1].end : 0 }

  mutating func accept(_ kind: Token.Kind) -> Bool {
    guard token.kind == kind else { return false }
    at += 1
    return true
  }

  mutating func expect(_ kind: Token.Kind) throws(Refusal) {
    guard accept(kind) else { throw unexpected(kind.words) }
  }

  func unexpected(_ expected: String) -> Refusal {
    let found = token.kind == .name ? "'\(text(token))'" : token.kind.words
    return Refusal(.syntax, at: token.start, "found \(found); expected \(expected)")
  }

  func text(_ token: Token) -> String {
    String(decoding: source[token.start..<token.end], as: UTF8.self)
  }

  // MARK: nodes

  mutating func node(_ start: Int, _ form: Node.Form, depth: Int = 0) throws(Refusal) -> Node {
    nodes += 1
    guard nodes <= limits.maximumNodes else {
      throw Refusal(
        .size, at: start, "the expression has more than \(limits.maximumNodes) parts")
    }
    try check(depth: depth + 1, start)
    return Node(start: start, end: previousEnd, depth: depth + 1, form: form)
  }

  private func check(depth: Int, _ start: Int) throws(Refusal) {
    let deepest = min(limits.maximumDepth, ConditionLimits.deepest)
    guard depth <= deepest else {
      throw Refusal(.size, at: start, "the expression is nested deeper than \(deepest)")
    }
  }

  func depth(_ nodes: [Node]) -> Int { nodes.reduce(0) { max($0, $1.depth) } }

  // MARK: expressions

  /// `Expr = ConditionalOr ["?" ConditionalOr ":" Expr]`.
  mutating func expression() throws(Refusal) -> Node {
    nesting += 1
    defer { nesting -= 1 }
    try check(depth: nesting, token.start)
    let condition = try binary(1)
    guard accept(.question) else { return condition }
    let yes = try binary(1)
    try expect(.colon)
    let no = try expression()
    return try node(
      condition.start, .conditional(condition, yes, no), depth: depth([condition, yes, no]))
  }

  /// Operators that bind as tightly as `lowest`, or tighter; all are left-associative.
  private mutating func binary(_ lowest: Int) throws(Refusal) -> Node {
    var left = try unary()
    while true {
      switch token.kind {
      case .or where lowest <= 1:
        let operands = try chain(left, .or, 2)
        left = try node(left.start, .or(operands), depth: depth(operands))
      case .and where lowest <= 2:
        let operands = try chain(left, .and, 3)
        left = try node(left.start, .and(operands), depth: depth(operands))
      default:
        guard let `operator` = Parser.operator(token.kind), `operator`.precedence >= lowest
        else { return left }
        at += 1
        let right = try binary(`operator`.precedence + 1)
        left = try node(
          left.start, .binary(`operator`, left, right), depth: max(left.depth, right.depth))
      }
    }
  }

  private mutating func chain(_ first: Node, _ kind: Token.Kind, _ lowest: Int) throws(Refusal)
    -> [Node]
  {
    var operands = [first]
    while accept(kind) { operands.append(try binary(lowest)) }
    return operands
  }

  private static func `operator`(_ kind: Token.Kind) -> Node.Operator? {
    switch kind {
    case .equal: .equal
    case .notEqual: .notEqual
    case .less: .less
    case .lessEqual: .lessEqual
    case .greater: .greater
    case .greaterEqual: .greaterEqual
    case .in: .in
    case .plus: .add
    case .minus: .subtract
    case .star: .multiply
    case .slash: .divide
    case .percent: .modulo
    default: nil
    }
  }

  /// `Unary = Member | "!" {"!"} Member | "-" {"-"} Member`.
  private mutating func unary() throws(Refusal) -> Node {
    let start = token.start
    let kind = token.kind
    guard kind == .not || kind == .minus else { return try member() }
    var count = 0
    while token.kind == kind, !isSignOfNumber {
      at += 1
      count += 1
    }
    var result = try member()
    while count > 0, let inner = Parser.operand(result, kind) {
      result = inner
      count += 1
    }
    // Pairs undo one another; one or two are left, so that the operand's type still counts.
    for _ in 0..<(count == 0 ? 0 : 2 - count % 2) {
      result = try node(
        start, kind == .not ? .not(result) : .negate(result), depth: result.depth)
    }
    return result
  }

  /// What is under the same operator, in parentheses.
  private static func operand(_ node: Node, _ kind: Token.Kind) -> Node? {
    switch (node.form, kind) {
    case (.not(let operand), .not), (.negate(let operand), .minus): operand
    default: nil
    }
  }

  /// A `-` right before a number is the literal's own sign: `-9223372036854775808` is an int.
  var isSignOfNumber: Bool {
    guard token.kind == .minus, at + 1 < tokens.count else { return false }
    return tokens[at + 1].kind == .int || tokens[at + 1].kind == .double
  }
}
