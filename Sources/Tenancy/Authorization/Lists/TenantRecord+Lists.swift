/// A page of a list about a policy.
public struct PolicyPage<Element: Sendable>: Sendable {
  /// Some of them, or none.
  public let elements: [Element]
  /// Where the page behind this one begins; nil: there is none.
  public let next: String?
}

/// A subject that may do something, by the tenant's id.
public struct ListedSubject: Sendable, Equatable {
  /// As assignments and memberships have it.
  public let subject: String
  /// The id of the role that allows it.
  public let role: String
}

/// Lists about who may do what, in pages.
///
/// What takes more for one element than one question may take is nil; a page that takes more than its budget ends
/// early.
extension TenantRecord {
  /// What a subject may do.
  /// - Parameters:
  ///   - place: to all of a type, or to one resource; nil: to anything.
  ///   - attributes: nil: conditions are not evaluated.
  ///   - start: `next` of the page before.
  public func permissions(
    of subject: String, on place: ResourceScope?, _ attributes: RequestAttributes?,
    at now: Timestamp, after start: String, size: Int, _ budget: inout WorkBudget
  ) -> PolicyPage<ListedPermission>? {
    policy.content.permissions(
      question(subject, attributes, now), of: place, after: start, size: size, &budget
    ).map { PolicyPage(elements: $0.found, next: $0.next) }
  }

  /// To which resources a subject may do something.
  /// - Parameter permission: without wildcards.
  public func resources(
    of subject: String, _ permission: Permission, _ attributes: RequestAttributes?,
    at now: Timestamp, after start: String, size: Int, _ budget: inout WorkBudget
  ) -> PolicyPage<ListedResource>? {
    policy.content.resources(
      question(subject, attributes, now), permission, after: start, size: size, &budget
    ).map { PolicyPage(elements: $0.found, next: $0.next) }
  }

  /// Who may do something.
  /// - Parameters:
  ///   - permission: without wildcards.
  ///   - resource: a path; empty: of all resources.
  ///   - start: `next` of the page before; empty: from the beginning.
  ///   - isWanted: which subjects are looked at.
  /// - Returns: nil: `start` is no place.
  public func subjects(
    with permission: Permission, on resource: String, _ attributes: RequestAttributes,
    at now: Timestamp, after start: String, size: Int, _ budget: inout WorkBudget,
    where isWanted: (String) -> Bool = { _ in true }
  ) -> PolicyPage<ListedSubject>? {
    guard let place = start.isEmpty ? .init() : SubjectList.Place(parsing: start) else {
      return nil
    }
    let text = permission.text
    let colon = permission.resource.utf8.count
    return withoutActuallyEscaping(isWanted) { isWanted in
      let allowing = unsafe policy.content.rolesAllowing(
        Question(
          subject: RawSpan(), permission: text.utf8Span.span.bytes, colon: colon, now: now))
      var list = SubjectList(policy.content, allowing, size: size) { subject, budget in
        guard isWanted(subject) else { return nil }
        var (attributes, own) = (attributes, ListQuestion.budget)
        let decision = unsafe self.decide(
          Question(
            subject: subject.utf8Span.span.bytes, permission: text.utf8Span.span.bytes,
            colon: colon, resource: resource.utf8Span.span.bytes, now: now), &attributes, &own)
        budget.visit(own.visits)
        // Check would not answer, if it is cut short.
        return attributes.isCutShort
          ? nil : decision.allowingRole.flatMap { self.policy.role(number: $0) }
      }
      list.fill(from: place, &budget)
      return PolicyPage(
        elements: list.found.map { ListedSubject(subject: $0.subject, role: $0.role.role.id) },
        next: list.end?.text)
    }
  }

