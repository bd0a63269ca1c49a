import Tenancy
import TenancyRPC
import TenancyTestSupport
import Testing

@testable import TenancyWorkload

/// When streams go on: each change wakes those that it is about, and no others.
struct StreamTests {
  private let bench: WorkloadBench
  private let streams: WorkloadStreams

  init() async throws {
    bench = try await WorkloadBench()
    var terms = WorkloadTerms()
    (terms.streams, terms.streamsPerUser) = (3, 2)
    streams = WorkloadStreams(bench.plane, terms)
  }

  private func term(
    user: UInt32 = 7, entries: Set<String> = [], tenants: [TenantID: Bool] = [:],
    seconds: Int64 = 60
  ) -> WorkloadStreams.Term {
    WorkloadStreams.Term(
      userID: user, entries: entries, tenants: tenants, end: bench.clock.now + .seconds(seconds))
  }

  /// Until so many wait.
  private func untilWaiting(_ count: Int) async {
    while streams.waiting != count { await Task.yield() }
  }

  private func entry(_ user: UInt32?, id: String = "e") -> Change {
    .putWorkloadEntry(
      WorkloadEntry(
        id: id, tenant: nil, path: "x",
        selectors: .init(userID: user, binaryPath: user == nil ? "/x" : nil),
        createTime: Sample.moment))
  }

  /// Whether a change ends a wait for a term; it ends in any case.
  private func ends(_ term: WorkloadStreams.Term, _ changes: Change...) async -> Bool {
    let (streams, before) = (streams, streams.changes)
    let waiting = Task { await streams.wait(for: term, after: before) }
    await untilWaiting(1)
    streams.note(
      LogEntry(
        revision: 1, time: Sample.moment, actor: "", action: "", tenants: [], changes: changes))
    let ended = streams.waiting == 0
    waiting.cancel()
    await waiting.value
    return ended
  }

  @Test func entriesWakeThoseWhomTheyMayMatch() async {
    #expect(await ends(term(), entry(7)))
    #expect(await ends(term(), entry(nil)))
    #expect(await !ends(term(), entry(8)))
    #expect(await ends(term(entries: ["e"]), entry(8)))
    #expect(await ends(term(entries: ["e"]), .deleteWorkloadEntry(id: "e")))
    #expect(await !ends(term(entries: ["e"]), .deleteWorkloadEntry(id: "f")))
  }

  @Test func tenantsWakeThoseWhoseStandingChanges() async {
    func put(_ state: TenantState) -> Change {
      .putTenant(WorkloadBench.tenant(WorkloadBench.acme, "acme", state))
    }
    let served = term(tenants: [WorkloadBench.acme: true])
    #expect(await !ends(served, put(.active)))
    #expect(await ends(served, put(.suspended)))
    #expect(await !ends(term(tenants: [WorkloadBench.globex: true]), put(.suspended)))
    #expect(await !ends(served, .deleteRole(WorkloadBench.acme, id: "x")))
  }

  @Test func theClockWakesThoseWhoseTimeHasCome() async {
    let streams = streams
    let (soon, late) = (term(seconds: 10), term(seconds: 20))
    let first = Task { await streams.wait(for: soon, after: 0) }
    let second = Task { await streams.wait(for: late, after: 0) }
    await untilWaiting(2)
    bench.clock.advance(seconds: 9)
    streams.look(at: bench.clock.now)
    #expect(streams.waiting == 2)
    bench.clock.advance(seconds: 1)
    streams.look(at: bench.clock.now)
    #expect(streams.waiting == 1)
    await first.value
    streams.wakeAll()
    await second.value
  }

  /// None of it is missed that happens between finding out and waiting.
  @Test func whatHasChangedBeforeIsSeen() async throws {
    let before = streams.changes
    streams.wakeAll()
    await streams.wait(for: term(), after: before)
    await streams.wait(for: term(seconds: 0), after: streams.changes)
    let served = term(tenants: [WorkloadBench.acme: true])
    try await bench.put(WorkloadBench.tenant(WorkloadBench.acme, "acme", .suspended))
    await streams.wait(for: served, after: streams.changes)
    #expect(streams.waiting == 0)
  }

  @Test func whoIsCancelledWaitsNoMore() async {
    let (streams, term) = (streams, term())
    let waiting = Task { await streams.wait(for: term, after: 0) }
    await untilWaiting(1)
    waiting.cancel()
    await waiting.value
    #expect(streams.waiting == 0)
    let late = Task {
      while !Task.isCancelled { await Task.yield() }
      await streams.wait(for: term, after: 0)
    }
    late.cancel()
    await late.value
    #expect(streams.waiting == 0)
  }

  @Test func thereAreSoManyAndNoMore() throws {
    try streams.enter(7)
    try streams.enter(7)
    #expect(throws: RPCStatus.self) { try streams.enter(7) }
    try streams.enter(8)
    #expect(throws: RPCStatus.self) { try streams.enter(9) }
    streams.leave(7)
    try streams.enter(9)
    #expect(throws: RPCStatus.self) { try streams.enter(7) }
    for user: UInt32 in [7, 8, 9] { streams.leave(user) }
    #expect(streams.count == 0)
  }

  @Test func usersArePacedApart() {
    let pace = UserPace((burst: 2, perSecond: 1))
    func take(_ user: UInt32) -> Bool { pace.take(for: user, at: bench.clock.now) }
    #expect(take(1) && take(1) && !take(1) && take(2))
    bench.clock.advance(seconds: 1)
    #expect(take(1) && !take(1))
    bench.clock.advance(seconds: -1_000)
    #expect(!take(1))
    bench.clock.advance(seconds: 1)
    #expect(take(1) && !take(1))
    // Those beyond what is kept apart are one.
    for user in 3...UInt32(UserPace.maximumUsers) { _ = take(user) }
    #expect(take(100_000) && take(100_001) && !take(100_002))
  }
}
