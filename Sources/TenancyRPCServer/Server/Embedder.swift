internal import TenancyRPCCore

/// The embedder's side of a server: its delegate and its methods. The runtime does not know their types; here, and
/// nowhere else, both meet.
protocol Embedder: Sendable {
  /// What is looked up by path. In the order of the handlers that `makeLoop` gives.
  var methods: MethodTable { get }
  /// Called on the loop.
  func makeLoop() -> EmbedderLoop
  func describe(_ status: RPCStatus) -> RPCStatus
  func log(_ event: ServerEvent)
}

/// The embedder's side of one event loop. Confined to it.
class EmbedderLoop {
  /// In the order of the method table.
  private final let methods: [BoundMethod]
  // Lent, not retained, for each call: the other keeps them.
  private final let lent: [Unmanaged<BoundMethod>]
  /// What in-memory handlers see: one after the other.
  final let call: InlineCallState

  init(_ methods: [BoundMethod], _ call: InlineCallState) {
    self.methods = methods
    lent = methods.map { .passUnretained($0) }
    self.call = call
  }

  /// What serves the method of this index, as long as the loop lasts; nil: there is none, as of -1.
  @inline(__always)
  final func method(_ index: Int32) -> Unmanaged<BoundMethod>? {
    let index = Int(index)
    return lent.indices.contains(index) ? lent[index] : nil
  }

  /// A peer was verified; nil: it is not served.
  func open(_ connection: Connection) -> EmbedderConnection? { preconditionFailure("abstract") }

  /// Once a second.
  func maintain() { preconditionFailure("abstract") }
}

/// A method on an event loop. What it reads of a call is what the call's connection has begun last. Confined to the
/// loop.
class BoundMethod {
  enum Manner {
    case inline(canWait: Bool)
    case async
    case streaming(HandlerExecutor)
  }

  /// Of one call: may be run elsewhere, and later.
  typealias Unary = @Sendable (_ message: [UInt8]) async throws -> [UInt8]
  typealias Stream =
    @Sendable (_ requests: RequestMessages, _ responses: ResponseWriter) async throws -> Void

  final let manner: Manner

  init(_ manner: Manner) { self.manner = manner }

  /// Answers a call from memory.
  /// - Precondition: `manner` is `inline`, and likewise below.
  /// - Returns: what the call ends with; nil: it is answered.
  func answer(_ message: UnsafeRawBufferPointer) -> RPCStatus? { preconditionFailure("abstract") }

  /// What answers a call later, also one that was put off.
  func unary(_ call: AsyncCallState) -> Unary { preconditionFailure("abstract") }
  func stream(_ call: AsyncCallState) -> Stream { preconditionFailure("abstract") }
}

/// Who makes a call, for observers.
class CallIdentity {
  /// 0: of nobody who is known.
  func account() -> Int { preconditionFailure("abstract") }
  func name() -> CallerName? { preconditionFailure("abstract") }
}

/// The embedder's side of one connection, which is who makes its calls unless they say otherwise. Confined to its
/// event loop.
class EmbedderConnection: CallIdentity {
  final let connection: Connection
  // Lent, not retained, for each call: the other is kept.
  fileprivate final let lentConnection: Unmanaged<Connection>

  init(_ connection: Connection) {
    self.connection = connection
    lentConnection = .passUnretained(connection)
  }

  /// Whose connection it is; zero: nobody's.
  func tag() -> CallTag { preconditionFailure("abstract") }

  /// Who makes a call, as far as that was worked out.
  func identity(of stream: ServerStream) -> CallIdentity { preconditionFailure("abstract") }

  /// Works out who makes a call. Until the next begins, handlers of the loop find it.
  /// - Throws: what the call ends with instead of being served.
  func begin(_ stream: ServerStream) throws(RPCStatus) { preconditionFailure("abstract") }
}

// MARK: - Of one delegate

/// An embedder whose types are known.
struct DelegatedEmbedder<Delegate: ServerDelegate>: Embedder {
  let delegate: Delegate
  let methods: MethodTable
  private let served: [ServiceMethod<Delegate>]

  /// - Precondition: no path is there twice.
  init(_ delegate: Delegate, _ methods: [ServiceMethod<Delegate>]) {
    for name in Delegate.identityMetadata {
      // In range: the names are the embedder's. Of others nothing is kept, and no call would have them.
      precondition(RPCMetadata.isKept(name), "\(name) is no name of metadata that calls keep")
    }
    self.delegate = delegate
    served = methods
    self.methods = MethodTable(serving: methods)
  }

