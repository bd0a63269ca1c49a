import Synchronization
import Tenancy

/// The admissions of streams that are under way. A stream is admitted as any call is, but goes on: its admission
/// is judged again when a change touches its tenants, when something that it rests on ends by itself (a
/// certificate, an assignment), when credentials are revoked, and when the state is too old to answer from. What
/// that costs depends on the streams that are touched, and not on how many there are. Thread-safe.
final class StreamLeases: Sendable {
  struct Limits: Sendable {
    /// Streams of one payer: of a tenant, whose admin is not to be trusted, and of a platform identity, which
    /// all sidecars of a fleet may have.
    var ofTenant = 256
    var ofPlatformIdentity = 2_048
    /// Between looks at the clock, and between two judgements of a tenant that changes all the time.
    var interval = Duration.milliseconds(100)
  }

  /// What a judgement depends on, besides the state: those of the same are judged once.
  struct Question: Hashable, Sendable {
    let caller: ObjectIdentifier
    let method: String
    /// Home and target, and what their epochs were.
    let tenants: [TenantID?]
    let epochs: [UInt64?]
  }

  /// One stream's admission.
  struct Terms: Sendable {
    /// Of a caller that `judge` holds.
    let question: Question
    let payer: WritePayer
    /// Whether it is a tenant's.
    let isTenants: Bool
    /// Whose changes it rests on, besides the caller's credentials.
    let tenants: [TenantID]
    /// Judges it on a state.
    /// - Returns: when it is to be judged again whatever happens; nil: never.
    let judge: @Sendable (Snapshot) throws(TenancyError) -> Timestamp?
    /// Ends it.
    let end: @Sendable (TenancyError) -> Void
  }

  /// A stream's hold on its admission, until it is over.
  struct Lease: Sendable {
    fileprivate let number: UInt64
  }

  private struct Held {
    let terms: Terms
    /// In `due`.
    var tick: Int64?
    /// Of the state that it was last judged on.
    var revision: UInt64 = 0
  }

  private struct State {
    var isFollowed = false
    var hasEnded = false
    var whenFollowed: [CheckedContinuation<Void, Never>] = []
    /// Counts how often what was followed turned out not to be the store's log: revisions of before say nothing.
    var era = 0
    var held: [UInt64: Held] = [:]
    var last: UInt64 = 0
    var ofTenant: [TenantID: Set<UInt64>] = [:]
    var ofPayer: [WritePayer: Int] = [:]
    /// What is to be judged when an eighth of a second has begun.
    var due: [Int64: Set<UInt64>] = [:]
    /// The last that was looked at.
    var tick: Int64 = .min
    /// Tenants whose streams were judged since the last look at the clock.
    var recent: Set<TenantID> = []
    /// Those of them that have changed since.
    var again: Set<TenantID> = []
  }

  private let plane: ControlPlane
  private let limits: Limits
  private let state = Mutex(State())

  init(_ plane: ControlPlane, limits: Limits = Limits()) {
    self.plane = plane
    self.limits = limits
  }

  /// Streams under way.
  var count: Int { state.withLock { $0.held.count } }

  /// Streams of a tenant, or about it.
  func count(of tenant: TenantID) -> Int { state.withLock { $0.ofTenant[tenant]?.count ?? 0 } }

  // MARK: Streams

  /// Holds the admission of a stream from now on, and judges it once more: what has changed since it was admitted
  /// is seen.
  /// - Throws: why it is not admitted any more; RESOURCE_EXHAUSTED when its payer has too many; UNAVAILABLE while
  ///   nothing is judged.
  func hold(_ terms: Terms) throws(TenancyError) -> Lease {
    let outcome = state.withLock { state -> Result<(UInt64, era: Int), TenancyError> in
      guard state.isFollowed else { return .failure(Self.notFollowed) }
      let limit = terms.isTenants ? limits.ofTenant : limits.ofPlatformIdentity
      guard state.ofPayer[terms.payer, default: 0] < limit else {
        return .failure(
          .exhausted(
            .streams, of: terms.payer, limit: limit, hint: "end some of its streams"))
      }
      state.last += 1
      state.held[state.last] = Held(terms: terms)
      state.ofPayer[terms.payer, default: 0] += 1
      for tenant in terms.tenants { state.ofTenant[tenant, default: []].insert(state.last) }
      return .success((state.last, state.era))
    }
    let (number, era) = try outcome.get()
    let snapshot = plane.snapshot
    do throws(TenancyError) {
      note(try terms.judge(snapshot), of: number, at: snapshot.state.revision, era)
    } catch {
      drop(number)
      throw error
    }
    return Lease(number: number)
  }

