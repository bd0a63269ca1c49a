internal import NIOCore
internal import TenancyLoop
public import TenancyRPCCore

/// What watches a server. Metrics, traces and access logs are made from it.
public protocol ServerObserver: Sendable {
  /// One for each event loop, confined to it; made there.
  ///
  /// - Parameter methods: the paths that `CallRecord.method` numbers.
  func makeLoopObserver(methods: [String], loop: ObservedLoop) -> LoopObserver
  /// The loops are about to end: nothing may be asked of them from now on.
  func loopsEnd()
}

extension ServerObserver {
  public func loopsEnd() {}
}

/// Sees the calls and connections of one event loop. Methods are called on that loop, and must be quick; a
/// class and no protocol, so that a call costs one indirect jump. Those that are not overridden do nothing.
open class LoopObserver {
  /// Made by `ServerObserver.makeLoopObserver`, once for each loop.
  public init() {}

  /// The headers of a call are here.
  open func callBegan() {}
  /// The status of a call is final: once for each call that began, of any kind, whoever ended it.
  open func callEnded(_ call: borrowing CallRecord, _ details: borrowing CallDetails) {}
  /// A peer's protocol is known, and the peer, where it has to prove who it is.
  open func connectionBegan(_ wire: CallRecord.Wire, _ peer: CallRecord.PeerKind) {}
  /// A connection of which `connectionBegan` was told is over.
  open func connectionEnded(_ wire: CallRecord.Wire, _ peer: CallRecord.PeerKind) {}
  /// A connection begins that is somebody's: see `ServerDelegate.tag`.
  open func connectionBegan(of tag: CallTag) {}
  /// A connection of which `connectionBegan(of:)` was told is over. The tag is the same.
  open func connectionEnded(of tag: CallTag) {}
  /// A TLS handshake is over; one that failed brings no connection.
  open func handshakeEnded(succeeded: Bool) {}
  /// Once a second: by how many nanoseconds the loop was late for that.
  open func loopWasLate(by nanoseconds: UInt64) {}
}

/// An event loop that is observed.
public struct ObservedLoop: Sendable {
  private let loop: any EventLoop

  init(_ loop: any EventLoop) { self.loop = loop }

  /// - Precondition: called on the loop.
  public func bind<Value>(_ value: Value) -> LoopBound<Value> {
    LoopBound(bound: NIOLoopBound(value, eventLoop: loop))
  }
}

/// Lets who is elsewhere ask for what is confined to an event loop. Thread-safe.
public struct LoopBound<Value>: Sendable {
  fileprivate let bound: NIOLoopBound<Value>

  /// Runs `body` on the loop, which must not have ended: see `ServerObserver.loopsEnd`. What is large is better collected
  /// by `body` than answered by it: optimized builds (Swift 6.3) were seen to damage the memory of the task that waits.
  /// - Throws: when the loop ends before that.
  public func read<Result: Sendable>(
    _ body: @escaping @Sendable (Value) -> Result
  ) async throws -> Result {
    let bound = bound
    return try await bound.eventLoop.submit { body(bound.value) }.get()
  }
}

/// One call, when its status is final.
public struct CallRecord: ~Copyable {
  /// What the connection speaks.
  public enum Wire: Int, Sendable, CaseIterable {
    /// gRPC over HTTP/2.
    case grpc
    /// containerd's ttrpc.
    case ttrpc
  }

  /// What the transport proves of the peer.
  public enum PeerKind: Int, Sendable, CaseIterable {
    /// A client certificate, verified.
    case certificate
    /// A Unix socket's user.
    case unix
    /// Nothing.
    case anonymous
  }