  func makeLoop() -> EmbedderLoop { DelegatedLoop(delegate, served) }
  func describe(_ status: RPCStatus) -> RPCStatus { delegate.describe(status) }
  func log(_ event: ServerEvent) { delegate.log(event) }
}

private final class DelegatedLoop<Delegate: ServerDelegate>: EmbedderLoop {
  private let context: Delegate.LoopContext
  /// In the order of the method table.
  private let paths: [String]
  /// The same as `call`.
  fileprivate let inlineCall: InlineCall<Delegate>
  fileprivate let delegate: Delegate

  init(_ delegate: Delegate, _ methods: [ServiceMethod<Delegate>]) {
    let context = delegate.makeLoopContext()
    let call = InlineCall<Delegate>(loop: context, arena: Arena())
    self.context = context
    self.delegate = delegate
    paths = methods.map(\.path)
    inlineCall = call
    super.init(methods.map { $0.bound(to: call) }, call)
  }

  override func open(_ connection: Connection) -> EmbedderConnection? {
    delegate.connectionOpened(connection).map { context in
      DelegatedConnection(connection, context, on: self)
    }
  }

  override func maintain() { delegate.maintain(context) }

  /// - Parameter stream: nil: whoever makes the calls that say nothing of it.
  fileprivate func caller(
    of connection: Delegate.ConnectionContext, _ stream: ServerStream?
  ) throws(RPCStatus) -> Delegate.CallContext {
    // A call that is begun has a method: the engine refuses others.
    let index = stream.map { Int($0.method) } ?? -1
    let path = paths.indices.contains(index) ? paths[index] : ""
    return try delegate.callContext(of: connection, CallMetadata(stream, path: path), context)
  }
}

private final class DelegatedConnection<Delegate: ServerDelegate>: EmbedderConnection {
  private let loop: DelegatedLoop<Delegate>
  private let context: Delegate.ConnectionContext
  /// Who makes the calls that say nothing of it; nil: they are refused.
  private let caller: Delegate.CallContext?
  private let refusal: RPCStatus?
  /// Nil: calls say nothing of it.
  private let firstName: StaticString?
  /// Beside that one.
  private let otherNames: [StaticString]
  // Lent, not retained, for each call: `loop` keeps the first, and this object the others.
  private let lentCall: Unmanaged<InlineCall<Delegate>>
  private let lentCaller: Unmanaged<Delegate.CallContext>?

  init(
    _ connection: Connection, _ context: Delegate.ConnectionContext,
    on loop: DelegatedLoop<Delegate>
  ) {
    self.loop = loop
    self.context = context
    firstName = Delegate.identityMetadata.first
    otherNames = Array(Delegate.identityMetadata.dropFirst())
    do throws(RPCStatus) {
      caller = try loop.caller(of: context, nil)
      refusal = nil
    } catch {
      caller = nil
      refusal = error
    }
    lentCall = .passUnretained(loop.inlineCall)
    lentCaller = caller.map { .passUnretained($0) }
    super.init(connection)
  }

  override func begin(_ stream: ServerStream) throws(RPCStatus) {
    if saysWho(stream) {
      try beginOwn(stream)
    } else if let lentCaller {
      lentCall._withUnsafeGuaranteedRef { $0.begin(stream, lentConnection, by: lentCaller) }
    } else {
      throw refusal ?? RPCStatus(.unauthenticated, "the call has no caller")
    }
  }

  /// Whether a call has metadata that say who makes it.
  @inline(__always)
  private func saysWho(_ stream: ServerStream) -> Bool {
    guard let firstName else { return false }
    // Most have one name, and most calls have none of it.
    return stream.hasMetadata(firstName)
      || !otherNames.isEmpty && otherNames.contains { stream.hasMetadata($0) }
  }

  /// A call that says itself who makes it.
  private func beginOwn(_ stream: ServerStream) throws(RPCStatus) {
    let caller = try loop.caller(of: context, stream)
    // Which keeps it until the call is over.
    stream.identity = DelegatedIdentity(caller, loop.delegate)
    loop.inlineCall.begin(stream, lentConnection, by: .passUnretained(caller))
  }

  override func tag() -> CallTag { loop.delegate.tag(of: context) }

  override func identity(of stream: ServerStream) -> CallIdentity {
    if let own = stream.identity { return own }
    // It claims to be another's, and was refused before that was known, or because it is not true. (A call that is
    // handed to a handler has an identity by then, where it says so itself.)
    guard stream.control == nil, saysWho(stream) else { return self }
    return UnprovenIdentity(behind: account())
  }

