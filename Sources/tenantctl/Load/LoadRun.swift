import Dispatch
import Synchronization
import TenancyRPC

/// How calls are made, and for how long. All times are nanoseconds.
struct LoadShape: Sendable, Equatable {
  enum Arrivals: Sendable, Equatable {
    /// At so many a second, sent when they are due whether or not others have been answered.
    case open(rate: Double, isPoisson: Bool, maximumOutstanding: Int)
    /// So many callers, each of which calls again when it has its answer.
    case closed(callers: Int)
  }

  /// Arrivals that are later than this when time is up are not sent any more.
  static let grace: UInt64 = 100_000_000
  /// Calls sent later than this after they were due are counted as late.
  static let lateness: UInt64 = 1_000_000
  /// How long a caller rests after an answer that says the server is not there.
  static let rest: UInt64 = 10_000_000

  let arrivals: Arrivals
  /// Calls that are due before it is over are not counted.
  let warmup: UInt64
  let duration: UInt64
}

/// Nanoseconds that only go forward, and waiting for them.
protocol LoadClock: Sendable {
  var now: UInt64 { get }
  /// May return earlier.
  func sleep(until due: UInt64) async
}

struct SystemLoadClock: LoadClock {
  /// Requests to stop are seen after so long at the latest.
  static let longestSleep: UInt64 = 100_000_000

  var now: UInt64 { DispatchTime.now().uptimeNanoseconds }

  func sleep(until due: UInt64) async {
    let now = now
    guard due > now else { return }
    // Nobody cancels a load's tasks: an error cannot come.
    try? await Task.sleep(for: .nanoseconds(min(due - now, Self.longestSleep)), tolerance: .zero)
  }
}

/// Makes calls and measures them.
///
/// In an open loop latency counts from when a call was *due*, so that what a stalled server makes
/// wait counts in full: measuring from when it was sent would leave out just the calls that did not
/// get through ("coordinated omission").
final class LoadRun: Sendable {
  /// Makes one call of a method.
  typealias Call = @Sendable (_ method: Int, _ number: UInt64) async throws -> Void

  let shape: LoadShape
  let recorder: LoadRecorder
  private let mix: LoadMix
  private let call: Call
  private let clock: any LoadClock
  private let isStopped = Atomic(false)
  private let slots: Slots
  private let late = Atomic<UInt64>(0)
  private let unsent = Atomic<UInt64>(0)
  private let lastEnd = Atomic<UInt64>(0)

  /// What was not sent in time, and how long it all took.
  struct Outcome: Sendable, Equatable {
    /// Sent later than `LoadShape.lateness` after they were due.
    var late: UInt64
    /// Due, but never sent.
    var unsent: UInt64
    /// From the end of the warm-up to the last answer.
    var nanoseconds: UInt64
  }

  init(
    _ shape: LoadShape, mix: LoadMix, clock: any LoadClock = SystemLoadClock(),
    call: @escaping Call
  ) {
    self.shape = shape
    self.clock = clock
    self.mix = mix
    self.call = call
    recorder = LoadRecorder(methods: mix.count)
    slots =
      switch shape.arrivals {
      case .open(_, _, let most): Slots(most)
      case .closed(let callers): Slots(callers)
      }
  }

  var inFlight: Int { slots.inUse }

  /// Sends no more. Calls in flight are waited for.
  func stop() { isStopped.store(true, ordering: .relaxed) }

  /// Runs to the end; returns when all calls are answered.
  func run() async -> Outcome {
    let start = clock.now
    switch shape.arrivals {
    case .open(let rate, let isPoisson, _):
      await openLoop(
        Timetable(
          rate: rate, length: shape.warmup + shape.duration,
          spacing: isPoisson ? .poisson(seed: start) : .even), start)
    case .closed(let callers): await closedLoop(callers, start)
    }
    let counted = start + shape.warmup
    return Outcome(
      late: late.load(ordering: .relaxed), unsent: unsent.load(ordering: .relaxed),
      nanoseconds: max(lastEnd.load(ordering: .relaxed), counted + 1) - counted)
  }

  // MARK: Loops

  private func openLoop(_ timetable: Timetable, _ start: UInt64) async {
    let end = start + shape.warmup + shape.duration
    await withDiscardingTaskGroup { group in
      var number: UInt64 = 0
      for offset in timetable {
        let due = start + offset
        await sleep(until: due)
        if isStopped.load(ordering: .relaxed) { return }
        let isGivenUp = {
          let now = self.clock.now
          return now > end && now - due > LoadShape.grace
        }
        if isGivenUp() {
          unsent.wrappingAdd(1, ordering: .relaxed)
          continue
        }
        await slots.take()
        if isGivenUp() {
          slots.giveBack()
          unsent.wrappingAdd(1, ordering: .relaxed)
          continue
        }
        group.addTask { [self, number] in
          _ = await one(number, due: due, start)
          slots.giveBack()
        }
        number += 1
      }
    }
  }

  private func closedLoop(_ callers: Int, _ start: UInt64) async {
    let end = start + shape.warmup + shape.duration
    await withDiscardingTaskGroup { group in
      for caller in 0..<UInt64(callers) {
        group.addTask { [self] in
          await slots.take()  // There is one for each.
          var number = caller
          while !isStopped.load(ordering: .relaxed) {
            let due = clock.now
            guard due < end else { break }
            let code = await one(number, due: due, start)
            number += UInt64(callers)
            // Asking a server that is not there again and again at once measures nothing.
            if code == .unavailable { await clock.sleep(until: clock.now + LoadShape.rest) }
          }
          slots.giveBack()
        }
      }
    }
  }

  private func sleep(until due: UInt64) async {
    while due > clock.now, !isStopped.load(ordering: .relaxed) { await clock.sleep(until: due) }
  }

  // MARK: Calls

  private func one(_ number: UInt64, due: UInt64, _ start: UInt64) async -> RPCStatus.Code {
    let method = mix.method(number)
    let sent = clock.now
    let code: RPCStatus.Code
    do {
      try await call(method, number)
      code = .ok
    } catch {
      code = (error as? RPCStatus)?.code ?? .unknown
    }
    let end = clock.now
    guard due >= start + shape.warmup else { return code }
    let lag = sent - due
    if lag > LoadShape.lateness { late.wrappingAdd(1, ordering: .relaxed) }
    lastEnd.max(end, ordering: .relaxed)
    recorder.record(
      number, FinishedCall(method: method, code: code, latency: end - due, lag: lag))
    return code
  }
}
