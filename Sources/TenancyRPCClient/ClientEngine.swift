internal import NIOCore
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// The protocol of one client connection: calls in, bytes out; bytes in, events out. Does no I/O.
/// Confined to one event loop.
///
/// What comes of calls is noted in their streams; whoever drives the engine takes the streams that
/// changed by `settle`, after each of the other calls.
protocol ClientEngine: AnyObject {
  /// The server has shown that it speaks the protocol.
  var isEstablished: Bool { get }
  /// No more calls, on this side's or the server's wish.
  var isGoingAway: Bool { get }
  /// Whether a call may be opened.
  var acceptsCalls: Bool { get }
  var openStreams: Int { get }
  /// Nothing is left to read or to write.
  var wantsToClose: Bool { get }
  /// The protocol has no flow control and callers don't keep up: stop reading.
  var isInputPaused: Bool { get }
  /// Request bytes after which no more are produced until the server has read some.
  var maximumOutputBytes: Int { get }

  /// Begins a call.
  ///
  /// - Parameter timeout: nanoseconds that the server is told the caller waits.
  func open(_ head: RequestHead, timeout: UInt64?) -> ClientStream
  func send(_ message: OutboundMessage, on stream: ClientStream)
  /// No more request messages will follow.
  func finishRequests(of stream: ClientStream)
  /// The caller has taken messages of `bytes` on the wire: the server may send as many again.
  func consumed(_ bytes: Int, of stream: ClientStream)
  /// Gives a call up with `status`, and tells the server where the protocol can.
  func cancel(_ stream: ClientStream, _ status: RPCStatus)
  /// Ends all calls: the connection is gone or about to go.
  func endAll(_ status: RPCStatus)
  /// Tells the server that no more calls will come.
  func goAway()
  /// Asks for a sign of life. Returns false if the protocol has no way to.
  func ping() -> Bool

  func receive(_ bytes: UnsafeRawBufferPointer) -> EngineOutcome
  /// Appends to `buffer` until nothing is pending or it holds `maximumOutputBytes`.
  func produce(into buffer: inout ByteBuffer) -> EngineOutcome
  /// Acts on what was noted, and returns the streams that changed since, in order.
  func settle() -> [ClientStream]
}
