internal import NIOCore
internal import TenancyLoop
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// The ttrpc 1.2 engine of one server connection (containerd/ttrpc, PROTOCOL.md).
///
/// Frames are read one at a time, when the one before has been served: the order of answers does not
/// depend on how the bytes came in, and in-memory methods are served from the input itself. How frames are
/// read is in `TTRPCServerSession+Input.swift`, how calls are answered in `+Output.swift`.
///
/// ttrpc has no flow control, no cancellation and no word for going away. So:
/// - A connection is not read while its peer does not take what it is sent, nor while a call's handler does
///   not take the messages that are here for it. The latter for `maximumHandlerStall`; then that call ends
///   with RESOURCE_EXHAUSTED, and the others go on.
/// - A drain refuses new calls with UNAVAILABLE, and closes the connection when none is left.
/// - Response metadata is not sent.
///
/// `@exclusivity(unchecked)`: the checks at run time cost 6 % of a call, and no access spans a call out.
final class TTRPCServerSession: ServerEngine {
  typealias Stream = TTRPCStream

  static var wire: CallRecord.Wire { .ttrpc }

  let limits: ServerLimits
  let methods: MethodTable
  let timers: TimerQueue
  @exclusivity(unchecked) var observation = ObservedCalls()
  let output = TTRPCOutput()
  @exclusivity(unchecked) var reader = TTRPCFrameReader()
  /// Serves one in-memory call, or carries one refusal, at a time: neither outlasts the frame it is about.
  let transient: TTRPCStream
  /// The call of an asynchronous handler that is about to be started, of which the frame is still here.
  @exclusivity(unchecked) var starting: TTRPCStream?
  /// The calls of asynchronous handlers.
  @exclusivity(unchecked) var streams = StreamTable<TTRPCStream>()
  /// The same by their number.
  @exclusivity(unchecked) var open: [UInt32: TTRPCStream] = [:]
  /// The open call that frames were last about: the next is most often about the same.
  @exclusivity(unchecked) var latest: TTRPCStream?
  /// Messages for `latest` that its handler has not been given yet.
  @exclusivity(unchecked) var incoming: [FramedMessage] = []
  /// Open calls that can't go on: the handler's code ends them.
  @exclusivity(unchecked) var failing = CallQueue<TTRPCStream>()
  /// Calls whose handlers may not begin yet, and that others were served before: with copies of their frames.
  @exclusivity(unchecked) var held = CallQueue<TTRPCStream>()
  /// The next frame is of such a call, and can't be held: it stays in the reader, and what is behind it.
  @exclusivity(unchecked) private var isHeldBack = false
  /// Calls whose responses wait for room in the output.
  @exclusivity(unchecked) var blocked = CallQueue<TTRPCStream>()
  /// Request bytes held for all calls.
  @exclusivity(unchecked) var bufferedBytes = 0
  /// The greatest number of a call so far.
  @exclusivity(unchecked) var lastID: UInt32 = 0
  /// Calls that were answered while the client was still sending.
  @exclusivity(unchecked) var unfinished = RecentStreams()
  @exclusivity(unchecked) var stall = TTRPCStall.none
  lazy var stallTimer = ActionTimer { [unowned self] in stallExpired() }
  /// Tells the connection that there is something to do.
  weak var stallOwner: (any ServerStreamOwner)?
  /// Frames that a peer may still send without asking for anything.
  @exclusivity(unchecked) var uselessFrames: RateLimit
  @exclusivity(unchecked) var headers: HeaderBudget
  /// What handlers have not taken was counted, and nothing has been read or taken since.
  @exclusivity(unchecked) var isRecounted = false
  /// How often that was done.
  var recounts: UInt64 = 0
  /// What is held of the server's memory.
  let memory: ConnectionMemory
  @exclusivity(unchecked) var requestShare: MemoryShare
  @exclusivity(unchecked) var replyShare: MemoryShare
  /// Response bytes in the socket's queue, when the peer does not read them.
  @exclusivity(unchecked) var socketBytes = 0
  /// A frame that was given up before it was whole, for others: to be refused.
  @exclusivity(unchecked) var abandoned: TTRPCFrameHeader?
  /// When the frames came that are here and not read; nil: just now.
  private(set) var arrival: NIODeadline?
  /// Frames read so far.
  @exclusivity(unchecked) private var framesRead: UInt64 = 0
  /// Why nothing more is read.
  private(set) var failure: String?
  private(set) var isDraining = false
  private var isDrained = false

  init(methods: MethodTable, limits: ServerLimits, timers: TimerQueue, memory: ConnectionMemory) {
    self.methods = methods
    self.memory = memory
    requestShare = memory.requestShare
    replyShare = memory.replyShare
    self.limits = limits
    self.timers = timers
    transient = TTRPCStream(output: output)
    headers = HeaderBudget(limits)
    uselessFrames = RateLimit(
      burst: limits.maximumUselessFrameBurst, perSecond: limits.uselessFramesPerSecond)
  }

  // MARK: Input

  func receive(_ bytes: UnsafeRawBufferPointer) -> EngineOutcome {
    timers.beginTurn()
    arrival = nil
    isRecounted = false
    if failure == nil { reader.append(bytes) }
    return .proceed
  }

  /// Calls are served as their frames are read; frames that wait keep the time when they came.
  func inputEnded(_ watch: (TTRPCStream) -> Void) {
    if reader.hasNext { arrival = timers.turnTime }
  }

  var hasOpened: Bool { framesRead > 0 }

  var takesInput: Bool { stall != .waiting }

  var hasReady: Bool {
    hasRefusals || mayRead && reader.hasNext || hasRoomForReplies && !held.isEmpty(streams)
  }

