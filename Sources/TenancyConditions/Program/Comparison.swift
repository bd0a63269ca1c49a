/// Equality, order and membership, with what they cost. Langdef, "Equality", "Ordering".
extension Machine {
  typealias Reason = ConditionFailure.Reason

  @inline(__always)
  mutating func chargeBytes(_ count: Int) throws(Reason) { try charge(count >> 4) }

  /// What it costs to look up a key.
  @inline(__always)
  mutating func chargeKey(_ key: ConditionValue) throws(Reason) {
    if case .string(let text) = key { try chargeBytes(text.utf8.count) }
  }

  mutating func equal(_ left: ConditionValue, _ right: ConditionValue) throws(Reason) -> Bool {
    switch (left, right) {
    case (.string(let left), .string(let right)):
      let count = left.utf8.count
      guard count == right.utf8.count else { return false }
      try chargeBytes(count)
      return Text.same(left, right)
    case (.bool(let left), .bool(let right)): return left == right
    case (.null, .null): return true
    case (.timestamp(let left), .timestamp(let right)): return left == right
    case (.duration(let left), .duration(let right)): return left == right
    case (.type(let left), .type(let right)): return left == right
    case (.list, .list), (.map, .map), (.bytes, .bytes):
      return try deepEqual(left, right, ConditionLimits.deepestValue)
    default:
      guard let order = Numbers.order(left, right) else { return false }
      return order == 0
    }
  }

  private mutating func deepEqual(
    _ left: ConditionValue, _ right: ConditionValue, _ depth: UInt64
  ) throws(Reason) -> Bool {
    guard depth > 0 else { throw .tooDeep }
    switch (left, right) {
    case (.bytes(let left), .bytes(let right)):
      guard left.count == right.count else { return false }
      try chargeBytes(left.count)
      return left == right
    case (.list(let left), .list(let right)):
      guard left.count == right.count else { return false }
      for place in left.indices {
        try charge(1)
        if try !deepEqual(left[place], right[place], depth - 1) { return false }
      }
      return true
    case (.map(let left), .map(let right)):
      guard left.count == right.count else { return false }
      for entry in left.entries {
        try charge(1)
        try chargeKey(entry.key)
        guard let other = right[entry.key] else { return false }
        if try !deepEqual(entry.value, other, depth - 1) { return false }
      }
      return true
    case (.list, _), (.map, _), (.bytes, _): return false
    default: return try equal(left, right)
    }
  }

  /// Below, at or above zero, as `left` is to `right`; nil next to a NaN.
  mutating func order(_ left: ConditionValue, _ right: ConditionValue) throws(Reason) -> Int? {
    switch (left, right) {
    case (.timestamp(let left), .timestamp(let right)):
      return left < right ? -1 : left == right ? 0 : 1
    case (.duration(let left), .duration(let right)):
      return left < right ? -1 : left == right ? 0 : 1
    case (.string(let left), .string(let right)):
      try chargeBytes(min(left.utf8.count, right.utf8.count))
      return Text.order(left, right)
    case (.bytes(let left), .bytes(let right)):
      try chargeBytes(min(left.count, right.count))
      return Text.order(left.span, right.span)
    case (.bool(let left), .bool(let right)): return left == right ? 0 : left ? 1 : -1
    default:
      guard let order = Numbers.order(left, right) else { throw .noSuchOverload }
      return order
    }
  }

  /// `element in range`.
  mutating func contains(_ element: ConditionValue, in range: ConditionValue) throws(Reason)
    -> Bool
  {
    switch range {
    case .list(let elements):
      for place in elements.indices {
        try charge(1)
        if try equal(element, elements[place]) { return true }
      }
      return false
    case .map: return try find(element, in: range) != nil
    default: throw .noSuchOverload
    }
  }

  /// The value of a key, nil if the map has none.
  mutating func find(_ key: ConditionValue, in map: ConditionValue) throws(Reason)
    -> ConditionValue?
  {
    guard case .map(let map) = map, ConditionMap.mayBeKey(key) else { throw .noSuchOverload }
    try chargeKey(key)
    return map[key]
  }

  mutating func get(_ key: ConditionValue, in map: ConditionValue) throws(Reason)
    -> ConditionValue
  {
    guard let value = try find(key, in: map) else { throw .noSuchKey }
    return value
  }

  /// `list[place]`, `map[key]`.
  private mutating func element(_ range: ConditionValue, _ place: ConditionValue) throws(Reason)
    -> ConditionValue
  {
    guard case .list(let elements) = range else { return try get(place, in: range) }
    guard let key = ConditionKey(place) else {
      if case .double = place { throw .indexOutOfRange }
      throw .noSuchOverload
    }
    switch key {
    case .int(let place):
      let place = Int(truncatingIfNeeded: place)
      guard elements.indices.contains(place) else { throw .indexOutOfRange }
      return elements[place]
    case .large: throw .indexOutOfRange
    case .bool, .string: throw .noSuchOverload
    }
  }

  /// An operator with two operands.
  mutating func operate(
    _ operation: Instruction.Operation, _ left: ConditionValue, _ right: ConditionValue
  ) throws(Reason) -> ConditionValue {
    switch (operation, left, right) {
    case (.index, _, _): return try element(left, right)
    case (.add, .string(let left), .string(let right)):
      try chargeBytes(left.utf8.count + right.utf8.count)
      return .string(left + right)
    case (.add, .bytes(let left), .bytes(let right)):
      try chargeBytes(left.count + right.count)
      return .bytes(left + right)
    case (.add, .list(let left), .list(let right)):
      try charge(left.count + right.count)
      return .list(left + right)
    default: return try Arithmetic.calculate(operation, left, right)
    }
  }
}
