import TenancyTestSupport
import Testing

@testable import Tenancy
@testable import TenancyServer

private let second: Int64 = 1_000_000_000

/// When keys are fetched.
struct KeySetScheduleTests {
  private var schedule = KeySetSchedule(refresh: 3600 * second, stale: 86_400 * second, at: 0)

  @Test func atOnce() {
    #expect(schedule.next == 0 && schedule.end == nil && !schedule.isGood(at: 0))
  }

  @Test(
    arguments: [
      (nil, 3600), (0, 60), (59, 60), (61, 61), (43_200, 43_200), (86_400, 43_200),
      (Int.max, 43_200),
      (Int.min, 60),
    ] as [(Int?, Int64)])
  func asTheServerSays(_ age: Int?, _ seconds: Int64) {
    var schedule = schedule
    schedule.succeeded(at: 5, maximumAge: age)
    #expect(schedule.next == 5 + seconds * second)
    #expect(
      schedule.isGood(at: 5 + 86_400 * second - 1) && !schedule.isGood(at: 5 + 86_400 * second))
  }

  @Test func failuresAreRepeatedLaterAndLater() {
    var schedule = schedule
    var pauses: [Int64] = []
    for _ in 0..<12 {
      schedule.failed(at: 0, chance: 1)
      pauses.append(schedule.next / second)
    }
    #expect(pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300])
    schedule.failed(at: 0, chance: 0)
    #expect(schedule.next == 150 * second)
    schedule.succeeded(at: 0, maximumAge: nil)
    schedule.failed(at: 0, chance: 0)
    #expect(schedule.next == second / 2)
  }

  @Test func onceAMinuteBeforeItsTime() {
    var schedule = schedule
    schedule.succeeded(at: 0, maximumAge: nil)
    var isHastened = schedule.hasten(at: 10)
    #expect(isHastened && schedule.next == 10)
    schedule.succeeded(at: 20, maximumAge: nil)
    isHastened = schedule.hasten(at: 10 + 60 * second - 1)
    #expect(!isHastened && schedule.next > 60 * second)
    isHastened = schedule.hasten(at: 10 + 60 * second)
    #expect(isHastened && schedule.next == 10 + 60 * second)
  }
}

/// Whose keys are fetched, and when it is whose turn.
final class KeySetSourcesTests {
  private var sources: KeySetSources
  private var control = ControlState()
  private var now: Int64 = 0
  private let keys = SampleSettings.issuer("k").keys

