import TenancyTestSupport
import Testing

@testable import Tenancy

/// Limits by a clock that only the test moves.
struct RequestLimiterTests {
  static let acme = Sample.tenant(1)
  static let globex = Sample.tenant(2)

  /// A limiter whose clock stands still.
  final class Node {
    let clock: LimitClock
    let limiter: RequestLimiter

    init(
      _ plans: [String: [RequestLimit]], on ledger: LedgerModel, name: String = "a",
      clock: LimitClock
    ) throws {
      self.clock = clock
      limiter = RequestLimiter(
        plans: try LimitPlans(plans, usual: "usual"), ledger: ledger, node: name,
        steady: { [clock] in clock.steady })
      try limiter.join()
    }

    func ask(
      _ tenant: Tenant, _ name: String = "requests", hits: Int64 = 1, asked: RequestLimit? = nil
    ) throws -> RequestLimiter.Answer {
      let question = RequestLimiter.Question(tenant: tenant, name: name, asked: asked, hits: hits)
      return try #require(try limiter.judge([question], at: clock.wall).first)
    }

    /// How many of so many requests are let through.
    func flood(_ tenant: Tenant, _ count: Int, _ name: String = "requests") throws -> Int {
      try (0..<count).reduce(0) { sum, _ in
        sum + (try ask(tenant, name).isWithin ? 1 : 0)
      }
    }

    /// As `run` does it, at this moment.
    func settle() { limiter.settleNow(at: clock.wall) }
  }

  static func limit(
    _ requests: Int64, _ period: RequestLimit.Period, burst: Int64 = 0, name: String = ""
  ) throws -> RequestLimit {
    try RequestLimit(name: name, requests: requests, period: period, burst: burst, field: "limit")
  }

  private func single(
    _ limits: RequestLimit..., isShared: Bool = false
  ) throws -> (Node, LedgerModel) {
    let clock = LimitClock()
    let ledger = LedgerModel(clock, isShared: isShared)
    return (try Node(["usual": limits], on: ledger, clock: clock), ledger)
  }

  // MARK: One node

  @Test func aBucketIsExact() throws {
    let (node, _) = try single(Self.limit(10, .second, burst: 25))
    #expect(try node.flood(Self.acme, 100) == 25)
    node.clock.advance(seconds: 0.05)
    #expect(try node.flood(Self.acme, 1) == 0)
    node.clock.advance(seconds: 0.05)
    #expect(try node.flood(Self.acme, 2) == 1)
    node.clock.advance(seconds: 1)
    #expect(try node.flood(Self.acme, 100) == 10)
    node.clock.advance(seconds: 3600)
    #expect(try node.flood(Self.acme, 100) == 25)
  }

  @Test func answersTellWhatIsLeftAndForHowLongNot() throws {
    let (node, _) = try single(Self.limit(10, .second))
    var answer = try node.ask(Self.acme, hits: 4)
    #expect(answer.isWithin && answer.remaining == 6 && answer.limit.requests == 10)
    #expect(abs(answer.wait - 0.4) < 1e-6)
    answer = try node.ask(Self.acme, hits: 7)
    #expect(!answer.isWithin && answer.remaining == 0 && abs(answer.wait - 0.1) < 1e-6)
    // What was not let through does not count, and neither does a question.
    answer = try node.ask(Self.acme, hits: 0)
    #expect(answer.isWithin && answer.remaining == 6)
    #expect(try node.flood(Self.acme, 10) == 6)
    #expect(try !node.ask(Self.acme, hits: 0).isWithin)
  }

  @Test func moreThanTheBucketHoldsIsNeverLetThrough() throws {
    let (node, _) = try single(Self.limit(10, .second))
    for hits in [11, Int64.max] {
      let answer = try node.ask(Self.acme, hits: hits)
      #expect(!answer.isWithin && answer.wait.isFinite)
    }
    #expect(try node.flood(Self.acme, 20) == 10)
  }

