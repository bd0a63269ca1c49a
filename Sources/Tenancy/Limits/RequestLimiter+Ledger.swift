internal import Dispatch

/// How the ledger comes to know what was let through.
extension RequestLimiter {
  /// Limits in one transaction.
  private static let batch = 2000
  /// Between signs of life, where there may be other nodes; and between looks whether there is anything to forget.
  private static let beat = Duration.seconds(5)
  /// After the ledger did not answer.
  private static let failurePause = Duration.seconds(1)
  /// Between transactions where other nodes wait for them, and where it is only for the next start.
  private static let pauses = (
    shared: Duration.nanoseconds(LimitMeter.pause), alone: Duration.seconds(1)
  )
  /// Between looks for meters that are not needed any more, in nanoseconds.
  private static let sweepInterval: Int64 = 30_000_000_000
  /// And for counts in the ledger.
  private static let pruneInterval: Int64 = 3_600_000_000_000

  /// Quotas that a node knows of from its beginning.
  private static let maximumQuotas = 1_000_000

  /// Tells other nodes that this one is there, and learns of them and of what is used. Blocks: to be called before
  /// requests are judged.
  /// - Throws: `StoreError`.
  public func join() throws(StoreError) {
    _ = try settle([]).get()
    for (key, quota) in try ledger.quotas(limit: Self.maximumQuotas) {
      shard(of: key.tenant).state.withLock { $0.quotas[key] = quota }
    }
  }

  /// Tells the ledger what is let through, until cancelled.
  /// - Parameters:
  ///   - clock: the calendar's.
  ///   - onChange: is told why the ledger does not answer, once, and nil when it does again.
  public func run(
    clock: @escaping @Sendable () -> Timestamp,
    onChange: @escaping @Sendable (StoreError?) -> Void
  ) async {
    let queue = DispatchQueue(label: "tenancy.limits")
    let now = time(clock()).steady
    var progress = Progress(sweptAt: now, prunedAt: now)
    await withTaskGroup(of: Void.self) { group in
      group.addTask { [waker] in
        while (try? await Task.sleep(for: Self.beat)) != nil { waker.yield() }
      }
      for await _ in wake {
        while await goOn(&progress, queue, clock, onChange) {}
        if Task.isCancelled { break }
      }
      group.cancelAll()
    }
  }

  /// How far `run` is.
  private struct Progress {
    var sweptAt: Int64
    var prunedAt: Int64
    var hasFailed = false
    /// With which the next round begins, so that each has its turn.
    var firstShard = 0
  }

  /// A round without its pause, for tests.
  func settleNow(at wall: Timestamp) {
    let uses = collect(all: false, from: 0, at: time(wall)).uses
    guard !uses.isEmpty || isShared else { return }
    tell(uses, settle(uses), at: time(wall))
  }

  /// One round, and the pause after it.
  /// - Returns: whether there is to be another before somebody asks for it.
  private func goOn(
    _ progress: inout Progress, _ queue: DispatchQueue, _ clock: @Sendable () -> Timestamp,
    _ onChange: @Sendable (StoreError?) -> Void
  ) async -> Bool {
    let now = time(clock())
    if now.steady - progress.sweptAt > Self.sweepInterval {
      sweep(at: now)
      progress.sweptAt = now.steady
    }
    if now.steady - progress.prunedAt > Self.pruneInterval {
      // What is left is removed the next time.
      await Self.run(on: queue) { [ledger] in try? ledger.prune() }
      progress.prunedAt = now.steady
    }
    let round = collect(all: false, from: progress.firstShard, at: now)
    progress.firstShard = round.nextShard
    let uses = round.uses
    if !uses.isEmpty || (isShared && !round.hasMore) {
      let result = await Self.run(on: queue) { [self] in settle(uses) }
      tell(uses, result, at: time(clock()))
      let failure = result.failure
      if progress.hasFailed != (failure != nil) { onChange(failure) }
      progress.hasFailed = failure != nil
    }
    guard round.hasMore || progress.hasFailed else { return false }
    if round.isFull, !progress.hasFailed { return !Task.isCancelled }
    let usual = isShared ? Self.pauses.shared : Self.pauses.alone
    let pause = progress.hasFailed ? Self.failurePause : usual
    return (try? await Task.sleep(for: pause)) != nil
  }

