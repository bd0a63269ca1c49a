internal import NIOCore
internal import TenancyLoop
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// One call as a protocol engine keeps it: what is the same for every protocol. Objects are reused by
/// their connection; confined to its event loop.
///
/// `@exclusivity(unchecked)`: the checks at run time cost 6 % of a call, and no access spans a call out.
class ServerStream: LoopTimer {
  /// A reason to answer without running a handler.
  enum Refusal {
    case status(RPCStatus)
    /// Not an RPC: an HTTP status.
    case http(Int)
  }

  /// Where the connection keeps this stream.
  @exclusivity(unchecked) final var slot: Int32 = 0
  /// The number of the call among its connection's, so that a late completion finds out that its call is
  /// gone; 0 when the object is not in use.
  @exclusivity(unchecked) final var generation: UInt64 = 0
  /// Index into the method table, or -1.
  @exclusivity(unchecked) final var method: Int32 = -1
  /// Nanoseconds that the client waits for.
  @exclusivity(unchecked) final var timeout: UInt64?
  /// When the client stops waiting, from the arrival of its headers on; nil: never.
  @exclusivity(unchecked) final private(set) var expiry: NIODeadline?
  final var refusal: Refusal?
  /// In the connection's list of streams to serve, or served already.
  @exclusivity(unchecked) final var isDispatched = false
  /// Until the final status is submitted.
  @exclusivity(unchecked) final var awaitsResponse = true
  /// A handler that answers at once has left the call to the one that doesn't.
  @exclusivity(unchecked) final var isPutOff = false
  /// Messages of the request may be packed.
  @exclusivity(unchecked) final var mayBePacked = false
  /// The message of a unary request came in packed.
  @exclusivity(unchecked) final var requestWasCompressed = false

  /// The work of a handler that is not in-memory.
  @exclusivity(unchecked) final var task: Task<Void, Never>?
  /// The messages between a streaming handler and this stream.
  @exclusivity(unchecked) final var pipe: CallPipe?
  /// What an asynchronous handler says of its response.
  @exclusivity(unchecked) final var control: ResponseControl?
  /// Who makes the call, where it says so itself.
  @exclusivity(unchecked) final var identity: CallIdentity?
  /// What an observer is told; not kept without one.
  @exclusivity(unchecked) final var tally = CallTally()
  /// Told when the deadline passes.
  final weak var owner: (any ServerStreamOwner)?

  /// How tasks name this stream.
  final var key: StreamKey { StreamKey(slot: slot, generation: generation) }

  final func prepareCall() {
    method = -1
    timeout = nil
    expiry = nil
    if refusal != nil { refusal = nil }
    isDispatched = false
    awaitsResponse = true
    isPutOff = false
    mayBePacked = false
    requestWasCompressed = false
    tally.beginTime = 0
    if identity != nil { identity = nil }
    releaseHandler()
  }

  /// Lets go of what belongs to an asynchronous handler, if there is one.
  final func releaseHandler() {
    if task != nil { task = nil }
    if pipe != nil { pipe = nil }
    if control != nil { control = nil }
  }

  /// The headers are here since `arrival`: what the client waits for begins then, not when a handler does.
  final func startClock(at arrival: @autoclosure () -> NIODeadline) {
    guard let timeout else { return }
    expiry = arrival() + .nanoseconds(Int64(min(timeout, Self.longestTimeout)))
  }

  /// 146 years.
  private static var longestTimeout: UInt64 { UInt64(Int64.max / 2) }

  final override func timerFired() { owner?.deadlinePassed(self) }

  /// Room for a unary response message of `count` bytes, framed as the protocol wants it.
  func beginReply(count: Int) -> UnsafeMutableRawPointer { preconditionFailure("abstract") }

  /// The call's metadata as the client sent it, without what belongs to the protocol.
  func metadata() -> RPCMetadata { preconditionFailure("abstract") }

  /// Whether there is metadata of a name.
  func hasMetadata(_ name: StaticString) -> Bool { preconditionFailure("abstract") }

  /// Lends the values of a name of the metadata, in order.
  func forEachValue(
    of name: StaticString, _ body: (UnsafeRawBufferPointer) -> Void
  ) { preconditionFailure("abstract") }

  /// What the client asked for, where that is no method of ours.
  func unknownPath() -> String? { preconditionFailure("abstract") }

  /// Whether its call can be answered later than at once.
  var mayWait: Bool { true }

  /// Whoever needs the metadata has it.
  func releaseMetadata() {}

  /// The one message of a request that is not a stream, once it is whole; valid until the stream is
  /// prepared anew.
  func message() throws(RPCStatus) -> UnsafeRawBufferPointer { preconditionFailure("abstract") }

  /// The same as it was sent, for who unpacks it later.
  func framedMessage() throws(RPCStatus) -> FramedMessage {
    FramedMessage(bytes: Array(try message()))
  }
}

/// Names a use of a stream object from other threads.
struct StreamKey: Sendable, Hashable {
  let slot: Int32
  let generation: UInt64
}

/// The connection of a stream.
protocol ServerStreamOwner: AnyObject {
  func deadlinePassed(_ stream: ServerStream)
  /// The engine has something to do or to send, other than because of bytes or mail.
  func engineHasNews()
}