  @Test func oneTenantsFloodCostsAnotherNothing() throws {
    let (node, _) = try single(Self.limit(10, .second))
    #expect(try node.flood(Self.acme, 500) == 10)
    #expect(try node.flood(Self.globex, 10) == 10)
  }

  @Test func allLimitsOfANameAreToBeMet() throws {
    let (node, _) = try single(
      Self.limit(10, .second), Self.limit(15, .minute), Self.limit(2, .second, name: "uploads"))
    #expect(try node.flood(Self.acme, 20) == 10)
    node.clock.advance(seconds: 1)
    // A quarter of a request has come back in the minute's.
    #expect(try node.flood(Self.acme, 20) == 5)
    #expect(try node.ask(Self.acme).limit.period == .minute)
    #expect(try node.flood(Self.acme, 20, "uploads") == 2)
  }

  @Test func questionsCountTogetherOrNotAtAll() throws {
    let (node, _) = try single(Self.limit(10, .second), Self.limit(3, .second, name: "uploads"))
    func both() throws -> Bool {
      let questions = ["requests", "uploads"].map {
        RequestLimiter.Question(tenant: Self.acme, name: $0, hits: 1)
      }
      return try node.limiter.judge(questions, at: node.clock.wall).allSatisfy(\.isWithin)
    }
    #expect(try (0..<20).count { _ in try both() } == 3)
    #expect(try node.flood(Self.acme, 20) == 7)
  }

  @Test func aQuotaBeginsAnewWithTheCalendars() throws {
    // 2026-11-30T23:59:50Z, and the ledger has been told of all.
    let (node, ledger) = try single(Self.limit(100, .day), Self.limit(150, .month))
    node.clock.set(wall: Timestamp(nanoseconds: 1_796_083_190_000_000_000))
    #expect(try node.flood(Self.acme, 200) == 100)
    let answer = try node.ask(Self.acme)
    #expect(answer.limit.period == .day && answer.wait == 10)
    node.settle()
    #expect(ledger.used(Self.acme, "requests/day") == 100)
    node.clock.advance(seconds: 10)
    #expect(try node.flood(Self.acme, 200) == 100)
    node.settle()
    // Of the next day the month has only a half.
    node.clock.advance(seconds: 86_400)
    #expect(try node.flood(Self.acme, 200) == 50)
  }

  @Test func aQuotaOutlastsTheNode() throws {
    let (node, ledger) = try single(Self.limit(100, .month))
    #expect(try node.flood(Self.acme, 61) == 61)
    node.settle()
    let next = try Node(["usual": [Self.limit(100, .month)]], on: ledger, clock: node.clock)
    // Whoever asks is told so before there is a request.
    let told = next.limiter.uses(of: Self.acme, plan: nil, at: next.clock.wall).map(\.used)
    #expect(told == [61])
    #expect(try next.flood(Self.acme, 200) == 39)
    // It is of that month alone.
    let later = try Node(["usual": [Self.limit(100, .month)]], on: ledger, clock: node.clock)
    node.clock.advance(seconds: 31 * 86_400)
    #expect(try later.flood(Self.acme, 200) == 100)
  }

  @Test func aQuotaIsKeptToWithoutTheLedger() throws {
    let (node, ledger) = try single(Self.limit(1000, .month))
    ledger.fails = true
    var through = 0
    for _ in 0..<20 {
      through += try node.flood(Self.acme, 100)
      node.settle()
      node.clock.advance(seconds: 3)
    }
    #expect(through == 1000)
    ledger.fails = false
    node.settle()
    #expect(ledger.used(Self.acme, "requests/month") == 1000)
    #expect(try node.flood(Self.acme, 100) == 0)
  }

