import Tenancy
import TenancyWire

/// A question that a policy is asked again.
struct PolicyQuestion: Sendable {
  let subject, permission, resource: String
  let attributes: RequestAttributes
  let time: Timestamp
  /// Bytes of attributes that are made into values.
  let weight: Int

  init(_ decision: RecordedDecision) {
    subject = decision.subject
    permission = decision.permission
    resource = decision.resource
    attributes = decision.attributes.told
    time = decision.time
    weight = decision.attributes.bytes
  }

  /// - Parameter place: of the question in the request.
  /// - Throws: INVALID_ARGUMENT for what Check takes for no question.
  init(_ item: V1.BatchCheckItem, at now: Timestamp, _ place: String) throws(TenancyError) {
    guard (1...RoleCommands.maximumSubjectBytes).contains(item.subject.utf8.count) else {
      throw .invalid("\(place).subject", "1 to \(RoleCommands.maximumSubjectBytes) bytes")
    }
    guard Permission.colon(in: item.permission.utf8Span.span.bytes) != nil else {
      throw .invalid(
        "\(place).permission", "not of the form resource:action, without wildcards")
    }
    guard item.resource.isEmpty || ResourceScope.isPath(item.resource.utf8Span.span.bytes) else {
      throw .invalid("\(place).resource", "not a path")
    }
    subject = item.subject
    permission = item.permission
    resource = item.resource
    time = now
    let sent = item.attributes
    let bytes = [sent?.subject, sent?.resource, sent?.context].compactMap(\.self)
      .reduce(0) { $0 + StructCodec.encode($1).count }
    guard bytes <= CheckService.maximumAttributeBytes else {
      throw .invalid(
        "\(place).attributes", "at most \(CheckService.maximumAttributeBytes) bytes")
    }
    weight = bytes
    attributes = sent.map { RequestAttributes($0, bytes: bytes) } ?? RequestAttributes()
  }

  /// What a tenant's policy answers; nil: that takes too much.
  func answer(
    by record: TenantRecord, _ budget: inout WorkBudget
  ) -> RecordedDecision.Answer? {
    budget.visit(1 + weight / 2)
    guard record.tenant.state == .active else { return .init(nil, record.policy) }
    let question = permission.utf8Span.span.bytes
    guard let colon = Permission.colon(in: question) else { return nil }
    var attributes = attributes
    let decision = record.decide(
      Question(
        subject: subject.utf8Span.span.bytes, permission: question, colon: colon,
        resource: resource.utf8Span.span.bytes, now: time), &attributes, &budget)
    return attributes.isCutShort ? nil : .init(decision, record.policy)
  }

  /// What leads to the answer, the most important first.
  func steps(by record: TenantRecord, _ budget: inout WorkBudget) -> [V1.DecisionStep] {
    guard record.tenant.state == .active else { return [] }
    budget.visit(Self.visitsOfExplaining)
    var attributes = attributes
    let found = record.explain(
      subject: subject, permission: permission, resource: resource, at: time, &attributes, &budget)
    return (found?.steps ?? []).prefix(Self.maximumSteps).map {
      V1.DecisionStep($0, tenant: record.idText)
    }
  }

  /// Steps that are told of one.
  private static let maximumSteps = 4
  /// What taking conditions apart costs, beside what is counted.
  private static let visitsOfExplaining = 1_000
}

extension V1.CheckResponse {
  init(_ answer: RecordedDecision.Answer, revision: UInt64) {
    self.init(
      allowed: answer.isAllowed, reason: V1.DecisionReason(answer.reason), role: answer.role,
      revision: revision)
  }
}

extension V1.DecisionReason {
  fileprivate init(_ reason: RecordedDecision.Answer.Reason) {
    self =
      switch reason {
      case .role: .role
      case .noGrant: .noGrant
      case .denied: .denied
      case .tenantInactive: .tenantInactive
      }
  }
}

extension V1.RecordedDecision {
  init(_ decision: RecordedDecision) {
    let kept = decision.attributes
    self.init(
      sequence: decision.sequence, time: GoogleProtobuf.Timestamp(decision.time),
      subject: decision.subject, permission: decision.permission, resource: decision.resource,
      attributes: kept.message,
      answer: V1.CheckResponse(decision.answer, revision: decision.revision),
      source: V1.DecisionSource(decision.source), redactedAttributes: kept.redacted,
      attributesOmitted: kept.areOmitted)
  }
}

extension V1.DecisionSource {
  fileprivate init(_ source: RecordedDecision.Source) {
    self =
      switch source {
      case .check: .check
      case .batchCheck: .batchCheck
      case .authZEN: .authzen
      }
  }
}

extension V1.DecisionDifference {
  /// What it takes in an answer, about.
  var bytes: Int {
    steps.reduce(512) { sum, step in
      let parts = step.conditionParts.reduce(0) { $0 + $1.text.utf8.count + $1.failure.utf8.count }
      return sum + 512 + 2 * (step.assignment?.condition.utf8.count ?? 0) + parts
    }
  }
}
