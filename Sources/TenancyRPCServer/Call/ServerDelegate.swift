public import TenancyRPCCore

/// What the server asks of its embedder, and what the embedder keeps for connections, calls and event loops: each of
/// a type of its own, which methods and interceptors find in their calls as it is.
public protocol ServerDelegate: Sendable {
  /// What a connection's peer has proven, for as long as the connection lasts.
  associatedtype ConnectionContext: AnyObject & Sendable = NoContext
  /// Who makes a call.
  associatedtype CallContext: AnyObject & Sendable = ConnectionContext
  /// What is kept for an event loop, such as caches that need no lock.
  associatedtype LoopContext: AnyObject = NoContext

  /// Who watches calls and connections. Asked while the server is made.
  var observer: (any ServerObserver)? { get }
  /// Called once for each event loop, on it.
  func makeLoopContext() -> LoopContext
  /// Called every second on the loop that a context belongs to: a chance to let go of what is stale.
  func maintain(_ loop: LoopContext)

  /// A connection was accepted and its peer verified; nil refuses it (the delegate logs why).
  func connectionOpened(_ connection: Connection) -> ConnectionContext?
  /// The metadata, by names in lower case, that can say who makes a call. All calls of a connection that have none
  /// of it are made by the same.
  static var identityMetadata: [StaticString] { get }
  /// Works out who makes a call, from what its connection has proven and what it says. Runs on the event loop, once
  /// for each connection, without metadata, and once for each call that has some of `identityMetadata`, before its
  /// handler: it must not block, and keeps what is expensive to find in the loop's context.
  ///
  /// - Throws: what the call ends with instead of being served.
  func callContext(
    of connection: ConnectionContext, _ metadata: borrowing CallMetadata, _ loop: LoopContext
  ) throws(RPCStatus) -> CallContext

  /// A number that all callers have in common who share one part of what may be logged. Cheap: it is asked of every
  /// call that has failed.
  func account(of caller: CallContext) -> Int
  /// Who that is, for logs; nil: nobody of whom there is anything to tell.
  func name(of caller: CallContext) -> CallerName?

  /// Whose connection it is, for observers; zero: nobody's. Asked once for each connection, on its event loop.
  func tag(of connection: ConnectionContext) -> CallTag

  /// Adds details to the status of a call that the runtime itself refused: an unknown method, a
  /// message that is too large, a deadline that has passed. One with a `retryAfter` that is
  /// returned without details gets a `google.rpc.RetryInfo`.
  func describe(_ status: RPCStatus) -> RPCStatus
  /// Why a connection or call was refused before any handler ran: one line for the log.
  func log(_ event: ServerEvent)
}

extension ServerDelegate {
  public func maintain(_ loop: LoopContext) {}
  /// The connection's peer makes all its calls.
  public static var identityMetadata: [StaticString] { [] }
  public func account(of caller: CallContext) -> Int { 0 }
  public func name(of caller: CallContext) -> CallerName? { nil }
  /// Nobody's.
  public func tag(of connection: ConnectionContext) -> CallTag { CallTag() }
  /// As it is.
  public func describe(_ status: RPCStatus) -> RPCStatus { status }
  /// Nobody watches.
  public var observer: (any ServerObserver)? { nil }
}

extension ServerDelegate where LoopContext == NoContext {
  /// Nothing is kept.
  public func makeLoopContext() -> NoContext { NoContext.shared }
}

extension ServerDelegate where CallContext == ConnectionContext {
  public func callContext(
    of connection: ConnectionContext, _ metadata: borrowing CallMetadata, _ loop: LoopContext
  ) throws(RPCStatus) -> CallContext { connection }
}

/// For embedders that keep nothing.
public final class NoContext: Sendable {
  /// The only one.
  public static let shared = NoContext()

  private init() {}
}

/// Who makes a call, as logs have it.
public struct CallerName: Sendable, Hashable {
  /// As its credential says.
  public var subject: String
  /// The caller's own tenant, if it has one that is known.
  public var tenant: String?

  /// - Parameter subject: such as a SPIFFE ID; for logs only.
  public init(subject: String, tenant: String? = nil) {
    self.subject = subject
    self.tenant = tenant
  }
}

/// What a call says of itself beside its message. Nothing of it is made before somebody asks. Valid only while the
/// function runs that it was lent to.
public struct CallMetadata: ~Copyable {
  /// Nil: there is no call.
  private let stream: Unmanaged<ServerStream>?
  /// The method's; empty where there is no call.
  public let path: String

  init(_ stream: ServerStream?, path: String) {
    self.stream = stream.map { .passUnretained($0) }
    self.path = path
  }

  /// Lends the values of a name (lower case), in order. No text is made of any.
  public func forEachValue(of name: StaticString, _ body: (UnsafeRawBufferPointer) -> Void) {
    stream?._withUnsafeGuaranteedRef { $0.forEachValue(of: name, body) }
  }

  /// Costs less than to ask for values.
  public func has(_ name: StaticString) -> Bool {
    stream?._withUnsafeGuaranteedRef { $0.hasMetadata(name) } ?? false
  }
}

/// Something an operator may want to read.
public struct ServerEvent: Sendable {
  /// Raw values are for logs, and stay.
  public enum Kind: String, Sendable {
    /// A listener accepts connections.
    case listening
    /// A TLS handshake failed, or took too long.
    case handshakeFailed = "handshake_failed"
    /// A peer was turned away, for its certificate or because a limit is reached.
    case peerRefused = "peer_refused"
    /// A peer broke HTTP/2 or ttrpc.
    case protocolError = "protocol_error"
    /// A peer that did not take part any more was cut off.
    case peerStalled = "peer_stalled"
    /// No more connections are accepted until some end.
    case outOfDescriptors = "out_of_descriptors"
    /// A handler threw what is no status; its call ended with INTERNAL.
    case internalError = "internal_error"
  }
  /// What has happened.
  public let kind: Kind
  /// As `Connection.label` has it, or the listener's address.
  public let connection: String
  /// In words for operators; may quote what the peer sent, unescaped.
  public let detail: String

  /// What is passed to `ServerDelegate.log`.
  public init(kind: Kind, connection: String, detail: String) {
    self.kind = kind
    self.connection = connection
    self.detail = detail
  }
}
