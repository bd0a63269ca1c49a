public import TenancyRPCCore

/// Stands before the calls of a channel: sees each one, may give it other options or another request, refuse it or
/// make it again, and sees how it ends. Works for whatever carries calls (`CallChannel`), retries of which are beneath
/// it: what it sees is the call as its caller makes it.
public protocol RPCClientInterceptor: Sendable {
  /// A call with one request and one answer.
  nonisolated(nonsending) func intercept<Request, Response>(
    _ method: RPCMethod<Request, Response>, _ request: Request, options: RPCCallOptions,
    next: (_ request: Request, _ options: RPCCallOptions) async throws -> Response
  ) async throws -> Response

  /// A call that streams on either side. `next` begins it, and returns what the caller's closure does, or the
  /// response's only message. One that has begun may have taken messages of the caller: to make it again is for who
  /// knows that it has not.
  nonisolated(nonsending) func intercept<Request, Response, Answer>(
    streaming method: RPCMethod<Request, Response>, options: RPCCallOptions,
    next: (_ options: RPCCallOptions) async throws -> Answer
  ) async throws -> Answer
}

extension CallChannel {
  /// The channel behind interceptors; the first is the outermost. Behind none, it is the channel itself.
  public func intercepted(by interceptors: [any RPCClientInterceptor]) -> any CallChannel {
    interceptors.reversed().reduce(self as any CallChannel) {
      InterceptedChannel(channel: $0, interceptor: $1)
    }
  }
}

private struct InterceptedChannel: CallChannel {
  let channel: any CallChannel
  let interceptor: any RPCClientInterceptor

  nonisolated(nonsending) func unary<Request, Response>(
    _ method: RPCMethod<Request, Response>, _ request: Request, options: RPCCallOptions
  ) async throws -> Response {
    try await interceptor.intercept(method, request, options: options) { request, options in
      try await channel.unary(method, request, options: options)
    }
  }

  nonisolated(nonsending) func serverStreaming<Request, Response, Answer>(
    _ method: RPCMethod<Request, Response>, _ request: Request, options: RPCCallOptions,
    _ body: (ResponseMessages<Response>) async throws -> Answer
  ) async throws -> Answer {
    try await interceptor.intercept(streaming: method, options: options) { options in
      try await channel.serverStreaming(method, request, options: options, body)
    }
  }

  nonisolated(nonsending) func clientStreaming<Request, Response>(
    _ method: RPCMethod<Request, Response>, options: RPCCallOptions,
    _ send: (RequestWriter<Request>) async throws -> Void
  ) async throws -> Response {
    try await interceptor.intercept(streaming: method, options: options) { options in
      try await channel.clientStreaming(method, options: options, send)
    }
  }

  nonisolated(nonsending) func bidirectional<Request, Response, Answer>(
    _ method: RPCMethod<Request, Response>, options: RPCCallOptions,
    _ body: (RequestWriter<Request>, ResponseMessages<Response>) async throws -> Answer
  ) async throws -> Answer {
    try await interceptor.intercept(streaming: method, options: options) { options in
      try await channel.bidirectional(method, options: options, body)
    }
  }
}