  var hasAtOnce: Bool { hasRefusals || !isHeldBack && mayRead && reader.hasNext }

  var mayHoldMore: Bool { !isHeldBack && bufferedBytes <= MemoryBudget.allowance }

  private var hasRefusals: Bool { abandoned != nil || !failing.isEmpty(streams) }

  private var hasRoomForReplies: Bool {
    output.waiting <= limits.maximumWaitingReplyBytes
      && replyShare.mayGoOn(output.waiting + socketBytes)
  }

  private var mayRead: Bool { failure == nil && stall != .waiting && hasRoomForReplies }

  func nextReady() -> TTRPCStream? {
    if let stream = nextRefused() { return stream }
    if held.mayHaveCalls, hasRoomForReplies, let stream = held.popFirst(streams) {
      starting = stream
      return stream
    }
    // Not before: a frame that stays would be looked at again for each call before it.
    isHeldBack = false
    while mayRead, let event = reader.next() {
      if let stream = read(event) { return stream }
    }
    deliver()
    return nil
  }

  func nextAtOnce() -> TTRPCStream? {
    if let stream = nextRefused() { return stream }
    while !isHeldBack, mayRead, let event = reader.next() {
      if mustStay(event) {
        reader.putBack()
        isHeldBack = true
      } else if let stream = read(event) {
        guard stream === starting, stream.refusal == nil, !methods.answersAtOnce(stream.method)
        else { return stream }
        hold(stream)
      }
    }
    deliver()
    return nil
  }

  func hold(_ stream: TTRPCStream) {
    if let request = stream.request {
      count(stream, request.envelope.count - request.payload.count)
    }
    stream.keepRequest()
    starting = nil
    held.append(stream, streams)
  }

  @inline(__always)
  private func nextRefused() -> TTRPCStream? {
    if starting != nil { forgetFrame() }
    if let header = abandoned {
      abandoned = nil
      return refuse(header, noRoom)
    }
    return failing.popFirst(streams)
  }

  @inline(__always)
  private func read(_ event: TTRPCFrameReader.Event) -> TTRPCStream? {
    framesRead &+= 1
    guard let stream = take(event) else { return nil }
    deliver()
    return stream
  }

  /// Handlers that go on have what they need of it.
  private func forgetFrame() {
    starting?.releaseRequest()
    starting = nil
  }

  func stream(_ key: StreamKey) -> TTRPCStream? { streams[key] }

  var openCalls: Int { streams.count }

  func takesGzip(_ stream: TTRPCStream) -> Bool { false }

  func connect(_ stream: TTRPCStream, to pipe: CallPipe) {
    if let request = stream.request, request.hasPayload {
      count(stream, Self.cost(request.payload.count))
      pipe.deliver([FramedMessage(bytes: Array(request.payload))])
    }
    if stream.requestEnded { pipe.endRequests() }
  }

  /// The peer can't be understood, or not be borne: what is pending is sent, then the connection ends.
  func fail(_ reason: String) {
    failure = failure ?? reason
  }

  // MARK: Output

  func produce(into buffer: inout ByteBuffer) -> EngineOutcome {
    let limit = limits.maximumOutputBytes
    repeat {
      output.send(limit - buffer.readableBytes) { bytes in _ = buffer.writeBytes(bytes) }
      while output.waiting < limit, let stream = blocked.popFirst(streams) {
        stream.isBlocked = false
        transfer(stream)
      }
    } while output.waiting > 0 && buffer.readableBytes < limit
    tellHeld()
    if let failure, output.waiting == 0 { return .failed(failure) }
    return .proceed
  }

  var wantsToClose: Bool {
    isDrained && streams.count == 0 && output.waiting == 0 && !hasReady
      && (failure != nil || !reader.hasNext)
  }

  /// There is no word for it.
  var sentError: String? { nil }

  // MARK: Supervision

  /// ttrpc has no windows: what waits here waits for the socket, which is supervised without us.
  var progress: ConnectionProgress {
    ConnectionProgress(
      isInputPartial: takesInput && reader.isPartial,
      framesBegun: framesRead, openCalls: streams.count, callsBegun: UInt64(lastID))
  }

  /// Requests come in one frame: those that are not whole are the supervisor's business.
  func supervise(refusingAfter ticks: UInt32) -> Bool {
    reader.unreadBytes > 0 || output.waiting > 0 || stall != .none || !failing.isEmpty(streams)
      || !held.isEmpty(streams)
  }

  /// There is no word for it either.
  static var canPing: Bool { false }

  func ping() {}

  // MARK: Ending

  func beginDrain() { isDraining = true }

  /// There is no way to tell the peer: nobody is waited for.
  var drainAcknowledged: Bool { isDraining }

  func finishDrain() { isDrained = true }

  func observe(_ observation: CallObservation?) { self.observation = ObservedCalls(observation) }

  var streamingCalls: [TTRPCStream] {
    var found: [TTRPCStream] = []
    streams.forEach { if $0.awaitsResponse, $0.pipe != nil { found.append($0) } }
    return found
  }

  func abandonCalls() {
    timers.cancel(stallTimer)
    let gone = RPCStatus(.cancelled, "the call is over")
    streams.forEach { stream in
      timers.cancel(stream)
      observation.end(stream, .cancelled)
      stream.pipe?.fail(gone)
      stream.task?.cancel()
      stream.task = nil
    }
  }
}

/// Why frames wait to be read.
enum TTRPCStall {
  case none
  /// The next frame's message has no room.
  case waiting
  /// It may have now.
  case retry
  /// It has waited long enough.
  case expired
}
