/// Which parts of a condition made its outcome.
public struct ConditionExplanation: Sendable, Hashable {
  /// A part that is no `&&`, `||` or `!` of others.
  public struct Part: Sendable, Hashable {
    /// Its text.
    public let text: String
    /// What it came to.
    public let outcome: ConditionOutcome
  }

  /// What the condition came to: the same as its evaluation.
  public let outcome: ConditionOutcome
  /// The parts that made it so, in the order of the source: for `&&` that does not hold, the first
  /// operand that does not; where it holds, all of them. At most ``maximumParts``.
  public let parts: [Part]

  /// Parts of one explanation.
  public static let maximumParts = 32
}

extension Condition {
  /// Evaluates it, and says which parts made the outcome. Takes memory, and more time.
  public func explain(_ input: borrowing ConditionInput) -> ConditionExplanation {
    let outcome = evaluate(input)
    var parts: [ConditionExplanation.Part] = []
    if case .failed(let failure) = outcome, !failure.reason.isAbsorbed {
      return ConditionExplanation(outcome: outcome, parts: [])
    }
    var machine = Machine(fuel: fuelOfExplanations, locals: program.bytecode.locals)
    collect(program.root, input, &machine, &parts)
    return ConditionExplanation(outcome: outcome, parts: parts)
  }

  private func collect(
    _ index: Int, _ input: borrowing ConditionInput, _ machine: inout Machine,
    _ parts: inout [ConditionExplanation.Part]
  ) {
    let step = program.bytecode.code[index]
    let outcome = outcome(index, input, &machine)
    switch step.operation {
    case .not: collect(step.a, input, &machine, &parts)
    case .and, .or:
      let places = step.a..<step.a + step.b
      let operands = program.bytecode.operands[places]
      // One operand is enough where it decides; a failure counts where none does.
      let decides = outcome == (step.operation == .and ? .unsatisfied : .satisfied)
      for operand in operands {
        let its = self.outcome(operand, input, &machine)
        let matters: Bool
        if case .failed = outcome {
          if case .failed = its { matters = true } else { matters = false }
        } else {
          matters = its == outcome
        }
        if matters { collect(operand, input, &machine, &parts) }
        if matters, decides { return }
      }
    default:
      guard parts.count < ConditionExplanation.maximumParts else { return }
      let range = program.ranges[index]
      let text = String(decoding: Array(source.utf8)[range], as: UTF8.self)
      parts.append(ConditionExplanation.Part(text: text, outcome: outcome))
    }
  }

  private func outcome(
    _ index: Int, _ input: borrowing ConditionInput, _ machine: inout Machine
  ) -> ConditionOutcome {
    do {
      let isTrue = try program.bytecode.truth(index, input.values.span, &machine)
      return isTrue ? .satisfied : .unsatisfied
    } catch {
      return .failed(error)
    }
  }
}
