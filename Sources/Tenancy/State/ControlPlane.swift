import Dispatch
import Synchronization

/// The one place where the state of the control plane changes. Reads take an immutable snapshot
/// without waiting; writes are judged one after the other against the newest state, committed in
/// groups, and acknowledged when the store has them. Thread-safe.
public final class ControlPlane: Sendable {
  /// The time of day. Called on any thread, for each write.
  public typealias Clock = @Sendable () -> Timestamp

  /// Seals what is secret in requests; nil where no master key is configured.
  public let sealer: (any SecretSealer)?
  let store: any ControlStore
  let clock: Clock
  let options: Options
  let queue = DispatchQueue(label: "tenancy.control-plane.writer")
  let tail: LogTail
  var auditor: Auditor? { options.auditor }
  /// How tenants end.
  public var lifecycle: LifecycleTerms { options.lifecycle }
  /// Where those read the log whom the tail has left behind.
  let logReader = DispatchQueue(label: "tenancy.control-plane.log-reader")
  /// Where the store is looked into for reads that wait.
  let lookQueue = DispatchQueue(label: "tenancy.control-plane.looks")
  /// Where leases are renewed.
  let leaseQueue = DispatchQueue(label: "tenancy.control-plane.leases")
  /// Where histories of configurations are read where there is no audit trail.
  let ownReads = AuditReads(label: "tenancy.control-plane.history-reader")
  /// And the log by those of whom there are many.
  let followReads = AuditReads(label: "tenancy.control-plane.follow-reader")
  private let published: Mutex<Snapshot>
  private let publishedRevision: Atomic<UInt64>
  private let waiting = Mutex(Waiting())
  let budgets: TenantBudgets
  let staleness: Staleness
  let readers: ReadWaiters
  /// Of consistency tokens.
  let storeKey: UInt64
  let doubts = Mutex(StoreDoubts())
  let ageing = Mutex(AgePace())
  private let health = Mutex(Health())

  private struct Health {
    /// With what it failed.
    var failure: StoreError?
    var observer: (@Sendable (StoreError?) -> Void)?
  }

  private struct Waiting {
    var writes = WriteQueue<PendingWrite>()
    var times = WriteTimes()
    var isScheduled = false
    var isClosed = false
  }

  /// Loads the state. Blocks.
  /// - Parameters:
  ///   - quotas: of each tenant.
  ///   - retention: how long the log is kept.
  ///   - maximumStaleness: for how long the state is answered from without a sign that it is current; nil if
  ///     nobody else writes to the store.
  ///   - lifecycle: how tenants end.
  /// - Throws: `StoreError`.
  public convenience init(
    store: any ControlStore, sealer: (any SecretSealer)? = nil, clock: @escaping Clock,
    quotas: TenantQuotas = TenantQuotas(), retention: LogRetention = LogRetention(),
    maximumStaleness: Duration? = nil, lifecycle: LifecycleTerms = LifecycleTerms()
  ) throws(StoreError) {
    try self.init(
      store: store, sealer: sealer, clock: clock,
      options: Options(
        retention: retention, quotas: quotas, maximumStaleness: maximumStaleness,
        lifecycle: lifecycle))
  }

  /// As above, and audits every change in the transaction that makes it. Blocks.
  /// - Parameter hash: SHA-256.
  /// - Throws: `StoreError`.
  public convenience init(
    auditing store: any AuditedStore, hash: @escaping AuditHash,
    sealer: (any SecretSealer)? = nil, clock: @escaping Clock,
    quotas: TenantQuotas = TenantQuotas(), retention: LogRetention = LogRetention(),
    maximumStaleness: Duration? = nil, lifecycle: LifecycleTerms = LifecycleTerms()
  ) throws(StoreError) {
    try self.init(
      store: store, sealer: sealer, clock: clock,
      options: Options(
        retention: retention, quotas: quotas, maximumStaleness: maximumStaleness,
        lifecycle: lifecycle, auditor: Auditor(store, hash: hash, limits: DenialTable.Limits())))
  }

  init(
    store: any ControlStore, sealer: (any SecretSealer)? = nil, clock: @escaping Clock,
    options: Options
  ) throws(StoreError) {
    budgets = TenantBudgets(options.quotas)
    self.sealer = sealer
    self.store = store
    self.clock = clock
    self.options = options
    staleness = Staleness(options.maximumStaleness)
    readers = ReadWaiters(options.waitingReads)
    let moment = Staleness.moment(clock())
    let state = try Self.load(store)
    storeKey = ConsistencyToken(incarnation: store.incarnationID, revision: 0).store
    tail = LogTail(after: state.revision, options.tail)
    published = Mutex(Snapshot(state))
    publishedRevision = Atomic(state.revision)
    staleness.noteCurrent(at: moment)
  }