  init() throws {
    var terms = FetchedKeySets.Terms()
    terms.hosts = [try #require(HostPattern(parsing: "*.id.test"))]
    sources = KeySetSources(terms)
  }

  private func issuer(_ id: String = "corp", _ url: String = "https://a.id.test/") -> ExternalIssuer
  {
    var issuer = ExternalIssuer(id: id, issuer: "https://\(id).test", keys: [])
    issuer.published = PublishedKeySet(url: url)
    return issuer
  }

  /// Has a tenant these issuers, and asks for the keys of each.
  @discardableResult
  private func set(_ number: UInt64, _ issuers: ExternalIssuer...) throws -> [KeySource] {
    var tenant = Sample.tenant(number, "t\(number)")
    tenant.authentication.issuers = issuers
    control.apply([.putTenant(tenant)], revision: control.revision + 1)
    return try issuers.map { issuer in
      let source = try #require(KeySource(issuer, owner: tenant.id))
      _ = sources.keys(source, issuers, at: now)
      return source
    }
  }

  private func take() -> KeySetJob? { sources.take(control, at: now).0 }

  private func lookAtDue() -> [KeySetEvent] { sources.take(control, at: now).1 }

  private func hasten(_ source: KeySource) -> Bool { sources.hasten(source, at: now) }

  /// What is to be fetched now.
  private func dueJob() throws -> KeySetJob { try #require(take()) }

  private func pass(_ seconds: Double) { now += Int64(seconds * 1e9) }

  private func isGood(_ source: KeySource) -> Bool {
    guard case .good = sources.keys(source, [], at: now) else { return false }
    return true
  }

  @discardableResult
  private func finish(_ job: KeySetJob, _ keys: [ExternalKey]? = nil) -> KeySetEvent? {
    sources.finish(job, .success((keys ?? self.keys, nil)), at: now, chance: 0)
  }

  private func fail(_ job: KeySetJob) -> KeySetEvent? {
    sources.finish(job, .failure(KeySetFailure("x")), at: now, chance: 0)
  }

  @Test func lifeOfOne() throws {
    let source = try set(1, issuer())[0]
    pass(0.2)
    var job = try #require(take())
    #expect(job.url.text == "https://a.id.test/" && job.source == source && take() == nil)
    var event = try #require(fail(job))
    #expect(event.condition == .failing && event.keyCount == 0 && !event.endsTokens)
    #expect(take() == nil)
    pass(1)
    job = try #require(take())
    #expect(fail(job) == nil, "it was told already")
    pass(2)
    event = try #require(finish(try dueJob()))
    #expect(event.condition == .good && event.keyCount == 1 && isGood(source))
    pass(3601)
    #expect(finish(try dueJob()) == nil, "the same again")
    pass(3601)
    // Another key, and the former one is gone.
    event = try #require(finish(try dueJob(), SampleSettings.issuer("z").keys))
    #expect(event.condition == .good && event.endsTokens)
    pass(3601)
    event = try #require(fail(try dueJob()))
    #expect(event.condition == .failing && event.keyCount == 1 && !event.endsTokens)
    #expect(isGood(source))
    #expect(sources.counts[.failing] == 1 && sources.counts[.good] == 0)
  }

  @Test func theyEndWithoutAnyAttempt() throws {
    let source = try set(1, issuer())[0]
    pass(0.2)
    finish(try dueJob())
    pass(86_399)
    let job = try #require(take())
    #expect(isGood(source))
    pass(1)
    // Also where nobody has looked yet.
    #expect(!isGood(source))
    pass(1)
    let events = lookAtDue()
    #expect(events.map(\.condition) == [.stale] && events.allSatisfy(\.endsTokens))
    #expect(fail(job) == nil)
    #expect(lookAtDue().isEmpty)
    pass(400)
    #expect(finish(try dueJob())?.condition == .good)
    #expect(isGood(source))
  }

  @Test func onlyFromWhereTheyMayBe() throws {
    let source = try set(1, issuer("corp", "https://b.test/"))[0]
    pass(1)
    #expect(take() == nil && sources.count == 0)
    // The platform's own may be anywhere.
    let own = try #require(KeySource(issuer("corp", "https://b.test/"), owner: nil))
    _ = sources.keys(own, [], at: now)
    pass(1)
    #expect(take()?.source == own)
    #expect(!hasten(source))
  }

  @Test func thePlatformsStayBesideOneAnother() throws {
    let issuers = [issuer("a", "https://a.test/"), issuer("b", "https://b.test/")]
    for issuer in issuers + issuers {
      _ = sources.keys(try #require(KeySource(issuer, owner: nil)), [], at: now)
    }
    pass(0.2)
    // None of them waits for another.
    #expect([take(), take()].map { $0?.url.host } == ["a.test", "b.test"])
    #expect(sources.count == 2)
  }

  @Test func whatATenantHasNotIsForgotten() throws {
    try set(1, issuer())
    pass(0.2)
    finish(try dueJob())
    for number in 0..<100 { try set(1, issuer("corp", "https://n\(number).id.test/")) }
    #expect(sources.count == 1)
    pass(0.2)
    #expect(take()?.url.text == "https://n99.id.test/")
    // Its tenant has it no more, and nobody has asked for anything.
    var tenant = Sample.tenant(1, "t1")
    tenant.authentication.issuers = []
    control.apply([.putTenant(tenant)], revision: control.revision + 1)
    pass(90_000)
    #expect(take() == nil)
    try set(1, issuer())
    control.apply([.putTenant(tenant)], revision: control.revision + 1)
    pass(1)
    #expect(take() == nil && sources.count == 0)
  }

  @Test func tenantsHaveTurns() throws {
    // Eight of one, all before that of another.
    let many = (0..<8).map { issuer("c\($0)", "https://c\($0).id.test/") }
    var tenant = Sample.tenant(1, "t1")
    tenant.authentication.issuers = many
    control.apply([.putTenant(tenant)], revision: control.revision + 1)
    for issuer in many {
      _ = sources.keys(try #require(KeySource(issuer, owner: tenant.id)), many, at: now)
    }
    let other = try set(2, issuer())[0]
    pass(0.2)
    let first = try #require(take())
    #expect(first.source.owner == tenant.id)
    // Of one tenant one is under way at a time.
    #expect(take()?.source == other)
    #expect(take() == nil)
    finish(first)
    pass(0.5)
    #expect(take()?.source.owner == tenant.id)
  }

  @Test func nobodyOccupiesAPlace() throws {
    try set(1, issuer())
    let other = try set(2, issuer())[0]
    pass(0.2)
    _ = try dueJob()
    #expect(take()?.source == other)
  }

  @Test func whatWasNotTriedIsNoFailure() throws {
    let source = try set(1, issuer())[0]
    pass(0.2)
    for _ in 0..<100 {
      let busy = KeySetFailure("x", isBusy: true)
      #expect(sources.finish(try dueJob(), .failure(busy), at: now, chance: 0) == nil)
      #expect(take() == nil, "not at once")
      pass(1.2)
    }
    finish(try dueJob())
    #expect(isGood(source))
  }

  @Test func aFewAreLookedAtAtOnce() throws {
    for number in 0..<KeySetSources.looks + 1 {
      try set(UInt64(number + 1), issuer("corp", "https://n\(number).id.test/"))
    }
    control = ControlState()
    pass(0.2)
    // None is wanted any more.
    #expect(take() == nil && sources.count == 1)
    #expect(take() == nil && sources.count == 0)
  }

  @Test func whatIsWithdrawnEndsWhateverElseIsWrong() throws {
    let source = try set(1, issuer())[0]
    let (kept, gone) = (keys + [], SampleSettings.issuer("z").keys)
    pass(0.2)
    finish(try dueJob(), kept + gone)
    pass(3601)
    #expect(fail(try dueJob())?.endsTokens == false)
    pass(1)
    var failure = KeySetFailure("x")
    failure.listed = Set(kept)
    let event = try #require(sources.finish(try dueJob(), .failure(failure), at: now, chance: 0))
    #expect(event.endsTokens && event.keyCount == kept.count && event.condition == .failing)
    pass(2)
    failure.listed = []
    let last = try #require(sources.finish(try dueJob(), .failure(failure), at: now, chance: 0))
    #expect(last.endsTokens && last.keyCount == 0)
    pass(4)
    #expect(fail(try dueJob()) == nil, "there are none to end")
    #expect(sources.count == 1 && isGood(source), "none of them is known")
  }

  @Test func eachTenantHasABudget() throws {
    var fetched = 0
    for number in 0..<100 {
      try set(1, issuer("corp", "https://n\(number).id.test/"))
      pass(0.2)
      guard let job = take() else { continue }
      fetched += 1
      finish(job)
    }
    // 20 s have passed.
    #expect((20...28).contains(fetched))
    try set(2, issuer())
    pass(0.2)
    #expect(take() != nil, "others have their own")
  }

  @Test func unknownKeysHastenIt() throws {
    let source = try set(1, issuer())[0]
    pass(0.2)
    finish(try dueJob())
    #expect(hasten(source))
    #expect(hasten(source), "it is about to be")
    pass(0.2)
    let job = try #require(take())
    #expect(hasten(source), "it is being fetched")
    finish(job)
    #expect(!hasten(source))
    pass(60)
    #expect(hasten(source))
    pass(0.2)
    _ = fail(try dueJob())
    #expect(hasten(source), "nobody knows")
  }

  @Test func thereAreNotTooMany() throws {
    for number in 0..<FetchedKeySets.maximumSources + 5 {
      let owner = Sample.id(UInt64(number + 1))
      let source = try #require(KeySource(issuer(), owner: owner))
      _ = sources.keys(source, [issuer()], at: now)
    }
    #expect(sources.count == FetchedKeySets.maximumSources)
  }
}
