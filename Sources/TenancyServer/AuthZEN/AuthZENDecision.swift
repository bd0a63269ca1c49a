import Tenancy

/// How one access evaluation was decided.
struct AuthZENDecision: Sendable, Equatable {
  enum Reason: String, Sendable {
    case role, denied
    case noGrant = "no_grant"
    case tenantInactive = "tenant_inactive"
  }

  let isAllowed: Bool
  let reason: Reason
  /// The one that grants it, or denies it; nil where none does either.
  var role: String?
  /// Of the state that it was decided on.
  let revision: UInt64

  /// Decides as `Authorization.Check` does.
  /// - Throws: INVALID_ARGUMENT where `question` is none.
  static func decide(
    _ question: AuthZENQuestion, _ access: Access, _ record: TenantRecord,
    _ budget: inout WorkBudget, _ recorder: Recorder = .none
  ) throws(TenancyError) -> AuthZENDecision {
    let revision = access.snapshot.state.revision
    let permission = question.permission.utf8Span.span.bytes
    guard let colon = Permission.colon(in: permission) else {
      throw Permission.malformed("action.name")
    }
    switch record.tenant.state {
    case .active: break
    case .deleted, .purging, .purged: throw .tenantNotFound
    case .pending, .provisioning, .suspended, .maintenance, .provisionFailed:
      recorder.note(
        nil, record, question.subject.utf8Span.span.bytes, permission,
        question.resource.utf8Span.span.bytes, question.attributes, access)
      return AuthZENDecision(isAllowed: false, reason: .tenantInactive, revision: revision)
    }
    guard question.resource.isEmpty || ResourceScope.isPath(question.resource.utf8Span.span.bytes)
    else { throw Self.notAPath }
    var attributes = question.attributes
    let decision = record.decide(
      Question(
        subject: question.subject.utf8Span.span.bytes, permission: permission, colon: colon,
        resource: question.resource.utf8Span.span.bytes, now: access.now), &attributes, &budget)
    if attributes.isCutShort { throw CheckService.tooMuchOfOne }
    recorder.note(
      decision, record, question.subject.utf8Span.span.bytes, permission,
      question.resource.utf8Span.span.bytes, attributes, access)
    return switch decision {
    case .allowed(let role):
      AuthZENDecision(
        isAllowed: true, reason: .role, role: record.policy.roleID(number: role),
        revision: revision)
    case .denied(let role):
      AuthZENDecision(
        isAllowed: false, reason: .denied, role: record.policy.roleID(number: role),
        revision: revision)
    case .notAllowed: AuthZENDecision(isAllowed: false, reason: .noGrant, revision: revision)
    }
  }

  static let notAPath = TenancyError.invalid(
    "resource.id",
    "must have at most \(ResourceScope.maximumBytes) bytes: parts between slashes, none of them empty, '.', '..' or "
      + "with a '*'")

  func write(to text: inout String) {
    text += "{\"decision\":\(isAllowed),\"context\":{\"reason\":\"\(reason.rawValue)\","
    if let role { text += "\"role\":\(JSONValue.string(role).text())," }
    text += "\"revision\":\(revision)}}"
  }

  /// What is answered in the place of one that could not be made.
  static func write(_ error: TenancyError, to text: inout String) {
    var told: [String: JSONValue] = [
      "status": .number(Double(AuthZENAnswer.status(of: error))),
      "message": .string(error.message),
    ]
    if let field = error.violations.first?.field { told["field"] = .string(field) }
    text += "{\"decision\":false,\"context\":{\"error\":\(JSONValue.object(told).text())}}"
  }
}
