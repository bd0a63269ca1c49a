/// Follows the log: every entry behind a revision, once, in order and without gaps, as soon as it is durable
/// and in the state. Ends when its task is cancelled or the control plane is closed.
///
/// Each iterator begins anew. It holds a few entries and its place: one that is slow costs no memory and is
/// served from the store. As in the log, secrets are left out.
public struct LogSubscription: AsyncSequence, Sendable {
  public typealias Element = LogEntry
  public typealias Failure = TenancyError

  /// Entries held by an iterator, at most.
  static let maximumHeld = 64

  let plane: ControlPlane
  let revision: UInt64
  /// What `LogTail.timesTakenBack` was.
  let takenBack: Int
  /// On whose account the store is asked.
  let reader: WritePayer

  public func makeAsyncIterator() -> Iterator {
    Iterator(plane: plane, position: revision, takenBack: takenBack, reader: reader)
  }

  /// Used by one task at a time.
  public struct Iterator: AsyncIteratorProtocol {
    let plane: ControlPlane
    /// The last revision that was given.
    private(set) var position: UInt64
    let takenBack: Int
    let reader: WritePayer
    private var held: ArraySlice<LogEntry> = []
    private var hasEnded = false

    init(plane: ControlPlane, position: UInt64, takenBack: Int, reader: WritePayer) {
      self.plane = plane
      self.reader = reader
      self.position = position
      self.takenBack = takenBack
    }

    /// - Throws: OUT_OF_RANGE if what comes next is not in the log any more: then the follower begins anew
    ///   with a snapshot; its metadata says of which revision at least. UNAVAILABLE if the store fails: it
    ///   may begin again where it was. Nothing is given after an error.
    public mutating func next(
      isolation actor: isolated (any Actor)? = #isolation
    ) async throws(TenancyError) -> LogEntry? {
      do throws(TenancyError) {
        while !hasEnded, !Task.isCancelled {
          if let entry = held.popFirst() {
            position = entry.revision
            return entry
          }
          try await fill()
        }
      } catch {
        end()
        throw error
      }
      end()
      return nil
    }

    private mutating func fill(
      isolation actor: isolated (any Actor)? = #isolation
    ) async throws(TenancyError) {
      switch plane.tail.read(
        after: position, limit: LogSubscription.maximumHeld, takenBack: takenBack)
      {
      case .entries(let entries): held = entries[...]
      case .nothing: await plane.tail.wait(after: position)
      case .inStore(let last):
        held = try await plane.readLog(after: position, through: last, by: reader)[...]
        // The store has been closed meanwhile.
        if held.isEmpty { hasEnded = true }
      case .takenBack(let revision): throw ControlPlane.outOfRange(floor: revision)
      case .closed: hasEnded = true
      }
    }

    private mutating func end() {
      held = []
      hasEnded = true
    }
  }
}

extension ControlPlane {
  /// Every entry of the log behind a revision, which may be one that is yet to come.
  /// - Parameter reader: on whose account the log is read where memory has it no more.
  public func subscribe(
    after revision: UInt64, by reader: WritePayer = .server
  ) -> LogSubscription {
    LogSubscription(
      plane: self, revision: revision, takenBack: tail.timesTakenBack, reader: reader)
  }

  /// Reads the log from the store, away from who asks. Empty if the plane has been closed.
  func readLog(
    after revision: UInt64, through last: UInt64, by reader: WritePayer
  ) async throws(TenancyError) -> [LogEntry] {
    guard reader == .server else {
      let part = try await readPast(
        of: nil, after: revision, through: last, limit: LogSubscription.maximumHeld, by: reader)
      return part?.entries ?? []
    }
    let limit = Int(min(UInt64(LogSubscription.maximumHeld), last - revision))
    let outcome: Result<[LogEntry], StoreError> = await withCheckedContinuation { continuation in
      logReader.async { [store] in
        continuation.resume(
          returning: Result { () throws(StoreError) in
            try store.entries(after: revision, limit: limit)
          })
      }
    }
    do throws(StoreError) {
      let entries = try outcome.get()
      // They were there when they were published.
      guard !entries.isEmpty || tail.isClosed else { throw StoreError(.corrupt, "a gap") }
      return entries
    } catch {
      if case .compacted(let floor) = error.code { throw Self.outOfRange(floor: floor) }
      if tail.isClosed { return [] }
      throw Self.unavailable
    }
  }

  /// The same on somebody's account, one read of each at a time; those of the server itself wait for none of them.
  /// - Parameter tenant: only of what puts it.
  /// - Returns: nil if the plane has been closed.
  func readPast(
    of tenant: TenantID?, after revision: UInt64, through last: UInt64, limit: Int,
    by reader: WritePayer
  ) async throws(TenancyError) -> LogPart? {
    let outcome = await withCheckedContinuation {
      (continuation: CheckedContinuation<Result<LogPart, StoreError>?, Never>) in
      // Patient: each watch has one under way, and there are only so many.
      let refusal = followReads.read(reader, isPatient: true) { [store, followReads] in
        guard !followReads.isClosed else { return continuation.resume(returning: nil) }
        continuation.resume(
          returning: Result { () throws(StoreError) in
            try store.pastEntries(of: tenant, after: revision, through: last, limit: limit)
          })
      }
      if refusal != nil { continuation.resume(returning: nil) }
    }
    do throws(StoreError) {
      guard let part = try outcome?.get() else { return nil }
      guard part.end > revision else {
        if tail.isClosed { return nil }
        // They were there when they were published.
        throw StoreError(.corrupt, "a gap")
      }
      return part
    } catch {
      if case .compacted(let floor) = error.code { throw Self.outOfRange(floor: floor) }
      if tail.isClosed { return nil }
      throw Self.unavailable
    }
  }

  static func outOfRange(floor: UInt64) -> TenancyError {
    TenancyError(
      .outOfRange, .revisionCompacted,
      "the log can be followed from revision \(floor) on: begin with a snapshot of it or a later one",
      metadata: ["oldest_revision": "\(floor)"])
  }
}
