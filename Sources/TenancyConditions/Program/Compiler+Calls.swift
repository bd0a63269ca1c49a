/// Operators, functions and macros. Langdef, "Standard Definitions", "Macros".
extension Compiler {
  // MARK: operators

  mutating func binary(
    _ node: Node, _ operator: Node.Operator, _ left: Node, _ right: Node
  ) throws(Refusal) -> Typed {
    let mark = mark
    let first = try compile(left)
    let second = try compile(right)
    let type = try result(node, `operator`, first.type, second.type)
    let index = emit(node, Compiler.operation(`operator`), first.index, second.index)
    var typed = Typed(
      index: index, type: type, cost: Shape.sum(1, first.cost, second.cost), shape: .scalar)
    switch `operator` {
    case .add:
      typed.shape = first.shape.concatenated(second.shape)
      let length = Shape.sum(first.shape.length, second.shape.length)
      typed.cost = Shape.sum(typed.cost, Compiler.mayBeList(type) ? length : length / 16)
    case .subtract, .multiply, .divide, .modulo: break
    default:
      typed.cost = Shape.sum(typed.cost, min(first.shape.weight, second.shape.weight))
    }
    return try folded(node, typed, [first, second], mark)
  }

  private static func mayBeList(_ type: ConditionType) -> Bool {
    if case .list = type { return true }
    return type == .dyn
  }

  private func result(
    _ node: Node, _ operator: Node.Operator, _ left: ConditionType, _ right: ConditionType
  ) throws(Refusal) -> ConditionType {
    let found = "(\(left), \(right))"
    if `operator` == .equal || `operator` == .notEqual {
      guard ConditionType.agree(left, right) else {
        throw Refusal(
          .type, at: node.start,
          "'\(`operator`.rawValue)' compares \(found); expected two values of one type")
      }
      return .bool
    }
    let overloads = Overload.operators(`operator`)
    guard let result = Overload.result(overloads, [left, right]) else {
      throw Refusal(
        .type, at: node.start,
        "'\(`operator`.rawValue)' does not take \(found); expected "
          + Overload.expected(overloads))
    }
    // What is added to a list is a list of the same.
    guard `operator` == .add, case .list = result else { return result }
    return ConditionType.join(left, right)
  }

  private static func operation(_ operator: Node.Operator) -> Instruction.Operation {
    switch `operator` {
    case .equal: .equal
    case .notEqual: .notEqual
    case .less: .less
    case .lessEqual: .lessEqual
    case .greater: .greater
    case .greaterEqual: .greaterEqual
    case .in: .in
    case .add: .add
    case .subtract: .subtract
    case .multiply: .multiply
    case .divide: .divide
    case .modulo: .modulo
    }
  }

  /// Lists of constants that are longer than this become sets.
  private static let shortList = 4

  mutating func membership(_ node: Node, _ left: Node, _ right: Node) throws(Refusal) -> Typed {
    let mark = mark
    let element = try compile(left)
    let range = try compile(right)
    switch range.type {
    case .dyn: break
    case .list(let type) where ConditionType.agree(element.type, type): break
    case .map(let type, _) where ConditionType.agree(element.type, type): break
    case .list(let type), .map(let type, _):
      throw Refusal(
        .type, at: node.start, "'in' looks for \(element.type) among values of type \(type)")
    default:
      throw Refusal(
        .type, at: right.start, "'in' looks into \(range.type); expected a list or a map")
    }
    let looks = Shape.product(
      range.shape.length, Shape.sum(1, min(element.shape.weight, range.shape.inner)))
    if !element.isConstant, let set = set(range) {
      bytecode.sets.append(set)
      let index = emit(node, .inSet, element.index, bytecode.sets.count - 1, range.index)
      // A double could have to look through the whole list.
      let cost = Shape.sum(1, element.cost, element.shape.keyCost)
      return Typed(
        index: index, type: .bool, cost: element.type == .dyn ? Shape.sum(cost, looks) : cost,
        shape: .scalar)
    }
    let index = emit(node, .in, element.index, range.index)
    let cost = Shape.sum(1, element.cost, range.cost, looks, element.shape.keyCost)
    return try folded(
      node, Typed(index: index, type: .bool, cost: cost, shape: .scalar), [element, range], mark)
  }

  /// The set of a constant list, if all its elements are what sets can hold.
  private func set(_ range: Typed) -> Set<ConditionKey>? {
    guard range.isConstant,
      case .list(let elements) = bytecode.constants[bytecode.code[range.index].a],
      elements.count > Compiler.shortList
    else { return nil }
    var set: Set<ConditionKey> = []
    for element in elements {
      if case .double = element { return nil }
      guard let key = ConditionKey(element) else { return nil }
      set.insert(key)
    }
    return set
  }

  // MARK: functions

  mutating func call(_ node: Node, _ receiver: Node?, _ name: String, _ arguments: [Node])
    throws(Refusal) -> Typed
  {
    if receiver == nil, name == "dyn" { return try dyn(node, arguments) }
    guard let (function, all) = Overload.functions[name] else { throw unknown(node, name) }
    let overloads = all.filter { $0.isReceiver == (receiver != nil) }
    guard !overloads.isEmpty else {
      throw Refusal(
        .unknownFunction, at: node.start,
        receiver == nil
          ? "expected a receiver, as in x.\(name)(…)" : "expected \(name)(…) without a receiver")
    }
    let mark = mark
    var typed: [Typed] = []
    for argument in (receiver.map { [$0] } ?? []) + arguments {
      typed.append(try compile(argument))
    }
    guard let type = Overload.result(overloads, typed.map(\.type)) else {
      let found = typed.map(\.type.description).joined(separator: ", ")
      throw Refusal(
        .type, at: node.start,
        "\(name)() does not take (\(found)); expected \(Overload.expected(overloads))")
    }
    try checkZone(function, typed, arguments)
    let second = typed.count > 1 ? typed[1].index : -1
    let index = emit(node, .call, typed[0].index, second, function.rawValue)
    let (cost, shape) = Compiler.bounds(function, typed)
    let result = Typed(
      index: index, type: type, cost: typed.reduce(cost) { Shape.sum($0, $1.cost) }, shape: shape)
    return try folded(node, result, typed, mark)
  }

