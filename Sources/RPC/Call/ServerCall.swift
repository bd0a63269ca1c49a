import CProtobufC

/// What an in-memory handler sees of its call. One object serves a connection's calls one after the
/// other; it must not be kept. Confined to the connection's event loop.
public final class InlineCall {
  public let connection: Connection
  /// What `ServerDelegate.connectionOpened` returned.
  public let context: AnyObject
  /// What `ServerDelegate.makeLoopState` returned for this event loop.
  public let loopState: AnyObject
  /// Memory for this call's messages.
  public let arena: Arena

  /// The call being served. Set only while a handler runs, by the connection, which owns the stream.
  unowned(unsafe) var stream: CallStream?

  init(connection: Connection, context: AnyObject, loopState: AnyObject, arena: Arena) {
    self.connection = connection
    self.context = context
    self.loopState = loopState
    self.arena = arena
  }

  /// The call's metadata. Costs allocations: for handlers that need it.
  public var metadata: Metadata { stream?.metadata() ?? Metadata() }

  /// Writes the answer's message: `count` bytes, all of which `fill` must initialise.
  @inline(__always)
  public func reply(count: Int, _ fill: (UnsafeMutableRawPointer) -> Void) {
    guard let stream else { return }
    fill(stream.beginReply(count: count))
  }
}

/// One call as a protocol engine keeps it; what handlers need of it, whatever the protocol.
class CallStream {
  /// Room for a response message of `count` bytes, framed as the protocol wants it.
  func beginReply(count: Int) -> UnsafeMutableRawPointer { preconditionFailure("abstract") }
  func metadata() -> Metadata { preconditionFailure("abstract") }
}

/// What an asynchronous handler sees of its call.
public struct AsyncCall: Sendable {
  public let connection: Connection
  /// What `ServerDelegate.connectionOpened` returned.
  public let context: any AnyObject & Sendable
  public let metadata: Metadata
  /// When the client stops waiting; nil: never. The handler's task is cancelled then.
  public let deadline: ContinuousClock.Instant?
}

/// A served method.
public struct ServiceMethod: Sendable {
  /// `/package.Service/Method`.
  public let path: String
  let handler: Handler

  enum Handler: Sendable {
    case inline(InlineHandler)
    case async(AsyncHandler)
  }

  /// Answers at once by `call.reply`, from memory: it runs on the event loop and must not block. The
  /// bytes are the request message, valid during the call.
  public typealias InlineHandler =
    @Sendable (_ call: InlineCall, _ message: UnsafeRawBufferPointer) throws(RPCStatus) -> Void

  /// Answers with the response message. Runs off the event loop; cancelled when the client goes away
  /// or the deadline passes. Errors other than `RPCStatus` become INTERNAL without detail.
  public typealias AsyncHandler =
    @Sendable (_ call: AsyncCall, _ message: [UInt8]) async throws -> [UInt8]

  public static func inline(path: String, _ handler: @escaping InlineHandler) -> ServiceMethod {
    ServiceMethod(path: path, handler: .inline(handler))
  }

  public static func async(path: String, _ handler: @escaping AsyncHandler) -> ServiceMethod {
    ServiceMethod(path: path, handler: .async(handler))
  }
}

/// What the server asks of its embedder.
public protocol ServerDelegate: Sendable {
  /// One object for each event loop, for caches that need no lock.
  func makeLoopState() -> AnyObject
  /// Called every second on the loop that a state belongs to: a chance to let go of what is stale.
  func maintainLoopState(_ state: AnyObject)
  /// A connection was accepted and its peer verified: what its calls will find as `context`.
  /// nil refuses the connection (the delegate logs why).
  func connectionOpened(_ connection: Connection) -> (any AnyObject & Sendable)?
  /// Adds details to the status of a call that the runtime itself refused: an unknown method, a message
  /// that is too large, a deadline that has passed.
  func describe(_ status: RPCStatus) -> RPCStatus
  /// Why a connection or call was refused before any handler ran: one line for the log.
  func log(_ event: ServerEvent)
}

/// Something an operator may want to read.
public struct ServerEvent: Sendable {
  public enum Kind: String, Sendable {
    case listening
    case handshakeFailed = "handshake_failed"
    case peerRefused = "peer_refused"
    case protocolError = "protocol_error"
    case internalError = "internal_error"
    case stopped
  }
  public let kind: Kind
  public let connection: String
  public let detail: String

  public init(kind: Kind, connection: String, detail: String) {
    self.kind = kind
    self.connection = connection
    self.detail = detail
  }
}
