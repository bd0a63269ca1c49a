import Synchronization

/// What the writer knows of a store that has failed. On its queue only.
struct StoreDoubts: Sendable {
  /// What the state ends with, as the log tells it. Nil: not looked up, or there is nothing.
  var last: LogEntry?
  /// What is in memory may be what the store never had: nothing but a load tells.
  var mustReload = false
  /// A write has failed since the store was last looked at: that another kind of write works, such as one that
  /// needs less room, does not say that this one would.
  var hasWrittenInVain = false
  /// The last load in vain, which may have read all there is before it came to what is wrong.
  var failedLoad: (failure: StoreError, instant: ContinuousClock.Instant)?
}

/// How a store that has failed is found to work again: by a write that is durable, and by nothing less. On
/// `queue` only, but for `recover`.
extension ControlPlane {
  /// Before a load that has failed is tried again.
  static let loadInterval = Duration.seconds(1)

  /// Tries a store that has failed again: for a server that no one writes to as long as it is not healthy. Where
  /// some do, in vain, it is they who find out: what is tried here needs less of the store than they do.
  /// - Returns: `isHealthy`, which also becomes true by a write that succeeds.
  public func recover() async -> Bool {
    await withCheckedContinuation { continuation in
      queue.async { [self] in
        if !isHealthy, !isClosed, !hasJustWrittenInVain() {
          // While it throws, it has failed still: that is what the result says.
          try? tryStore()
        }
        continuation.resume(returning: isHealthy)
      }
    }
  }

  private func tryStore() throws(StoreError) {
    // In this order: it must not look healthy to anyone who then finds that it can't be written to.
    try store.checkWritable()
    try confirmState()
    setFailure(nil)
  }

  /// Whether a write has failed since this was asked before.
  func hasJustWrittenInVain() -> Bool {
    doubts.withLock { doubts in
      defer { doubts.hasWrittenInVain = false }
      return doubts.hasWrittenInVain
    }
  }

  func newestState() throws(StoreError) -> ControlState {
    if !isHealthy { try confirmState() }
    return state
  }

  /// Makes sure, for the price of two short reads, that the state is what the store has, and takes over what
  /// others have written since. A store that does not take a write is read anew only where it may have become
  /// another one meanwhile, as by a failover that has lost the end of the log.
  private func confirmState() throws(StoreError) {
    let (last, mustReload) = doubts.withLock { ($0.last, $0.mustReload) }
    guard !mustReload, try isStored(last) else { return try reloadNowAndThen() }
    try follow()
  }

  /// Whoever writes in vain does not make the store be read without end.
  private func reloadNowAndThen() throws(StoreError) {
    let now = options.instant()
    if let failed = doubts.withLock({ $0.failedLoad }),
      failed.instant.duration(to: now) < Self.loadInterval
    {
      throw failed.failure
    }
    do throws(StoreError) {
      try reload()
    } catch {
      doubts.withLock { $0.failedLoad = (error, options.instant()) }
      throw error
    }
  }

  /// Whether the state and the log are of one history.
  private func isStored(_ last: LogEntry?) throws(StoreError) -> Bool {
    if revision == 0 { return true }
    guard let last else { return false }
    return try last == lastEntry(upTo: revision)
  }

  /// The entry of a revision; nil: the log has none, or not any more.
  private func lastEntry(upTo revision: UInt64) throws(StoreError) -> LogEntry? {
    guard revision > 0 else { return nil }
    do throws(StoreError) {
      return try store.entries(after: revision - 1, limit: 1).first
    } catch {
      guard case .compacted = error.code else { throw error }
      return nil
    }
  }

  /// Takes the state anew from the store. What is on disk decides.
  func reload() throws(StoreError) {
    try installKeys()
    let state = try Self.load(store)
    // What reads the log has to work as well, or the store would seem to have failed again a moment later.
    let last = try lastEntry(upTo: state.revision)
    publish(state, last: last)
    // It is read anew because it is not known to be the one that it was.
    tail.restart(after: state.revision, isContinued: false)
    doubts.withLock { doubts in
      doubts.mustReload = false
      doubts.failedLoad = nil
    }
  }

  /// A write is durable.
  func setDurable() {
    guard !isHealthy else { return }
    doubts.withLock { $0.hasWrittenInVain = false }
    setFailure(nil)
  }

  /// The store has failed at a write.
  func setWriteFailure(_ failure: StoreError) {
    doubts.withLock { doubts in
      doubts.hasWrittenInVain = true
      // Once until it works again: a store that is damaged stays so.
      if failure.code == .corrupt, isHealthy { doubts.mustReload = true }
    }
    setFailure(failure)
  }
}

extension ControlPlane {
  /// See `ControlStore.identity`.
  public var storeIdentity: String { store.identity }
}
