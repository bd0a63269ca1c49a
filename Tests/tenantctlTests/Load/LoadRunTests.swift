import Synchronization
import TenancyRPC
import Testing

@testable import tenantctl

@Suite struct TimetableTests {
  static func due(_ rate: Double, seconds: UInt64, _ spacing: Timetable.Spacing) -> [UInt64] {
    Array(Timetable(rate: rate, length: seconds * 1_000_000_000, spacing: spacing))
  }

  @Test func evenly() {
    #expect(Self.due(4, seconds: 1, .even) == [0, 250_000_000, 500_000_000, 750_000_000])
    let thirds = Self.due(3, seconds: 1_000, .even)
    #expect(thirds.count == 3_000)
    #expect(thirds[2_997] == 999_000_000_000)
  }

  @Test func atRandom() {
    let due = Self.due(1_000, seconds: 20, .poisson(seed: 1))
    #expect(due == Self.due(1_000, seconds: 20, .poisson(seed: 1)))
    #expect(due != Self.due(1_000, seconds: 20, .poisson(seed: 2)))
    #expect(due == due.sorted())
    #expect((19_000...21_000).contains(due.count))
    // Exponential gaps: 1/e of them are longer than the mean.
    let gaps = zip(due, due.dropFirst()).map { $1 - $0 }
    let long = Double(gaps.count { $0 > 1_000_000 }) / Double(gaps.count)
    #expect((0.35...0.39).contains(long))
  }
}

@Suite struct LoadMixTests {
  @Test func weights() {
    let mix = LoadMix(weights: [9, 1])
    let second = (0..<100_000).count { mix.method(UInt64($0)) == 1 }
    #expect((9_500...10_500).contains(second))
    #expect((0..<100).allSatisfy { LoadMix(weights: [3]).method(UInt64($0)) == 0 })
  }

  @Test func parsed() throws {
    #expect(try WeightedMethod(parsing: "check").weight == 1)
    let method = try WeightedMethod(parsing: "resolve=9")
    #expect(method.method == .resolve && method.weight == 9)
    for text in ["", "create", "check=", "check=0", "check=-1", "check=x", "check=1000001"] {
      #expect(throws: UsageError.self) { try WeightedMethod(parsing: text) }
    }
  }
}

/// Time that passes only when somebody sleeps, or says so.
final class VirtualClock: LoadClock {
  private let time = Atomic<UInt64>(1_000_000_000)

  var now: UInt64 { time.load(ordering: .relaxed) }
  func sleep(until due: UInt64) async { time.max(due, ordering: .relaxed) }
  func advance(_ nanoseconds: UInt64) { time.wrappingAdd(nanoseconds, ordering: .relaxed) }
}

/// Lets those through that come after it was opened, and then those that wait.
actor Gate {
  private var isOpen = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  func open() {
    isOpen = true
    for one in waiting { one.resume() }
    waiting = []
  }

  func pass() async {
    if isOpen { return }
    await withCheckedContinuation { waiting.append($0) }
  }
}

