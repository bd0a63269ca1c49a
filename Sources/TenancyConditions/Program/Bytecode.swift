/// One step of a compiled condition. What `a`, `b` and `c` are depends on the operation.
struct Instruction: Sendable {
  enum Operation: UInt8, Sendable {
    /// Constant `a`.
    case constant
    /// The attribute in slot `a`, or whether there is one.
    case slot, hasSlot
    /// The variable `a` of a macro.
    case local
    /// `b` operands, from `a` on in the table of operands.
    case and, or, list
    /// `b` operands, keys and values in turn.
    case map
    /// Operand `a`.
    case not, negate
    /// `a ? b : c`.
    case conditional
    /// Operands `a` and `b`.
    case equal, notEqual, less, lessEqual, greater, greaterEqual
    case add, subtract, multiply, divide, modulo, `in`, index
    /// Whether operand `a` is in set `b`, which step `c` has as a list.
    case inSet
    /// The value that map `a` has for constant `b`, or whether there is one.
    case select, hasKey
    /// Range `a`, body `b`, variable `c`.
    case all, exists, existsOne, filter, transform
    /// Range `a`, variable `c`; predicate and body from `b` on in the table of operands.
    case transformWhere
    /// Function `c` of `a`, and of `b` if that is not negative.
    case call
  }

  let operation: Operation
  /// Offset in bytes into the source.
  let offset: UInt32
  private let first: Int32
  private let second: Int32
  private let third: Int32

  /// Numbers of steps, constants and operands: far fewer than 2^31, as the source is bounded.
  init(_ operation: Operation, _ a: Int, _ b: Int, _ c: Int, offset: Int) {
    self.operation = operation
    self.offset = UInt32(clamping: offset)
    first = Int32(truncatingIfNeeded: a)
    second = Int32(truncatingIfNeeded: b)
    third = Int32(truncatingIfNeeded: c)
  }

  var a: Int { Int(first) }
  var b: Int { Int(second) }
  var c: Int { Int(third) }
}

/// A compiled condition: steps that refer to one another, from the leaves to the root.
struct Bytecode: Sendable {
  var code: [Instruction] = []
  var operands: [Int] = []
  var constants: [ConditionValue] = []
  var sets: [Set<ConditionKey>] = []
  /// Variables of macros that are alive at once.
  var locals = 0
}

/// What one evaluation uses up and remembers.
struct Machine {
  var fuel: Int64
  var locals: [ConditionValue]

  init(fuel: Int64, locals: Int) {
    self.fuel = fuel
    self.locals = locals == 0 ? [] : Array(repeating: .null, count: locals)
  }

  @inline(__always)
  mutating func charge(_ units: Int) throws(ConditionFailure.Reason) {
    fuel -= Int64(truncatingIfNeeded: units)
    if fuel < 0 { throw .outOfFuel }
  }
}

/// The functions of the subset. Langdef, "Standard Definitions".
enum Function: Int, Sendable, CaseIterable {
  case size, contains, startsWith, endsWith
  case toBool, toBytes, toDouble, toDuration, toInt, toString, toTimestamp, toUint, typeOf
  case getDate, getDayOfMonth, getDayOfWeek, getDayOfYear, getFullYear, getHours
  case getMilliseconds, getMinutes, getMonth, getSeconds
}
