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

  func methods(_ gate: Gate) -> [ServiceMethod] {
    typealias API = V1.Authorization
    return [
      gate.inlineC(API.check) { (access, request, arena) throws(TenancyError) in
        var budget = WorkBudget(visits: Self.maximumVisits)
        return try check(
          access, try access.requireTarget(), subject: request.pointee.subject,
          permission: request.pointee.permission, &budget, arena)
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
  ) throws(TenancyError) -> UnsafeMutablePointer<Tenancy__V1__BatchCheckResponse> {
    let count = request.pointee.n_items
    guard (1...Self.maximumBatch).contains(count) else {
      throw .invalid("items", "1 to \(Self.maximumBatch) checks")
    }
    let tenant = try access.requireTarget()
    let results = arena.zeroedArray(
      UnsafeMutablePointer<Tenancy__V1__CheckResponse>?.self, count: count)
    for index in 0..<count {
      guard let item = request.pointee.items[index] else { throw .invalid("items", "missing") }
      guard !budget.isSpent else { throw Self.tooMuch }
      do throws(TenancyError) {
        results[index] = try check(
          access, tenant, subject: item.pointee.subject, permission: item.pointee.permission,
          &budget, arena)
      } catch {
        guard let violation = error.violations.first else { throw error }
        throw .invalid("items[\(index)].\(violation.field)", violation.description)
      }
    }
    let response = arena.zeroed(Tenancy__V1__BatchCheckResponse.self)
    tenancy__v1__batch_check_response__init(response)
    response.pointee.n_results = count
    response.pointee.results = results
    return response
  }

  private static let tooMuch = TenancyError.invalid(
    "items",
    "the subjects hold too many roles between them: one call looks at \(maximumVisits) at most")

  private static let notAQuestion = TenancyError.invalid(
    "permission", "not of the form resource:action, without wildcards")

  func check(
    _ access: Access, _ record: TenantRecord, subject: ProtobufCBinaryData,
    permission: ProtobufCBinaryData, _ budget: inout WorkBudget, _ arena: Arena
  ) throws(TenancyError) -> UnsafeMutablePointer<Tenancy__V1__CheckResponse> {
    guard (1...RoleCommands.maximumSubjectBytes).contains(subject.bytes.count) else {
      throw .invalid("subject", "1 to \(RoleCommands.maximumSubjectBytes) bytes")
    }
    let subject = try WireErrors.text(subject, "subject").bytes
    guard permission.bytes.count <= Permission.maximumLength else { throw Self.notAQuestion }
    let question = try WireErrors.text(permission, "permission").bytes
    guard let colon = Permission.colon(in: question) else { throw Self.notAQuestion }
    let response = arena.zeroed(Tenancy__V1__CheckResponse.self)
    tenancy__v1__check_response__init(response)
    response.pointee.revision = access.snapshot.state.revision
    guard record.tenant.state == .active else {
      if record.tenant.state == .deleted { throw .tenantNotFound }
      response.pointee.reason = TENANCY__V1__DECISION_REASON__DECISION_REASON_TENANT_INACTIVE
      return response
    }
    guard
      let role = record.grantingRole(
        subject: subject, question: question, colon: colon, now: access.now, &budget)
    else {
      response.pointee.reason = TENANCY__V1__DECISION_REASON__DECISION_REASON_NO_GRANT
      return response
    }
    response.pointee.allowed = 1
    response.pointee.reason = TENANCY__V1__DECISION_REASON__DECISION_REASON_ROLE
    response.pointee.role = arena.copy(role.role.id)
    return response
  }
}
