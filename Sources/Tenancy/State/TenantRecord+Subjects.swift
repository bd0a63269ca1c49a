/// Questions about subjects, who may name the tenant by its id, its slug or a former one.
extension TenantRecord {
  /// A role that grants `question` to `subject` at `now`, or nil: denied. Does not allocate.
  /// - Parameter colon: where the question's is (`Permission.colon(in:)`).
  public func grantingRole(
    subject: RawSpan, question: RawSpan, colon: Int, now: Timestamp, _ budget: inout WorkBudget
  ) -> TenantPolicy.CompiledRole? {
    guard let name = slug(in: subject, at: now) else {
      return policy.grantingRole(
        subject: subject, question: question, colon: colon, now: now, &budget)
    }
    let length = subject.byteCount - name.count + idText.utf8.count
    return withUnsafeTemporaryAllocation(byteCount: length, alignment: 1) { space in
      // `slug(in:)` found the name within the subject, so that the three parts fill the space.
      subject.withUnsafeBytes { bytes in
        space.copyBytes(from: bytes.prefix(name.lowerBound))
        UnsafeMutableRawBufferPointer(rebasing: space.dropFirst(name.lowerBound))
          .copyBytes(from: idText.utf8)
        UnsafeMutableRawBufferPointer(
          rebasing: space.suffix(bytes.count - name.upperBound)
        ).copyBytes(from: bytes.dropFirst(name.upperBound))
      }
      return policy.grantingRole(
        subject: UnsafeRawBufferPointer(space).bytes, question: question, colon: colon, now: now,
        &budget)
    }
  }

  /// Whether a role of `subject` grants everything that `permission` stands for, wildcards included.
  public func holds(
    _ permission: Permission, subject: String, now: Timestamp, _ budget: inout WorkBudget
  ) -> Bool {
    policy.holds(permission, subject: holder(subject), now: now, &budget)
  }

  /// The subject as the policy knows it.
  public func holder(_ subject: String) -> String {
    guard let name = slug(in: subject.utf8Span.span.bytes) else { return subject }
    return TenantSubject.text(subject, name, replacedBy: idText)
  }

  /// Whether this is the tenant's id, its slug or a former one.
  /// - Parameter now: if given, a former slug counts as used.
  public func isNamed(_ name: RawSpan, at now: Timestamp? = nil) -> Bool {
    name.equals(idText) || isSlug(name, at: now)
  }

  /// Where a subject names this tenant by its slug or a former one.
  @inline(__always)
  private func slug(in subject: RawSpan, at now: Timestamp? = nil) -> Range<Int>? {
    guard let name = TenantSubject.name(in: subject),
      isSlug(subject.extracting(name), at: now)
    else { return nil }
    return name
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

extension RawSpan {
  fileprivate func equals(_ text: String) -> Bool {
    byteCount == text.utf8.count && begins(with: text)
  }
}
