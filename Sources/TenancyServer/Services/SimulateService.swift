import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.Authorization.Simulate`.
struct SimulateService: Sendable {
  let policies: PolicyService
  /// Nil: no decisions are recorded.
  let log: DecisionLog?
  var turns = TenantTurns()

  func methods(_ gate: Gate) -> [TenancyMethod] {
    [
      gate.async(V1.Authorization.simulate) { (access, request) async throws(TenancyError) in
        let tenant = try access.requireTarget().tenant.id
        return try await turns.perform(tenant) { () throws(TenancyError) in
          try simulate(access, request)
        }
      }
    ]
  }

  private func simulate(
    _ access: Access, _ request: V1.SimulateRequest
  ) throws(TenancyError) -> V1.SimulateResponse {
    let before = try access.requireTarget()
    if before.tenant.state.isGone { throw .tenantNotFound }
    guard request.queries.count <= CheckService.maximumBatch else {
      throw .invalid("queries", "at most \(CheckService.maximumBatch)")
    }
    let query = try request.recorded.map { filter throws(TenancyError) in
      try DecisionQuery(filter)
    }
    let page = try Page(
      size: request.pageSize, token: request.pageToken,
      question: try Self.question(of: request, before))
    let sequence = try page.sequence
    var questions: [PolicyQuestion] = []
    for (index, item) in request.queries.enumerated() {
      questions.append(try PolicyQuestion(item, at: access.now, "queries[\(index)]"))
    }
    let after = try policies.commands(access).tried(
      try PolicyService.changes(request.changes, in: before), on: access.snapshot.state,
      at: access.now)
    var comparison = PolicyComparison(
      before, after, revision: access.snapshot.state.revision, page,
      RecordedPage(sequence, size: page.size, visits: DecisionService.maximumVisits))
    if sequence == nil { try comparison.ask(questions) }
    if let query, let log {
      let found = log.decisions(
        of: before.tenant.id, after: sequence ?? 0, at: access.now)
      comparison.ask(found.decisions.lazy.filter(query.matches))
    }
    return comparison.answer
  }

  /// What must not change from page to page.
  private static func question(
    of request: V1.SimulateRequest, _ record: TenantRecord
  ) throws(TenancyError) -> String {
    guard request.recorded != nil else { return "simulate \(record.idText)" }
    var rest = request
    (rest.pageSize, rest.pageToken, rest.queries) = (0, "", [])
    return "simulate \(record.idText) \(rest.json().text())"
  }
}

/// Asks two policies the same.
private struct PolicyComparison {
  private let before, after: TenantRecord
  private let revision: UInt64
  private let page: Page
  private var recorded: RecordedPage
  private(set) var answer: V1.SimulateResponse

  init(
    _ before: TenantRecord, _ after: TenantRecord, revision: UInt64, _ page: Page,
    _ recorded: RecordedPage
  ) {
    self.before = before
    self.after = after
    self.revision = revision
    self.page = page
    self.recorded = recorded
    answer = V1.SimulateResponse(revision: revision)
  }

  mutating func ask(_ questions: [PolicyQuestion]) throws(TenancyError) {
    for (index, question) in questions.enumerated() {
      guard !recorded.budget.isSpent, !recorded.budget.isFull else {
        throw .invalid("queries", "too many, or of subjects that hold too much: ask about fewer")
      }
      if var difference = compare(question) {
        difference.query = Int32(index)
        answer.differences.append(difference)
      }
    }
  }

  mutating func ask(_ decisions: some Sequence<RecordedDecision>) {
    for decision in decisions {
      guard recorded.hasRoom else {
        // Before the first there is none: its number is greater.
        answer.nextPageToken = page.token(after: String(recorded.last))
        return
      }
      recorded.note(decision)
      let isExact = decision.attributes.areExact
      if !isExact { answer.inexact += 1 }
      if var difference = compare(PolicyQuestion(decision)) {
        difference.decision = V1.RecordedDecision(decision)
        difference.inexact = !isExact
        recorded.budget.answer(bytes: decision.bytes)
        answer.differences.append(difference)
      }
    }
  }

  /// - Returns: nil where both answer the same.
  private mutating func compare(_ question: PolicyQuestion) -> V1.DecisionDifference? {
    var (one, other) = (
      WorkBudget(visits: DecisionService.maximumVisits),
      WorkBudget(visits: DecisionService.maximumVisits)
    )
    defer { recorded.budget.visit(one.visits + other.visits) }
    guard let first = question.answer(by: before, &one),
      let second = question.answer(by: after, &other)
    else {
      answer.unanswered += 1
      return nil
    }
    answer.compared += 1
    if first == second { return nil }
    let explains = second.reason == .noGrant ? before : after
    let difference = V1.DecisionDifference(
      before: V1.CheckResponse(first, revision: revision),
      after: V1.CheckResponse(second, revision: revision),
      steps: question.steps(by: explains, &other))
    recorded.budget.answer(bytes: difference.bytes)
    return difference
  }
}
