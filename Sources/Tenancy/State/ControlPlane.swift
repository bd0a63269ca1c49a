import Dispatch
import Synchronization

/// The one place where the state of the control plane changes. Reads take an immutable snapshot
/// without waiting; writes are judged one after the other against the newest state, committed in
/// groups, and acknowledged when the store has them. Thread-safe.
public final class ControlPlane: Sendable {
  public typealias Clock = @Sendable () -> Timestamp

  /// Writes committed in one go, at most.
  static let maximumBatch = 512
  /// Writes waiting, at most. Over it: RESOURCE_EXHAUSTED.
  static let maximumWaiting = 8192

  /// Seals what is secret in requests; nil where no master key is configured.
  public let sealer: (any SecretSealer)?
  private let store: any ControlStore
  private let clock: Clock
  private let queue = DispatchQueue(label: "tenancy.control-plane.writer")
  private let published: Mutex<Snapshot>
  private let publishedRevision: Atomic<UInt64>
  private let waiting = Mutex(Waiting())
  /// Whether the store failed in a way that needs a reload before the next write.
  private let health = Mutex(Health())

  private struct Health {
    /// With what it failed.
    var failure: StoreError?
    var observer: (@Sendable (StoreError?) -> Void)?
  }

  private struct Waiting {
    var writes: [PendingWrite] = []
    var isScheduled = false
    var isClosed = false
  }

  /// Loads the state. Blocks.
  /// - Throws: `StoreError`.
  public init(
    store: any ControlStore, sealer: (any SecretSealer)? = nil, clock: @escaping Clock
  ) throws(StoreError) {
    self.sealer = sealer
    self.store = store
    self.clock = clock
    let state = try Self.load(store)
    published = Mutex(Snapshot(state))
    publishedRevision = Atomic(state.revision)
  }

  // MARK: Reading

  /// The newest acknowledged state. Takes a lock: on hot paths, go through a `SnapshotReader`.
  public var snapshot: Snapshot { published.withLock { $0 } }

  public var state: ControlState { snapshot.state }

  public var now: Timestamp { clock() }

  fileprivate var revision: UInt64 { publishedRevision.load(ordering: .acquiring) }

  /// Whether the last commit succeeded, or the store was found to work since.
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

  /// Tries a store that has failed again: for a server that no one writes to as long as it is not healthy.
  /// Returns `isHealthy`, which also becomes true by a write that succeeds.
  public func recover() async -> Bool {
    await withCheckedContinuation { continuation in
      queue.async { [self] in
        if !isHealthy, !waiting.withLock({ $0.isClosed }) {
          // While it throws, it has failed still: that is what the result says.
          try? tryStore()
        }
        continuation.resume(returning: isHealthy)
      }
    }
  }

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
  ///   - body: emits changes, or throws and changes nothing. It runs on the writer, so it must be
  ///     quick; without changes nothing is committed.
  /// - Throws: what `body` throws, or UNAVAILABLE when the store fails, or CANCELLED when the task was
  ///   cancelled before the writer came to it.
  public func write<Result: Sendable>(
    actor: String, action: String,
    _ body: @escaping @Sendable (inout Transaction) throws(TenancyError) -> Result
  ) async throws(TenancyError) -> Result {
    let flag = CancellationFlag()
    let outcome: Swift.Result<Result, TenancyError> = await withTaskCancellationHandler {
      await waitForWrite(actor: actor, action: action, flag, body)
    } onCancel: {
      flag.set()
    }
    return try outcome.get()
  }

