public import TenancyConditions

/// Why a policy answers a question as it does.
public struct DecisionExplanation: Sendable {
  /// An assignment whose role allows or denies what is asked.
  public struct Step: Sendable {
    /// What comes of it; the nearest to applying first.
    public enum Outcome: Int, Sendable {
      /// It counts.
      case applies
      /// Its condition does not hold.
      case conditionUnsatisfied
      /// Its condition has no result, and it allows: it does not count.
      case conditionFailed
      /// It is of other resources.
      case otherResource
      /// It has ended.
      case expired
    }

    /// The assignment.
    public let assignment: RoleAssignment
    /// Ids of roles: from the one that is assigned to the one that names the permission.
    public let path: [String]
    /// As that one names it.
    public let permission: String
    /// Whether it denies the permission.
    public let denies: Bool
    /// What comes of it.
    public let outcome: Outcome
    /// How its condition came out, if that was looked at.
    public let condition: ConditionExplanation?
  }

  /// Steps that are told at most.
  public static let maximumSteps = 64
  /// Roles that are told at most.
  public static let maximumRoles = 16
  /// Conditions that are taken apart at most: that takes many times an evaluation.
  static let maximumConditions = 4

  /// The answer.
  public let decision: Decision
  /// First those that apply, what denies before what allows.
  public let steps: [Step]
  /// Where nothing allows it: roles that would, which the subject does not hold.
  public let missingRoles: [String]
  /// Whether there is more.
  public let isTruncated: Bool
}

/// A step whose way is not looked for yet.
private struct Found {
  let assignment: RoleAssignment
  /// Its role's number.
  let role: Int
  let denies: Bool
  let outcome: DecisionExplanation.Step.Outcome
  let condition: ConditionExplanation?

  init(
    _ assignment: RoleAssignment, _ role: Int, _ denies: Bool,
    _ outcome: DecisionExplanation.Step.Outcome, _ condition: ConditionExplanation?
  ) {
    self.assignment = assignment
    self.role = role
    self.denies = denies
    self.outcome = outcome
    self.condition = condition
  }

  var order: (Int, Int, String) { (outcome.rawValue, denies ? 0 : 1, assignment.id) }

  func told(_ path: [String], _ permission: String) -> DecisionExplanation.Step {
    .init(
      assignment: assignment, path: path, permission: permission, denies: denies,
      outcome: outcome, condition: condition)
  }
}

extension PolicyContent {
  func explain(
    _ question: borrowing Question, _ attributes: inout RequestAttributes,
    _ budget: inout WorkBudget
  ) -> DecisionExplanation {
    var decision = Decision.notAllowed
    if let word = held.find(question.subject) {
      decision = decide(question, holding: word, &attributes, &budget)
    }
    let denying = rolesDenying(question)
    let allowing = rolesAllowing(question)
    var (found, isTruncated, conditions) = ([Found](), false, 0)
    var sources = [holdings.find(question.subject)]
    heldGroups(of: question.subject, at: question.now, &budget).forEach {
      sources.append(groupHoldings($0))
    }
    for assignment in sources.lazy.flatMap({ $0?.assignments ?? [] }) {
      guard !budget.isSpent else {
        isTruncated = true
        break
      }
      budget.visit()
      guard let number = role(assignment.role)?.number else { continue }
      for (roles, denies) in [(denying, true), (allowing, false)]
      where family.isOne(number, of: roles) {
        let (outcome, condition) = outcome(
          of: assignment, denies, question, &attributes, &conditions, &budget)
        found.append(Found(assignment, number, denies, outcome, condition))
      }
    }
    found.sort { $0.order < $1.order }
    isTruncated = isTruncated || budget.isSpent || found.count > DecisionExplanation.maximumSteps
    var missing: [String] = []
    if case .notAllowed = decision {
      var held = RoleSet()
      for step in found where !step.denies { held.insert(step.role) }
      held = family.closure(of: held)
      allowing.forEachCommon(with: allowing) { number in
        if !held.contains(number), !family.isOne(number, of: denying),
          let id = role(number: number)?.role.id
        {
          missing.append(id)
        }
        return missing.count <= DecisionExplanation.maximumRoles
      }
      isTruncated = isTruncated || missing.count > DecisionExplanation.maximumRoles
    }
    return DecisionExplanation(
      decision: decision,
      steps: found.prefix(DecisionExplanation.maximumSteps).compactMap { step in
        path(from: step.role, to: step.denies ? denying : allowing, step.denies, question, &budget)
          .map { step.told($0.path, $0.permission) }
      },
      missingRoles: Array(missing.prefix(DecisionExplanation.maximumRoles)),
      isTruncated: isTruncated)
  }

  /// The shortest way by parents to a role that names the permission itself, and how it does.
  private func path(
    from start: Int, to roles: RoleSet, _ denies: Bool, _ question: borrowing Question,
    _ budget: inout WorkBudget
  ) -> (path: [String], permission: String)? {
    var (ways, seen) = ([[start]], RoleSet())
    var at = 0
    // In range: `at` is one of `ways`, whose last is never missing.
    while at < ways.count {
      let way = ways[at]
      at += 1
      guard let last = way.last, !seen.contains(last), let found = role(number: last) else {
        continue
      }
      seen.insert(last)
      budget.visit()
      let list = denies ? found.role.denials : found.role.permissions
      if roles.contains(last), let name = Self.name(of: question, in: list, &budget) {
        return (way.compactMap { role(number: $0)?.role.id }, name)
      }
      for parent in found.role.parents {
        guard let number = role(parent)?.number, family.isOne(number, of: roles) else { continue }
        ways.append(way + [number])
      }
    }
    return nil
  }

  /// What of a role's list the question is one of: by its own name if that is there.
  private static func name(
    of question: borrowing Question, in list: [String], _ budget: inout WorkBudget
  ) -> String? {
    budget.visit(list.count / 16)
    var name: String?
    for text in list {
      if question.permission.equals(text) { return text }
      guard name == nil,
        text.utf8.first == UInt8(ascii: "*") || text.utf8.last == UInt8(ascii: "*"),
        let permission = Permission(parsing: text),
        PermissionSet([permission]).grants(question.permission, colon: question.colon)
      else { continue }
      name = text
    }
    return name
  }

  private func outcome(
    of assignment: RoleAssignment, _ denies: Bool, _ question: borrowing Question,
    _ attributes: inout RequestAttributes, _ conditions: inout Int, _ budget: inout WorkBudget
  ) -> (DecisionExplanation.Step.Outcome, ConditionExplanation?) {
    if let end = assignment.expireTime, end <= question.now { return (.expired, nil) }
    if let scope = assignment.terms.scope {
      guard denies ? scope.meets(question) : scope.covers(question) else {
        return (.otherResource, nil)
      }
    }
    if assignment.terms.condition.isEmpty { return (.applies, nil) }
    guard let condition = assignment.condition else {
      return (denies ? .applies : .conditionFailed, nil)
    }
    var explanation: ConditionExplanation?
    if conditions < DecisionExplanation.maximumConditions {
      conditions += 1
      explanation = condition.explain(question, &attributes, &budget)
    }
    let found = condition.outcome(question, &attributes, &budget)
    if found?.applies(to: denies ? .deny : .allow) ?? denies { return (.applies, explanation) }
    return (found == .unsatisfied ? .conditionUnsatisfied : .conditionFailed, explanation)
  }
}