  /// Index into the methods that the server was given; nil: there is no such method.
  public let method: Int?
  /// What the call travelled by.
  public let wire: Wire
  /// What was known of who called.
  public let peer: PeerKind
  /// The status as the peer was told, or would have been if it were still there.
  public let code: RPCStatus.Code
  /// Whom the embedder has set as the one that the call is about; zero: nobody.
  public let tag: CallTag
  /// What the embedder says has become of it, where its status does not.
  public let verdict: CallVerdict
  /// Whose connection it came by: see `ServerDelegate.tag`; zero: nobody's.
  public let origin: CallTag
  /// Of messages as they are sent, framing and packing included.
  public let requestBytes: Int
  /// As `requestBytes`, of what was handed to the connection.
  public let responseBytes: Int
  /// Messages of the request that were taken in.
  public let requestMessages: Int
  /// Messages of the response that were handed to the connection.
  public let responseMessages: Int
  /// When the headers were here: nanoseconds of the monotonic clock.
  public let beginTime: UInt64
  /// When its handler began, or `endTime` when none did.
  public let startTime: UInt64
  /// When the status was final, by the same clock.
  public let endTime: UInt64

  /// For observers' own tests: else the server makes them.
  public init(
    method: Int?, wire: Wire, peer: PeerKind, code: RPCStatus.Code, tag: CallTag,
    requestBytes: Int, responseBytes: Int, requestMessages: Int, responseMessages: Int,
    beginTime: UInt64, startTime: UInt64, endTime: UInt64, verdict: CallVerdict = .byStatus,
    origin: CallTag = CallTag()
  ) {
    self.method = method
    self.wire = wire
    self.peer = peer
    self.code = code
    self.tag = tag
    self.verdict = verdict
    self.origin = origin
    self.requestBytes = requestBytes
    self.responseBytes = responseBytes
    self.requestMessages = requestMessages
    self.responseMessages = responseMessages
    self.beginTime = beginTime
    self.startTime = startTime
    self.endTime = endTime
  }
}

extension CallRecord {
  /// Nanoseconds by the clock that its times are of.
  public static var now: UInt64 { NIODeadline.now().uptimeNanoseconds }
}

/// What has become of a call, for those whose answer tells of a refusal and not their status.
public enum CallVerdict: UInt8, Sendable {
  /// What its status says.
  case byStatus
  /// Somebody may not do what was asked about.
  case denied
  /// It is more than a limit allows.
  case limited
  /// It could not be found out, or makes no sense.
  case failed
}

/// Names what a call is about, such as a tenant.
public struct CallTag: Hashable, Sendable {
  /// What the embedder likes, such as the first half of a UUID.
  public let high: UInt64
  /// What the embedder likes, such as the second half.
  public let low: UInt64

  /// Both zero: about nobody.
  public init(high: UInt64 = 0, low: UInt64 = 0) {
    self.high = high
    self.low = low
  }

  /// Whether it is about nobody.
  public var isZero: Bool { high | low == 0 }
}

/// What is counted of a call while it goes on.
struct CallTally {
  /// Zero before the call has begun, and after it was recorded.
  var beginTime: UInt64 = 0
  var startTime: UInt64 = 0
  var tag = CallTag()
  var verdict = CallVerdict.byStatus
  var requestBytes = 0
  var responseBytes = 0
  var requestMessages = 0
  var responseMessages = 0
}

/// Tells the loop's observer of one connection's calls. Confined to the loop.
final class CallObservation {
  private let observer: LoopObserver
  private let timers: TimerQueue
  // Lent, not retained, for each call: this object keeps both.
  private let lentObserver: Unmanaged<LoopObserver>
  private let lentTimers: Unmanaged<TimerQueue>
  private let wire: CallRecord.Wire
  private let peer: CallRecord.PeerKind
  /// Who makes the calls that do not say so themselves.
  let identity: EmbedderConnection
  private var isOpen = false
  /// Whose connection it is; zero: nobody's.
  private var tag = CallTag()

  init(
    _ observer: LoopObserver, _ timers: TimerQueue, _ wire: CallRecord.Wire, _ peer: Peer,
    identity: EmbedderConnection
  ) {
    self.identity = identity
    self.observer = observer
    self.timers = timers
    lentObserver = .passUnretained(observer)
    lentTimers = .passUnretained(timers)
    self.wire = wire
    self.peer =
      switch peer {
      case .certificate: .certificate
      case .unixProcess: .unix
      case .anonymous, .uncertified: .anonymous
      }
  }