  private func waitForWrite<Result: Sendable>(
    actor: String, action: String, _ flag: CancellationFlag,
    _ body: @escaping @Sendable (inout Transaction) throws(TenancyError) -> Result
  ) async -> Swift.Result<Result, TenancyError> {
    await withCheckedContinuation { continuation in
      let write = PendingWrite(
        actor: actor, action: action,
        run: { transaction in
          do throws(TenancyError) {
            // Nobody waits for it: the writer's time is for those who do.
            if flag.isSet { throw Self.cancelled }
            let value = try body(&transaction)
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
      enqueue(write)
    }
  }

  /// Waits for writes under way, refuses later ones, and closes the store.
  public func close() async {
    waiting.withLock { $0.isClosed = true }
    await withCheckedContinuation { continuation in
      queue.async {
        self.drain()
        self.store.close()
        continuation.resume()
      }
    }
  }

  private func enqueue(_ write: PendingWrite) {
    enum Answer { case accepted, schedule, full, closed }
    let answer = waiting.withLock { waiting -> Answer in
      if waiting.isClosed { return .closed }
      if waiting.writes.count >= Self.maximumWaiting { return .full }
      waiting.writes.append(write)
      if waiting.isScheduled { return .accepted }
      waiting.isScheduled = true
      return .schedule
    }
    switch answer {
    case .accepted: break
    case .schedule: queue.async { self.drain() }
    case .full:
      write.refuse(
        TenancyError(
          .resourceExhausted, .limitReached, "too many writes are waiting", retryAfterSeconds: 1))
    case .closed:
      write.refuse(TenancyError(.unavailable, .storeUnavailable, "the server is stopping"))
    }
  }

  // MARK: The writer (on `queue` only)

  private func drain() {
    while true {
      let batch = waiting.withLock { waiting -> [PendingWrite] in
        let batch = Array(waiting.writes.prefix(Self.maximumBatch))
        waiting.writes.removeFirst(batch.count)
        if batch.isEmpty { waiting.isScheduled = false }
        return batch
      }
      if batch.isEmpty { return }
      commit(batch)
    }
  }

  private func commit(_ batch: [PendingWrite]) {
    var state: ControlState
    do throws(StoreError) {
      state = try newestState()
    } catch {
      for write in batch { write.refuse(Self.unavailable) }
      return
    }
    var entries: [LogEntry] = []
    var acknowledgements: [@Sendable (TenancyError?) -> Void] = []
    for write in batch {
      var transaction = Transaction(state: state, now: clock())
      acknowledgements.append(write.run(&transaction))
      guard !transaction.changes.isEmpty else { continue }
      let revision = state.revision + 1
      entries.append(
        LogEntry(
          revision: revision, time: transaction.now, actor: write.actor, action: write.action,
          tenant: transaction.subject, changes: transaction.changes))
      state.apply(transaction.changes, revision: revision)
    }
    let failure = persist(entries)
    if failure == nil, !entries.isEmpty { publish(state) }
    for acknowledge in acknowledgements { acknowledge(failure) }
  }

  private func persist(_ entries: [LogEntry]) -> TenancyError? {
    guard !entries.isEmpty else { return nil }
    do throws(StoreError) {
      try store.append(entries)
      return nil
    } catch {
      // What is on disk decides, whatever the error was.
      setFailure(error)
      return Self.unavailable
    }
  }

  private func newestState() throws(StoreError) -> ControlState {
    guard !isHealthy else { return state }
    let state = try Self.load(store)
    publish(state)
    setFailure(nil)
    return state
  }

  private func tryStore() throws(StoreError) {
    // In this order: it must not look healthy to anyone who then finds that it can't be written to.
    try store.checkWritable()
    _ = try newestState()
  }

  private func setFailure(_ failure: StoreError?) {
    let observer = health.withLock { health in
      defer { health.failure = failure }
      return (health.failure == nil) == (failure == nil) ? nil : health.observer
    }
    observer?(failure)
  }

  private func publish(_ state: ControlState) {
    published.withLock { $0 = Snapshot(state) }
    publishedRevision.store(state.revision, ordering: .releasing)
  }

  private static func load(_ store: any ControlStore) throws(StoreError) -> ControlState {
    let stored = try store.load()
    var state = ControlState()
    state.apply(stored.changes, revision: stored.revision)
    return state
  }

  private static let cancelled = TenancyError(
    .cancelled, TenancyError.Reason("CANCELLED"), "the call was cancelled before it took effect")
  private static let unavailable = TenancyError(
    .unavailable, .storeUnavailable, "the store can't take the change now", retryAfterSeconds: 1)
}

/// Whether a write's caller has gone.
private final class CancellationFlag: Sendable {
  private let flag = Atomic(false)

  var isSet: Bool { flag.load(ordering: .relaxed) }
  func set() { flag.store(true, ordering: .relaxed) }
}

/// What a write sees and does.
public struct Transaction {
  /// The newest state, earlier writes of the same batch included.
  public let state: ControlState
  public let now: Timestamp
  fileprivate(set) var changes: [Change] = []
  /// The tenant that all changes are about, if it is one.
  fileprivate(set) var subject: TenantID?

  fileprivate init(state: ControlState, now: Timestamp) {
    self.state = state
    self.now = now
  }

  /// Adds a change, about this tenant.
  public mutating func emit(_ change: Change, about tenant: TenantID) {
    subject = changes.isEmpty || subject == tenant ? tenant : nil
    changes.append(change)
  }

  /// Adds a change that is about no tenant.
  public mutating func emit(_ change: Change) {
    subject = nil
    changes.append(change)
  }

  fileprivate mutating func discard() { changes = [] }
}

private struct PendingWrite: Sendable {
  let actor: String
  let action: String
  /// Runs the body; returns how to answer it when its batch is durable (nil) or has failed.
  let run: @Sendable (inout Transaction) -> @Sendable (TenancyError?) -> Void
  let refuse: @Sendable (TenancyError) -> Void
}

/// A reader's own hold on the newest state: looks at one atomic, and takes the lock only when the
/// state has changed. Confined to one event loop.
public final class SnapshotReader {
  private let plane: ControlPlane
  private var held: Snapshot

  public init(_ plane: ControlPlane) {
    self.plane = plane
    held = plane.snapshot
  }

  /// The newest acknowledged state.
  @inline(__always)
  public var snapshot: Snapshot {
    if plane.revision != held.state.revision { held = plane.snapshot }
    return held
  }
}

/// One revision of the state, shared by all who read it.
public final class Snapshot: Sendable {
  public let state: ControlState

  init(_ state: ControlState) { self.state = state }
}
