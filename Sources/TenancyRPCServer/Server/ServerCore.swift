internal import NIOCore
import Synchronization
internal import TenancyCrypto
internal import TenancyLoop
internal import TenancyRPCCore

/// What all connections of a server share.
final class ServerCore: Sendable {
  let methods: MethodTable
  let limits: ServerLimits
  let embedder: any Embedder
  let connections = ConnectionRegistry()
  let memory: ServerMemory
  let census: ConnectionCensus
  private let peerEvents = Mutex(PeerEvents())
  /// Asynchronous handlers at work, those of closed connections included.
  let pendingCalls = Atomic(0)
  /// Of calls that stream, which may last.
  let pendingStreams = Atomic(0)
  /// Where handlers run that do not run on event loops; nil: Swift's pool of threads.
  let pool: (any TaskExecutor)?

  /// - Precondition: no two methods have the same path.
  init<Delegate: ServerDelegate>(
    methods: [ServiceMethod<Delegate>], limits: ServerLimits, delegate: Delegate,
    pool: (any TaskExecutor)? = nil
  ) {
    self.pool = pool
    let embedder = DelegatedEmbedder(delegate, methods)
    self.embedder = embedder
    self.methods = embedder.methods
    self.limits = limits
    memory = ServerMemory(limits)
    census = ConnectionCensus(
      ConnectionCensus.Limits(limits, descriptors: max(1, Descriptors.limit - Descriptors.reserved))
    )
  }

  /// Asynchronous ones, of both kinds.
  var handlersAtWork: Int {
    pendingCalls.load(ordering: .acquiring) + pendingStreams.load(ordering: .acquiring)
  }

  /// Waits for cancelled handlers to return, but no longer than `limit`.
  func awaitTasks(within limit: Duration) async {
    let end = ContinuousClock.now.advanced(by: limit)
    while handlersAtWork > 0, ContinuousClock.now < end {
      do { try await Task.sleep(for: .milliseconds(5)) } catch { return }
    }
  }

  /// What a client is told of a handler's error. Errors that are not for clients go to the log.
  func status(of error: any Error, _ connection: Connection) -> RPCStatus {
    switch error {
    case let status as RPCStatus where status.code == .ok:
      log(.internalError, connection.label, "a handler has thrown OK, or ended its call with it")
      return RPCStatus(.internalError, "internal error")
    case let status as RPCStatus: return status
    case is CancellationError: return RPCStatus(.cancelled, "the call was cancelled")
    default:
      log(.internalError, connection.label, "\(error)")
      return RPCStatus(.internalError, "internal error")
    }
  }

  /// With the embedder's details, where there are none.
  func described(_ status: RPCStatus) -> RPCStatus {
    guard status.details.isEmpty else { return status }
    let described = embedder.describe(status)
    guard described.details.isEmpty, let delay = described.retryAfter else { return described }
    return RPCStatus(
      described.code, described.message, details: RetryInfo.details(described, delay: delay),
      retryAfter: delay)
  }

  /// What peers can cause is logged only so often: an attack must not fill the disk.
  func log(
    _ kind: ServerEvent.Kind, _ connection: @autoclosure () -> String,
    _ detail: @autoclosure () -> String
  ) {
    let dropped = peerEvents.withLock { events -> Int? in
      guard kind.isCausedByPeers else { return 0 }
      guard events.limit.take() else {
        events.dropped += 1
        return nil
      }
      defer { events.dropped = 0 }
      return events.dropped
    }
    guard let dropped else { return }
    let note = dropped > 0 ? " (\(dropped) events before were not logged)" : ""
    embedder.log(ServerEvent(kind: kind, connection: connection(), detail: detail() + note))
  }
}

extension ServerCore {
  fileprivate struct PeerEvents {
    var limit = RateLimit(burst: 200, perSecond: 20)
    var dropped = 0
  }
}

extension ServerEvent.Kind {
  fileprivate var isCausedByPeers: Bool {
    switch self {
    case .handshakeFailed, .peerRefused, .protocolError, .peerStalled, .outOfDescriptors: true
    case .listening, .internalError: false
    }
  }
}