  func connectionBegan() {
    isOpen = true
    observer.connectionBegan(wire, peer)
    tag = identity.tag()
    if !tag.isZero { observer.connectionBegan(of: tag) }
  }

  func connectionEnded() {
    guard isOpen else { return }
    isOpen = false
    observer.connectionEnded(wire, peer)
    if !tag.isZero { observer.connectionEnded(of: tag) }
  }

  func begin(_ stream: ServerStream) {
    stream.tally = CallTally()
    stream.tally.beginTime = max(1, turnTime)
    lentObserver._withUnsafeGuaranteedRef { $0.callBegan() }
  }

  /// A handler is about to run. What came before it on the loop has ended when that was last looked at.
  func start(_ stream: ServerStream) {
    stream.tally.startTime = max(
      turnTime, lentTimers._withUnsafeGuaranteedRef { $0.lastReading })
  }

  private var turnTime: UInt64 {
    @inline(__always)
    get { lentTimers._withUnsafeGuaranteedRef { $0.turnTime.uptimeNanoseconds } }
  }

  /// Without effect on a call that was recorded before, or has not begun.
  func end(_ stream: ServerStream, _ code: RPCStatus.Code) { finish(stream, code, nil) }

  /// - Parameter status: why it did not end well.
  func end(_ stream: ServerStream, _ code: RPCStatus.Code, _ status: RPCStatus?) {
    finish(stream, code, status)
  }

  /// Inlined, so that a call that ends well carries no status along.
  @inline(__always)
  private func finish(_ stream: ServerStream, _ code: RPCStatus.Code, _ status: RPCStatus?) {
    guard stream.tally.beginTime > 0 else { return }
    let now = lentTimers._withUnsafeGuaranteedRef { $0.readClock() }
    let tally = stream.tally
    stream.tally.beginTime = 0
    let record = CallRecord(
      method: stream.method < 0 ? nil : Int(stream.method), wire: wire, peer: peer, code: code,
      tag: stream.control?.tag ?? tally.tag, requestBytes: tally.requestBytes,
      responseBytes: tally.responseBytes, requestMessages: tally.requestMessages,
      responseMessages: tally.responseMessages, beginTime: tally.beginTime,
      startTime: tally.startTime > 0 ? tally.startTime : now, endTime: now,
      verdict: tally.verdict, origin: self.tag)
    let details = CallDetails(stream, self, status)
    lentObserver._withUnsafeGuaranteedRef { $0.callEnded(record, details) }
  }
}

/// Where a connection's engine tells of its calls, at no cost if nobody observes.
struct ObservedCalls: ~Copyable {
  private let observation: CallObservation?
  // Lent, not retained, for each call: the other is kept.
  private let lent: Unmanaged<CallObservation>?

  init(_ observation: CallObservation? = nil) {
    self.observation = observation
    lent = observation.map { .passUnretained($0) }
  }

  var isObserved: Bool {
    @inline(__always)
    get { lent != nil }
  }

  @inline(__always)
  func begin(_ stream: ServerStream) { lent?._withUnsafeGuaranteedRef { $0.begin(stream) } }

  @inline(__always)
  func start(_ stream: ServerStream) { lent?._withUnsafeGuaranteedRef { $0.start(stream) } }

  @inline(__always)
  func end(_ stream: ServerStream, _ code: RPCStatus.Code) {
    lent?._withUnsafeGuaranteedRef { $0.end(stream, code) }
  }

  func end(_ stream: ServerStream, _ status: RPCStatus) {
    lent?._withUnsafeGuaranteedRef { $0.end(stream, status.code, status) }
  }

  func connectionBegan() { observation?.connectionBegan() }
  func connectionEnded() { observation?.connectionEnded() }
}
