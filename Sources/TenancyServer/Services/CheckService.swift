import Tenancy
import TenancyRPC
import TenancyWire

/// The questions of `tenancy.v1.Authorization`, on views of messages: this is the hot path.
struct CheckService: Sendable {
  /// Checks in one batch, at most.
  static let maximumBatch = 1000
  /// Roles, those in sets by the word, that a batch looks at. Only subjects that hold hundreds of roles
  /// which end some day can need more.
  static let maximumVisits = 100_000

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.Authorization
    return [
      gate.inline(onLoop: API.check) { (access, _, request, response) throws(TenancyError) in
        var budget = WorkBudget(visits: Self.maximumVisits)
        try check(
          access, try access.requireTarget(), subject: request.subject,
          permission: request.permission, &budget, &response)
      },
      gate.inline(viewing: API.batchCheck) { (access, request, response) throws(TenancyError) in
        var budget = WorkBudget(visits: Self.maximumVisits)
        try batch(access, request.items, &budget, &response)
      },
    ]
  }

  func batch(
    _ access: Access, _ items: borrowing MessageListView<V1.BatchCheckItem>,
    _ budget: inout WorkBudget, _ response: inout MessageBuilder<V1.BatchCheckResponse>
  ) throws(TenancyError) {
    guard (1...Self.maximumBatch).contains(items.count) else {
      throw .invalid("items", "1 to \(Self.maximumBatch) checks")
    }
    let tenant = try access.requireTarget()
    response.reserve(64 * items.count)
    for index in 0..<items.count {
      let item = items[index]
      guard !budget.isSpent else { throw Self.tooMuch }
      try response.write(.results) { result throws(TenancyError) in
        do throws(TenancyError) {
          try check(
            access, tenant, subject: item.subject, permission: item.permission, &budget, &result)
        } catch {
          guard let violation = error.violations.first else { throw error }
          throw .invalid("items[\(index)].\(violation.field)", violation.description)
        }
      }
    }
  }

  private static let tooMuch = TenancyError.invalid(
    "items",
    "the subjects hold too many roles between them: one call looks at \(maximumVisits) at most")

  private static let notAQuestion = TenancyError.invalid(
    "permission", "not of the form resource:action, without wildcards")

  func check(
    _ access: Access, _ record: TenantRecord, subject: borrowing TextView,
    permission: borrowing TextView, _ budget: inout WorkBudget,
    _ response: inout MessageBuilder<V1.CheckResponse>
  ) throws(TenancyError) {
    guard (1...RoleCommands.maximumSubjectBytes).contains(subject.bytes.byteCount) else {
      throw .invalid("subject", "1 to \(RoleCommands.maximumSubjectBytes) bytes")
    }
    let subject = try WireErrors.text(subject)
    guard permission.bytes.byteCount <= Permission.maximumLength else { throw Self.notAQuestion }
    let question = try WireErrors.text(permission)
    guard let colon = Permission.colon(in: question) else { throw Self.notAQuestion }
    switch record.tenant.state {
    case .active:
      let role = record.grantingRole(
        subject: subject, question: question, colon: colon, now: access.now, &budget)
      response.write(.allowed, role != nil)
      response.write(.reason, role == nil ? .noGrant : .role)
      if let role { response.write(.role, role.role.id) }
    case .deleted, .purging, .purged: throw .tenantNotFound
    case .pending, .provisioning, .suspended, .maintenance, .provisionFailed:
      response.write(.reason, .tenantInactive)
    }
    response.write(.revision, access.snapshot.state.revision)
  }
}
