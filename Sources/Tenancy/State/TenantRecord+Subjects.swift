/// Questions about subjects, who may name the tenant by its id, its slug or a former one.
extension TenantRecord {
  /// Whether the tenant's policy allows what is asked. Does not allocate, unless a condition is to be evaluated.
  public func decide(
    _ question: borrowing Question, _ attributes: inout RequestAttributes,
    _ budget: inout WorkBudget
  ) -> Decision {
    let name: Range<Int>
    let subject = question.subject
    switch holding(subject, at: question.now) {
    case .nothing: return .notAllowed
    case .asNamed: return policy.decide(question, &attributes, &budget)
    case .bySlug(let range): name = range
    }
    let length = subject.byteCount - name.count + idText.utf8.count
    return unsafe withUnsafeTemporaryAllocation(byteCount: length, alignment: 1) { space in
      // `holding` found the name within the subject, so that the three parts fill the space.
      unsafe subject.withUnsafeBytes { bytes in
        unsafe space.copyBytes(from: bytes.prefix(name.lowerBound))
        unsafe UnsafeMutableRawBufferPointer(rebasing: space.dropFirst(name.lowerBound))
          .copyBytes(from: idText.utf8)
        unsafe UnsafeMutableRawBufferPointer(
          rebasing: space.suffix(bytes.count - name.upperBound)
        ).copyBytes(from: bytes.dropFirst(name.upperBound))
      }
      let held = unsafe UnsafeRawBufferPointer(space).bytes
      return policy.decide(Question(question, of: held), &attributes, &budget)
    }
  }

  /// The same of a question without a resource, and without attributes for conditions: of calls of our own API.
  public func decide(_ question: borrowing Question, _ budget: inout WorkBudget) -> Decision {
    var attributes = RequestAttributes()
    return decide(question, &attributes, &budget)
  }

  /// Why the tenant's policy allows what is asked, or does not.
  /// - Parameters:
  ///   - permission: without wildcards; nil is returned for what is none.
  ///   - resource: a path; empty: of all resources.
  public func explain(
    subject: String, permission: String, resource: String, at now: Timestamp,
    _ attributes: inout RequestAttributes, _ budget: inout WorkBudget
  ) -> DecisionExplanation? {
    let question = unsafe permission.utf8Span.span.bytes
    guard let colon = Permission.colon(in: question) else { return nil }
    var held = holder(subject)
    // Nobody holds anything under this name.
    if case .nothing = unsafe holding(subject.utf8Span.span.bytes) { held = "" }
    let asked = unsafe Question(
      subject: subject.utf8Span.span.bytes, permission: question, colon: colon,
      resource: resource.utf8Span.span.bytes, now: now)
    return unsafe policy.explain(
      Question(asked, of: held.utf8Span.span.bytes), &attributes, &budget)
  }

  /// What a subject may give away.
  public func power(of subject: String, at now: Timestamp) -> SubjectPower {
    // Nobody holds anything under no name.
    if case .nothing = unsafe holding(subject.utf8Span.span.bytes) {
      return policy.power(of: "", at: now)
    }
    return policy.power(of: holder(subject), at: now)
  }

  /// When the next of the roles that `subject` holds at `now` ends; nil: none does by itself.
  public func nextRoleEnd(of subject: String, after now: Timestamp) -> Timestamp? {
    if case .nothing = unsafe holding(subject.utf8Span.span.bytes) { return nil }
    return policy.nextEnd(of: holder(subject), after: now)
  }

  /// The subject as the policy knows it.
  public func holder(_ subject: String) -> String {
    guard case .bySlug(let name) = unsafe holding(subject.utf8Span.span.bytes) else {
      return subject
    }
    return TenantSubject.text(subject, name, replacedBy: idText)
  }

  /// Whether this is the tenant's id, its slug or a former one.
  /// - Parameter now: if given, a former slug counts as used.
  public func isNamed(_ name: RawSpan, at now: Timestamp? = nil) -> Bool {
    name.equals(idText) || isSlug(name, at: now)
  }

  /// What is held here by a subject.
  private enum Holding {
    /// It is another tenant's workload, whatever a store of an earlier version has assigned to it.
    case nothing
    case asNamed
    /// It names this tenant by its slug or a former one, and holds what it holds by the id.
    case bySlug(Range<Int>)
  }

  @inline(__always)
  private func holding(_ subject: RawSpan, at now: Timestamp? = nil) -> Holding {
    switch TenantSubject.kind(of: subject) {
    case .other: return .asNamed
    case .malformed: return .nothing
    case .workload(let name):
      let owner = subject.extracting(name)
      if owner.equals(idText) { return .asNamed }
      return isSlug(owner, at: now) ? .bySlug(name) : .nothing
    }
  }

  private func isSlug(_ name: RawSpan, at now: Timestamp?) -> Bool {
    if name.equals(tenant.slug.text) { return true }
    for former in formerSlugs where name.equals(former.slug.text) {
      if let now { former.noteUse(at: now) }
      return true
    }
    return false
  }
}
