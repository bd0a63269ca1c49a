/// Resources of which a subject may do something.
public struct ListedResource: Sendable {
  /// What is denied of it.
  public struct Exclusion: Sendable {
    /// `{type}`, `{type}/{path}` or `{type}/{path}/*`.
    public let resource: ResourceScope
    /// Whether a condition is still to be evaluated.
    public let isConditional: Bool
    /// The role that denies it.
    public let role: String
  }

  /// `{type}`, `{type}/{path}` or `{type}/{path}/*`.
  public let resource: ResourceScope
  /// What allows it.
  public let assignment: RoleAssignment
  /// Whether a condition is still to be evaluated.
  public let isConditional: Bool
  /// All there are.
  public let exclusions: [Exclusion]

  /// The path of the one resource that it is; nil where it is several.
  public var id: String? { resource.path }
}

/// What is found in all that a subject holds.
private struct ListedPlace {
  let resource: ResourceScope
  let assignment: RoleAssignment
  let standing: Standing
}

/// Those of one kind, in the order of their texts: bytes, for texts can be equal that have others.
private struct ListedPlaces {
  private(set) var all: [ListedPlace] = []

  mutating func add(_ place: ListedPlace) {
    if place.standing > .never { all.append(place) }
  }

  /// - Parameter alone: of several with the same resource only the one that stands best.
  mutating func sort(alone: Bool = false) {
    all.sort { a, b in
      if a.resource.text.precedes(b.resource.text) { return true }
      if b.resource.text.precedes(a.resource.text) { return false }
      return a.standing == b.standing ? a.assignment.id < b.assignment.id : a.standing > b.standing
    }
    guard alone else { return }
    var kept: [ListedPlace] = []
    for place in all
    where !(kept.last?.resource.text.hasSameBytes(as: place.resource.text) ?? false) {
      kept.append(place)
    }
    all = kept
  }
}

extension PolicyContent {
  /// In the order of their texts, some of those that are behind that of `start`.
  /// - Parameter permission: without wildcards.
  /// - Returns: `next` is the last that was looked at; nil: there are no more. Nil in the place of all: it takes too much.
  func resources(
    _ question: ListQuestion, _ permission: Permission, after start: String, size: Int,
    _ budget: inout WorkBudget
  ) -> (found: [ListedResource], next: String?)? {
    let text = permission.text
    let asked = unsafe Question(
      subject: question.holder.utf8Span.span.bytes, permission: text.utf8Span.span.bytes,
      colon: permission.resource.utf8.count, now: question.now)
    let (denying, allowing) = (rolesDenying(asked), rolesAllowing(asked))
    var beginning = ListQuestion.budget
    guard let type = ResourceScope(parsing: permission.resource),
      let held = HeldAssignments(self, of: question.holder, at: question.now, &beginning)
    else { return nil }
    var (allowed, denied, isCutShort) = (ListedPlaces(), ListedPlaces(), false)
    for (role, assignments) in held.byRole {
      let (allows, denies) = (family.isOne(role, of: allowing), family.isOne(role, of: denying))
      guard allows || denies else { continue }
      for assignment in assignments {
        guard !beginning.isSpent else { return nil }
        let scope = assignment.terms.scope ?? type
        guard type.contains(scope) else { continue }
        func place(denies: Bool) -> ListedPlace {
          // Of one resource everything is known: nothing is left open.
          ListedPlace(
            resource: scope, assignment: assignment,
            standing: question.standing(
              of: assignment, denies: denies, permission, path: scope.path ?? "", &isCutShort,
              &beginning))
        }
        if denies { denied.add(place(denies: true)) }
        if allows { allowed.add(place(denies: false)) }
      }
    }
    allowed.sort(alone: true)
    denied.sort()
    var list = ListedResources(question: question, permission: permission, denied: denied.all)
    var last: String?
    for place in allowed.all where start.precedes(place.resource.text) {
      if let last, list.found.count == size || budget.isFull || budget.isSpent {
        return (list.found, last)
      }
      last = place.resource.text
      var own = ListQuestion.budget
      guard list.look(at: place, &isCutShort, &own), !isCutShort else { return nil }
      budget.visit(own.visits)
      budget.answer(bytes: own.answerBytes)
    }
    return isCutShort ? nil : (list.found, nil)
  }
}

/// A page that is being made.
private struct ListedResources {
  /// Bytes of what is denied of one, at most.
  static let maximumExclusionBytes = WorkBudget.maximumAnswerBytes

  let question: ListQuestion
  let permission: Permission
  let denied: [ListedPlace]
  var found: [ListedResource] = []

  init(question: ListQuestion, permission: Permission, denied: [ListedPlace]) {
    (self.question, self.permission, self.denied) = (question, permission, denied)
  }

  /// - Returns: false: more is denied of it than can be told.
  mutating func look(
    at place: ListedPlace, _ isCutShort: inout Bool, _ budget: inout WorkBudget
  ) -> Bool {
    budget.visit(denied.count)
    let scope = place.resource
    let meeting = denied.filter { $0.resource.overlaps(scope) }
    if meeting.contains(where: { $0.standing == .always && $0.resource.contains(scope) }) {
      return true
    }
    var exclusions: [ListedResource.Exclusion] = []
    var bytes = 0
    for denial in meeting {
      var standing = denial.standing
      if standing == .maybe, let path = scope.path {
        // That of the one resource.
        standing = question.standing(
          of: denial.assignment, denies: true, permission, path: path, &isCutShort, &budget)
        if standing == .always { return true }
      }
      guard standing > .never else { continue }
      bytes += denial.resource.text.utf8.count + WorkBudget.elementBytes
      guard bytes <= Self.maximumExclusionBytes else { return false }
      let isConditional = standing == .maybe
      if let last = exclusions.last, last.isConditional == isConditional,
        last.resource.text.hasSameBytes(as: denial.resource.text)
      {
        continue
      }
      exclusions.append(
        .init(
          resource: denial.resource, isConditional: isConditional, role: denial.assignment.role))
    }
    budget.answer(bytes: bytes + place.assignment.listedBytes)
    found.append(
      ListedResource(
        resource: scope, assignment: place.assignment, isConditional: place.standing == .maybe,
        exclusions: exclusions))
    return true
  }
}

extension RoleAssignment {
  /// Of one in an answer, roughly.
  var listedBytes: Int {
    128 + subject.utf8.count + role.utf8.count + terms.scope.text.utf8.count
      + terms.condition.utf8.count + terms.reason.utf8.count
  }
}

extension String {
  /// In the order of bytes.
  fileprivate func precedes(_ other: String) -> Bool {
    utf8.lexicographicallyPrecedes(other.utf8)
  }
}
