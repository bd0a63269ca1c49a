public import TenancyRPCCore

/// What carries the calls of generated clients: an `RPCChannel`, or what a test puts in its place. All four throw
/// what those of `RPCChannel` throw.
public protocol CallChannel: Sendable {
  nonisolated(nonsending) func unary<Request, Response>(
    _ method: RPCMethod<Request, Response>, _ request: Request, options: RPCCallOptions
  ) async throws -> Response

  nonisolated(nonsending) func serverStreaming<Request, Response, Answer>(
    _ method: RPCMethod<Request, Response>, _ request: Request, options: RPCCallOptions,
    _ body: (ResponseMessages<Response>) async throws -> Answer
  ) async throws -> Answer

  nonisolated(nonsending) func clientStreaming<Request, Response>(
    _ method: RPCMethod<Request, Response>, options: RPCCallOptions,
    _ send: (RequestWriter<Request>) async throws -> Void
  ) async throws -> Response

  nonisolated(nonsending) func bidirectional<Request, Response, Answer>(
    _ method: RPCMethod<Request, Response>, options: RPCCallOptions,
    _ body: (RequestWriter<Request>, ResponseMessages<Response>) async throws -> Answer
  ) async throws -> Answer
}

extension RPCChannel: CallChannel {}
