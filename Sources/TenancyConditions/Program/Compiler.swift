/// Checks a parsed expression against the declared attributes, bounds its cost, and makes steps of it.
struct Compiler {
  /// What is known of a node whose steps are made.
  struct Typed {
    /// Its last step.
    let index: Int
    let type: ConditionType
    /// Units in the worst case.
    var cost: UInt64
    var shape: Shape
    var isConstant = false
  }

  struct Local {
    let name: String
    let type: ConditionType
    let shape: Shape
  }

  let attributes: ConditionAttributes
  let limits: ConditionLimits
  var bytecode = Bytecode()
  var locals: [Local] = []
  /// Within `dyn()`, lists and maps may be of several types.
  var mixes = false
  /// Where each step's text is, for explanations.
  var ranges: [Range<Int>] = []
  var slots: Set<Int> = []

  init(_ attributes: ConditionAttributes, _ limits: ConditionLimits) {
    self.attributes = attributes
    self.limits = limits
  }

  // MARK: steps

  mutating func emit(
    _ node: Node, _ operation: Instruction.Operation, _ a: Int = 0, _ b: Int = 0,
    _ c: Int = 0
  ) -> Int {
    bytecode.code.append(Instruction(operation, a, b, c, offset: node.start))
    ranges.append(node.start..<node.end)
    return bytecode.code.count - 1
  }

  mutating func constant(_ node: Node, _ value: ConditionValue, _ type: ConditionType) -> Typed {
    bytecode.constants.append(value)
    let index = emit(node, .constant, bytecode.constants.count - 1)
    return Typed(index: index, type: type, cost: 1, shape: Shape(value), isConstant: true)
  }

  mutating func table(_ operands: [Typed]) -> Int {
    let start = bytecode.operands.count
    bytecode.operands.append(contentsOf: operands.map(\.index))
    return start
  }

  /// Where the steps of a node's operands begin.
  struct Mark {
    let steps: Int
    let constants: Int
    let operands: Int
  }

  var mark: Mark {
    Mark(
      steps: bytecode.code.count, constants: bytecode.constants.count,
      operands: bytecode.operands.count)
  }

  /// Replaces a node by its value, if all that it depends on is constant. What fails is left to
  /// fail when it is evaluated, unless the constant is no text of its type.
  mutating func folded(_ node: Node, _ typed: Typed, _ operands: [Typed], _ mark: Mark)
    throws(Refusal) -> Typed
  {
    guard operands.allSatisfy(\.isConstant) else { return typed }
    var machine = Machine(fuel: 4_096, locals: 0)
    let none: [ConditionValue?] = []
    let value: ConditionValue
    do {
      value = try bytecode.value(typed.index, none.span, &machine)
    } catch {
      switch error.reason {
      case .invalidArgument:
        throw Refusal(.argument, at: node.start, "this text is no \(typed.type)")
      case .duplicateKey: throw Refusal(.argument, at: node.start, "a key is there twice")
      default: return typed
      }
    }
    bytecode.code.removeLast(bytecode.code.count - mark.steps)
    ranges.removeLast(ranges.count - mark.steps)
    bytecode.constants.removeLast(bytecode.constants.count - mark.constants)
    bytecode.operands.removeLast(bytecode.operands.count - mark.operands)
    return constant(node, value, typed.type)
  }

  // MARK: nodes

  /// A node that has to be a bool.
  mutating func condition(_ node: Node, _ role: String) throws(Refusal) -> Typed {
    let typed = try compile(node)
    guard ConditionType.agree(typed.type, .bool) else {
      throw Refusal(
        .type, at: node.start, "\(role) is of type \(typed.type); expected bool")
    }
    return typed
  }

  mutating func compile(_ node: Node) throws(Refusal) -> Typed {
    let typed = try dispatch(node)
    guard typed.type.depth <= 16, typed.shape.depth <= ConditionLimits.deepestValue else {
      throw Refusal(.size, at: node.start, "lists and maps are nested too deeply")
    }
    return typed
  }

  private mutating func dispatch(_ node: Node) throws(Refusal) -> Typed {
    switch node.form {
    case .literal(let value): return constant(node, value, ConditionType(value))
    case .name, .select: return try selection(node)
    case .index(let operand, let place): return try index(node, operand, place)
    case .call(let receiver, let name, let arguments):
      return try call(node, receiver, name, arguments)
    case .list(let elements): return try list(node, elements)
    case .map(let entries): return try map(node, entries)
    case .not(let operand):
      let mark = mark
      let typed = try condition(operand, "the operand of '!'")
      let index = emit(node, .not, typed.index)
      let cost = Shape.sum(1, typed.cost)
      return try folded(
        node, Typed(index: index, type: .bool, cost: cost, shape: .scalar), [typed], mark)
    case .negate(let operand): return try negation(node, operand)
    case .binary(.in, let left, let right): return try membership(node, left, right)
    case .binary(let `operator`, let left, let right):
      return try binary(node, `operator`, left, right)
    case .and(let operands): return try junction(node, operands, .and)
    case .or(let operands): return try junction(node, operands, .or)
    case .conditional(let test, let yes, let no): return try conditional(node, test, yes, no)
    case .has(let operand, let field): return try has(node, operand, field)
    case .macro(let macro, let range, let variable, let bodies):
      return try self.macro(node, macro, range, variable, bodies)
    }
  }

