/// Macros over lists, and over the keys of maps. Langdef, "Macros".
extension Bytecode {
  /// `all` and `exists`: as `&&` and `||` over the elements.
  func quantifier(
    _ step: Instruction, _ values: Values, _ machine: inout Machine, decisive: Bool
  ) throws(Failure) -> Bool {
    let range = try range(step, values, &machine)
    var failure: Failure?
    for place in 0..<range.count {
      try bind(range[place], step, &machine)
      do {
        if try truth(step.b, values, &machine) == decisive { return decisive }
      } catch {
        guard error.reason.isAbsorbed else { throw error }
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
    return !decisive
  }

  func existsOne(_ step: Instruction, _ values: Values, _ machine: inout Machine)
    throws(Failure) -> Bool
  {
    let range = try range(step, values, &machine)
    var count = 0
    for place in 0..<range.count {
      try bind(range[place], step, &machine)
      if try truth(step.b, values, &machine) { count += 1 }
    }
    return count == 1
  }

  func filter(_ step: Instruction, _ values: Values, _ machine: inout Machine) throws(Failure)
    -> ConditionValue
  {
    let range = try range(step, values, &machine)
    var result: [ConditionValue] = []
    for place in 0..<range.count {
      let element = range[place]
      try bind(element, step, &machine)
      if try truth(step.b, values, &machine) { result.append(element) }
    }
    return .list(result)
  }

  func transform(_ step: Instruction, _ values: Values, _ machine: inout Machine)
    throws(Failure) -> ConditionValue
  {
    let range = try range(step, values, &machine)
    let hasPredicate = step.operation == .transformWhere
    let predicate = hasPredicate ? operands[step.b] : step.b
    let body = hasPredicate ? operands[step.b + 1] : step.b
    var result: [ConditionValue] = []
    for place in 0..<range.count {
      try bind(range[place], step, &machine)
      if hasPredicate, try !truth(predicate, values, &machine) { continue }
      result.append(try value(body, values, &machine))
    }
    return .list(result)
  }

  @inline(__always)
  private func bind(_ element: ConditionValue, _ step: Instruction, _ machine: inout Machine)
    throws(Failure)
  {
    try at(step) { () throws(Reason) in try machine.charge(1) }
    machine.locals[step.c] = element
  }

  /// The elements of a list, or the keys of a map.
  private enum Range {
    case list([ConditionValue])
    case keys(ConditionMap)

    var count: Int {
      switch self {
      case .list(let elements): elements.count
      case .keys(let map): map.entries.count
      }
    }

    subscript(place: Int) -> ConditionValue {
      switch self {
      case .list(let elements): elements[place]
      case .keys(let map): map.entries[place].key
      }
    }
  }

  private func range(_ step: Instruction, _ values: Values, _ machine: inout Machine)
    throws(Failure) -> Range
  {
    switch try value(step.a, values, &machine) {
    case .list(let elements): return .list(elements)
    case .map(let map): return .keys(map)
    default: throw Failure(.noSuchOverload, at: step.offset)
    }
  }
}