@Suite(.timeLimit(.minutes(1))) struct LoadRunTests {
  static let one = LoadMix(weights: [1])
  static let millisecond: UInt64 = 1_000_000
  let clock = VirtualClock()

  static func shape(
    _ arrivals: LoadShape.Arrivals, warmup: UInt64 = 0, duration: UInt64
  ) -> LoadShape {
    LoadShape(arrivals: arrivals, warmup: warmup * millisecond, duration: duration * millisecond)
  }

  /// A stall is felt by all that were due meanwhile, though they were sent after it.
  @Test func openLoopCountsFromWhenCallsWereDue() async {
    let shape = Self.shape(
      .open(rate: 1_000, isPoisson: false, maximumOutstanding: 1), duration: 600)
    let run = LoadRun(shape, mix: Self.one, clock: clock) { [clock] _, number in
      if number == 100 { clock.advance(300 * Self.millisecond) }
    }
    let outcome = await run.run()
    let tally = run.recorder.take()
    #expect(tally.calls == 600)
    #expect(outcome.unsent == 0)
    // 200 of those were due at least 100 ms before the stall's end.
    #expect((290...310).contains(outcome.late))
    #expect(tally.allLatencies.value(atPercentile: 67) >= 99 * Self.millisecond)
    #expect(tally.lag.value(atPercentile: 67) >= 99 * Self.millisecond)
    #expect(tally.allLatencies.maximum >= 300 * Self.millisecond)
    #expect(tally.allLatencies.value(atPercentile: 15) <= 2 * Self.millisecond)
  }

  @Test func openLoopDoesNotWaitForAnswers() async {
    let shape = Self.shape(
      .open(rate: 1_000, isPoisson: false, maximumOutstanding: 200), duration: 200)
    let gate = Gate()
    let begun = Atomic(0)
    let run = LoadRun(shape, mix: Self.one, clock: clock) { _, _ in
      // The last one lets all of them end.
      if begun.wrappingAdd(1, ordering: .relaxed).newValue == 200 { await gate.open() }
      await gate.pass()
    }
    let outcome = await run.run()
    #expect(run.recorder.take().succeeded == 200)
    #expect(outcome.unsent == 0 && run.inFlight == 0)
  }

  /// What could not be sent in time is neither sent nor lost.
  @Test func outstandingIsBounded() async {
    let shape = Self.shape(
      .open(rate: 1_000, isPoisson: false, maximumOutstanding: 2), duration: 300)
    let gate = Gate()
    let run = LoadRun(shape, mix: Self.one, clock: clock) { [clock] _, number in
      if number == 1 {
        clock.advance(500 * Self.millisecond)
        await gate.open()
      }
      await gate.pass()
    }
    let outcome = await run.run()
    #expect(run.recorder.take().calls == 2)
    #expect(outcome.unsent == 298)
    #expect(outcome.nanoseconds >= 500 * Self.millisecond)
  }

  @Test func closedLoopKeepsCallersBusy() async {
    let gate = Gate()
    let begun = Atomic(0)
    let shape = Self.shape(.closed(callers: 8), duration: 200)
    let run = LoadRun(shape, mix: Self.one, clock: clock) { [clock] _, _ in
      if begun.wrappingAdd(1, ordering: .relaxed).newValue == 8 { await gate.open() }
      await gate.pass()
      clock.advance(Self.millisecond)
    }
    let outcome = await run.run()
    // Those that are on their way when time is up are counted too.
    #expect((200...207).contains(run.recorder.take().calls))
    #expect(outcome.unsent == 0 && run.inFlight == 0)
  }

  @Test func callersRestWhenTheServerIsNotThere() async {
    let shape = Self.shape(.closed(callers: 1), duration: 100)
    let run = LoadRun(shape, mix: Self.one, clock: clock) { _, _ in
      throw RPCStatus(.unavailable, "")
    }
    _ = await run.run()
    #expect(run.recorder.take().failed == 10)
  }

  @Test func warmupIsNotCounted() async {
    let shape = Self.shape(
      .open(rate: 100, isPoisson: false, maximumOutstanding: 100), warmup: 200, duration: 100)
    let made = Atomic(0)
    let run = LoadRun(shape, mix: Self.one, clock: clock) { _, _ in
      made.wrappingAdd(1, ordering: .relaxed)
    }
    _ = await run.run()
    #expect(made.load(ordering: .relaxed) == 30)
    #expect(run.recorder.take().calls == 10)
  }

  @Test func failuresAreCountedByCode() async {
    struct Strange: Error {}
    let shape = Self.shape(
      .open(rate: 1_000, isPoisson: false, maximumOutstanding: 100), duration: 90)
    let run = LoadRun(shape, mix: LoadMix(weights: [1, 1]), clock: clock) { _, number in
      switch number % 3 {
      case 0: throw RPCStatus(.notFound, "")
      case 1: throw Strange()
      default: break
      }
    }
    _ = await run.run()
    let tally = run.recorder.take()
    let byCode = tally.codes[0].indices.map { tally.codes[0][$0] + tally.codes[1][$0] }
    #expect(byCode[0] == 30 && byCode[2] == 30 && byCode[5] == 30)
    #expect(tally.failed == 60 && tally.failures.total == 60)
    #expect(tally.allLatencies.total == 30)
    #expect(tally.latencies[0].total > 0 && tally.latencies[1].total > 0)
  }

  @Test(arguments: [
    LoadShape.Arrivals.open(rate: 0.01, isPoisson: false, maximumOutstanding: 1),
    .closed(callers: 2),
  ])
  func stopped(arrivals: LoadShape.Arrivals) async {
    let (reached, reach) = AsyncStream.makeStream(of: Void.self)
    let run = LoadRun(Self.shape(arrivals, duration: 3_600_000), mix: Self.one) { _, _ in
      reach.yield()
      try await Task.sleep(for: .milliseconds(1))
    }
    async let outcome = run.run()
    for await _ in reached { break }
    run.stop()
    #expect(await outcome.unsent == 0)
    #expect(run.recorder.take().calls >= 1)
  }

  @Test func progress() async {
    let shape = Self.shape(
      .open(rate: 100, isPoisson: false, maximumOutstanding: 100), duration: 1_500)
    let lines = Mutex<[String]>([])
    let run = LoadRun(shape, mix: Self.one) { _, _ in }
    let (outcome, tally) = await LoadProgress(run, methods: 1)
      .follow { line in lines.withLock { $0.append(line) } }
    // What was taken for a line counts in the end as well.
    #expect(tally.calls + outcome.unsent == 150)
    #expect(lines.withLock { $0.first?.hasPrefix("1 s: ") } == true)
  }
}
