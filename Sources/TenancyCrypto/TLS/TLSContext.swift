import Synchronization

/// Certificates, keys and rules for TLS connections: TLS 1.2 with ECDHE and AEAD, or 1.3. Thread-safe.
///
/// What was read from files is an immutable snapshot, which `reload` replaces: connections that are open
/// keep theirs, handshakes from then on take the new one.
public final class TLSContext: Sendable {
  package let side: Side
  let configuration: Configuration
  private let state: Mutex<State>

  private struct State {
    var snapshot: TLSSnapshot
    var nextGeneration: UInt64
    /// The files as they were just before the snapshot was read, or the last attempt was made.
    var stamps: [FileStamp?]
    var observers: [UInt64: @Sendable () -> Void] = [:]
    var lastObserver: UInt64 = 0
  }

  /// - Throws: `TLSError` when a file can't be read, or the key does not fit the certificate.
  public init(_ side: Side, _ configuration: Configuration) throws {
    self.side = side
    self.configuration = configuration
    let stamps = configuration.paths.map { FileStamp($0) }
    let files = try TLSFiles(side, configuration, number: 0)
    let snapshot = try TLSSnapshot(side, configuration, files, generation: 0)
    state = Mutex(State(snapshot: snapshot, nextGeneration: 1, stamps: stamps))
  }

  /// With one identity, one CA bundle and the defaults otherwise.
  /// - Throws: `TLSError` when a file can't be read, or the key does not fit the certificate.
  public convenience init(
    _ side: Side, _ files: Files, peerRule: @escaping PeerRule = { _ in nil }
  ) throws {
    var configuration = Configuration(files)
    configuration.peerRule = peerRule
    try self.init(side, configuration)
  }

  /// What new handshakes use.
  var snapshot: TLSSnapshot { state.withLock { $0.snapshot } }

  // MARK: Reloading

  /// Reads the files again. Open connections go on; servers judge their peers by what was read, and end
  /// those whose peers are not acceptable any more. No session from before is resumed.
  ///
  /// Blocks while it reads the files.
  /// - Throws: `TLSError`; everything is as before then.
  public func reload() throws(TLSError) {
    let stamps = configuration.paths.map { FileStamp($0) }
    // Before reading: a change while we read is seen as one.
    let number = state.withLock { state in
      state.stamps = stamps
      return Self.next(&state)
    }
    try replace(with: try TLSFiles(side, configuration, number: number))
  }

  /// Asks for the CAs besides those in files again, and for those that are refused. What was read from files stays as
  /// it is, whatever has become of them since. Otherwise as `reload`.
  /// - Throws: `TLSError`; everything is as before then.
  public func reloadAddedAuthorities() throws(TLSError) { try replace(with: nil) }

  /// - Parameter files: nil: those that are in use.
  private func replace(with files: TLSFiles?) throws(TLSError) {
    while true {
      let (base, generation) = state.withLock { ($0.snapshot, Self.next(&$0)) }
      // Of two reloads at once the later one counts.
      let newest = files.map { $0.number < base.files.number ? base.files : $0 } ?? base.files
      let loaded = try TLSSnapshot(side, configuration, newest, generation: generation)
      let observers = state.withLock { state -> [UInt64: @Sendable () -> Void]? in
        // Another one has come between, with files or CAs that this one does not know.
        guard state.snapshot === base else { return nil }
        state.snapshot = loaded
        return state.observers
      }
      guard let observers else { continue }
      base.retire()
      for observer in observers.values { observer() }
      return
    }
  }

  /// Has servers look at their peers again, as after a reload: `registrationRule` says something else. Loads and verifies
  /// nothing.
  public func review() {
    for observer in state.withLock({ $0.observers }).values { observer() }
  }

  private static func next(_ state: inout State) -> UInt64 {
    defer { state.nextGeneration += 1 }
    return state.nextGeneration
  }

  /// Reads the files again if one of them has changed since they were last read, or tried to be.
  /// Replaced files and symbolic links that lead elsewhere are changes as well.
  ///
  /// - Returns: whether they have changed.
  /// - Throws: as `reload`. It is not tried again until a file changes again.
  public func reloadIfChanged() throws(TLSError) -> Bool {
    let stamps = configuration.paths.map { FileStamp($0) }
    guard state.withLock({ $0.stamps != stamps }) else { return false }
    try reload()
    return true
  }

  /// Looks after the files until the task is cancelled, and reloads when they change.
  ///
  /// - Parameters:
  ///   - interval: between looks. A change is seen when it is over.
  ///   - report: told of each reload: nil when it went well, else why not.
  public func watch(every interval: Duration, report: @Sendable (TLSError?) -> Void) async {
    while true {
      do { try await Task.sleep(for: interval) } catch { return }  // Cancelled.
      do {
        if try reloadIfChanged() { report(nil) }
      } catch {
        report(error)
      }
    }
  }

  /// `observer` is called after each reload, on the thread that reloads, for as long as what is returned is kept.
  package func onReload(_ observer: @escaping @Sendable () -> Void) -> Observation {
    let number = state.withLock { state in
      state.lastObserver += 1
      state.observers[state.lastObserver] = observer
      return state.lastObserver
    }
    return Observation(context: self, number: number)
  }

  /// How many are told of reloads.
  var observerCount: Int { state.withLock { $0.observers.count } }

  /// Somebody is told of reloads.
  package final class Observation: Sendable {
    private let context: TLSContext
    private let number: UInt64

    fileprivate init(context: TLSContext, number: UInt64) {
      self.context = context
      self.number = number
    }

    deinit { context.state.withLock { $0.observers[number] = nil } }
  }
}