  /// Tells the ledger the rest, and other nodes that this one is gone: after requests are judged no more.
  public func finish(at wall: Timestamp) async {
    await Self.run(on: DispatchQueue(label: "tenancy.limits.end")) { [self] in
      let now = time(wall)
      var round = Round()
      repeat {
        round = collect(all: true, from: 0, at: now)
        let result = settle(round.uses)
        tell(round.uses, result, at: now)
        if result.failure != nil { return }
      } while round.hasMore
      // Where that fails, its time ends by itself.
      try? ledger.leave(node)
    }
  }

  private static func run<Result: Sendable>(
    on queue: DispatchQueue, _ body: @escaping @Sendable () -> Result
  ) async -> Result {
    await withCheckedContinuation { continuation in
      queue.async { continuation.resume(returning: body()) }
    }
  }

  /// Blocks.
  private func settle(_ uses: [LimitUse]) -> Result<LimitSettlement, StoreError> {
    let result = Result { () throws(StoreError) in try ledger.settle(uses, by: node) }
    if case .success(let found) = result {
      alive.store(max(1, found.nodes), ordering: .relaxed)
    }
    return result
  }

  private struct Round: Sendable {
    var uses: [LimitUse] = []
    /// Whether there is more to be told, now or a moment later.
    var hasMore = false
    /// Whether there was no room for more.
    var isFull = false
    var nextShard = 0
  }

  private func collect(all: Bool, from first: Int, at now: LimitTime) -> Round {
    let nodes = nodes
    var round = Round()
    for offset in shards.indices {
      let index = (first + offset) % shards.count
      let room = Self.batch - round.uses.count
      guard room > 0 else {
        (round.hasMore, round.isFull, round.nextShard) = (true, true, index)
        break
      }
      // In range: a remainder.
      let (uses, hasMore) = shards[index].state.withLock { state in
        state.collect(all: all, room: room, nodes, now)
      }
      round.uses += uses
      if hasMore { round.hasMore = true }
    }
    return round
  }

  private func tell(
    _ uses: [LimitUse], _ result: Result<LimitSettlement, StoreError>, at now: LimitTime
  ) {
    let nodes = nodes
    let found = try? result.get()
    for use in uses {
      shard(of: use.key.tenant).state.withLock { state in
        state.told(use.key, found?.used[use.key], nodes, now)
      }
    }
  }

  func sweep(at now: LimitTime) {
    let nodes = nodes
    for shard in shards {
      shard.state.withLock { state in
        for (tenant, limits) in state.tenants where !limits.isListed && limits.isIdle(nodes, now) {
          state.tenants[tenant] = nil
        }
      }
    }
  }

  /// How many tenants have meters.
  public var meteredTenants: Int {
    shards.reduce(0) { $0 + $1.state.withLock { $0.tenants.count } }
  }
}

extension LimitShard.State {
  /// - Parameter room: for so many, and those of one tenant.
  fileprivate mutating func collect(
    all: Bool, room: Int, _ nodes: Int, _ now: LimitTime
  ) -> (uses: [LimitUse], hasMore: Bool) {
    var uses: [LimitUse] = []
    var left: [TenantID] = []
    for (index, tenant) in open.enumerated() {
      guard uses.count < room else {
        // Those that did not get their turn are the first of the next round.
        left = open[index...] + left
        break
      }
      guard let limits = tenants[tenant] else { continue }
      uses += limits.uses(of: tenant, all: all, nodes, now)
      if limits.isOpen(nodes) {
        left.append(tenant)
      } else {
        limits.isListed = false
      }
    }
    open = left
    return (uses, !open.isEmpty)
  }

  /// - Parameter used: nil: the ledger did not answer.
  fileprivate mutating func told(
    _ key: LimitKey, _ used: Double?, _ nodes: Int, _ now: LimitTime
  ) {
    guard let limits = tenants[key.tenant] else { return }
    limits.told(key.text, used, nodes, now)
    guard used == nil, !limits.isListed else { return }
    limits.isListed = true
    open.append(key.tenant)
  }
}

extension Result {
  fileprivate var failure: Failure? {
    guard case .failure(let error) = self else { return nil }
    return error
  }
}
