/// Evaluates steps. Recursion is as deep as the expression, which the parser has bounded.
extension Bytecode {
  typealias Values = Span<ConditionValue?>
  typealias Failure = ConditionFailure
  typealias Reason = ConditionFailure.Reason

  /// Gives the place of a step to what went wrong in it.
  @inline(__always)
  func at<Result>(
    _ step: Instruction, _ body: () throws(Reason) -> Result
  ) throws(Failure) -> Result {
    do {
      return try body()
    } catch {
      throw Failure(error, at: step.offset)
    }
  }

  /// Evaluates a step whose result has to be a bool.
  func truth(_ index: Int, _ values: Values, _ machine: inout Machine) throws(Failure) -> Bool {
    let step = code[index]
    switch step.operation {
    case .and, .or, .all, .exists, .existsOne, .not, .hasSlot, .hasKey, .inSet, .in, .equal,
      .notEqual, .less, .lessEqual, .greater, .greaterEqual:
      return try boolean(step, values, &machine)
    default:
      guard case .bool(let result) = try value(index, values, &machine) else {
        throw Failure(.noSuchOverload, at: step.offset)
      }
      return result
    }
  }

  /// Evaluates a step that gives a bool.
  private func boolean(_ step: Instruction, _ values: Values, _ machine: inout Machine)
    throws(Failure) -> Bool
  {
    try at(step) { () throws(Reason) in try machine.charge(1) }
    switch step.operation {
    case .and: return try junction(step, values, &machine, decisive: false)
    case .or: return try junction(step, values, &machine, decisive: true)
    case .not: return try !truth(step.a, values, &machine)
    case .hasSlot: return values[step.a] != nil
    case .equal, .notEqual:
      let left = try value(step.a, values, &machine)
      let right = try value(step.b, values, &machine)
      let isEqual = try at(step) { () throws(Reason) in try machine.equal(left, right) }
      return isEqual == (step.operation == .equal)
    case .less, .lessEqual, .greater, .greaterEqual:
      return try comparison(step, values, &machine)
    case .inSet:
      let element = try value(step.a, values, &machine)
      return try at(step) { () throws(Reason) in
        // Doubles equal integers that are near them, which are other keys.
        if case .double = element {
          return try machine.contains(element, in: constants[code[step.c].a])
        }
        try machine.chargeKey(element)
        guard let key = ConditionKey(element) else { return false }
        return sets[step.b].contains(key)
      }
    case .in:
      let element = try value(step.a, values, &machine)
      let range = try value(step.b, values, &machine)
      return try at(step) { () throws(Reason) in try machine.contains(element, in: range) }
    case .hasKey:
      let map = try value(step.a, values, &machine)
      let key = constants[step.b]
      return try at(step) { () throws(Reason) in try machine.find(key, in: map) != nil }
    case .all: return try quantifier(step, values, &machine, decisive: false)
    case .exists: return try quantifier(step, values, &machine, decisive: true)
    case .existsOne: return try existsOne(step, values, &machine)
    default: throw Failure(.noSuchOverload, at: step.offset)
    }
  }

