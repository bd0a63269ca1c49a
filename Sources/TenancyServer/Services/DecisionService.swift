import Tenancy
import TenancyRPC
import TenancyWire

/// The methods of `tenancy.v1.Authorization` about decisions that were recorded.
struct DecisionService: Sendable {
  /// Roles, steps of conditions and bytes of attributes that a page looks at.
  static let maximumVisits = 100_000

  /// Nil: none are recorded.
  let log: DecisionLog?
  var turns = TenantTurns()

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.Authorization
    return [
      gate.async(API.listDecisions) { (access, request) throws(TenancyError) in
        try list(access, request)
      },
      gate.async(API.replayDecisions) { (access, request) async throws(TenancyError) in
        let tenant = try access.requireTarget().tenant.id
        return try await turns.perform(tenant) { () throws(TenancyError) in
          try replay(access, request)
        }
      },
    ]
  }

  private func list(
    _ access: Access, _ request: V1.ListDecisionsRequest
  ) throws(TenancyError) -> V1.ListDecisionsResponse {
    let record = try access.requireTarget()
    let query = try DecisionQuery(request.filter)
    let page = try Page(
      size: request.pageSize, token: request.pageToken,
      question: "decisions \(record.idText) \(request.after) \(query.text)")
    guard let log else { return V1.ListDecisionsResponse() }
    let found = log.decisions(
      of: record.tenant.id, after: try page.sequence ?? request.after, at: access.now)
    var answer = V1.ListDecisionsResponse(
      node: log.node, leftOut: found.leftOut, overwritten: found.overwritten,
      completeSince: GoogleProtobuf.Timestamp(found.completeSince), lastSequence: found.last)
    var (budget, last) = (WorkBudget(), request.after)
    for decision in found.decisions where query.matches(decision) {
      if answer.decisions.count == page.size || budget.isFull {
        answer.nextPageToken = page.token(after: String(last))
        answer.lastSequence = last
        break
      }
      budget.answer(bytes: decision.bytes)
      answer.decisions.append(V1.RecordedDecision(decision))
      last = decision.sequence
    }
    return answer
  }

  func replay(
    _ access: Access, _ request: V1.ReplayDecisionsRequest
  ) throws(TenancyError) -> V1.ReplayDecisionsResponse {
    let record = try access.requireTarget()
    if record.tenant.state.isGone { throw .tenantNotFound }
    let query = try DecisionQuery(request.filter)
    let page = try Page(
      size: request.pageSize, token: request.pageToken,
      question: "replay \(record.idText) \(query.text)")
    let revision = access.snapshot.state.revision
    var answer = V1.ReplayDecisionsResponse(revision: revision)
    var recorded = RecordedPage(try page.sequence, size: page.size, visits: Self.maximumVisits)
    let found = log?.decisions(of: record.tenant.id, after: recorded.last, at: access.now)
    for decision in found?.decisions ?? [] where query.matches(decision) {
      guard recorded.hasRoom else {
        answer.nextPageToken = page.token(after: String(recorded.last))
        break
      }
      let question = PolicyQuestion(decision)
      guard let now = question.answer(by: record, &recorded.budget) else {
        guard recorded.isTooMuch(decision) else {
          answer.nextPageToken = page.token(after: String(recorded.last))
          break
        }
        answer.unanswered += 1
        continue
      }
      recorded.note(decision)
      answer.replayed += 1
      if !decision.attributes.areExact { answer.inexact += 1 }
      if now == decision.answer { continue }
      let difference = V1.DecisionDifference(
        decision: V1.RecordedDecision(decision),
        before: V1.CheckResponse(decision.answer, revision: decision.revision),
        after: V1.CheckResponse(now, revision: revision),
        steps: question.steps(by: record, &recorded.budget),
        inexact: !decision.attributes.areExact)
      recorded.budget.answer(bytes: decision.bytes + difference.bytes)
      answer.differences.append(difference)
    }
    return answer
  }
}

/// How far one page of recorded decisions goes.
struct RecordedPage {
  var budget: WorkBudget
  /// The number of the last that was looked at.
  private(set) var last: UInt64
  private var rest: Int
  private var isFirst = true

  init(_ after: UInt64?, size: Int, visits: Int) {
    budget = WorkBudget(visits: visits)
    last = after ?? 0
    rest = size
  }

  /// Whether one more may be looked at.
  var hasRoom: Bool { rest > 0 && !budget.isSpent && !budget.isFull }

  mutating func note(_ decision: RecordedDecision) {
    last = decision.sequence
    rest -= 1
    isFirst = false
  }

  /// One could not be answered with what is left of the budget.
  /// - Returns: whether it can't be with all of it: then it is passed over. Otherwise the page ends before it.
  mutating func isTooMuch(_ decision: RecordedDecision) -> Bool {
    guard isFirst else { return false }
    note(decision)
    return true
  }
}

extension Page {
  /// After which decision it begins; nil: with the first.
  var sequence: UInt64? {
    get throws(TenancyError) {
      guard let after else { return nil }
      guard let sequence = UInt64(after) else { throw Self.badToken }
      return sequence
    }
  }
}
