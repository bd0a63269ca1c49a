internal import CTenancyNghttp2
internal import NIOCore
internal import TenancyLoop
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// The HTTP/2 engine of one server connection. Owns the nghttp2 session.
///
/// nghttp2's callbacks only record; what they recorded is acted upon after `receive` returns. What they
/// record is in `HTTP2ServerSession+Input.swift`, how calls are answered in `+Output.swift`.
///
/// `@exclusivity(unchecked)`: the checks at run time cost 6 % of a call, and no access spans a call out.
final class HTTP2ServerSession: ServerEngine {
  typealias Stream = HTTP2Stream

  static var wire: CallRecord.Wire { .grpc }

  let limits: ServerLimits
  let methods: MethodTable
  let timers: TimerQueue
  @exclusivity(unchecked) var observation = ObservedCalls()
  @exclusivity(unchecked) private(set) var session: OpaquePointer?
  let blocks = HTTP2Memory()
  @exclusivity(unchecked) var streams = StreamTable<HTTP2Stream>()
  @exclusivity(unchecked) var ready = CallQueue<HTTP2Stream>()
  /// Calls of `ready` that asynchronous handlers serve, and that others were served before.
  @exclusivity(unchecked) var held = CallQueue<HTTP2Stream>()
  /// Request bytes held for all streams.
  @exclusivity(unchecked) var bufferedBytes = 0
  /// Response bytes held for all streams.
  @exclusivity(unchecked) var waitingReplyBytes = 0
  /// The open stream that frames were last about: the next is most often about the same.
  @exclusivity(unchecked) var latest: (id: Int32, stream: Unmanaged<HTTP2Stream>?) = (0, nil)
  /// Messages of the DATA frame that is being read.
  @exclusivity(unchecked) var incoming: [FramedMessage] = []
  /// Calls with a deadline whose headers are among the bytes at hand.
  @exclusivity(unchecked) var timed: [StreamKey] = []
  /// Streaming calls of which nghttp2 has taken bytes.
  @exclusivity(unchecked) var drained: [StreamKey] = []
  /// What calls that are over leave behind: a handler's task to cancel, and its pipe to break.
  private var orphans: [(task: Task<Void, Never>, pipe: CallPipe?)] = []

  /// What the peer's frames amount to.
  @exclusivity(unchecked) var frames: FrameWatch
  /// What is held of the server's memory.
  let memory: ConnectionMemory
  @exclusivity(unchecked) var requestShare: MemoryShare
  @exclusivity(unchecked) var replyShare: MemoryShare
  /// Response bytes in the socket's queue, when the peer does not read them.
  @exclusivity(unchecked) var socketBytes = 0
  /// When requests that do not come on were last given up for others of this connection.
  @exclusivity(unchecked) var giveUpTick = UInt32.max
  /// Counts how often this connection was supervised.
  @exclusivity(unchecked) var tick: UInt32 = 0
  private(set) var pingsAcknowledged: UInt64 = 0
  /// Response bytes that nghttp2 has taken so far.
  @exclusivity(unchecked) var takenBytes: UInt64 = 0
  private var isCutOff = false
  /// The last call that a GOAWAY owns, sent or not yet: from the moment that one is submitted, none above
  /// it is taken.
  @exclusivity(unchecked) private(set) var lastAnnounced = Int32.max

  private(set) var isDraining = false
  private(set) var drainAcknowledged = false
  private(set) var sentError: String?

  init(methods: MethodTable, limits: ServerLimits, timers: TimerQueue, memory: ConnectionMemory) {
    self.methods = methods
    self.limits = limits
    self.timers = timers
    frames = FrameWatch(limits)
    self.memory = memory
    requestShare = memory.requestShare
    replyShare = memory.replyShare
    session = HTTP2Callbacks.makeServerSession(
      userData: Unmanaged.passUnretained(self).toOpaque(), limits: limits, memory: blocks)
  }

  deinit { nghttp2_session_del(session) }

  // MARK: Input