/// What one event loop's connections share. Confined to that loop.
final class LoopState {
  let eventLoop: any EventLoop
  let embedder: EmbedderLoop
  let timers: TimerQueue
  let turns: LoopTurns
  let executor: LoopExecutor
  let observer: LoopObserver?
  private var lastMaintenance: NIODeadline?

  init(_ loop: any EventLoop, embedder: EmbedderLoop, observer: LoopObserver? = nil) {
    self.observer = observer
    eventLoop = loop
    self.embedder = embedder
    timers = TimerQueue(loop: loop)
    turns = LoopTurns(timers) { loop.now }
    executor = LoopExecutor(loop)
  }

  /// Something that runs every `interval` runs now.
  func noteLateness(of interval: TimeAmount) {
    guard let observer else { return }
    let now = eventLoop.now
    if let last = lastMaintenance {
      observer.loopWasLate(by: UInt64(max(0, (now - (last + interval)).nanoseconds)))
    }
    lastMaintenance = now
  }
}

/// An open connection, whatever it speaks. Confined to its event loop.
protocol ServerConnection: AnyObject {
  /// Graceful shutdown: says GOAWAY, lets calls in flight finish, then closes.
  func drain()
  func closeNow()
  /// Ends the connection because its peer is not acceptable any more: it gets a GOAWAY, new calls
  /// are not served, and those in flight get a moment.
  func end(because reason: String)
}

/// The open connections, for draining.
final class ConnectionRegistry: Sendable {
  private struct Member {
    let handler: NIOLoopBound<any ServerConnection>
    /// Of a TLS connection whose peer has presented a certificate.
    let credential: PeerCredential?
  }

  private struct State {
    var members: [ObjectIdentifier: Member] = [:]
    var isDraining = false
    var whenEmpty: [CheckedContinuation<Void, Never>] = []
  }
  private let state = Mutex(State())
  private let drainFlag = Atomic(false)

  var isDraining: Bool { drainFlag.load(ordering: .acquiring) }

  func add(
    _ handler: any ServerConnection, _ credential: PeerCredential?, on loop: any EventLoop
  ) {
    let bound = NIOLoopBound(handler as any ServerConnection, eventLoop: loop)
    let id = ObjectIdentifier(handler)
    state.withLock { $0.members[id] = Member(handler: bound, credential: credential) }
  }

  func remove(_ handler: any ServerConnection) {
    let id = ObjectIdentifier(handler)
    let waiting = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      state.members[id] = nil
      guard state.members.isEmpty else { return [] }
      defer { state.whenEmpty = [] }
      return state.whenEmpty
    }
    for continuation in waiting { continuation.resume() }
  }

  /// Drains every connection and returns when the last is closed; after `limit` they are cut.
  func drain(within limit: Duration) async {
    drainFlag.store(true, ordering: .releasing)
    let open = state.withLock { state in
      state.isDraining = true
      return state.members.values.map(\.handler)
    }
    for handler in open {
      handler.eventLoop.execute { handler.value.drain() }
    }
    let cut = Task { [weak self] in
      try await Task.sleep(for: limit)
      // Again and again: connections that were being set up may still join.
      while let registry = self {
        registry.closeAll()
        try await Task.sleep(for: .seconds(1))
      }
    }
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let isEmpty = state.withLock { state -> Bool in
        if !state.members.isEmpty { state.whenEmpty.append(continuation) }
        return state.members.isEmpty
      }
      if isEmpty { continuation.resume() }
    }
    cut.cancel()
  }

  private func closeAll() {
    for handler in state.withLock({ $0.members.values.map(\.handler) }) {
      handler.eventLoop.execute { handler.value.closeNow() }
    }
  }

  /// Judges the peers of all TLS connections anew, and ends the connections of those that are refused.
  /// Takes a while: not for event loops.
  func reviewPeers() {
    let members = state.withLock { Array($0.members.values) }
    for member in members {
      guard let reason = member.credential?.refusal() else { continue }
      let handler = member.handler
      handler.eventLoop.execute { handler.value.end(because: reason) }
    }
  }
}
