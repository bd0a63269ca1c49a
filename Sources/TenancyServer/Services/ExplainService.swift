import Tenancy
import TenancyConditions
import TenancyRPC
import TenancyWire

/// `tenancy.v1.Authorization.Explain`.
struct ExplainService: Sendable {
  /// Assignments and parts of conditions that one explanation looks at.
  private static let maximumVisits = 100_000

  func methods(_ gate: Gate) -> [TenancyMethod] {
    [
      gate.async(V1.Authorization.explain) { (access, request) throws(TenancyError) in
        try explain(access, request)
      }
    ]
  }

  private func explain(
    _ access: Access, _ request: V1.ExplainRequest
  ) throws(TenancyError) -> V1.ExplainResponse {
    let record = try access.requireTarget()
    var attributes = try Self.check(request)
    var budget = WorkBudget(visits: Self.maximumVisits)
    let revision = access.snapshot.state.revision
    switch record.tenant.state {
    case .active: break
    case .deleted, .purging, .purged: throw .tenantNotFound
    case .pending, .provisioning, .suspended, .maintenance, .provisionFailed:
      return V1.ExplainResponse(
        answer: V1.CheckResponse(reason: .tenantInactive, revision: revision))
    }
    guard
      let found = record.explain(
        subject: request.subject, permission: request.permission, resource: request.resource,
        at: access.now, &attributes, &budget)
    else { throw CheckService.notAQuestion }
    var answer = V1.CheckResponse(revision: revision)
    switch found.decision {
    case .allowed(let role):
      (answer.allowed, answer.reason, answer.role) = (
        true, .role, record.policy.roleID(number: role)
      )
    case .denied(let role):
      (answer.reason, answer.role) = (.denied, record.policy.roleID(number: role))
    case .notAllowed: answer.reason = .noGrant
    }
    return V1.ExplainResponse(
      answer: answer, steps: found.steps.map { V1.DecisionStep($0, tenant: record.idText) },
      missingRoles: found.missingRoles, truncated: found.isTruncated)
  }

  /// As Check has it.
  private static func check(
    _ request: V1.ExplainRequest
  ) throws(TenancyError) -> RequestAttributes {
    guard (1...RoleCommands.maximumSubjectBytes).contains(request.subject.utf8.count) else {
      throw .invalid("subject", "1 to \(RoleCommands.maximumSubjectBytes) bytes")
    }
    guard
      request.resource.isEmpty || ResourceScope.isPath(request.resource.utf8Span.span.bytes)
    else { throw CheckService.notAPath }
    guard let sent = request.attributes else { return RequestAttributes() }
    let bytes = [sent.subject, sent.resource, sent.context].compactMap { $0 }
      .reduce(0) { $0 + StructCodec.encode($1).count }
    guard bytes <= CheckService.maximumAttributeBytes else { throw CheckService.tooManyAttributes }
    return RequestAttributes(sent, bytes: bytes)
  }
}

extension V1.DecisionStep {
  init(_ step: DecisionExplanation.Step, tenant: String) {
    self.init(
      assignment: V1.RoleAssignment(step.assignment, tenant: tenant), rolePath: step.path,
      permission: step.permission, denies: step.denies, outcome: V1.StepOutcome(step.outcome),
      conditionParts: (step.condition?.parts ?? []).map { V1.ConditionPart($0) })
  }
}

extension V1.StepOutcome {
  fileprivate init(_ outcome: DecisionExplanation.Step.Outcome) {
    self =
      switch outcome {
      case .applies: .applies
      case .conditionUnsatisfied: .conditionUnsatisfied
      case .conditionFailed: .conditionFailed
      case .otherResource: .otherResource
      case .expired: .expired
      }
  }
}

extension V1.ConditionPart {
  fileprivate init(_ part: ConditionExplanation.Part) {
    switch part.outcome {
    case .satisfied: self.init(text: part.text, outcome: .satisfied)
    case .unsatisfied: self.init(text: part.text, outcome: .unsatisfied)
    case .failed(let failure):
      self.init(text: part.text, outcome: .failed, failure: failure.reason.description)
    }
  }
}
