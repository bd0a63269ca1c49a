/// Attributes, variables, fields and elements. Langdef, "Name Resolution", "Field Selection".
extension Compiler {
  /// The names of `a.b.c`; nil if it does not begin with a name.
  private func path(_ node: Node) -> (names: [String], isRooted: Bool)? {
    var names: [String] = []
    var node = node
    while case .select(let operand, let field) = node.form {
      names.append(field)
      node = operand
    }
    guard case .name(let name, let isRooted) = node.form else { return nil }
    names.append(name)
    return (names.reversed(), isRooted)
  }

  private func local(_ names: [String], isRooted: Bool) -> Int? {
    isRooted ? nil : locals.lastIndex { $0.name == names[0] }
  }

  /// The attribute that is the longest beginning of a path, and how many names that takes.
  private func attribute(_ names: [String]) -> (slot: Int, count: Int)? {
    for count in stride(from: names.count, to: 0, by: -1) {
      if let slot = attributes.slot(names.prefix(count).joined(separator: ".")) {
        return (slot.index, count)
      }
    }
    return nil
  }

  mutating func selection(_ node: Node) throws(Refusal) -> Typed {
    guard let (names, isRooted) = path(node) else { return try field(node) }
    if let place = local(names, isRooted: isRooted) {
      guard names.count == 1 else { return try field(node) }
      let index = emit(node, .local, place)
      return Typed(index: index, type: locals[place].type, cost: 1, shape: locals[place].shape)
    }
    if let (slot, count) = attribute(names) {
      guard names.count == count else { return try field(node) }
      slots.insert(slot)
      let attribute = attributes.attributes[slot]
      let index = emit(node, .slot, slot)
      return Typed(
        index: index, type: attribute.type, cost: 1,
        shape: Shape(attribute.type, attribute.bounds))
    }
    let name = names.joined(separator: ".")
    if let kind = ConditionValue.Kind(rawValue: name) {
      return constant(node, .type(kind), .type)
    }
    throw unknown(name, node)
  }

  private func unknown(_ name: String, _ node: Node) -> Refusal {
    if attributes.isObject(name) {
      return Refusal(
        .type, at: node.start, "'\(name)' is an object; expected one of its attributes")
    }
    let known = attributes.names + locals.map(\.name)
    let hint = Spelling.nearest(name, known).map { "; did you mean '\($0)'?" } ?? ""
    return Refusal(.unknownName, at: node.start, "there is no '\(name)'\(hint)")
  }

  /// A field of what is no name: of a map.
  private mutating func field(_ node: Node) throws(Refusal) -> Typed {
    guard case .select(let operand, let field) = node.form else {
      throw Refusal(.syntax, at: node.start, "expected a selection")
    }
    let mark = mark
    let map = try compile(operand)
    let type = try fieldType(map.type, node, field)
    let key = key(field)
    let index = emit(node, .select, map.index, key)
    let cost = Shape.sum(1, map.cost, UInt64(field.utf8.count / 16))
    return try folded(
      node, Typed(index: index, type: type, cost: cost, shape: map.shape.element), [map], mark)
  }

  private mutating func key(_ field: String) -> Int {
    bytecode.constants.append(.string(field))
    return bytecode.constants.count - 1
  }

  private func fieldType(_ type: ConditionType, _ node: Node, _ field: String) throws(Refusal)
    -> ConditionType
  {
    switch type {
    case .dyn: return .dyn
    case .map(.string, let value), .map(.dyn, let value): return value
    default:
      throw Refusal(
        .type, at: node.start, "a value of type \(type) has no field '\(field)'")
    }
  }

  /// `has(operand.field)`.
  mutating func has(_ node: Node, _ operand: Node, _ field: String) throws(Refusal) -> Typed {
    if let (names, isRooted) = path(operand), local(names, isRooted: isRooted) == nil {
      let whole = names + [field]
      if let (slot, count) = attribute(whole), count == whole.count {
        slots.insert(slot)
        let index = emit(node, .hasSlot, slot)
        return Typed(index: index, type: .bool, cost: 1, shape: .scalar)
      }
      if attribute(whole) == nil { throw unknown(whole.joined(separator: "."), operand) }
    }
    let mark = mark
    let map = try compile(operand)
    _ = try fieldType(map.type, node, field)
    let index = emit(node, .hasKey, map.index, key(field))
    let cost = Shape.sum(1, map.cost, UInt64(field.utf8.count / 16))
    return try folded(
      node, Typed(index: index, type: .bool, cost: cost, shape: .scalar), [map], mark)
  }

  /// `operand[place]`.
  mutating func index(_ node: Node, _ operand: Node, _ place: Node) throws(Refusal) -> Typed {
    let mark = mark
    let range = try compile(operand)
    let key = try compile(place)
    let type: ConditionType
    switch range.type {
    case .dyn: type = .dyn
    case .list(let element) where ConditionType.agree(key.type, .int): type = element
    case .map(let keys, let value) where ConditionType.agree(key.type, keys): type = value
    case .list:
      throw Refusal(.type, at: place.start, "a list is indexed by \(key.type); expected int")
    case .map(let keys, _):
      throw Refusal(.type, at: place.start, "a map is indexed by \(key.type); expected \(keys)")
    default:
      throw Refusal(.type, at: node.start, "a value of type \(range.type) has no elements")
    }
    let index = emit(node, .index, range.index, key.index)
    let cost = Shape.sum(1, range.cost, key.cost, key.shape.keyCost)
    return try folded(
      node, Typed(index: index, type: type, cost: cost, shape: range.shape.element), [range, key],
      mark)
  }
}
