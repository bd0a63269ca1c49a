import CTenancyProtobufC

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

  /// The call being served. Set only while a handler runs, by the connection, which holds the stream.
  @exclusivity(unchecked) private var stream: Unmanaged<ServerStream>?
  /// Of the message that this call has written.
  @exclusivity(unchecked) var replyBytes = 0
  /// The method's asynchronous handler is to answer.
  @exclusivity(unchecked) var isPutOff = false

  init(connection: Connection, context: AnyObject, loopState: AnyObject, arena: Arena) {
    self.connection = connection
    self.context = context
    self.loopState = loopState
    self.arena = arena
  }

  /// The call's metadata. Costs allocations: for handlers that need it.
  public var metadata: RPCMetadata {
    stream?._withUnsafeGuaranteedRef { $0.metadata() } ?? RPCMetadata()
  }

  /// Whether there is metadata of a name (lower case). Costs less than to ask for its value.
  @inline(__always)
  public func hasMetadata(_ name: StaticString) -> Bool {
    stream?._withUnsafeGuaranteedRef { $0.hasMetadata(name) } ?? false
  }

  /// A handler is about to run, which has returned before the connection lets go of `stream`.
  @inline(__always)
  func begin(_ stream: ServerStream) {
    arena.reset()
    self.stream = .passUnretained(stream)
    replyBytes = 0
    isPutOff = false
  }

  /// Says what the call is about, for observers.
  @inline(__always)
  public func tag(_ tag: CallTag) {
    stream?._withUnsafeGuaranteedRef { $0.tally.tag = tag }
  }

  /// Has the method's asynchronous handler answer instead, with the same message: this one must return
  /// without a reply then. Only a call with metadata can be put off: others are over at once.
  public func putOff() { isPutOff = true }

  @inline(__always)
  func end() { stream = nil }

  /// Writes the answer's message: `count` bytes, all of which `fill` must initialise.
  @inline(__always)
  public func reply(count: Int, _ fill: (UnsafeMutableRawPointer) -> Void) {
    guard let stream else { return }
    replyBytes = count
    fill(stream._withUnsafeGuaranteedRef { $0.beginReply(count: count) })
  }
}
