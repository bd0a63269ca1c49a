internal import NIOCore
internal import TenancyLoop
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// The protocol engine of one server connection: bytes in, calls out; answers in, bytes out. Does
/// no I/O. Confined to one event loop. `ServerConnectionHandler` drives it, and is all that runs
/// handlers.
protocol ServerEngine: AnyObject {
  associatedtype Stream: ServerStream

  init(methods: MethodTable, limits: ServerLimits, timers: TimerQueue, memory: ConnectionMemory)

  static var wire: CallRecord.Wire { get }
  /// - Parameter observation: told when calls begin and end; nil: nobody is.
  func observe(_ observation: CallObservation?)

  // MARK: Input

  func receive(_ bytes: UnsafeRawBufferPointer) -> EngineOutcome
  /// What was received has had its turn. `watch` gets the calls that have a deadline and are not served
  /// yet.
  func inputEnded(_ watch: (Stream) -> Void)
  /// The peer has said, in full, what the protocol begins with.
  var hasOpened: Bool { get }
  /// Whether more should be read from the peer: not while the engine has no place for it.
  var takesInput: Bool { get }
  /// The next call to serve, if any: what was held back before, then one that is refused, a unary one whose request is whole, or a
  /// streaming one whose headers are. None while too many answers wait for the peer.
  func nextReady() -> Stream?
  /// Whether `nextReady` would return a call.
  var hasReady: Bool { get }
  /// The next call that is answered at once, if any. Those before it that asynchronous handlers serve are held back,
  /// in their order: `nextReady` returns them.
  func nextAtOnce() -> Stream?
  /// Whether `nextAtOnce` has something to look at.
  var hasAtOnce: Bool { get }
  /// Holds a call back that was returned, and is served by an asynchronous handler.
  func hold(_ stream: Stream)
  /// Whether what is held is so little that more may be read, and held back.
  var mayHoldMore: Bool { get }
  /// An open call; nil when it is over.
  func stream(_ key: StreamKey) -> Stream?
  /// Unpacks the message of a request that is not a stream.
  func unpack(_ stream: Stream) throws(RPCStatus)
  /// A handler has such a message, as far as it wants it: what the engine holds of it is given up.
  func handOver(_ stream: Stream)
  /// Whether the peer takes packed messages for this call.
  func takesGzip(_ stream: Stream) -> Bool
  /// A streaming call's handler is about to start: hand it the messages that are here, and those to
  /// come.
  func connect(_ stream: Stream, to pipe: CallPipe)

  // MARK: Answers

  /// OK, with the message written to `beginReply`.
  func succeed(_ stream: Stream)
  /// The call's final status, and nothing else from now on.
  func fail(_ stream: Stream, _ status: RPCStatus)
  /// Answers a request that is not an RPC.
  func fail(_ stream: Stream, http status: Int)
  /// A streaming call's pipe has news: requests taken by the handler, responses, or its end.
  func transfer(_ stream: Stream)

  // MARK: Output

  /// Appends what is to be sent to `buffer` until nothing is pending or it holds
  /// `limits.maximumOutputBytes`.
  func produce(into buffer: inout ByteBuffer) -> EngineOutcome
  /// Nothing is left to read or to write.
  var wantsToClose: Bool { get }
  /// The error with which the engine ended the connection, if it did.
  var sentError: String? { get }

  /// Whether the response of a handler that has run can be kept until the peer takes it. One that
  /// has taken all others always has room.
  func hasRoom(forReply count: Int) -> Bool

  // MARK: Memory

  var memory: ConnectionMemory { get }
  /// Other connections need what this one holds: calls are refused or cut until so many bytes are given up.
  ///
  /// - Returns: whether the connection must be closed, because there is no other way.
  func giveUp(_ kind: ConnectionMemory.Kind, _ bytes: Int) -> Bool
  /// So many bytes wait in the socket's queue for a peer that does not read them.
  func socketHolds(_ bytes: Int)
  /// As `socketHolds` said last.
  var socketBytes: Int { get }
  /// The peer has asked for more than there is for it: if that was once too often, the connection ends.
  func judgeOverdrafts()

  // MARK: Supervision

  /// How far the connection has come.
  var progress: ConnectionProgress { get }
  /// To be called at the interval of supervision while something is under way. Requests, and messages of
  /// streams, that were incomplete at so many of the calls before are refused. Returns whether something is
  /// under way that must be supervised: if not, there will be something only when bytes have come in, or
  /// more is to be sent.
  func supervise(refusingAfter ticks: UInt32) -> Bool
  /// Whether the protocol has pings, for keepalive.
  static var canPing: Bool { get }
  /// Sends one, if the protocol has any.
  func ping()

  // MARK: Ending

  /// Calls whose answers have not all been sent.
  var openCalls: Int { get }
  /// The calls of streaming methods whose handlers are at work.
  var streamingCalls: [Stream] { get }
  var isDraining: Bool { get }
  /// First step of a graceful end: the peer is told that no new calls will be taken.
  func beginDrain()
  /// The peer is known to have heard of it.
  var drainAcknowledged: Bool { get }
  /// Second step: calls that were begun in between still count. The only one where the peer sends no more.
  func finishDrain()
  /// The connection is gone: nobody waits for any call.
  func abandonCalls()
}

extension ServerEngine {
  /// What has flow control of its own always does.
  var takesInput: Bool { true }

  /// What can't be packed needs no unpacking.
  func unpack(_ stream: Stream) throws(RPCStatus) {}
}