  private func unknown(_ node: Node, _ name: String) -> Refusal {
    if name == "matches" {
      return Refusal(
        .unsupported, at: node.start,
        "matches() is not in the subset of CEL; expected contains, startsWith or endsWith")
    }
    let hint = Spelling.nearest(name, Overload.functions.keys.sorted() + ["dyn", "has"])
    return Refusal(
      .unknownFunction, at: node.start,
      "there is no function '\(name)'\(hint.map { "; did you mean '\($0)'?" } ?? "")")
  }

  /// A constant time zone is looked at now.
  private func checkZone(_ function: Function, _ typed: [Typed], _ arguments: [Node])
    throws(Refusal)
  {
    guard function.rawValue >= Function.getDate.rawValue, typed.count == 2, typed[1].isConstant,
      case .string(let zone) =
        bytecode.constants[bytecode.code[typed[1].index].a],
      TimeText.zone(zone) == nil
    else { return }
    throw Refusal(
      .argument, at: arguments[0].start, "expected 'UTC' or an offset such as '+01:00'")
  }

  /// What a function costs on top of its arguments, and how large its result is.
  private static func bounds(_ function: Function, _ typed: [Typed]) -> (UInt64, Shape) {
    let length = typed[0].shape.length
    switch function {
    case .size: return (Shape.sum(1, length / 16), .scalar)
    case .contains, .startsWith, .endsWith:
      let both = Shape.sum(length, typed.count > 1 ? typed[1].shape.length : 0)
      return (Shape.sum(1, both / 8), .scalar)
    case .toBool, .toDouble, .toDuration, .toInt, .toTimestamp, .toUint:
      return (Shape.sum(1, UInt64(Conversions.cost), length / 16), .scalar)
    case .toBytes, .toString:
      return (
        Shape.sum(1, UInt64(Conversions.cost), length / 16), .text(bytes: max(64, length))
      )
    default: return (1, .scalar)
    }
  }

  /// `dyn(x)` is `x`, of a type that is seen when it is evaluated.
  private mutating func dyn(_ node: Node, _ arguments: [Node]) throws(Refusal) -> Typed {
    guard arguments.count == 1 else {
      throw Refusal(.type, at: node.start, "dyn() takes one argument")
    }
    let mixed = mixes
    mixes = true
    defer { mixes = mixed }
    let typed = try compile(arguments[0])
    return Typed(
      index: typed.index, type: .dyn, cost: typed.cost, shape: typed.shape,
      isConstant: typed.isConstant)
  }

  // MARK: macros

  mutating func macro(
    _ node: Node, _ macro: Node.Macro, _ range: Node, _ variable: String, _ bodies: [Node]
  ) throws(Refusal) -> Typed {
    let typed = try compile(range)
    let element: ConditionType
    switch typed.type {
    case .dyn: element = .dyn
    case .list(let type): element = type
    case .map(let key, _): element = key
    default:
      throw Refusal(
        .type, at: range.start,
        "\(macro.rawValue)() goes over \(typed.type); expected a list or a map")
    }
    guard locals.count < limits.maximumMacroDepth else {
      throw Refusal(
        .size, at: node.start, "macros are nested deeper than \(limits.maximumMacroDepth)")
    }
    locals.append(Local(name: variable, type: element, shape: typed.shape.element))
    defer { locals.removeLast() }
    bytecode.locals = max(bytecode.locals, locals.count)
    let place = locals.count - 1
    let isMap = macro == .map
    let predicate =
      !isMap || bodies.count == 2
      ? try condition(bodies[0], "the predicate of \(macro.rawValue)()") : nil
    let body = isMap ? try compile(bodies[bodies.count - 1]) : nil
    let each = Shape.sum(1, predicate?.cost ?? 0, body?.cost ?? 0)
    let cost = Shape.sum(1, typed.cost, Shape.product(typed.shape.length, each))
    let length = typed.shape.length
    switch (macro, predicate, body) {
    case (.map, let predicate, let body?):
      let index =
        predicate.map { predicate in
          emit(node, .transformWhere, typed.index, table([predicate, body]), place)
        } ?? emit(node, .transform, typed.index, body.index, place)
      return Typed(
        index: index, type: .list(body.type), cost: cost, shape: .list(length, of: body.shape))
    case (.filter, let predicate?, _):
      let index = emit(node, .filter, typed.index, predicate.index, place)
      return Typed(
        index: index, type: .list(element), cost: cost,
        shape: .list(length, of: typed.shape.element))
    case (_, let predicate?, _):
      let index = emit(
        node, macro == .all ? .all : macro == .exists ? .exists : .existsOne, typed.index,
        predicate.index, place)
      return Typed(index: index, type: .bool, cost: cost, shape: .scalar)
    default: throw Refusal(.syntax, at: node.start, "the macro has no body")
    }
  }
}
