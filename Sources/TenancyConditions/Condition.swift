/// A condition of authorization: an expression in a subset of CEL, checked and compiled once.
///
/// Its result is never a plain `Bool`: see ``ConditionOutcome``.
public struct Condition: Sendable {
  /// The text that it was made of.
  public let source: String
  /// Units that an evaluation takes in the worst case, with attributes of their declared sizes.
  public let cost: UInt64
  let program: Program
  private let fuel: Int64

  final class Program: Sendable {
    let bytecode: Bytecode
    let root: Int
    let identity: UInt64
    let slotCount: Int
    let ranges: [Range<Int>]
    let slots: [Int]

    init(_ compiler: Compiler, root: Int) {
      bytecode = compiler.bytecode
      self.root = root
      identity = compiler.attributes.identity
      slotCount = compiler.attributes.attributes.count
      ranges = compiler.ranges
      slots = compiler.slots.sorted()
    }
  }

  /// Parses, checks and compiles an expression. Throws ``ConditionError`` if it is not of the
  /// subset, does not fit the declared attributes, is not of type bool, or is over a limit.
  public init(
    parsing source: String, attributes: ConditionAttributes,
    limits: ConditionLimits = ConditionLimits()
  ) throws(ConditionError) {
    let bytes = Array(source.utf8)
    do throws(Refusal) {
      let node = try Parser.parse(bytes, limits)
      var compiler = Compiler(attributes, limits)
      let root = try compiler.condition(node, "the condition")
      guard root.cost <= limits.maximumCost else {
        throw Refusal(
          .cost, at: 0,
          "the condition could cost \(root.cost) units; expected at most \(limits.maximumCost)")
      }
      program = Program(compiler, root: root.index)
      cost = root.cost
    } catch {
      throw error.placed(in: bytes)
    }
    self.source = source
    fuel = limits.fuel
  }

  /// The names of the attributes that it may read, in the order of their declaration.
  public func attributes(of declaration: ConditionAttributes) -> [String] {
    guard declaration.identity == program.identity else { return [] }
    return program.slots.map { declaration.attributes[$0].name }
  }

  /// The places of the attributes that it may read.
  public var slots: [ConditionAttributes.Slot] {
    program.slots.map { ConditionAttributes.Slot(index: $0) }
  }

  /// Evaluates it. Takes no memory, unless the expression makes texts, lists or maps.
  public func evaluate(_ input: borrowing ConditionInput) -> ConditionOutcome {
    var machine = Machine(fuel: fuel, locals: program.bytecode.locals)
    return run(input, &machine)
  }

  func run(_ input: borrowing ConditionInput, _ machine: inout Machine) -> ConditionOutcome {
    guard input.identity == program.identity, input.values.count == program.slotCount else {
      return .failed(ConditionFailure(.foreignAttributes, at: 0))
    }
    if !input.misfits.isEmpty, program.slots.contains(where: input.misfits.contains) {
      return .failed(ConditionFailure(.wrongType, at: 0))
    }
    do {
      let isTrue = try program.bytecode.truth(program.root, input.values.span, &machine)
      return isTrue ? .satisfied : .unsatisfied
    } catch {
      return .failed(error)
    }
  }

  /// An explanation evaluates each part once for each `&&` and `||` around it.
  var fuelOfExplanations: Int64 {
    let (product, over) = fuel.multipliedReportingOverflow(by: 64)
    return over ? .max : product
  }

  /// The units that an evaluation takes: at most ``cost``, if the values have their declared sizes.
  public func evaluateCounting(_ input: borrowing ConditionInput) -> (ConditionOutcome, Int64) {
    var machine = Machine(fuel: fuel, locals: program.bytecode.locals)
    let outcome = run(input, &machine)
    return (outcome, fuel - machine.fuel)
  }

  /// The same expression in one spelling: spaces, quotes and parentheses where CEL needs them.
  public var canonicalSource: String {
    var limits = ConditionLimits()
    limits.maximumSourceBytes = .max
    limits.maximumNodes = .max
    // It was parsed before.
    guard let node = try? Parser.parse(Array(source.utf8), limits) else { return source }
    return Printer.text(node)
  }

  /// A failure for a person: its reason, line and column, and the text that failed.
  public func describe(_ failure: ConditionFailure) -> String {
    let bytes = Array(source.utf8)
    let place = Place(of: Int(failure.offset), in: bytes)
    return "\(place.line):\(place.column): \(failure.reason)"
  }
}

/// What a condition came to. Whether a rule applies depends on its effect: ask ``applies(to:)``.
@frozen public enum ConditionOutcome: Sendable, Hashable {
  /// It holds.
  case satisfied
  /// It does not hold.
  case unsatisfied
  /// It has no result.
  case failed(ConditionFailure)

  /// What a rule does where it applies.
  public enum Effect: Sendable {
    /// It allows.
    case allow
    /// It denies.
    case deny
  }

  /// Whether a rule with this outcome applies: one that allows only if its condition holds, one that
  /// denies also if its condition has no result.
  @inlinable
  public func applies(to effect: Effect) -> Bool {
    switch (self, effect) {
    case (.satisfied, _): true
    case (.unsatisfied, _): false
    case (.failed, .allow): false
    case (.failed, .deny): true
    }
  }
}
