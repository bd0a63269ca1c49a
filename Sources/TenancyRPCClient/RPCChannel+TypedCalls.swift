public import TenancyRPCCore

/// Calls of methods as they are declared, with messages as values.
///
/// All of them throw the `RPCStatus` that the server gave, or that tells why there is none; INTERNAL
/// for a response that is not the method's message. Cancelling the task resets the call and gives
/// CANCELLED. A method that declares itself idempotent is called so, unless the options say otherwise.
extension RPCChannel {
  /// Sends one message and waits for one.
  public nonisolated(nonsending) func unary<Request, Response>(
    _ method: RPCMethod<Request, Response>, _ request: Request,
    options: RPCCallOptions = RPCCallOptions()
  ) async throws -> Response {
    let coder = MessageCoder()
    let answer = try await unary(
      path: method.path, message: coder.encode(request), options: options.applied(to: method))
    return try coder.decodeResponse(Response.self, answer)
  }

  /// Sends one message; `body` reads the answers.
  ///
  /// A call that is not over when `body` returns or throws is cancelled.
  public nonisolated(nonsending) func serverStreaming<Request, Response, Answer>(
    _ method: RPCMethod<Request, Response>, _ request: Request,
    options: RPCCallOptions = RPCCallOptions(),
    _ body: (ResponseMessages<Response>) async throws -> Answer
  ) async throws -> Answer {
    try await serverStreaming(
      path: method.path, message: MessageCoder().encode(request),
      options: options.applied(to: method)
    ) { try await body(ResponseMessages($0)) }
  }

  /// `send` sends any number of messages; the answer is one.
  ///
  /// - Throws: what `send` throws, in which case the call is cancelled. When the server ends the call
  ///   early, what counts is how.
  public nonisolated(nonsending) func clientStreaming<Request, Response>(
    _ method: RPCMethod<Request, Response>, options: RPCCallOptions = RPCCallOptions(),
    _ send: (RequestWriter<Request>) async throws -> Void
  ) async throws -> Response {
    let answer = try await clientStreaming(path: method.path, options: options.applied(to: method))
    {
      try await send(RequestWriter($0))
    }
    return try MessageCoder().decodeResponse(Response.self, answer)
  }

  /// `body` sends and reads as it likes, from several tasks if it likes.
  ///
  /// A call that is not over when `body` returns or throws is cancelled: to end it well, call `finish`
  /// and read to the end.
  public nonisolated(nonsending) func bidirectional<Request, Response, Answer>(
    _ method: RPCMethod<Request, Response>, options: RPCCallOptions = RPCCallOptions(),
    _ body: (RequestWriter<Request>, ResponseMessages<Response>) async throws -> Answer
  ) async throws -> Answer {
    try await bidirectional(path: method.path, options: options.applied(to: method)) {
      try await body(RequestWriter($0), ResponseMessages($1))
    }
  }
}

extension RPCCallOptions {
  fileprivate func applied<Request, Response>(
    to method: RPCMethod<Request, Response>
  ) -> RPCCallOptions {
    var options = self
    options.isIdempotent = isIdempotent ?? method.isIdempotent
    return options
  }
}
