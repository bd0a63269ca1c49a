/// What is asked of a policy: may this subject do this, to what, at which moment. Lent for one call.
public struct Question: ~Escapable {
  /// As the policy knows it.
  let subject: RawSpan
  /// As it is asked about: by whichever name of its tenant.
  let named: RawSpan
  /// `resource:action`.
  let permission: RawSpan
  /// Where the permission's is.
  let colon: Int
  /// Of which resource of the type; empty: of all of them.
  let resource: RawSpan
  let now: Timestamp

  /// - Parameters:
  ///   - permission: without wildcards.
  ///   - colon: where that has it (`Permission.colon(in:)`).
  ///   - resource: a path (`ResourceScope.isPath`); empty: about all resources of the permission's type.
  @_lifetime(copy subject, copy permission, copy resource)
  public init(
    subject: RawSpan, permission: RawSpan, colon: Int, resource: RawSpan, now: Timestamp
  ) {
    self.subject = subject
    named = subject
    self.permission = permission
    self.colon = colon
    self.resource = resource
    self.now = now
  }

  /// About all resources of the permission's type.
  @_lifetime(copy subject, copy permission)
  public init(subject: RawSpan, permission: RawSpan, colon: Int, now: Timestamp) {
    self.subject = subject
    named = subject
    self.permission = permission
    self.colon = colon
    resource = RawSpan()
    self.now = now
  }

  /// The same about the subject as the policy knows it.
  @_lifetime(copy question, copy subject)
  init(_ question: borrowing Question, of subject: RawSpan) {
    self.subject = subject
    named = question.named
    permission = question.permission
    colon = question.colon
    resource = question.resource
    now = question.now
  }
}

/// What a policy answers. There is no way to take one for a `Bool`.
public enum Decision: Sendable {
  /// The number of the subject's role that allows it, or inherits that (`TenantPolicy.role(number:)`).
  case allowed(role: Int)
  /// That of the subject's role that denies it, or inherits that: whatever others allow.
  case denied(role: Int)
  /// No role of the subject allows it.
  case notAllowed

  /// The number of the role that allows it; nil where it is not allowed.
  public var allowingRole: Int? {
    if case .allowed(let role) = self { role } else { nil }
  }
}