  func release(_ lease: Lease) { drop(lease.number) }

  @discardableResult
  private func drop(_ number: UInt64) -> Terms? {
    state.withLock { state in
      guard let held = state.held.removeValue(forKey: number) else { return nil }
      Self.forget(number, due: held.tick, &state)
      for tenant in held.terms.tenants {
        state.ofTenant[tenant]?.remove(number)
        if state.ofTenant[tenant]?.isEmpty == true { state.ofTenant[tenant] = nil }
      }
      let left = state.ofPayer[held.terms.payer, default: 1] - 1
      state.ofPayer[held.terms.payer] = left > 0 ? left : nil
      return held.terms
    }
  }

  /// What an older state said does not count when a newer one has been asked.
  private func note(_ time: Timestamp?, of number: UInt64, at revision: UInt64, _ era: Int) {
    state.withLock { state in
      guard let held = state.held[number], era == state.era, revision >= held.revision else {
        return
      }
      state.held[number]?.revision = revision
      Self.forget(number, due: held.tick, &state)
      // The one that begins when it is over, or behind that.
      let tick = time.map { max($0.ticksRoundedUp, state.tick + 1) }
      state.held[number]?.tick = tick
      if let tick { state.due[tick, default: []].insert(number) }
    }
  }

  private static func forget(_ number: UInt64, due tick: Int64?, _ state: inout State) {
    guard let tick else { return }
    state.due[tick]?.remove(number)
    if state.due[tick]?.isEmpty == true { state.due[tick] = nil }
  }

  // MARK: Judging

  /// Judges all of them: credentials may have been revoked.
  func reviewAll() {
    review(state.withLock { Array($0.held.keys) })
  }

  private func review(_ numbers: some Sequence<UInt64>) {
    let era = state.withLock { $0.era }
    let snapshot = plane.snapshot
    var answers: [Question: Result<Timestamp?, TenancyError>] = [:]
    for number in numbers {
      guard let terms = state.withLock({ $0.held[number]?.terms }) else { continue }
      let answer =
        answers[terms.question]
        ?? Result { () throws(TenancyError) in try terms.judge(snapshot) }
      answers[terms.question] = answer
      switch answer {
      case .success(let time): note(time, of: number, at: snapshot.state.revision, era)
      case .failure(let error): drop(number)?.end(error)
      }
    }
  }

  /// Judges what a change touches: at once, but for a tenant that has changed a moment ago. Its own admin could
  /// have all its streams judged for each of many writes.
  func review(touching tenants: some Sequence<TenantID>) {
    let touched = state.withLock { state -> Set<UInt64> in
      guard !state.ofTenant.isEmpty else { return [] }
      return tenants.reduce(into: []) { touched, tenant in
        guard let streams = state.ofTenant[tenant] else { return }
        if state.recent.insert(tenant).inserted {
          touched.formUnion(streams)
        } else {
          state.again.insert(tenant)
        }
      }
    }
    if !touched.isEmpty { review(touched) }
  }

  private func reviewAgain() {
    let touched = state.withLock { state -> Set<UInt64> in
      state.recent = state.again
      defer { state.again = [] }
      return state.again.reduce(into: []) { $0.formUnion(state.ofTenant[$1] ?? []) }
    }
    if !touched.isEmpty { review(touched) }
  }

  /// Judges what is due by `now`.
  func reviewDue(at now: Timestamp) {
    let tick = now.ticks
    let due = state.withLock { state -> [UInt64] in
      defer { state.tick = tick }
      // What a clock that was set back has put too far ahead is noted anew.
      guard tick >= state.tick else { return Array(state.held.keys) }
      guard tick > state.tick else { return [] }
      let elapsed = tick.subtractingReportingOverflow(state.tick)
      guard !elapsed.overflow, elapsed.partialValue < state.due.count else {
        return state.due.filter { $0.key <= tick }.flatMap(\.value)
      }
      return (state.tick + 1...tick).flatMap { state.due[$0] ?? [] }
    }
    if !due.isEmpty { review(due) }
  }

