import Tenancy
import TenancyRPC
import TenancyWire

/// The questions of `tenancy.v1.Authorization`, on views of messages: this is the hot path.
struct CheckService: Sendable {
  /// Checks in one batch, at most.
  static let maximumBatch = 1000
  /// Roles, those in sets by the word, steps of conditions and bytes of attributes that a call looks at. Only subjects
  /// that hold hundreds of roles which end some day, or are under conditions, can need more.
  static let maximumVisits = 100_000

  /// Of calls that no event loop answers.
  private let elsewhere: DecisionShard?

  /// - Parameter decisions: nil: none are recorded.
  init(decisions: DecisionLog? = nil) { elsewhere = decisions?.shared }

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.Authorization
    return [
      gate.inline(onLoop: API.check) { (access, loop, request, response) throws(TenancyError) in
        var budget = WorkBudget(visits: Self.maximumVisits)
        var attributes = RequestAttributes()
        if let sent = request.attributes { attributes = try Self.attributes(sent, &budget) }
        try check(
          access, try access.requireTarget(), subject: request.subject,
          permission: request.permission, resource: request.resource, &attributes, &budget,
          &response, Recorder(loop?.decisions ?? elsewhere, .check))
      },
      gate.inline(onLoop: API.batchCheck) {
        (access, loop, request, response) throws(TenancyError) in
        var budget = WorkBudget(visits: Self.maximumVisits)
        var common = RequestAttributes()
        if let sent = request.attributes { common = try Self.attributes(sent, &budget) }
        try batch(
          access, request.items, common, &budget, &response,
          Recorder(loop?.decisions ?? elsewhere, .batchCheck))
      },
    ]
  }

  func batch(
    _ access: Access, _ items: borrowing MessageListView<V1.BatchCheckItem>,
    _ common: RequestAttributes, _ budget: inout WorkBudget,
    _ response: inout MessageBuilder<V1.BatchCheckResponse>, _ recorder: Recorder = .none
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
          var attributes = common
          if let own = item.attributes { attributes = try Self.attributes(own, &budget) }
          try check(
            access, tenant, subject: item.subject, permission: item.permission,
            resource: item.resource, &attributes, &budget, &result, recorder)
        } catch {
          guard let violation = error.violations.first else { throw error }
          throw .invalid("items[\(index)].\(violation.field)", violation.description)
        }
      }
    }
  }

  private static let tooMuch = TenancyError.invalid(
    "items",
    "the subjects hold too many roles between them, under too many conditions, or there are too many attributes: one "
      + "call looks at \(maximumVisits) at most")

  static let tooMuchOfOne = TenancyError.invalid(
    "subject",
    "holds too many roles under too many conditions, or there is no time left for it in this call")

  static let tooManyAttributes = TenancyError.invalid(
    "attributes", "at most \(maximumAttributeBytes) bytes")

  static let notAPath = TenancyError.invalid(
    "resource",
    "1 to \(ResourceScope.maximumBytes) bytes: parts between slashes, none of them empty, '.', '..' or with a '*'"
  )

  static let notAQuestion = TenancyError.invalid(
    "permission", "not of the form resource:action, without wildcards")

  /// Bytes of the attributes of one question, as they are encoded, at most.
  static let maximumAttributeBytes = 16 * 1024
  /// What decoding them costs.
  private static let bytesPerVisit = 2

  /// What a request has for conditions.
  private static func attributes(
    _ sent: borrowing MessageView<V1.CheckAttributes>, _ budget: inout WorkBudget
  ) throws(TenancyError) -> RequestAttributes {
    let bytes = sent.byteCount
    guard bytes <= maximumAttributeBytes else { throw tooManyAttributes }
    budget.visit(bytes / bytesPerVisit)
    return RequestAttributes(try WireErrors.read(sent, inside: "attributes"), bytes: bytes)
  }

  func check(
    _ access: Access, _ record: TenantRecord, subject: borrowing TextView,
    permission: borrowing TextView, resource: borrowing TextView,
    _ attributes: inout RequestAttributes, _ budget: inout WorkBudget,
    _ response: inout MessageBuilder<V1.CheckResponse>, _ recorder: Recorder = .none
  ) throws(TenancyError) {
    guard (1...RoleCommands.maximumSubjectBytes).contains(subject.bytes.byteCount) else {
      throw .invalid("subject", "1 to \(RoleCommands.maximumSubjectBytes) bytes")
    }
    let subject = try WireErrors.text(subject)
    guard permission.bytes.byteCount <= Permission.maximumLength else { throw Self.notAQuestion }
    let question = try WireErrors.text(permission)
    guard let colon = Permission.colon(in: question) else { throw Self.notAQuestion }
    var path = RawSpan()
    if !resource.isEmpty {
      guard resource.bytes.byteCount <= ResourceScope.maximumBytes else { throw Self.notAPath }
      path = try WireErrors.text(resource)
      guard ResourceScope.isPath(path) else { throw Self.notAPath }
    }
    switch record.tenant.state {
    case .active:
      let decision = record.decide(
        Question(
          subject: subject, permission: question, colon: colon, resource: path, now: access.now),
        &attributes, &budget)
      // What it was too much to look at might have decided otherwise.
      if attributes.isCutShort { throw Self.tooMuchOfOne }
      recorder.note(decision, record, subject, question, path, attributes, access)
      switch decision {
      case .allowed(let role):
        response.write(.allowed, true)
        response.write(.reason, .role)
        response.write(.role, record.policy.roleID(number: role))
      case .denied(let role):
        response.write(.reason, .denied)
        response.write(.role, record.policy.roleID(number: role))
      case .notAllowed: response.write(.reason, .noGrant)
      }
    case .deleted, .purging, .purged: throw .tenantNotFound
    case .pending, .provisioning, .suspended, .maintenance, .provisionFailed:
      recorder.note(nil, record, subject, question, path, attributes, access)
      response.write(.reason, .tenantInactive)
    }
    response.write(.revision, access.snapshot.state.revision)
  }
}

extension RequestAttributes {
  /// - Parameter bytes: of all of it, as it is encoded.
  init(_ sent: V1.CheckAttributes, bytes: Int) {
    func map(_ object: [String: JSONValue]?) -> AttributeMap? {
      object.map { AttributeMap($0, weight: bytes) }
    }
    self.init(
      subject: map(sent.subject), resource: map(sent.resource), context: map(sent.context))
  }
}
