public import TenancyRPC
public import TenancyWire

/// Carries unary calls to a server.
public protocol UnaryChannel: Sendable {
  /// Sends `request` and waits for the answer.
  func call<Request: WireMessage, Response: WireMessage>(
    _ method: MethodSpec<Request, Response>, _ request: Request, _ options: CallOptions
  ) async throws -> Response
}