  /// The store's clock is behind: it still counts what has ended here.
  @Test func aQuotaBeginsAnewThoughTheStoreIsBehind() throws {
    let (node, ledger) = try single(Self.limit(100, .day), isShared: true)
    node.clock.set(wall: Timestamp(nanoseconds: 1_796_083_199_000_000_000))
    ledger.behind = .seconds(2)
    #expect(try node.flood(Self.acme, 200) == 100)
    node.settle()
    node.clock.advance(seconds: 1)
    #expect(try node.flood(Self.acme, 10) == 10)
    node.settle()
    // It is asked until it knows.
    node.clock.advance(seconds: 1.5)
    node.settle()
    #expect(try node.flood(Self.acme, 30) == 30)
    node.clock.advance(seconds: 2)
    node.settle()
    #expect(ledger.used(Self.acme, "requests/day") == 30)
    #expect(try node.flood(Self.acme, 200) == 70)
  }

  /// One that is used up is asked about: another node may have been wrong, or an operator has helped.
  @Test func aQuotaThatIsUsedUpIsAskedAboutAgain() throws {
    let (node, ledger) = try single(Self.limit(100, .day))
    _ = try node.flood(Self.acme, 200)
    node.settle()
    let before = ledger.settlements
    _ = try node.flood(Self.acme, 5)
    node.clock.advance(seconds: 2)
    node.settle()
    #expect(ledger.settlements == before + 1)
    #expect(try node.flood(Self.acme, 5) == 0)
  }

  @Test func aPlanThatComesBackFindsWhatWasUsed() throws {
    let clock = LimitClock()
    let ledger = LedgerModel(clock, isShared: false)
    let node = try Node(
      [
        "usual": [Self.limit(10, .month)], "large": [Self.limit(1000, .month)],
        "daily": [Self.limit(50, .day)],
      ], on: ledger, clock: clock)
    var tenant = Self.acme
    func move(to plan: String) {
      tenant.version += 1
      tenant.configuration.limits = LimitSettings(plan: plan)
    }
    move(to: "large")
    #expect(try node.flood(tenant, 900) == 900)
    node.settle()
    for plan in ["usual", "large", "daily", "large"] {
      move(to: plan)
      let through = try node.flood(tenant, plan == "daily" ? 5 : 0)
      #expect(through == (plan == "daily" ? 5 : 0))
      clock.advance(seconds: 3)
      node.settle()
    }
    #expect(try node.flood(tenant, 2000) == 100)
  }

  @Test func aQuotaThatIsUsedIsNotForgotten() throws {
    let (node, _) = try single(Self.limit(1000, .month))
    _ = try (node.flood(Self.acme, 1000), node.flood(Self.globex, 10))
    node.settle()
    // And once more, when there is nothing to tell.
    node.settle()
    node.clock.advance(seconds: 301)
    node.limiter.sweep(at: LimitTime(steady: node.clock.steady, wall: node.clock.wall))
    #expect(node.limiter.meteredTenants == 1)
    #expect(try node.flood(Self.acme, 100) == 0)
  }

  @Test func aFilesBucketsAreNotWritten() throws {
    let (node, ledger) = try single(Self.limit(10, .second))
    _ = try node.flood(Self.acme, 100)
    node.settle()
    #expect(ledger.settlements == 1)
  }

  // MARK: Plans

  @Test func aTenantsOwnLimitsComeBeforeItsPlan() throws {
    let clock = LimitClock()
    let ledger = LedgerModel(clock, isShared: false)
    let node = try Node(
      ["usual": [Self.limit(5, .second)], "large": [Self.limit(50, .second)]], on: ledger,
      clock: clock)
    var tenant = Self.acme
    #expect(try node.flood(tenant, 100) == 5)
    tenant.version += 1
    tenant.configuration.limits = LimitSettings(plan: "large")
    // What was used stays used.
    #expect(try node.flood(tenant, 100) == 0)
    clock.advance(seconds: 10)
    #expect(try node.flood(tenant, 100) == 50)
    tenant.version += 1
    tenant.configuration.limits = LimitSettings(
      plan: "large", limits: [try Self.limit(7, .second)])
    clock.advance(seconds: 10)
    #expect(try node.flood(tenant, 100) == 7)
    tenant.version += 1
    tenant.configuration.limits = LimitSettings(plan: "gone")
    let refused = try #require(throws: TenancyError.self) { _ = try node.ask(tenant) }
    #expect(refused.reason == .limitPlanUnknown)
  }

