import Dispatch

/// How the writer commits batches, together with other nodes on the same store. On `queue` only.
extension ControlPlane {
  /// What tests set otherwise.
  struct Options: Sendable {
    var retention = LogRetention()
    var quotas = TenantQuotas()
    var tail = LogTail.Limits()
    var maximumStaleness: Duration?
    var lifecycle = LifecycleTerms()
    var waitingReads = ReadWaiters.Limits()
    /// Nil: nothing is audited.
    var auditor: Auditor?
    /// By a clock that nobody sets.
    var instant: @Sendable () -> ContinuousClock.Instant = { .now }
    /// Waits before a batch is run again for the nth time.
    var pause: @Sendable (_ attempt: Int) -> Void = ControlPlane.pause
  }

  /// How often a batch is run, if others are faster each time.
  static let maximumAttempts = 10
  /// Entries read in one go.
  static let entriesPerRead = 256

  /// A batch's bodies, run on one state.
  private struct Judged {
    var state: ControlState
    var entries: [LogEntry] = []
    var notes: [AuditNote] = []
    var acknowledgements: [@Sendable (TenancyError?) -> Void] = []

    /// Each body is run as if it were the first time; only one run is acknowledged.
    init(_ batch: [PendingWrite], on state: ControlState, _ clock: Clock) {
      self.state = state
      for write in batch {
        let judged = Self.judge(write, on: self.state, clock, &acknowledgements)
        guard let (entry, note) = judged else { continue }
        entries.append(entry)
        notes.append(note)
        self.state.apply(entry.changes, revision: entry.revision)
      }
    }

    /// Runs a write's body. The transaction's hold on the state ends here: what only the batch has can then
    /// be changed in place.
    private static func judge(
      _ write: PendingWrite, on state: borrowing ControlState, _ clock: Clock,
      _ acknowledgements: inout [@Sendable (TenancyError?) -> Void]
    ) -> (LogEntry, AuditNote)? {
      var transaction = Transaction(state: copy state, now: clock())
      acknowledgements.append(write.run(&transaction))
      guard !transaction.changes.isEmpty || transaction.lease != nil else { return nil }
      let entry = LogEntry(
        revision: state.revision + 1, time: transaction.now, actor: write.actor,
        action: write.action, tenants: transaction.tenants, changes: transaction.changes,
        lease: transaction.lease, history: transaction.history)
      var note = AuditNote(entry, by: transaction.origin)
      note.event.reason = transaction.remark
      return (entry, note)
    }

    func acknowledge(_ failure: TenancyError?) {
      for acknowledge in acknowledgements { acknowledge(failure) }
    }
  }

  private enum Outcome {
    case durable
    /// Others have written, and the state is newer now.
    case overtaken
    /// Nobody has, and yet one of the writes can't be: it contradicts what is stored, or is about a lease
    /// that another has.
    case refused(TenancyError)
    case failed
  }

  /// Commits a batch, again on the newer state if another node was faster.
  func commit(_ batch: [PendingWrite]) {
    for attempt in 1... {
      let state: ControlState
      do throws(StoreError) {
        state = try newestState()
      } catch {
        for write in batch { write.refuse(Self.unavailable) }
        return
      }
      let judged = Judged(batch, on: state, clock)
      switch persist(judged.entries, judged.notes) {
      case .durable:
        if !judged.entries.isEmpty {
          publish(judged.state, judged.entries)
          setDurable()
        }
        return judged.acknowledge(nil)
      case .failed: return judged.acknowledge(Self.unavailable)
      case .refused(let error): return separate(batch, judged, error)
      case .overtaken where attempt == Self.maximumAttempts:
        return judged.acknowledge(Self.overtaken)
      case .overtaken: options.pause(attempt)
      }
    }
  }

  /// One write that can't be must not fail others of its batch.
  private func separate(_ batch: [PendingWrite], _ judged: Judged, _ error: TenancyError) {
    guard batch.count > 1 else { return judged.acknowledge(error) }
    let middle = batch.count / 2
    commit(Array(batch[..<middle]))
    commit(Array(batch[middle...]))
  }