  /// `&&` and `||`: an operand that decides makes failures of the others irrelevant. Langdef,
  /// "Logical Operators".
  private func junction(
    _ step: Instruction, _ values: Values, _ machine: inout Machine, decisive: Bool
  ) throws(Failure) -> Bool {
    var failure: Failure?
    for place in step.a..<step.a + step.b {
      do {
        if try truth(operands[place], values, &machine) == decisive { return decisive }
      } catch {
        guard error.reason.isAbsorbed else { throw error }
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
    return !decisive
  }

  private func comparison(_ step: Instruction, _ values: Values, _ machine: inout Machine)
    throws(Failure) -> Bool
  {
    let left = try value(step.a, values, &machine)
    let right = try value(step.b, values, &machine)
    let order = try at(step) { () throws(Reason) in try machine.order(left, right) }
    // Nothing is less, equal or greater next to a NaN.
    guard let order else { return false }
    switch step.operation {
    case .less: return order < 0
    case .lessEqual: return order <= 0
    case .greater: return order > 0
    default: return order >= 0
    }
  }

  /// Evaluates a step.
  func value(_ index: Int, _ values: Values, _ machine: inout Machine) throws(Failure)
    -> ConditionValue
  {
    let step = code[index]
    switch step.operation {
    case .constant:
      try at(step) { () throws(Reason) in try machine.charge(1) }
      return constants[step.a]
    case .slot:
      try at(step) { () throws(Reason) in try machine.charge(1) }
      guard let value = values[step.a] else {
        throw Failure(.missingAttribute, at: step.offset)
      }
      return value
    case .local:
      try at(step) { () throws(Reason) in try machine.charge(1) }
      return machine.locals[step.a]
    case .and, .or, .all, .exists, .existsOne, .not, .hasSlot, .hasKey, .inSet, .in, .equal,
      .notEqual, .less, .lessEqual, .greater, .greaterEqual:
      return .bool(try boolean(step, values, &machine))
    default:
      return try compound(step, values, &machine)
    }
  }

  private func compound(_ step: Instruction, _ values: Values, _ machine: inout Machine)
    throws(Failure) -> ConditionValue
  {
    try at(step) { () throws(Reason) in try machine.charge(1) }
    switch step.operation {
    case .conditional:
      let isTrue = try truth(step.a, values, &machine)
      return try value(isTrue ? step.b : step.c, values, &machine)
    case .add, .subtract, .multiply, .divide, .modulo, .index:
      let left = try value(step.a, values, &machine)
      let right = try value(step.b, values, &machine)
      return try at(step) { () throws(Reason) in
        try machine.operate(step.operation, left, right)
      }
    case .negate:
      let operand = try value(step.a, values, &machine)
      return try at(step) { () throws(Reason) in try Arithmetic.negate(operand) }
    case .select:
      let map = try value(step.a, values, &machine)
      let key = constants[step.b]
      return try at(step) { () throws(Reason) in try machine.get(key, in: map) }
    case .list: return .list(try elements(step, values, &machine))
    case .map: return try map(step, values, &machine)
    case .filter: return try filter(step, values, &machine)
    case .transform, .transformWhere: return try transform(step, values, &machine)
    case .call:
      let first = try value(step.a, values, &machine)
      let second = step.b < 0 ? nil : try value(step.b, values, &machine)
      return try at(step) { () throws(Reason) in try machine.call(step.c, first, second) }
    default: throw Failure(.noSuchOverload, at: step.offset)
    }
  }

  private func elements(_ step: Instruction, _ values: Values, _ machine: inout Machine)
    throws(Failure) -> [ConditionValue]
  {
    try at(step) { () throws(Reason) in try machine.charge(step.b) }
    var elements: [ConditionValue] = []
    elements.reserveCapacity(step.b)
    for place in step.a..<step.a + step.b {
      elements.append(try value(operands[place], values, &machine))
    }
    return elements
  }

  private func map(_ step: Instruction, _ values: Values, _ machine: inout Machine)
    throws(Failure) -> ConditionValue
  {
    let elements = try elements(step, values, &machine)
    var entries: [(key: ConditionValue, value: ConditionValue)] = []
    entries.reserveCapacity(elements.count / 2)
    for place in stride(from: 0, to: elements.count - 1, by: 2) {
      let key = elements[place]
      try at(step) { () throws(Reason) in
        try machine.chargeKey(key)
        if case .double = key { throw .noSuchOverload }
        if ConditionKey(key) == nil { throw .noSuchOverload }
      }
      entries.append((key, elements[place + 1]))
    }
    guard let map = ConditionMap(entries) else { throw Failure(.duplicateKey, at: step.offset) }
    return .map(map)
  }
}
