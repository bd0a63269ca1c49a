public import TenancyRPCCore

/// What carries the calls of generated clients: an `RPCChannel`, or what a test puts in its place. All four throw
/// what those of `RPCChannel` throw.
public protocol CallChannel: Sendable {
  /// Sends one message and waits for the one that answers.
  nonisolated(nonsending) func unary<Request, Response>(
    _ method: RPCMethod<Request, Response>, _ request: Request, options: RPCCallOptions
  ) async throws -> Response

  /// Sends one message; `body` reads what answers, and the call is over when it returns.
  nonisolated(nonsending) func serverStreaming<Request, Response, Answer>(
    _ method: RPCMethod<Request, Response>, _ request: Request, options: RPCCallOptions,
    _ body: (ResponseMessages<Response>) async throws -> Answer
  ) async throws -> Answer

  /// `send` sends any number of messages; the answer comes behind the last.
  nonisolated(nonsending) func clientStreaming<Request, Response>(
    _ method: RPCMethod<Request, Response>, options: RPCCallOptions,
    _ send: (RequestWriter<Request>) async throws -> Void
  ) async throws -> Response

  /// Both sides send any number of messages at once; the call is over when `body` returns.
  nonisolated(nonsending) func bidirectional<Request, Response, Answer>(
    _ method: RPCMethod<Request, Response>, options: RPCCallOptions,
    _ body: (RequestWriter<Request>, ResponseMessages<Response>) async throws -> Answer
  ) async throws -> Answer
}

extension RPCChannel: CallChannel {}
