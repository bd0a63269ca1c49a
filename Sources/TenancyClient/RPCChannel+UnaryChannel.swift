public import TenancyRPC
public import TenancyWire

extension RPCChannel: UnaryChannel {
  /// - Throws: `RPCStatus`. A response that is not the method's message is INTERNAL.
  public func call<Request: WireMessage, Response: WireMessage>(
    _ method: MethodSpec<Request, Response>, _ request: Request, _ options: CallOptions
  ) async throws -> Response {
    try await unary(method.method, request, options: options)
  }
}
