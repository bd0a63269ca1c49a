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
  /// What runs the calls of each method, in the order of the method table. What they read of a call is what its
  /// connection has begun last.
  final let handlers: [BoundHandler]
  /// What in-memory handlers see: one after the other.
  final let call: InlineCallState

  init(_ handlers: [BoundHandler], _ call: InlineCallState) {
    self.handlers = handlers
    self.call = call
  }

  /// What serves the method of this index; nil: there is none, as of -1.
  @inline(__always)
  final func handler(_ index: Int32) -> BoundHandler? {
    let index = Int(index)
    return handlers.indices.contains(index) ? handlers[index] : nil
  }

  /// A peer was verified; nil: it is not served.
  func open(_ connection: Connection) -> EmbedderConnection? { preconditionFailure("abstract") }

  /// Once a second.
  func maintain() { preconditionFailure("abstract") }
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

  init(_ connection: Connection) { self.connection = connection }

  /// Works out who makes a call. Until the next begins, handlers of the loop find it.
  /// - Throws: what the call ends with instead of being served.
  func begin(_ stream: ServerStream) throws(RPCStatus) { preconditionFailure("abstract") }
}

/// A method's handler that has got its call: the one that its event loop's `EmbedderConnection` has begun.
enum BoundHandler {
  /// Of one call: may be run elsewhere, and later.
  typealias Unary = @Sendable (_ message: [UInt8]) async throws -> [UInt8]
  typealias Stream =
    @Sendable (_ requests: RequestMessages, _ responses: ResponseWriter) async throws -> Void

  case inline(
    (_ message: UnsafeRawBufferPointer) throws(RPCStatus) -> Void,
    waiting: ((AsyncCallState) -> Unary)?)
  case async((AsyncCallState) -> Unary)
  case streaming((AsyncCallState) -> Stream, HandlerExecutor)
}

// MARK: - Of one delegate

/// An embedder whose types are known.
struct DelegatedEmbedder<Delegate: ServerDelegate>: Embedder {
  let delegate: Delegate
  let methods: MethodTable
  private let served: [ServiceMethod<Delegate>]

  /// - Precondition: no path is there twice.
  init(_ delegate: Delegate, _ methods: [ServiceMethod<Delegate>]) {
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
  /// The same as `call`.
  fileprivate let inlineCall: InlineCall<Delegate>
  fileprivate let delegate: Delegate

  init(_ delegate: Delegate, _ methods: [ServiceMethod<Delegate>]) {
    let context = delegate.makeLoopContext()
    let call = InlineCall<Delegate>(loop: context, arena: Arena())
    self.context = context
    self.delegate = delegate
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
    try delegate.callContext(of: connection, CallMetadata(stream), context)
  }
}

private final class DelegatedConnection<Delegate: ServerDelegate>: EmbedderConnection {
  private let loop: DelegatedLoop<Delegate>
  private let context: Delegate.ConnectionContext
  /// Who makes the calls that say nothing of it; nil: they are refused.
  private let caller: Delegate.CallContext?
  private let refusal: RPCStatus?
  private let names: [StaticString]

  init(
    _ connection: Connection, _ context: Delegate.ConnectionContext,
    on loop: DelegatedLoop<Delegate>
  ) {
    self.loop = loop
    self.context = context
    names = Delegate.identityMetadata
    do throws(RPCStatus) {
      caller = try loop.caller(of: context, nil)
      refusal = nil
    } catch {
      caller = nil
      refusal = error
    }
    super.init(connection)
  }

  override func begin(_ stream: ServerStream) throws(RPCStatus) {
    if names.contains(where: { stream.hasMetadata($0) }) {
      let caller = try loop.caller(of: context, stream)
      // Which keeps it until the call is over.
      stream.identity = DelegatedIdentity(caller, loop.delegate)
      loop.inlineCall.begin(stream, connection, by: caller)
    } else if let caller {
      loop.inlineCall.begin(stream, connection, by: caller)
    } else {
      throw refusal ?? RPCStatus(.unauthenticated, "the call has no caller")
    }
  }

  override func account() -> Int { caller.map { loop.delegate.account(of: $0) } ?? 0 }
  override func name() -> CallerName? { caller.flatMap { loop.delegate.name(of: $0) } }
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
  fileprivate func bound(to call: InlineCall<Delegate>) -> BoundHandler {
    switch handler {
    case .inline(let handler):
      .inline(
        { message throws(RPCStatus) in try handler(call, message) },
        waiting: waiting.map { Self.bound($0, to: call) })
    case .async(let handler): .async(Self.bound(handler, to: call))
    case .streaming(let handler, let executor):
      .streaming(
        { state in
          let call = AsyncCall<Delegate>(state, by: call.context)
          return { requests, responses in try await handler(call, requests, responses) }
        }, executor)
    }
  }

  private static func bound(
    _ handler: @escaping AsyncHandler, to call: InlineCall<Delegate>
  ) -> (AsyncCallState) -> BoundHandler.Unary {
    { state in
      let call = AsyncCall<Delegate>(state, by: call.context)
      return { message in try await handler(call, message) }
    }
  }
}