  private mutating func negation(_ node: Node, _ operand: Node) throws(Refusal) -> Typed {
    let mark = mark
    let typed = try compile(operand)
    switch typed.type {
    case .int, .double, .dyn: break
    default:
      throw Refusal(
        .type, at: node.start, "the operand of '-' is of type \(typed.type); expected int or double"
      )
    }
    let index = emit(node, .negate, typed.index)
    return try folded(
      node,
      Typed(index: index, type: typed.type, cost: Shape.sum(1, typed.cost), shape: .scalar),
      [typed], mark)
  }

  private mutating func junction(
    _ node: Node, _ operands: [Node], _ operation: Instruction.Operation
  ) throws(Refusal) -> Typed {
    let mark = mark
    let role = operation == .and ? "an operand of '&&'" : "an operand of '||'"
    var typed: [Typed] = []
    for operand in operands { typed.append(try condition(operand, role)) }
    let index = emit(node, operation, table(typed), typed.count)
    let cost = typed.reduce(1) { Shape.sum($0, $1.cost) }
    return try folded(
      node, Typed(index: index, type: .bool, cost: cost, shape: .scalar), typed, mark)
  }

  private mutating func conditional(_ node: Node, _ test: Node, _ yes: Node, _ no: Node)
    throws(Refusal) -> Typed
  {
    let test = try condition(test, "the condition of '?:'")
    let first = try compile(yes)
    let second = try compile(no)
    guard ConditionType.agree(first.type, second.type) || mixes else {
      throw Refusal(
        .type, at: no.start, "one branch is \(first.type), the other \(second.type)")
    }
    let index = emit(node, .conditional, test.index, first.index, second.index)
    return Typed(
      index: index, type: ConditionType.join(first.type, second.type),
      cost: Shape.sum(1, test.cost, max(first.cost, second.cost)),
      shape: first.shape.joined(second.shape))
  }

  private mutating func list(_ node: Node, _ elements: [Node]) throws(Refusal) -> Typed {
    let mark = mark
    var type: ConditionType?
    var typed: [Typed] = []
    for element in elements {
      typed.append(try compile(element))
      type = try joined(type, typed[typed.count - 1].type, element, "elements of a list")
    }
    let index = emit(node, .list, table(typed), typed.count)
    let shape = typed.reduce(Shape.scalar) { $0.joined($1.shape) }
    let result = Typed(
      index: index, type: .list(type ?? .dyn),
      cost: typed.reduce(Shape.sum(1, UInt64(typed.count))) { Shape.sum($0, $1.cost) },
      shape: .list(UInt64(typed.count), of: shape))
    return try folded(node, result, typed, mark)
  }

  private mutating func map(_ node: Node, _ entries: [(key: Node, value: Node)]) throws(Refusal)
    -> Typed
  {
    let mark = mark
    var keyType: ConditionType?
    var valueType: ConditionType?
    var keys: [Typed] = []
    var values: [Typed] = []
    for entry in entries {
      let key = try compile(entry.key)
      guard key.type.isKey else {
        throw Refusal(
          .type, at: entry.key.start,
          "a key is of type \(key.type); expected bool, int, uint or string")
      }
      keyType = try joined(keyType, key.type, entry.key, "keys of a map")
      let value = try compile(entry.value)
      valueType = try joined(valueType, value.type, entry.value, "values of a map")
      keys.append(key)
      values.append(value)
    }
    let operands = zip(keys, values).flatMap { [$0, $1] }
    let index = emit(node, .map, table(operands), operands.count)
    let key = keys.reduce(Shape.scalar) { $0.joined($1.shape) }
    let value = values.reduce(Shape.scalar) { $0.joined($1.shape) }
    let weights = keys.reduce(Shape.sum(1, UInt64(operands.count))) {
      Shape.sum($0, $1.shape.keyCost)
    }
    let result = Typed(
      index: index, type: .map(key: keyType ?? .dyn, value: valueType ?? .dyn),
      cost: operands.reduce(weights) { Shape.sum($0, $1.cost) },
      shape: .map(UInt64(keys.count), key, value))
    return try folded(node, result, operands, mark)
  }

  private func joined(
    _ old: ConditionType?, _ new: ConditionType, _ node: Node, _ what: String
  ) throws(Refusal) -> ConditionType {
    guard let old else { return new }
    guard ConditionType.agree(old, new) || mixes else {
      throw Refusal(
        .type, at: node.start,
        "\(what) are \(old) and \(new); expected one type, or dyn(…) around all of it")
    }
    return ConditionType.join(old, new)
  }
}
