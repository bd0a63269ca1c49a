public import TenancyRPCCore

/// Methods whose handlers take and give messages instead of bytes. A request that is not an encoding of
/// its message ends the call with INVALID_ARGUMENT.
extension ServiceMethod {
  /// A unary method that is answered from memory: the handler runs on the event loop and must not block.
  ///
  /// - Precondition: `method` is unary, as are those of the other functions what their names say.
  public static func inline<Request, Response>(
    _ method: RPCMethod<Request, Response>,
    _ handler: @escaping @Sendable (InlineCall<Delegate>, Request) throws(RPCStatus) -> Response
  ) -> ServiceMethod {
    // In range: the methods are ours.
    precondition(method.kind == .unary, "\(method.path) is not unary")
    return .inline(path: method.path) { (call, bytes) throws(RPCStatus) in
      let request: Request
      do throws(WireError) {
        request = try Request(decoding: bytes, arena: call.arena)
      } catch {
        throw error.status
      }
      let response = UnsafePointer(try handler(call, request).write(into: call.arena))
      call.reply(count: Response.encodedSize(response)) { Response.pack(response, into: $0) }
    }
  }

  /// A unary method whose handler may wait: it runs in a task of its own, cancelled when the call ends. What it
  /// throws
  /// and isn't an `RPCStatus` is logged, and INTERNAL to the client.
  public static func unary<Request, Response>(
    _ method: RPCMethod<Request, Response>,
    _ handler: @escaping @Sendable (AsyncCall<Delegate>, Request) async throws -> Response
  ) -> ServiceMethod {
    // In range: the methods are ours.
    precondition(method.kind == .unary, "\(method.path) is not unary")
    return .async(path: method.path) { call, bytes in
      let coder = MessageCoder()
      let request = try coder.decode(Request.self, bytes)
      return coder.encode(try await handler(call, request))
    }
  }

  /// - Parameter executor: where the handler runs. On the event loop it must not block.
  public static func serverStreaming<Request, Response>(
    _ method: RPCMethod<Request, Response>, on executor: HandlerExecutor = .eventLoop,
    _ handler:
      @escaping @Sendable (AsyncCall<Delegate>, Request, ResponseStream<Response>) async throws ->
      Void
  ) -> ServiceMethod {
    // In range: the methods are ours.
    precondition(method.kind == .serverStreaming, "\(method.path) does not stream as declared")
    return .streaming(path: method.path, kind: method.kind, on: executor) {
      call, requests, responses in
      guard let request = try await RequestStream<Request>(requests).next() else { throw missing }
      try await handler(call, request, ResponseStream(responses))
    }
  }

  /// - Parameter executor: where the handler runs. On the event loop it must not block.
  public static func clientStreaming<Request, Response>(
    _ method: RPCMethod<Request, Response>, on executor: HandlerExecutor = .eventLoop,
    _ handler:
      @escaping @Sendable (AsyncCall<Delegate>, RequestStream<Request>) async throws -> Response
  ) -> ServiceMethod {
    // In range: the methods are ours.
    precondition(method.kind == .clientStreaming, "\(method.path) does not stream as declared")
    return .streaming(path: method.path, kind: method.kind, on: executor) {
      call, requests, responses in
      let response = try await handler(call, RequestStream(requests))
      // Packed only if the handler has asked for it.
      try await ResponseStream(responses).send(response, compress: true)
    }
  }

  /// - Parameter executor: where the handler runs. On the event loop it must not block.
  public static func bidirectional<Request, Response>(
    _ method: RPCMethod<Request, Response>, on executor: HandlerExecutor = .eventLoop,
    _ handler:
      @escaping @Sendable (AsyncCall<Delegate>, RequestStream<Request>, ResponseStream<Response>)
      async throws -> Void
  ) -> ServiceMethod {
    // In range: the methods are ours.
    precondition(method.kind == .bidirectional, "\(method.path) does not stream as declared")
    return .streaming(path: method.path, kind: method.kind, on: executor) {
      call, requests, responses in
      try await handler(call, RequestStream(requests), ResponseStream(responses))
    }
  }

  private static var missing: RPCStatus {
    RPCStatus(.internalError, "the request has no message")
  }
}
