public import TenancyRPCCore

/// A call that is being answered from memory, as far as the runtime knows it: without what is the embedder's. One
/// object serves an event loop's calls one after the other. Confined to that loop.
public class InlineCallState {
  /// Memory for this call's messages.
  public final let arena: Arena
  /// The call being served, and its connection. Set only while a handler runs, by the connection, which holds both.
  @exclusivity(unchecked) final private var stream: Unmanaged<ServerStream>?
  @exclusivity(unchecked) final private var origin: Unmanaged<Connection>?
  /// Of the message that this call has written.
  @exclusivity(unchecked) final var replyBytes = 0
  /// The method's asynchronous handler is to answer.
  @exclusivity(unchecked) final var isPutOff = false

  init(arena: Arena) { self.arena = arena }

  /// - Precondition: a handler runs.
  public final var connection: Connection {
    // In range: our handlers ask, and no peer.
    guard let origin else { preconditionFailure("the call is over") }
    return origin._withUnsafeGuaranteedRef { $0 }
  }

  /// The call's metadata. Costs allocations: for handlers that need all of it.
  public final var metadata: RPCMetadata {
    stream?._withUnsafeGuaranteedRef { $0.metadata() } ?? RPCMetadata()
  }

  /// Whether there is metadata of a name (lower case). Costs less than to ask for its value.
  @inline(__always)
  public final func hasMetadata(_ name: StaticString) -> Bool {
    stream?._withUnsafeGuaranteedRef { $0.hasMetadata(name) } ?? false
  }

  /// Lends the values of a name (lower case), in order. No text is made of any.
  public final func forEachValue(
    of name: StaticString, _ body: (UnsafeRawBufferPointer) -> Void
  ) {
    stream?._withUnsafeGuaranteedRef { $0.forEachValue(of: name, body) }
  }

  /// Says what the call is about, for observers.
  @inline(__always)
  public final func tag(_ tag: CallTag) {
    stream?._withUnsafeGuaranteedRef { $0.tally.tag = tag }
  }

  /// The same of a call whose status does not say what has become of what was asked.
  public final func tag(_ tag: CallTag, _ verdict: CallVerdict) {
    stream?._withUnsafeGuaranteedRef {
      $0.tally.tag = tag
      $0.tally.verdict = verdict
    }
  }

  /// Has the method's asynchronous handler answer instead, with the same message: this one must return
  /// without a reply then. Only a call with metadata can be put off: others are over at once.
  public final func putOff() { isPutOff = true }

  /// Writes the answer's message: `count` bytes, all of which `fill` must initialise.
  @inline(__always)
  public final func reply(count: Int, _ fill: (UnsafeMutableRawPointer) -> Void) {
    guard let stream else { return }
    replyBytes = count
    fill(stream._withUnsafeGuaranteedRef { $0.beginReply(count: count) })
  }

  /// A handler is about to run, which has returned before the connection lets go of `stream`.
  @inline(__always)
  final func begin(_ stream: ServerStream, _ connection: Unmanaged<Connection>) {
    arena.reset()
    self.stream = .passUnretained(stream)
    origin = connection
    replyBytes = 0
    isPutOff = false
  }

  @inline(__always)
  final func end() {
    stream = nil
    origin = nil
  }

  /// Whether a handler runs.
  @inline(__always)
  final var isServed: Bool { stream != nil }
}

/// What an in-memory handler sees of its call. It must not be kept: the next call has the same. Confined to the event
/// loop.
public final class InlineCall<Delegate: ServerDelegate>: InlineCallState {
  /// What the delegate keeps for this event loop.
  public let loop: Delegate.LoopContext
  /// Who makes the call. Lent by who begins it, for as long as the handler runs.
  @exclusivity(unchecked) private var caller: Unmanaged<Delegate.CallContext>?

  init(loop: Delegate.LoopContext, arena: Arena) {
    self.loop = loop
    super.init(arena: arena)
  }

  /// Who makes the call, as `ServerDelegate.callContext` has worked it out.
  /// - Precondition: a handler runs.
  public var context: Delegate.CallContext {
    // In range: our handlers ask, and no peer.
    guard isServed, let caller else { preconditionFailure("the call is over") }
    return caller._withUnsafeGuaranteedRef { $0 }
  }

  @inline(__always)
  func begin(
    _ stream: ServerStream, _ connection: Unmanaged<Connection>,
    by caller: Unmanaged<Delegate.CallContext>
  ) {
    begin(stream, connection)
    self.caller = caller
  }
}
