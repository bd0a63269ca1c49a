import Foundation
import Tenancy
import TenancyWire

/// What came of a policy's tests.
struct PolicyTestRun: Presentable {
  struct Outcome {
    let test: PolicyTest
    /// What the policy answers; nil: there is no answer.
    let explanation: DecisionExplanation?
    /// The role that decides it: of the subject, or one that inherits.
    let role: String?

    var isAllowed: Bool { explanation?.decision.allowingRole != nil }

    /// Ids of roles that have a part in the answer.
    private var deciding: [String] {
      let denies = !isAllowed
      let paths = (explanation?.steps ?? []).filter {
        $0.outcome == .applies && $0.denies == denies
      }
      return (role.map { [$0] } ?? []) + paths.flatMap(\.path)
    }

    var hasPassed: Bool {
      guard explanation != nil, isAllowed == test.isAllowed else { return false }
      return test.because.isEmpty || deciding.contains(test.because)
    }

    var answer: String {
      switch explanation?.decision {
      case .allowed: "allowed by the role \(role ?? "")"
      case .denied: "denied by the role \(role ?? "")"
      case .notAllowed: "denied: no role allows it"
      case nil: "not answered"
      }
    }

    var expected: String {
      let because = test.because.isEmpty ? "" : " because of the role \(test.because)"
      return (test.isAllowed ? "allowed" : "denied") + because
    }

    /// Why the answer is as it is.
    var reasons: [String] {
      let steps = (explanation?.steps ?? []).map { step in
        let verb = step.denies ? "denies" : "allows"
        let by = step.path.joined(separator: " from ")
        return "\(step.assignment.subject) has \(by), which \(verb) \(step.permission): "
          + Self.text(step)
      }
      let missing = explanation?.missingRoles ?? []
      return steps
        + (missing.isEmpty
          ? [] : ["it lacks a role that allows it: \(missing.joined(separator: ", "))"])
    }

    private static func text(_ step: DecisionExplanation.Step) -> String {
      let terms = step.assignment.terms
      return switch step.outcome {
      case .applies: "applies"
      case .conditionUnsatisfied: "the condition does not hold: \(terms.condition)"
      case .conditionFailed: "the condition has no result: \(terms.condition)"
      case .otherResource: "of other resources: \(terms.scope.text)"
      case .expired: "it has ended"
      }
    }
  }

  let file: String
  let outcomes: [Outcome]

  /// Runs all tests on the engine that a server has.
  init(_ policy: PolicyFile, file: String) {
    let draft = policy.draft
    let now = Timestamp(seconds: Int64(Date.now.timeIntervalSince1970), subsecondNanoseconds: 0)
    self.file = file
    outcomes = policy.tests.map { test in
      func map(_ members: [String: JSONValue]?) -> AttributeMap? {
        members.map { AttributeMap($0, weight: JSONValue.object($0).text().utf8.count) }
      }
      let attributes = RequestAttributes(
        subject: map(test.subjectAttributes), resource: map(test.resourceAttributes),
        context: map(test.context))
      let moment = test.time.map {
        Timestamp(seconds: $0.seconds, subsecondNanoseconds: Int64($0.nanos))
      }
      let explanation = draft.explain(
        subject: test.subject, permission: test.permission, resource: test.resource, attributes,
        at: moment ?? now)
      return Outcome(
        test: test, explanation: explanation,
        role: explanation.flatMap { draft.role(deciding: $0.decision) })
    }
  }

  var failures: [Outcome] { outcomes.filter { !$0.hasPassed } }

  func lines() -> [String] {
    let shown = failures.flatMap { outcome in
      let test = outcome.test
      let what = [test.permission, test.resource].filter { !$0.isEmpty }.joined(separator: " ")
      return [
        "\(file):\(test.line):\(test.column): \(test.name): \(test.subject) \(what)",
        "    expected: \(outcome.expected)", "    answer:   \(outcome.answer)",
      ] + outcome.reasons.map { "      \($0)" }
    }
    let summary = "\(outcomes.count - failures.count) passed, \(failures.count) failed"
    return (shown + [summary]).map(Printable.text)
  }

  func json() -> JSONValue {
    .object([
      "passed": .number(Double(outcomes.count - failures.count)),
      "failed": .number(Double(failures.count)),
      "tests": .array(
        outcomes.map { outcome in
          .object([
            "name": .string(outcome.test.name), "passed": .bool(outcome.hasPassed),
            "line": .number(Double(outcome.test.line)),
            "column": .number(Double(outcome.test.column)),
            "expected": .string(outcome.expected), "answer": .string(outcome.answer),
            "reasons": .array(outcome.reasons.map { .string($0) }),
          ])
        }),
    ])
  }
}
