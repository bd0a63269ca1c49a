import Dispatch

/// How fresh the state is, where others write to the store as well.
extension ControlPlane {
  /// Before a store that has failed is looked into again for those who wait.
  private static let lookInterval = Duration.milliseconds(250)
  /// How long a read without a deadline of its own waits.
  private static let maximumWait = Duration.seconds(30)
  /// What is left of a call's deadline to say that it was in vain.
  private static let margin = Duration.milliseconds(50)

  // MARK: Consistency tokens

  /// For the state as it is now: who has just written gives it to reads on other nodes.
  public var token: ConsistencyToken { ConsistencyToken(store: storeKey, revision: revision) }

  /// Whether the state is as fresh as a token demands.
  /// - Throws: FAILED_PRECONDITION if it is a token of another store, or of another life of this one.
  public func hasReached(_ token: ConsistencyToken) throws(TenancyError) -> Bool {
    guard token.store == storeKey else { throw Self.foreignToken }
    return revision >= token.revision
  }

  /// Returns when the state is as fresh as a token demands. The store is asked at once, or a moment after it was
  /// asked before, so that lost notifications delay nobody; all who wait share the question.
  /// - Parameters:
  ///   - payer: each may wait with so many reads only.
  ///   - deadline: of the call.
  /// - Throws: UNAVAILABLE with REVISION_NOT_REACHED when it does not come in time, or the store does not have
  ///   it; RESOURCE_EXHAUSTED when too many wait; as `hasReached`.
  public func reach(
    _ token: ConsistencyToken, payer: ReadPayer, by deadline: ContinuousClock.Instant?
  ) async throws(TenancyError) {
    if try hasReached(token) { return }
    let left = deadline.map { ContinuousClock.now.duration(to: $0) } ?? Self.maximumWait
    // Of a short one not all of it.
    let wait = min(left - min(Self.margin, left / 4), Self.maximumWait)
    guard wait > .zero else { throw Self.notReached }
    switch await waitToReach(token.revision, payer, wait) {
    case .reached: return
    case .unknown: throw Self.unknownRevision
    case .cancelled: throw Self.notReached
    case .tooMany: throw Self.tooManyWait
    }
  }

  private func waitToReach(
    _ revision: UInt64, _ payer: ReadPayer, _ wait: Duration
  ) async -> ReadWaiters.Verdict {
    await withTaskGroup(of: ReadWaiters.Verdict.self) { [self] group in
      group.addTask {
        await self.readers.wait(
          for: revision, payer, isThere: { self.revision >= revision },
          look: { self.scheduleLook() })
      }
      group.addTask {
        // Cancelled when the other has ended.
        try? await Task.sleep(for: wait)
        return .cancelled
      }
      let verdict = await group.next() ?? .cancelled
      group.cancelAll()
      return verdict
    }
  }

  private func scheduleLook(after pause: Duration = .zero) {
    let pause = max(pause, readers.pauseBeforeLooking())
    lookQueue.asyncAfter(deadline: .now() + .milliseconds(Int(pause.wholeMilliseconds))) {
      self.lookForReaders()
    }
  }

  /// On `lookQueue` only: what the store does not have costs no write its turn.
  private func lookForReaders() {
    let number = readers.beginLooking()
    let before = revision
    if isHealthy, !tail.isClosed,
      // What it throws the writer finds out as well.
      let news = try? store.entries(after: before, limit: 1), news.isEmpty
    {
      return readers.endLooking(upTo: number, at: revision)
    }
    queue.async { self.catchUpForReaders(upTo: number) }
  }

  /// On `queue` only.
  private func catchUpForReaders(upTo number: UInt64) {
    do throws(StoreError) {
      if tail.isClosed { throw StoreError(.unavailable, "closed") }
      try refresh()
      readers.endLooking(upTo: number, at: revision)
    } catch {
      if !tail.isClosed { setFailure(error) }
      guard readers.mustLookAgain() else { return }
      scheduleLook(after: Self.lookInterval)
    }
  }

  // MARK: Staleness

  /// Whether the state may be older than the node is allowed to answer from.
  @inline(__always)
  public func isStale(at now: Timestamp) -> Bool { staleness.isStale(at: now) }

  /// For how long the node answers from its state without having seen that it is current; nil: for ever, as
  /// nobody else writes.
  public var maximumStaleness: Duration? { staleness.maximum }

  /// Since the state was seen to be current last; nil where nobody else writes.
  public var stateAge: Duration? { staleness.maximum.map { _ in staleness.age } }

  /// Makes sure that the state is current, by a commit of nothing: a server that was deposed would let itself be
  /// read for ever. To be called several times within `maximumStaleness`.
  /// - Parameter age: nothing is done if it was seen since, as by a write, does not look stale, and the store works.
  /// - Returns: whether the node may answer.
  @discardableResult
  public func confirmCurrent(ifNotWithin age: Duration = .zero) async -> Bool {
    // A clock that was set ahead makes the state look old that was seen a moment ago: it is seen again.
    if isHealthy, staleness.age < age, !isStale(at: clock()) {
      staleness.look()
      return !isStale(at: clock())
    }
    return await withCheckedContinuation { continuation in
      queue.async { [self] in
        do throws(StoreError) {
          let moment = Staleness.moment(clock())
          // In this order: it must not look healthy before it can be written to.
          try store.checkWritable()
          try refresh()
          if !hasJustWrittenInVain() { setFailure(nil) }
          staleness.noteCurrent(at: moment)
        } catch {
          if !tail.isClosed { setFailure(error) }
        }
        staleness.look()
        continuation.resume(returning: !isStale(at: clock()))
      }
    }
  }

  // MARK: Errors

  /// For calls while the state is too old to be answered from. Another node may still know.
  public static let stale = TenancyError(
    .unavailable, .stateStale,
    "this node has lost its database for too long to know what holds: ask another",
    retryAfterSeconds: 1)
  private static let notReached = TenancyError(
    .unavailable, .revisionNotReached, "the state is not as fresh yet as the token demands",
    retryAfterSeconds: 1)
  private static let unknownRevision = TenancyError(
    .unavailable, .revisionNotReached,
    "the store has no such revision: the token is of a later state than it has",
    retryAfterSeconds: 1)
  private static let tooManyWait = TenancyError(
    .resourceExhausted, .limitReached, "too many reads wait for a revision", retryAfterSeconds: 1)
  private static let foreignToken = TenancyError(
    .failedPrecondition, .tokenOfAnotherStore,
    "the consistency token is of another store, or of this one before it was restored: go on without"
  )
}
