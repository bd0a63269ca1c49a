/// What is selected, indexed and called, and what stands by itself.
extension Parser {
  /// `Member = Primary | Member "." SELECTOR ["(" [ExprList] ")"] | Member "[" Expr "]"`.
  mutating func member() throws(Refusal) -> Node {
    var operand = try primary()
    while true {
      if accept(.dot) {
        operand = try selection(operand)
      } else if accept(.leftBracket) {
        let index = try expression()
        try expect(.rightBracket)
        operand = try node(
          operand.start, .index(operand, index), depth: max(operand.depth, index.depth))
      } else {
        if token.kind == .leftBrace, Parser.isName(operand) {
          throw Refusal(.unsupported, at: operand.start, "messages are not in the subset of CEL")
        }
        return operand
      }
    }
  }

  private mutating func selection(_ operand: Node) throws(Refusal) -> Node {
    let field = token
    guard accept(.name) else { throw unexpected("a name after '.'") }
    guard accept(.leftParen) else {
      return try node(operand.start, .select(operand, text(field)), depth: operand.depth)
    }
    let arguments = try list(until: .rightParen)
    return try call(operand, field, arguments)
  }

  private static func isName(_ node: Node) -> Bool {
    var node = node
    while case .select(let operand, _) = node.form { node = operand }
    if case .name = node.form { return true }
    return false
  }

  private mutating func primary() throws(Refusal) -> Node {
    let token = token
    let start = token.start
    switch token.kind {
    case .minus, .int, .uint, .double, .string, .bytes, .true, .false, .null:
      return try literal()
    case .leftParen:
      _ = accept(.leftParen)
      let inner = try expression()
      try expect(.rightParen)
      return inner
    case .leftBracket:
      _ = accept(.leftBracket)
      let elements = try list(until: .rightBracket, mayTrail: true)
      return try node(start, .list(elements), depth: depth(elements))
    case .leftBrace:
      return try map()
    case .dot, .name:
      return try name()
    default:
      throw unexpected("a value")
    }
  }

  private mutating func literal() throws(Refusal) -> Node {
    let start = token.start
    let isNegative = isSignOfNumber && accept(.minus)
    let token = token
    let value: ConditionValue
    switch token.kind {
    case .int:
      let digits = source[token.start..<token.end]
      value = .int(try Literals.int(digits, negative: isNegative, at: start))
    case .uint: value = .uint(try Literals.uint(source[token.start..<token.end], at: start))
    case .double:
      let magnitude = try Literals.double(source[token.start..<token.end], at: start)
      value = .double(isNegative ? -magnitude : magnitude)
    case .string: value = .string(try Literals.string(token, in: source))
    case .bytes: value = .bytes(try Literals.bytes(token, in: source))
    case .true: value = .bool(true)
    case .false: value = .bool(false)
    case .null: value = .null
    default: throw unexpected("a value")
    }
    _ = accept(token.kind)
    return try node(start, .literal(value))
  }

  private mutating func name() throws(Refusal) -> Node {
    let start = token.start
    let isRooted = accept(.dot)
    let token = token
    guard accept(.name) else { throw unexpected("a name") }
    let name = text(token)
    if Parser.reserved.contains(name) {
      throw Refusal(.syntax, at: token.start, "'\(name)' is a reserved word of CEL")
    }
    guard accept(.leftParen) else { return try node(start, .name(name, isRooted: isRooted)) }
    let arguments = try list(until: .rightParen)
    return try call(nil, token, arguments)
  }

  /// Langdef: RESERVED.
  static let reserved: Set<String> = [
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop",
    "package", "namespace", "return", "var", "void", "while",
  ]

  /// Expressions between commas; in a list the last comma may be followed by nothing.
  private mutating func list(until end: Token.Kind, mayTrail: Bool = false) throws(Refusal)
    -> [Node]
  {
    var elements: [Node] = []
    if accept(end) { return elements }
    if mayTrail, accept(.comma) {
      try expect(end)
      return elements
    }
    while true {
      elements.append(try expression())
      if accept(end) { return elements }
      guard accept(.comma) else { throw unexpected("',' or \(end.words)") }
      if mayTrail, accept(end) { return elements }
    }
  }

  private mutating func map() throws(Refusal) -> Node {
    let start = token.start
    try expect(.leftBrace)
    var entries: [(key: Node, value: Node)] = []
    var deepest = 0
    while !accept(.rightBrace) {
      if entries.isEmpty, accept(.comma) {
        try expect(.rightBrace)
        break
      }
      let key = try expression()
      try expect(.colon)
      let value = try expression()
      entries.append((key, value))
      deepest = max(deepest, key.depth, value.depth)
      if accept(.rightBrace) { break }
      guard accept(.comma) else { throw unexpected("',' or '}'") }
    }
    return try node(start, .map(entries), depth: deepest)
  }

  // MARK: calls and macros

  private mutating func call(_ receiver: Node?, _ name: Token, _ arguments: [Node])
    throws(Refusal) -> Node
  {
    let word = text(name)
    let start = receiver?.start ?? name.start
    let below = max(receiver?.depth ?? 0, depth(arguments))
    if receiver == nil, word == "has" {
      guard arguments.count == 1, case .select(let operand, let field) = arguments[0].form else {
        throw Refusal(.syntax, at: name.start, "has() takes one selection, as in has(a.b)")
      }
      return try node(start, .has(operand, field), depth: below)
    }
    guard let range = receiver, let macro = Node.Macro(rawValue: word) else {
      return try node(start, .call(receiver, word, arguments), depth: below)
    }
    guard arguments.count == 2 || (arguments.count == 3 && macro == .map) else {
      throw Refusal(.syntax, at: name.start, "\(word)() takes a variable and an expression")
    }
    guard case .name(let variable, isRooted: false) = arguments[0].form else {
      throw Refusal(
        .syntax, at: arguments[0].start, "expected the name of a variable of \(word)()")
    }
    return try node(
      start,
      .macro(macro, range: range, variable: variable, Array(arguments.dropFirst())),
      depth: below)
  }
}