  // MARK: Reading

  /// The newest acknowledged state. Takes a lock: on hot paths, go through a `SnapshotReader`.
  public var snapshot: Snapshot { published.withLock { $0 } }

  /// The newest acknowledged state; see `snapshot`.
  public var state: ControlState { snapshot.state }

  /// The time of day by the plane's clock.
  public var now: Timestamp { clock() }

  var revision: UInt64 { publishedRevision.load(ordering: .acquiring) }

  func waitingWrites(of payer: WritePayer) -> Int {
    waiting.withLock { $0.writes.waiting(of: payer) }
  }

  var isClosed: Bool { waiting.withLock { $0.isClosed } }

  var hasWaitingRevocations: Bool { waiting.withLock { $0.writes.hasRevoking } }

  /// Whether the store does what it is asked. Once it has failed it does when something was written durably: a
  /// batch, or where nobody writes, what `ControlStore.checkWritable` writes.
  public var isHealthy: Bool { health.withLock { $0.failure == nil } }

  /// Tells `observer`, from now on, with what the store has failed, or nil when it works. It is called by
  /// the writer, at once and for each change of `isHealthy`, and must be quick. There is one observer: the
  /// last.
  public func observeHealth(_ observer: @escaping @Sendable (StoreError?) -> Void) {
    queue.async { [self] in
      let failure = health.withLock { health in
        health.observer = observer
        return health.failure
      }
      observer(failure)
    }
  }

  /// Of all batches so far. Thread-safe.
  public var writeTimes: WriteTimes { waiting.withLock { $0.times } }

  /// Writes that wait for their turn. Thread-safe.
  public var waitingWrites: Int { waiting.withLock { $0.writes.count } }

  /// Looks up in the store what the state does not hold, between two commits: store and state are of one
  /// revision. `body` runs on the writer, so it must be quick.
  func consult<Result: Sendable>(
    _ body: @escaping @Sendable (any ControlStore, ControlState) throws(StoreError) -> Result
  ) async throws(StoreError) -> Result {
    let outcome: Swift.Result<Result, StoreError> = await withCheckedContinuation { continuation in
      queue.async { [self] in
        continuation.resume(
          returning: Swift.Result { () throws(StoreError) in
            if let failure = health.withLock({ $0.failure }) { throw failure }
            return try body(store, state)
          })
      }
    }
    return try outcome.get()
  }

  // MARK: Writing

  /// Runs `body` against the newest state and commits what it emits. Returns when that is durable.
  /// - Parameters:
  ///   - actor: who does it, for the log.
  ///   - action: what is done, such as `tenants.create`.
  ///   - terms: how it waits for the writer, and on whose account.
  ///   - body: emits changes, or throws and changes nothing. It runs on the writer, so it must be
  ///     quick; without changes nothing is committed.
  /// - Throws: what `body` throws; RESOURCE_EXHAUSTED when too many writes wait, or a tenant would have or
  ///   do more than it may; UNAVAILABLE when the store fails; CANCELLED when the task was cancelled before
  ///   the writer came to it.
  public func write<Result: Sendable>(
    actor: String, action: String, terms: WriteTerms = .server,
    _ body: @escaping @Sendable (inout Transaction) throws(TenancyError) -> Result
  ) async throws(TenancyError) -> Result {
    let flag = CancellationFlag()
    let outcome: Swift.Result<Result, TenancyError> = await withTaskCancellationHandler {
      await waitForWrite(actor: actor, action: action, terms, flag, body)
    } onCancel: {
      flag.set()
    }
    return try outcome.get()
  }

  private func waitForWrite<Result: Sendable>(
    actor: String, action: String, _ terms: WriteTerms, _ flag: CancellationFlag,
    _ body: @escaping @Sendable (inout Transaction) throws(TenancyError) -> Result
  ) async -> Swift.Result<Result, TenancyError> {
    do throws(TenancyError) {
      try budgets.admit(terms, at: clock())
    } catch {
      return .failure(error)
    }
    return await withCheckedContinuation { continuation in
      let counted = Counted()
      let write = PendingWrite(
        actor: actor, action: action,
        run: { [budgets, isAudited = auditor != nil] transaction in
          do throws(TenancyError) {
            // Nobody waits for it: the writer's time is for those who do.
            if flag.isSet { throw Self.cancelled }
            let value = try body(&transaction)
            if terms.isRehearsal {
              try budgets.judgeGrowth(of: transaction, terms)
              transaction.discard()
              return { continuation.resume(returning: $0.map { .failure($0) } ?? .success(value)) }
            }
            if let request = transaction.remembered {
              transaction.emit(.rememberRequest(request))
            }
            transaction.noteHistory()
            let auditBytes = isAudited ? transaction.auditBytes(actor, action) : 0
            try budgets.judge(
              transaction, terms, auditBytes: auditBytes, counted: &counted.logBytes)
            return { error in
              continuation.resume(returning: error.map { .failure($0) } ?? .success(value))
            }
          } catch {
            transaction.discard()
            // It may rest on earlier writes of the batch: when these fail, it never was true.
            return { failure in continuation.resume(returning: .failure(failure ?? error)) }
          }
        },
        refuse: { continuation.resume(returning: .failure($0)) })
      enqueue(write, terms)
    }
  }