  // MARK: Following

  /// Judges streams as long as it runs, which is until it is cancelled or the control plane is closed. Then all
  /// of them have ended, and none is admitted.
  func run() async {
    await withTaskGroup { group in
      group.addTask { await self.watchTime() }
      group.addTask { await self.follow() }
      _ = await group.next()
      group.cancelAll()
    }
    let left = state.withLock { state in
      state.isFollowed = false
      state.hasEnded = true
      return Array(state.held.keys)
    }
    resume(state.withLock { Self.takeWaiting(&$0) })
    for number in left { drop(number)?.end(Self.notFollowed) }
  }

  /// Returns when streams are admitted, or `run` has ended.
  /// - Returns: whether they are admitted.
  @discardableResult
  func untilFollowed() async -> Bool {
    await withCheckedContinuation { continuation in
      let waits = state.withLock { state in
        let waits = !state.isFollowed && !state.hasEnded
        if waits { state.whenFollowed.append(continuation) }
        return waits
      }
      if !waits { continuation.resume() }
    }
    return state.withLock { $0.isFollowed }
  }

  private static func takeWaiting(_ state: inout State) -> [CheckedContinuation<Void, Never>] {
    defer { state.whenFollowed = [] }
    return state.whenFollowed
  }

  private func resume(_ waiting: [CheckedContinuation<Void, Never>]) {
    for continuation in waiting { continuation.resume() }
  }

  private func follow() async {
    var judged: UInt64?
    while !Task.isCancelled {
      let begin = plane.snapshot.state.revision
      // Before anything is judged: from here on it would hear of a log that turns out to be another.
      let subscription = plane.subscribe(after: begin)
      if plane.snapshot.state.revision < begin { continue }
      resume(
        state.withLock { state in
          state.isFollowed = true
          return Self.takeWaiting(&state)
        })
      // What was missed until now.
      if begin != judged { reviewAll() }
      judged = begin
      do throws(TenancyError) {
        for try await entry in subscription { review(touching: entry.tenants) }
        return
      } catch {
        // What was judged on states that the store does not have counts for nothing.
        judged = nil
        if error.category != .unavailable { state.withLock { Self.beginEra(&$0) } }
        // Begun anew, and not in a hurry.
        do { try await Task.sleep(for: limits.interval) } catch { return }
      }
    }
  }

  private static func beginEra(_ state: inout State) {
    state.era += 1
    for number in state.held.keys { state.held[number]?.revision = 0 }
  }

  private func watchTime() async {
    var wasStale = false
    while !Task.isCancelled {
      do { try await Task.sleep(for: limits.interval) } catch { return }
      reviewAgain()
      let now = plane.now
      reviewDue(at: now)
      let isStale = plane.isStale(at: now)
      if isStale, !wasStale { reviewAll() }
      wasStale = isStale
    }
  }

  private static let notFollowed = TenancyError(
    .unavailable, .serverStopping, "the server does not serve streams now", retryAfterSeconds: 1)
}

extension Quota {
  /// Streams under way.
  static let streams = Quota(name: "streams", unit: "streams")
}

extension TenancyError.Reason {
  /// The server, or the connection, is about to end: whoever goes on elsewhere loses nothing.
  static let serverStopping = Self("SERVER_STOPPING")
  /// The tenant's lifecycle has moved on: what was begun before is void.
  static let epochMoved = Self("EPOCH_MOVED")
}

extension Timestamp {
  private static let tick: Int64 = 125_000_000

  /// Whole eighths of a second.
  fileprivate var ticks: Int64 {
    let (ticks, rest) = nanoseconds.quotientAndRemainder(dividingBy: Self.tick)
    return rest < 0 ? ticks - 1 : ticks
  }

  fileprivate var ticksRoundedUp: Int64 {
    let (ticks, rest) = nanoseconds.quotientAndRemainder(dividingBy: Self.tick)
    return rest > 0 ? ticks + 1 : ticks
  }
}
