import CTenancyProtobufC
import CTenancyProto
import Tenancy
import TenancyRPC
import TenancyWire

/// The questions of `tenancy.v1.Authorization`, on messages in C: this is the hot path.
struct CheckService: Sendable {
  /// Checks in one batch, at most.
  static let maximumBatch = 1000
  /// Roles, those in sets by the word, that a batch looks at. Only subjects that hold hundreds of roles
  /// which end some day can need more.
  static let maximumVisits = 100_000

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.Authorization
    return [
      gate.inlineC(API.check) { (access, request, arena) throws(TenancyError) in
        var budget = WorkBudget(visits: Self.maximumVisits)
        var response = MessageBuilder<V1.CheckResponse>(in: arena)
        try check(
          access, try access.requireTarget(), subject: request.pointee.subject,
          permission: request.pointee.permission, &budget, &response)
        return response.finish()
      },
      gate.inlineC(API.batchCheck) { (access, request, arena) throws(TenancyError) in
        var budget = WorkBudget(visits: Self.maximumVisits)
        return try batch(access, request, &budget, arena)
      },
    ]
  }

  func batch(
    _ access: Access, _ request: UnsafePointer<Tenancy__V1__BatchCheckRequest>,
    _ budget: inout WorkBudget, _ arena: Arena
  ) throws(TenancyError) -> EncodedMessage<V1.BatchCheckResponse> {
    let count = request.pointee.n_items
    guard (1...Self.maximumBatch).contains(count) else {
      throw .invalid("items", "1 to \(Self.maximumBatch) checks")
    }
    let tenant = try access.requireTarget()
    var response = MessageBuilder<V1.BatchCheckResponse>(in: arena, capacity: 64 * count)
    for index in 0..<count {
      guard let item = request.pointee.items[index] else { throw .invalid("items", "missing") }
      guard !budget.isSpent else { throw Self.tooMuch }
      try response.write(.results) { result throws(TenancyError) in
        do throws(TenancyError) {
          try check(
            access, tenant, subject: item.pointee.subject, permission: item.pointee.permission,
            &budget, &result)
        } catch {
          guard let violation = error.violations.first else { throw error }
          throw .invalid("items[\(index)].\(violation.field)", violation.description)
        }
      }
    }
    return response.finish()
  }

  private static let tooMuch = TenancyError.invalid(
    "items",
    "the subjects hold too many roles between them: one call looks at \(maximumVisits) at most")

  private static let notAQuestion = TenancyError.invalid(
    "permission", "not of the form resource:action, without wildcards")

  func check(
    _ access: Access, _ record: TenantRecord, subject: ProtobufCBinaryData,
    permission: ProtobufCBinaryData, _ budget: inout WorkBudget,
    _ response: inout MessageBuilder<V1.CheckResponse>
  ) throws(TenancyError) {
    guard (1...RoleCommands.maximumSubjectBytes).contains(subject.bytes.count) else {
      throw .invalid("subject", "1 to \(RoleCommands.maximumSubjectBytes) bytes")
    }
    let subject = try WireErrors.text(subject, "subject").bytes
    guard permission.bytes.count <= Permission.maximumLength else { throw Self.notAQuestion }
    let question = try WireErrors.text(permission, "permission").bytes
    guard let colon = Permission.colon(in: question) else { throw Self.notAQuestion }
    switch record.tenant.state {
    case .active:
      let role = record.grantingRole(
        subject: subject, question: question, colon: colon, now: access.now, &budget)
      response.write(.allowed, role != nil)
      response.write(.reason, role == nil ? .noGrant : .role)
      if let role { response.write(.role, role.role.id) }
    case .deleted: throw .tenantNotFound
    case .pending, .provisioning, .suspended, .maintenance, .provisionFailed:
      response.write(.reason, .tenantInactive)
    }
    response.write(.revision, access.snapshot.state.revision)
  }
}
