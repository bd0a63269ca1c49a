extension ServerDelegate {
  /// Nothing is kept by loop.
  public func makeLoopState() -> AnyObject { NoLoopState() }
  public func maintainLoopState(_ state: AnyObject) {}
  /// As it is.
  public func describe(_ status: RPCStatus) -> RPCStatus { status }
  /// Nobody watches.
  public var observer: (any ServerObserver)? { nil }
}

/// What the server asks of its embedder.
public protocol ServerDelegate: Sendable {
  /// Who watches calls and connections. Asked while the server is made.
  var observer: (any ServerObserver)? { get }
  /// One object for each event loop, for caches that need no lock.
  func makeLoopState() -> AnyObject
  /// Called every second on the loop that a state belongs to: a chance to let go of what is stale.
  func maintainLoopState(_ state: AnyObject)
  /// A connection was accepted and its peer verified: what its calls will find as `context`.
  /// nil refuses the connection (the delegate logs why).
  func connectionOpened(_ connection: Connection) -> (any AnyObject & Sendable)?
  /// Adds details to the status of a call that the runtime itself refused: an unknown method, a
  /// message that is too large, a deadline that has passed. One with a `retryAfter` that is
  /// returned without details gets a `google.rpc.RetryInfo`.
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
    /// A peer that did not take part any more was cut off.
    case peerStalled = "peer_stalled"
    /// No more connections are accepted until some end.
    case outOfDescriptors = "out_of_descriptors"
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

private final class NoLoopState {}