  private func persist(_ entries: [LogEntry], _ notes: [AuditNote]) -> Outcome {
    guard let first = entries.first else { return .durable }
    let moment = Staleness.moment(clock())
    do throws(StoreError) {
      if let auditor {
        try auditor.append(entries, notes, at: now)
      } else {
        try store.append(entries)
      }
      // It was the newest state that it was appended to.
      staleness.noteCurrent(at: moment)
      return .durable
    } catch {
      switch error.code {
      case .conflict: return afterConflict(first.revision - 1)
      case .unknownOutcome: return lookUp(entries, error)
      case .leaseHeld: return .refused(Self.leaseHeld)
      case .leaseLost: return .refused(Self.leaseLost)
      case .unavailable, .corrupt, .compacted:
        setWriteFailure(error)
        return .failed
      }
    }
  }

  /// Losing a race is no sickness of the store.
  private func afterConflict(_ revision: UInt64) -> Outcome {
    do throws(StoreError) {
      try follow()
      return state.revision == revision ? .refused(Self.contradiction) : .overtaken
    } catch {
      setWriteFailure(error)
      return .failed
    }
  }

  /// Whether a batch of unknown outcome is there. It is acknowledged only if a later write is durable, which
  /// proves that it is, too: also where a store answers before its standby has it. If it is not there, it
  /// may yet come to be.
  private func lookUp(_ entries: [LogEntry], _ failure: StoreError) -> Outcome {
    do throws(StoreError) {
      let before = (entries.first?.revision ?? 1) - 1
      var (rest, revision) = (entries[...], before)
      while !rest.isEmpty {
        let found = try store.entries(after: revision, limit: rest.count)
        guard !found.isEmpty else {
          setWriteFailure(failure)
          return .failed
        }
        for entry in found {
          guard entry == rest.popFirst()?.withoutSecrets else { return afterConflict(before) }
          revision = entry.revision
        }
      }
      try store.checkWritable()
      return .durable
    } catch {
      setWriteFailure(error)
      return .failed
    }
  }

  /// Makes the state the newest that there is.
  func refresh() throws(StoreError) {
    if isHealthy { try follow() } else { _ = try newestState() }
  }

  /// Takes over what others have written since the newest state.
  func follow() throws(StoreError) {
    do throws(StoreError) {
      while true {
        var state = state
        let entries = try store.entries(after: state.revision, limit: Self.entriesPerRead)
        guard !entries.isEmpty else { return }
        // Before anyone sees what is sealed under a new one.
        if entries.contains(where: \.replacesKeys) { try installKeys() }
        for entry in entries { state.apply(entry.changes, revision: entry.revision) }
        publish(state, entries)
      }
    } catch {
      guard case .compacted = error.code else { throw error }
      try reload()
    }
  }

  /// Takes over what other nodes have written: when they have told of it, or when it is time to look.
  /// - Throws: UNAVAILABLE when the store fails.
  /// - Returns: the revision of the state that is there now, at least.
  /// - Parameter target: nothing is done if that revision is there.
  @discardableResult
  public func catchUp(to target: UInt64? = nil) async throws(TenancyError) -> UInt64 {
    let outcome: Result<UInt64, TenancyError> = await withCheckedContinuation { continuation in
      queue.async { [self] in
        if let target, isHealthy, revision >= target {
          return continuation.resume(returning: .success(revision))
        }
        do throws(StoreError) {
          try refresh()
          continuation.resume(returning: .success(revision))
        } catch {
          if !tail.isClosed { setFailure(error) }
          continuation.resume(returning: .failure(Self.unavailable))
        }
      }
    }
    return try outcome.get()
  }

  /// Up to twice as long each time, so that nodes that are in each other's way come apart.
  private static func pause(_ attempt: Int) {
    let microseconds = Int.random(in: 0...(500 << min(attempt, 6)))
    // Nobody signals it: the time passes.
    _ = DispatchSemaphore(value: 0).wait(timeout: .now() + .microseconds(microseconds))
  }

  private static let overtaken = TenancyError(
    .aborted, .writeConflict, "other writes were faster each time: try again",
    retryAfterSeconds: 1)
  private static let contradiction = TenancyError(
    .internalError, .writeRefused, "the store refuses the change")
}
