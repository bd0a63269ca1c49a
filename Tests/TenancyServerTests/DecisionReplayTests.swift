import Synchronization
import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyServer

/// Pages of decisions that are asked again, where one call can't ask all.
struct DecisionReplayTests {
  private static let acme = Sample.tenant(1, "acme")
  /// Assignments of the subject, each under a condition.
  private static let assignments = 613

  private let access: Access

  init() throws {
    let role = Role(
      id: "reader", title: "", summary: "", permissions: ["docs:read"], version: 1,
      createTime: Sample.moment, updateTime: Sample.moment)
    let changes: [Change] = (0..<Self.assignments).map { number in
      var terms = RoleAssignment.Terms()
      terms.condition = "context.mfa == true"
      return .putAssignment(
        Self.acme.id,
        RoleAssignment(
          id: "\(number)", subject: "user:al", role: "reader", terms: terms,
          createTime: Sample.moment, expireTime: nil))
    }
    let plane = try Sample.plane([Self.acme], [.putRole(Self.acme.id, role)] + changes)
    let record = plane.state.find("acme")
    access = Access(
      caller: Caller(
        .tenant(name: "acme"), subject: "x", source: .certificate, certificate: nil,
        rules: IdentityRules(trustDomains: [])),
      home: record, target: record, now: Sample.moment, snapshot: plane.snapshot)
  }

  private func service(recording count: Int) throws -> DecisionService {
    var terms = DecisionTerms()
    terms.denialsPerSecond = 1_000
    let log = DecisionLog(terms, start: Sample.moment, node: "one")
    let recorder = Recorder(log.makeShard(), .check)
    for _ in 0..<count {
      recorder.note(
        .notAllowed, try access.requireTarget(), "user:al".utf8Span.span.bytes,
        "docs:read".utf8Span.span.bytes, "".utf8Span.span.bytes, RequestAttributes(), access)
    }
    return DecisionService(log: log)
  }

  private func pages(
    _ service: DecisionService
  ) throws(TenancyError) -> [V1.ReplayDecisionsResponse] {
    var (pages, token) = ([V1.ReplayDecisionsResponse](), "")
    repeat {
      let page = try service.replay(
        access, V1.ReplayDecisionsRequest(tenant: "acme", pageSize: 1_000, pageToken: token))
      pages.append(page)
      token = page.nextPageToken
    } while !token.isEmpty && pages.count < 100
    return pages
  }

  /// Also the last, when it is the one that the budget of its page does not reach for.
  @Test func everyDecisionIsAskedAgainOrCounted() throws {
    let first = try pages(service(recording: 400))
    let fitting = Int(try #require(first.first).replayed)
    #expect(first.count > 1 && (10..<400).contains(fitting))
    for count in [fitting - 1, fitting, fitting + 1, 2 * fitting + 1, 400] {
      let pages = try pages(service(recording: count))
      #expect(pages.reduce(0) { $0 + Int($1.replayed + $1.unanswered) } == count)
      #expect(pages.allSatisfy { $0.differences.isEmpty && $0.unanswered == 0 })
    }
  }

  // MARK: Turns

  @Test func aTenantTakesTurns() async throws {
    let turns = TenantTurns()
    let counter = Counter()
    try await withThrowingTaskGroup { group in
      for tenant in [Sample.id(1), Sample.id(2)] {
        for _ in 0..<TenantTurns.maximumWaiting {
          group.addTask { try await turns.perform(tenant) { counter.count() } }
        }
      }
      try await group.waitForAll()
    }
    #expect(counter.value == 2 * TenantTurns.maximumWaiting)
    #expect(turns.count == 0)
    await #expect(throws: TenancyError.self) {
      try await turns.perform(Sample.id(1)) { () throws(TenancyError) in throw .tenantNotFound }
    }
    #expect(turns.count == 0)
  }
}

private final class Counter: Sendable {
  private let number = Atomic(0)

  func count() { number.add(1, ordering: .relaxed) }

  var value: Int { number.load(ordering: .relaxed) }
}