  /// Actions that may be done to resources of a type: those that roles of the tenant name for it.
  /// - Parameters:
  ///   - resource: a path; empty: to all of the type.
  ///   - start: the last of the page before; empty: from the beginning.
  /// - Returns: nil: it takes too much.
  public func actions(
    of subject: String, onType type: String, _ resource: String, _ attributes: RequestAttributes,
    at now: Timestamp, after start: String, size: Int, _ budget: inout WorkBudget
  ) -> PolicyPage<String>? {
    var beginning = ListQuestion.budget
    guard let held = HeldAssignments(policy.content, of: listed(subject), at: now, &beginning)
    else { return nil }
    let (named, hasMore) = policy.content.actions(
      ofType: type, heldBy: held.closure(policy.content.family), after: start, size: size, &budget
    )
    var (found, last) = ([String](), String?.none)
    for action in named {
      if let last, found.count == size || budget.isSpent || budget.isFull {
        return PolicyPage(elements: found, next: last)
      }
      last = action
      let permission = "\(type):\(action)"
      var (attributes, own) = (attributes, ListQuestion.budget)
      let decision = unsafe decide(
        Question(
          subject: subject.utf8Span.span.bytes, permission: permission.utf8Span.span.bytes,
          colon: type.utf8.count, resource: resource.utf8Span.span.bytes, now: now), &attributes,
        &own)
      budget.visit(own.visits)
      if attributes.isCutShort { return nil }
      guard decision.allowingRole != nil else { continue }
      budget.answer(bytes: action.utf8.count + WorkBudget.elementBytes)
      found.append(action)
    }
    return PolicyPage(elements: found, next: hasMore ? last : nil)
  }

  private func question(
    _ subject: String, _ attributes: RequestAttributes?, _ now: Timestamp
  ) -> ListQuestion {
    ListQuestion(holder: listed(subject), named: subject, now: now, attributes: attributes)
  }

  /// The subject as the policy knows it; empty, which nobody is, for workloads of others.
  private func listed(_ subject: String) -> String {
    switch unsafe TenantSubject.kind(of: subject.utf8Span.span.bytes) {
    case .other: return subject
    case .malformed: return ""
    case .workload(let name):
      let owner = TenantSubject.name(name, of: subject)
      return unsafe isNamed(owner.utf8Span.span.bytes) ? holder(subject) : ""
    }
  }
}

extension PolicyContent {
  /// Looks at names of roles to find those of one page.
  private static var maximumCandidates: Int { 4_000 }

  /// The first that roles name behind `start`, in order: those that the subject holds, or all where it may do whatever
  /// there is.
  fileprivate func actions(
    ofType type: String, heldBy held: RoleSet, after start: String, size: Int,
    _ budget: inout WorkBudget
  ) -> (found: [String], hasMore: Bool) {
    let isReserved = type.hasPrefix(Permission.reservedPrefix)
    var roles = held
    if mayDoAnything(held, toType: type, isReserved: isReserved) {
      // All of them, however little is left: what a page leaves out, none would have.
      var (list, whole) = (self.roles.cursor(), WorkBudget.uncapped)
      while let role = list.next(&whole) { roles.insert(role.number) }
      budget.visit(whole.visits / 16)
    }
    let limit = max(1, min(size, Self.maximumCandidates / max(1, roles.count)))
    var found = Set<String>()
    while let number = roles.lowest {
      roles.remove(number)
      guard let permissions = role(number: number)?.role.permissions else { continue }
      for prefix in ["*:", "\(type):"] where !(isReserved && prefix == "*:") {
        let begin = permissions.firstIndexAfterAll { $0 <= prefix + start }
        // In range: what a binary search finds is an index or the end.
        // One more than a page shows that there are more, and one may be the wildcard.
        for text in permissions[begin...].prefix(limit + 2) {
          guard text.hasPrefix(prefix) else { break }
          let action = String(text.dropFirst(prefix.count))
          if action != "*" { found.insert(action) }
        }
      }
    }
    budget.visit(found.count / 4)
    let sorted = found.sorted()
    return (Array(sorted.prefix(limit)), sorted.count > limit)
  }

  private func mayDoAnything(_ held: RoleSet, toType type: String, isReserved: Bool) -> Bool {
    var rest = held
    while let number = rest.lowest {
      rest.remove(number)
      guard let permissions = role(number: number)?.role.permissions else { continue }
      for text in ["\(type):*", "*:*"] where !(isReserved && text == "*:*") {
        let at = permissions.firstIndexAfterAll { $0 < text }
        if at < permissions.endIndex, permissions[at] == text { return true }
      }
    }
    return false
  }
}
