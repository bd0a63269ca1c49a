public import TenancyRPCCore

/// Stands before the handlers of a server's methods: sees each call, may refuse it, and sees how it ends. What gRPC's
/// other libraries call so; here it has a function for each way in which a call can be served, none of which can be
/// left out: one that is to judge calls must not let pass those that are answered from memory.
///
/// A call that an in-memory handler puts off is seen twice: there, and where it is answered in the end.
///
/// The runtime's own refusals (an unknown method, a message that is too large) come before any of it.
public protocol RPCServerInterceptor<Delegate>: Sendable {
  /// Whose server it is for: that has the types of what calls carry.
  associatedtype Delegate: ServerDelegate

  /// A call that is answered from memory, on the event loop: it must not block, and runs `next` once at most, before
  /// it returns. What it throws is what the call ends with, also after `next` has written an answer.
  ///
  /// - Parameter request: the message, valid until the function returns.
  func intercept(
    _ call: InlineCall<Delegate>, of method: ServedMethod, _ request: UnsafeRawBufferPointer,
    next: (_ request: UnsafeRawBufferPointer) throws(RPCStatus) -> Void
  ) throws(RPCStatus)

  /// A call with one request and one answer.
  /// - Returns: the answer's message.
  func intercept(
    _ call: AsyncCall<Delegate>, of method: ServedMethod, _ request: [UInt8],
    next: @escaping @Sendable (_ request: [UInt8]) async throws -> [UInt8]
  ) async throws -> [UInt8]

  /// A call that streams on either side. Its messages can be looked at, or replaced, by `RequestMessages.mapped` and
  /// `ResponseWriter.mapped`.
  func intercept(
    _ call: AsyncCall<Delegate>, of method: ServedMethod, _ requests: RequestMessages,
    _ responses: ResponseWriter,
    next:
      @escaping @Sendable (_ requests: RequestMessages, _ responses: ResponseWriter) async throws ->
      Void
  ) async throws
}

/// Which method a call is of.
public struct ServedMethod: Sendable, Hashable {
  /// `/package.Service/Method`.
  public let path: String
  /// Which side streams.
  public let kind: CallKind
}

extension ServiceMethod {
  /// The method behind interceptors; the first is the outermost. Behind none, it is the method itself.
  public func intercepted(
    by interceptors: [any RPCServerInterceptor<Delegate>]
  ) -> ServiceMethod {
    interceptors.reversed().reduce(self) { $0.intercepted(by: $1) }
  }

  /// Whichever way a call of it is served.
  public func intercepted(by interceptor: some RPCServerInterceptor<Delegate>) -> ServiceMethod {
    let method = ServedMethod(path: path, kind: kind)
    var intercepted = ServiceMethod(
      path: path, kind: kind, handler: handler(behind: interceptor, method))
    intercepted.waiting = waiting.map { Self.handler($0, behind: interceptor, method) }
    return intercepted
  }

  private func handler(
    behind interceptor: some RPCServerInterceptor<Delegate>, _ method: ServedMethod
  ) -> Handler {
    switch handler {
    case .inline(let body):
      .inline { (call, message) throws(RPCStatus) in
        try interceptor.intercept(call, of: method, message) { (message) throws(RPCStatus) in
          try body(call, message)
        }
      }
    case .async(let body): .async(Self.handler(body, behind: interceptor, method))
    case .streaming(let body, let executor):
      .streaming(
        { call, requests, responses in
          try await interceptor.intercept(call, of: method, requests, responses) {
            requests, responses in
            try await body(call, requests, responses)
          }
        }, executor)
    }
  }

  private static func handler(
    _ body: @escaping AsyncHandler, behind interceptor: some RPCServerInterceptor<Delegate>,
    _ method: ServedMethod
  ) -> AsyncHandler {
    { call, message in
      try await interceptor.intercept(call, of: method, message) { try await body(call, $0) }
    }
  }
}