  func receive(_ bytes: UnsafeRawBufferPointer) -> EngineOutcome {
    timers.beginTurn()
    // Of calls that are not taken more may be said, until the peer has heard of it.
    frames.scan(bytes, isOpen: { $0 > lastAnnounced || open($0) != nil })
    if let breach = cutOff() { return breach }
    let used = nghttp2_session_mem_recv(
      session, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
    // Not sooner: nghttp2 may have heard of them only now.
    for stream in frames.takeMisused() {
      nghttp2_submit_rst_stream(
        session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream, NGHTTP2_STREAM_CLOSED.rawValue)
    }
    cancelOrphans()
    guard used >= 0 else {
      // The peer is told why; what it sends from now on is not looked at.
      nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM.rawValue)
      return .failed(String(cString: nghttp2_strerror(Int32(truncatingIfNeeded: used))))
    }
    return .proceed
  }

  func inputEnded(_ watch: (HTTP2Stream) -> Void) {
    guard !timed.isEmpty else { return }
    for key in timed {
      guard let stream = streams[key], stream.awaitsResponse, !stream.isScheduled else { continue }
      watch(stream)
    }
    timed.removeAll(keepingCapacity: true)
  }

  /// Says why to a peer that goes too far (RFC 9113 §10.5).
  private func cutOff() -> EngineOutcome? {
    guard let breach = frames.breach else { return nil }
    if !isCutOff {
      isCutOff = true
      submitGoAway(breach.error, breach.reason)
    }
    return .failed(breach.reason)
  }

  var hasOpened: Bool { frames.hasOpened }

  var hasReady: Bool { (!ready.isEmpty(streams) || !held.isEmpty(streams)) && hasRoomForReplies }

  func nextReady() -> HTTP2Stream? {
    if held.mayHaveCalls, hasRoomForReplies, let stream = held.popFirst(streams) { return stream }
    guard ready.mayHaveCalls, hasRoomForReplies else { return nil }
    return ready.popFirst(streams)
  }

  var hasAtOnce: Bool { !ready.isEmpty(streams) && hasRoomForReplies }

  func nextAtOnce() -> HTTP2Stream? {
    while ready.mayHaveCalls, hasRoomForReplies, let stream = ready.popFirst(streams) {
      if stream.refusal != nil || methods.answersAtOnce(stream.method) { return stream }
      hold(stream)
    }
    return nil
  }

  func hold(_ stream: HTTP2Stream) { held.append(stream, streams) }

  func stream(_ key: StreamKey) -> HTTP2Stream? { streams[key] }

  var openCalls: Int { streams.count }

  func takesGzip(_ stream: HTTP2Stream) -> Bool { stream.takesGzip }

  func connect(_ stream: HTTP2Stream, to pipe: CallPipe) {
    stream.pipe = pipe
    if !stream.early.isEmpty {
      pipe.deliver(stream.early)
      stream.early = []
    }
    if stream.requestDone { pipe.endRequests() }
  }

  // MARK: Output