  override func account() -> Int { caller.map { loop.delegate.account(of: $0) } ?? 0 }
  override func name() -> CallerName? { caller.flatMap { loop.delegate.name(of: $0) } }
}

/// Of a call that claims an identity and has not proven it.
private final class UnprovenIdentity: CallIdentity {
  private let connection: Int

  /// - Parameter connection: the account of the peer that such calls come from: they use up nothing of its own.
  init(behind connection: Int) { self.connection = connection }

  override func account() -> Int { ~connection }
  override func name() -> CallerName? { nil }
}

private final class DelegatedIdentity<Delegate: ServerDelegate>: CallIdentity {
  private let caller: Delegate.CallContext
  private let delegate: Delegate

  init(_ caller: Delegate.CallContext, _ delegate: Delegate) {
    self.caller = caller
    self.delegate = delegate
  }

  override func account() -> Int { delegate.account(of: caller) }
  override func name() -> CallerName? { delegate.name(of: caller) }
}

extension MethodTable {
  /// - Precondition: no path is there twice.
  init<Delegate: ServerDelegate>(serving methods: [ServiceMethod<Delegate>]) {
    self.init(methods.map { Entry(path: $0.path, kind: $0.kind, answering: $0.answering) })
  }
}

extension ServiceMethod {
  fileprivate var answering: MethodTable.Answering {
    switch handler {
    case .inline: waiting == nil ? .atOnce : .atOnceOrPutOff
    case .async, .streaming: .later
    }
  }

  /// - Parameter call: has its caller from the connection that begins a call.
  fileprivate func bound(to call: InlineCall<Delegate>) -> BoundMethod {
    switch handler {
    case .inline(let handler): BoundInlineMethod(handler, waiting, call)
    case .async(let handler): BoundAsyncMethod(handler, call)
    case .streaming(let handler, let executor): BoundStreamingMethod(handler, executor, call)
    }
  }
}

private final class BoundInlineMethod<Delegate: ServerDelegate>: BoundMethod {
  private let handler: ServiceMethod<Delegate>.InlineHandler
  private let waiting: ServiceMethod<Delegate>.AsyncHandler?
  private let call: InlineCall<Delegate>

  init(
    _ handler: @escaping ServiceMethod<Delegate>.InlineHandler,
    _ waiting: ServiceMethod<Delegate>.AsyncHandler?, _ call: InlineCall<Delegate>
  ) {
    self.handler = handler
    self.waiting = waiting
    self.call = call
    super.init(.inline(canWait: waiting != nil))
  }

  override func answer(_ message: UnsafeRawBufferPointer) -> RPCStatus? {
    do throws(RPCStatus) {
      try handler(call, message)
      return nil
    } catch {
      return error
    }
  }

  override func unary(_ state: AsyncCallState) -> Unary {
    let call = AsyncCall<Delegate>(state, by: call.context)
    return { [waiting] message in
      guard let waiting else { throw RPCStatus(.internalError, "nothing answers the call") }
      return try await waiting(call, message)
    }
  }
}

private final class BoundAsyncMethod<Delegate: ServerDelegate>: BoundMethod {
  private let handler: ServiceMethod<Delegate>.AsyncHandler
  private let call: InlineCall<Delegate>

  init(_ handler: @escaping ServiceMethod<Delegate>.AsyncHandler, _ call: InlineCall<Delegate>) {
    self.handler = handler
    self.call = call
    super.init(.async)
  }

  override func unary(_ state: AsyncCallState) -> Unary {
    let call = AsyncCall<Delegate>(state, by: call.context)
    return { [handler] message in try await handler(call, message) }
  }
}

private final class BoundStreamingMethod<Delegate: ServerDelegate>: BoundMethod {
  private let handler: ServiceMethod<Delegate>.StreamingHandler
  private let call: InlineCall<Delegate>

  init(
    _ handler: @escaping ServiceMethod<Delegate>.StreamingHandler, _ executor: HandlerExecutor,
    _ call: InlineCall<Delegate>
  ) {
    self.handler = handler
    self.call = call
    super.init(.streaming(executor))
  }

  override func stream(_ state: AsyncCallState) -> Stream {
    let call = AsyncCall<Delegate>(state, by: call.context)
    return { [handler] requests, responses in try await handler(call, requests, responses) }
  }
}
