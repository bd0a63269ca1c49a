public import RPC
public import TenancyWire

extension RPCChannel: UnaryChannel {
  /// - Throws: `RPCStatus`. A response that is not the method's message is INTERNAL.
  public func call<Request: WireMessage, Response: WireMessage>(
    _ method: MethodSpec<Request, Response>, _ request: Request, _ options: CallOptions
  ) async throws -> Response {
    let message = request.encode(arena: Arena())
    let answer = try await unary(path: method.path, message: message, options: options)
    return try answer.withUnsafeBytes { bytes throws(RPCStatus) in
      do {
        return try Response(decoding: bytes, arena: Arena())
      } catch {
        throw RPCStatus(.internalError, "the response to \(method.path) can't be read: \(error)")
      }
    }
  }
}