  @Test func envoyMayAskForLessAndNotForMore() throws {
    let (node, _) = try single(Self.limit(100, .second))
    let (less, more) = (try Self.limit(3, .second), try Self.limit(1000, .second))
    #expect(try (0..<20).count { _ in try node.ask(Self.acme, asked: less).isWithin } == 3)
    #expect(try (0..<200).count { _ in try node.ask(Self.acme, asked: more).isWithin } == 97)
    for number in 1...Int64(TenantLimits.maximumAsked) {
      _ = try node.ask(Self.globex, asked: Self.limit(number, .minute))
    }
    let refused = try #require(throws: TenancyError.self) {
      _ = try node.ask(Self.globex, asked: Self.limit(99, .minute))
    }
    #expect(refused.category == .resourceExhausted)
    // When they are forgotten there is room again.
    node.clock.advance(seconds: 600)
    #expect(try node.ask(Self.globex, asked: Self.limit(99, .minute)).isWithin)
  }

  @Test func aNameThatNoPlanHasIsRefused() throws {
    let (node, _) = try single(Self.limit(10, .second))
    let refused = try #require(throws: TenancyError.self) { _ = try node.ask(Self.acme, "other") }
    #expect(refused.category == .invalidArgument)
  }

  @Test func plansThatLeaveSomethingOutAreRefused() throws {
    let limit = try Self.limit(1, .second)
    let uploads = try Self.limit(1, .second, name: "uploads")
    let wrong: [([String: [RequestLimit]], String)] = [
      ([:], "usual"), (["usual": [limit]], "other"), (["usual": []], "usual"),
      (["usual": [limit, limit]], "usual"),
      (["usual": [limit], "large": [limit, uploads]], "usual"),
      (["usual": [limit], "": [limit]], "usual"), (["usual": [limit], "A": [limit]], "usual"),
      (["usual": Array(repeating: limit, count: 17)], "usual"),
    ]
    for (plans, usual) in wrong {
      #expect(throws: TenancyError.self, "\(plans)") { _ = try LimitPlans(plans, usual: usual) }
    }
    let plans = try LimitPlans(["usual": [limit, uploads]], usual: "usual")
    #expect(plans.names == ["requests", "uploads"])
    try plans.check(LimitSettings(plan: "usual", limits: [uploads]))
    #expect(plans.has("usual") && !plans.has("other"))
    #expect(throws: TenancyError.self) {
      try plans.check(LimitSettings(limits: [Self.limit(1, .second, name: "downloads")]))
    }
  }

  @Test(arguments: [
    ("requests", 0, RequestLimit.Period.second, 0), ("requests", -1, .second, 0),
    ("requests", 1_000_000_001, .second, 0), ("requests", 1, .second, -1), ("A", 1, .second, 0),
    ("requests", 1, .second, 1_000_000_001), ("requests", 2, .day, 1), ("a b", 1, .day, 0),
    (String(repeating: "a", count: 33), 1, .day, 0),
  ])
  func limitsHaveBounds(
    _ name: String, _ requests: Int64, _ period: RequestLimit.Period, _ burst: Int64
  ) {
    #expect(throws: TenancyError.self) {
      _ = try RequestLimit(
        name: name, requests: requests, period: period, burst: burst, field: "limit")
    }
  }

  @Test func whatIsNotUsedIsForgotten() throws {
    let (node, _) = try single(Self.limit(10, .second))
    for number in 1...UInt64(100) { _ = try node.ask(Sample.tenant(number)) }
    #expect(node.limiter.meteredTenants == 100)
    node.limiter.sweep(at: LimitTime(steady: node.clock.steady, wall: node.clock.wall))
    #expect(node.limiter.meteredTenants == 100)
    node.clock.advance(seconds: 1)
    node.limiter.sweep(at: LimitTime(steady: node.clock.steady, wall: node.clock.wall))
    #expect(node.limiter.meteredTenants == 0)
  }
}
