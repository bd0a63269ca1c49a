public import GRPCCore
public import TenancyRPC

/// A method of grpc-swift that is answered by a call on this runtime. No name says whose it is: none is of both.
public struct Bridge<Request: WireMessage, Response: WireMessage>: Sendable {
  public let descriptor: MethodDescriptor
  private let method: RPCMethod<Request, Response>
  private let channel: any CallChannel

  public init(
    _ method: RPCMethod<Request, Response>, as descriptor: MethodDescriptor,
    on channel: any CallChannel
  ) {
    self.descriptor = descriptor
    self.method = method
    self.channel = channel
  }

  public func answer(
    _ request: ServerRequest<Request>, context: ServerContext
  ) async throws -> ServerResponse<Response> {
    do {
      let options = RPCCallOptions(metadata: RPCMetadata(request.metadata))
      return ServerResponse(
        message: try await channel.unary(method, request.message, options: options))
    } catch let status as RPCStatus {
      return ServerResponse(error: RPCError(status))
    }
  }
}

extension RPCMetadata {
  /// What is binary in `metadata`, too.
  public init(_ metadata: Metadata) {
    self.init()
    for (key, value) in metadata {
      switch value {
      case .string(let text): add(key, text)
      case .binary(let bytes): add(key, bytes: bytes)
      }
    }
  }
}

extension RPCError {
  public init(_ status: RPCStatus) {
    let code = Status.Code(rawValue: Int(status.code.rawValue)).flatMap { RPCError.Code($0) }
    self.init(code: code ?? .unknown, message: status.message)
  }
}

/// Interceptors of grpc-swift: this runtime's have names of their own.
public struct Tagging: ClientInterceptor, ServerInterceptor {
  public let tag: Metadata

  public func intercept<Input: Sendable, Output: Sendable>(
    request: StreamingClientRequest<Input>, context: ClientContext,
    next: (StreamingClientRequest<Input>, ClientContext) async throws
      -> StreamingClientResponse<Output>
  ) async throws -> StreamingClientResponse<Output> {
    var request = request
    request.metadata.add(contentsOf: tag)
    return try await next(request, context)
  }

  public func intercept<Input: Sendable, Output: Sendable>(
    request: StreamingServerRequest<Input>, context: ServerContext,
    next:
      @Sendable (StreamingServerRequest<Input>, ServerContext) async throws
      -> StreamingServerResponse<Output>
  ) async throws -> StreamingServerResponse<Output> {
    var response = try await next(request, context)
    response.metadata.add(contentsOf: tag)
    return response
  }
}