  func produce(into buffer: inout ByteBuffer) -> EngineOutcome {
    defer {
      reportDrained()
      tellHeld()
      cancelOrphans()
    }
    while buffer.readableBytes < limits.maximumOutputBytes {
      let most = limits.maximumOutputBytes - buffer.readableBytes
      var next = NextFrame.none
      buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 0) { room in
        fill(room, most, &next)
      }
      switch next {
      case .none: return cutOff() ?? .proceed
      case .unknown: break
      case .failed(let error): return .failed(String(cString: nghttp2_strerror(error)))
      // The buffer grows, if it is not full.
      case .waits(let bytes): buffer.writeBytes(bytes)
      }
    }
    return cutOff() ?? .proceed
  }

  /// What follows the frames that were written.
  private enum NextFrame {
    case none
    /// There is enough for now.
    case unknown
    case failed(Int32)
    /// Valid until nghttp2 is asked for another.
    case waits(UnsafeRawBufferPointer)
  }

  /// Writes frames where they are sent from, until there are none, or there is no room for the next, or at
  /// least `most` bytes are there. A `writeBytes` for each frame took 2 % of a call.
  ///
  /// - Returns: bytes written.
  @inline(__always)
  private func fill(
    _ room: UnsafeMutableRawBufferPointer, _ most: Int, _ next: inout NextFrame
  ) -> Int {
    var written = 0
    while written < most {
      var data: UnsafePointer<UInt8>?
      let count = nghttp2_session_mem_send(session, &data)
      guard count > 0, let data else {
        next = count < 0 ? .failed(Int32(truncatingIfNeeded: count)) : .none
        return written
      }
      guard let base = room.baseAddress, count <= room.count - written else {
        next = .waits(UnsafeRawBufferPointer(start: data, count: count))
        return written
      }
      (base + written).copyMemory(from: data, byteCount: count)
      written += count
    }
    next = .unknown
    return written
  }

  private func reportDrained() {
    guard !drained.isEmpty else { return }
    for key in drained {
      guard let stream = streams[key] else { continue }
      stream.pipe?.sent(stillWaiting: stream.reply.count - stream.replySent)
    }
    drained.removeAll(keepingCapacity: true)
  }

  var wantsToClose: Bool {
    nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0
  }

  // MARK: Ending

  /// Tells the peer, and asks by a PING when it knows (RFC 9113 §6.8).
  func beginDrain() {
    guard !isDraining else { return }
    isDraining = true
    nghttp2_submit_shutdown_notice(session)
    let mark = [Self.drainMark] + [UInt8](repeating: 0, count: 7)
    nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), mark)
  }

  /// What the drain's PING begins with. Others, whose acknowledgements may be on their way, begin with zero.
  private static let drainMark: UInt8 = 1

  static var canPing: Bool { true }

  func ping() { nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil) }

  func pingAcknowledged(_ mark: UInt8) {
    pingsAcknowledged &+= 1
    if isDraining, mark == Self.drainMark { drainAcknowledged = true }
  }

  func finishDrain() {
    if lastAnnounced == .max { submitGoAway(NGHTTP2_NO_ERROR, "") }
  }

  /// Owns the calls that have begun, and none that begins from now on.
  private func submitGoAway(_ error: nghttp2_error_code, _ reason: String) {
    lastAnnounced = min(lastAnnounced, nghttp2_session_get_last_proc_stream_id(session))
    let text = Array(reason.utf8)
    nghttp2_submit_goaway(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), lastAnnounced, error.rawValue, text, text.count)
  }

  /// - Parameter last: the last call that it owns; of nghttp2's own choice when it ends the connection.
  func goAwaySent(_ code: UInt32, last: Int32, reason: String) {
    lastAnnounced = min(lastAnnounced, last)
    guard code != NGHTTP2_NO_ERROR.rawValue else { return }
    sentError = "\(String(cString: nghttp2_http2_strerror(code))) \(reason)"
  }

  func observe(_ observation: CallObservation?) { self.observation = ObservedCalls(observation) }

  var streamingCalls: [HTTP2Stream] {
    var found: [HTTP2Stream] = []
    streams.forEach { if $0.awaitsResponse, $0.pipe != nil { found.append($0) } }
    return found
  }

  func abandonCalls() {
    streams.forEach { stream in
      timers.cancel(stream)
      observation.end(stream, .cancelled)
      orphan(stream)
    }
    cancelOrphans()
  }

  /// Notes what a call that is over leaves behind.
  func orphan(_ stream: HTTP2Stream) {
    guard let task = stream.task else { return }
    orphans.append((task, stream.pipe))
    stream.task = nil
  }

  private func cancelOrphans() {
    guard !orphans.isEmpty else { return }
    let gone = RPCStatus(.cancelled, "the call is over")
    for (task, pipe) in orphans {
      pipe?.fail(gone)
      task.cancel()
    }
    orphans.removeAll()
  }
}