  /// Waits for writes under way, refuses later ones, and closes the store. Of pages of audit records it waits for
  /// the one that is being read, which the store bounds.
  public func close() async {
    waiting.withLock { $0.isClosed = true }
    for reads in [auditor?.reads, ownReads, followReads] { reads?.close() }
    await withCheckedContinuation { continuation in
      queue.async {
        self.drain()
        self.tail.close()
        // What can't be written now is lost; it was denied, and the store's failure is known.
        try? self.auditor?.flush(at: self.now)
        self.store.close()
        continuation.resume()
      }
    }
  }

  private func enqueue(_ write: PendingWrite, _ terms: WriteTerms) {
    enum Answer { case accepted, schedule, refused(TenancyError) }
    let answer = waiting.withLock { waiting -> Answer in
      if waiting.isClosed { return .refused(Self.stopping) }
      if let refusal = waiting.writes.add(write, terms) {
        return .refused(TenancyError(refusal, of: terms.payer))
      }
      if waiting.isScheduled { return .accepted }
      waiting.isScheduled = true
      return .schedule
    }
    switch answer {
    case .accepted: break
    case .schedule: queue.async { self.takeTurn() }
    case .refused(let error):
      budgets.giveBack(terms, at: clock())
      write.refuse(error)
    }
  }

  // MARK: The writer (on `queue` only)

  /// One batch; then what else waits for the writer has its turn.
  private func takeTurn() {
    if commitNext() { queue.async { self.takeTurn() } }
  }

  private func drain() {
    while commitNext() {}
  }

  private func commitNext() -> Bool {
    let batch = waiting.withLock { waiting -> [PendingWrite] in
      let batch = waiting.writes.take()
      if batch.isEmpty { waiting.isScheduled = false }
      return batch
    }
    if batch.isEmpty { return false }
    let start = clock().nanoseconds
    commit(batch)
    // A clock that is set meanwhile makes a batch too small or too large: no harm that lasts.
    let took = clock().nanoseconds &- start
    waiting.withLock { waiting in
      waiting.writes.noteBatch(nanoseconds: took)
      waiting.times.add(took)
    }
    return true
  }

  func setFailure(_ failure: StoreError?) {
    let observer = health.withLock { health in
      defer { health.failure = failure }
      return (health.failure == nil) == (failure == nil) ? nil : health.observer
    }
    observer?(failure)
  }

  /// In this order: who is given an entry finds it in the state.
  func publish(_ state: ControlState, _ entries: [LogEntry]) {
    let formers = Self.formers(of: entries, on: self.state)
    publish(state, last: entries.last?.withoutSecrets)
    tail.append(entries, formers: formers)
  }

  /// - Parameter last: the entry that the state ends with.
  func publish(_ state: ControlState, last: LogEntry?) {
    doubts.withLock { $0.last = last }
    published.withLock { $0 = Snapshot(state) }
    publishedRevision.store(state.revision, ordering: .sequentiallyConsistent)
    readers.published(state.revision)
  }

  static func load(_ store: any ControlStore) throws(StoreError) -> ControlState {
    ControlState(try store.load())
  }

  static let cancelled = TenancyError(
    .cancelled, TenancyError.Reason("CANCELLED"), "the call was cancelled before it took effect")
  private static let stopping = TenancyError(
    .unavailable, .storeUnavailable, "the server is stopping")
  static let unavailable = TenancyError(
    .unavailable, .storeUnavailable, "the store can't take the change now", retryAfterSeconds: 1)
}

/// Whether a write's caller has gone.
private final class CancellationFlag: Sendable {
  private let flag = Atomic(false)

  var isSet: Bool { flag.load(ordering: .relaxed) }
  func set() { flag.store(true, ordering: .relaxed) }
}

/// What a write has counted of its tenant's budget. On the writer only, which runs one write at a time.
private final class Counted: @unchecked Sendable {
  var logBytes = 0
}

struct PendingWrite: Sendable {
  let actor: String
  let action: String
  /// Runs the body; returns how to answer it when its batch is durable (nil) or has failed.
  let run: @Sendable (inout Transaction) -> @Sendable (TenancyError?) -> Void
  let refuse: @Sendable (TenancyError) -> Void
}
