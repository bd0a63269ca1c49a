public import TenancyRPCCore

/// A served method. Handlers do not learn which protocol brought the call; what they learn of its caller is of the type
/// that the server's delegate has for that.
public struct ServiceMethod<Delegate: ServerDelegate>: Sendable {
  /// `/package.Service/Method`.
  public let path: String
  /// Which side streams.
  public let kind: CallKind
  let handler: Handler
  /// Answers a call that an inline handler has put off.
  var waiting: AsyncHandler?

  /// `package.Service`.
  public var service: String { String(path.drop { $0 == "/" }.prefix { $0 != "/" }) }

  enum Handler: Sendable {
    case inline(InlineHandler)
    case async(AsyncHandler)
    case streaming(StreamingHandler, HandlerExecutor)
  }

  /// Answers at once by `call.reply`, from memory: it runs on the event loop and must not block. The
  /// bytes are the request message, valid during the call.
  public typealias InlineHandler =
    @Sendable (_ call: InlineCall<Delegate>, _ message: UnsafeRawBufferPointer) throws(RPCStatus) ->
    Void

  /// Answers with the response message. Runs off the event loop; cancelled when the client goes away
  /// or the deadline passes. Errors other than `RPCStatus` become INTERNAL without detail.
  public typealias AsyncHandler =
    @Sendable (_ call: AsyncCall<Delegate>, _ message: [UInt8]) async throws -> [UInt8]

  /// Reads requests and sends responses; the call ends with OK when it returns, and with its error when
  /// it throws. Cancelled, and its streams fail, when the client goes away or the deadline passes.
  public typealias StreamingHandler =
    @Sendable (
      _ call: AsyncCall<Delegate>, _ requests: RequestMessages, _ responses: ResponseWriter
    )
    async throws -> Void

  /// - Parameter waiting: answers a call that `handler` has put off, because it must wait for something.
  public static func inline(
    path: String, orElse waiting: AsyncHandler? = nil, _ handler: @escaping InlineHandler
  ) -> ServiceMethod {
    ServiceMethod(path: path, kind: .unary, handler: .inline(handler), waiting: waiting)
  }

  /// A unary method whose handler may wait: it runs in a task of its own, cancelled when the call ends.
  public static func async(path: String, _ handler: @escaping AsyncHandler) -> ServiceMethod {
    ServiceMethod(path: path, kind: .unary, handler: .async(handler))
  }

  /// - Parameter executor: where the handler runs. On the event loop it must not block.
  public static func streaming(
    path: String, kind: CallKind, on executor: HandlerExecutor = .eventLoop,
    _ handler: @escaping StreamingHandler
  ) -> ServiceMethod {
    ServiceMethod(path: path, kind: kind, handler: .streaming(handler, executor))
  }
}

/// Where a handler's task runs.
public enum HandlerExecutor: Sendable, Hashable {
  /// The connection's event loop: no change of thread for a message, but nothing there may block or
  /// compute for long, as all calls of the loop wait.
  case eventLoop
  /// Swift's pool of threads.
  case concurrentPool
}
