public import TenancyRPC

/// `grpc.health.v1.Health`, for a server to serve.
public struct HealthService: Sendable {
  /// Statuses that List tells. Over it: RESOURCE_EXHAUSTED, as its protocol has it.
  static let maximumListed = 100
  /// Bytes of a service's name. Over it: INVALID_ARGUMENT.
  static let maximumNameBytes = 1024

  private let health: HealthStatus

  /// Tells of `health`, which is changed elsewhere.
  public init(_ health: HealthStatus) { self.health = health }

  /// Of a server with whichever delegate.
  public func methods<Delegate: ServerDelegate>() -> [ServiceMethod<Delegate>] {
    typealias API = GRPCHealth.Health
    return [
      .inline(path: API.check.path) { [health] (call, bytes) throws(RPCStatus) in
        call.reply(try Self.check(health, bytes, call.arena))
      },
      .inline(path: API.list.path) { [health] (call, bytes) throws(RPCStatus) in
        _ = try SmallRequests.decode(GRPCHealth.HealthListRequest.self, bytes, call.arena)
        call.reply(try Self.list(health))
      },
      .streaming(path: API.watch.path, kind: API.watch.kind) { [health] call, requests, responses in
        _ = try await call.drain.cancelling { try await Self.watch(health, requests, responses) }
        throw RPCStatus(.unavailable, "the server is stopping")
      },
    ]
  }

  static func check(
    _ health: HealthStatus, _ bytes: UnsafeRawBufferPointer, _ arena: Arena
  ) throws(RPCStatus) -> GRPCHealth.HealthCheckResponse {
    let request = try SmallRequests.decode(GRPCHealth.HealthCheckRequest.self, bytes, arena)
    try checkName(request)
    guard let status = health.status(of: request.service) else {
      throw RPCStatus(.notFound, "unknown service")
    }
    return GRPCHealth.HealthCheckResponse(status: status)
  }

  private static func list(
    _ health: HealthStatus
  ) throws(RPCStatus) -> GRPCHealth.HealthListResponse {
    let all = health.all
    guard all.count <= maximumListed else {
      throw RPCStatus(.resourceExhausted, "there are more than \(maximumListed) services")
    }
    return GRPCHealth.HealthListResponse(
      statuses: all.mapValues { GRPCHealth.HealthCheckResponse(status: $0) })
  }

  private static func watch(
    _ health: HealthStatus, _ requests: RequestMessages, _ responses: ResponseWriter
  ) async throws(RPCStatus) {
    guard
      let request = try await SmallRequests.next(GRPCHealth.HealthCheckRequest.self, of: requests)
    else { throw RPCStatus(.internalError, "the request has no message") }
    try checkName(request)
    var last: HealthStatus.Status?
    // Ends when the client goes away, too: its task is cancelled.
    for await status in health.updates(of: request.service) where status != last {
      try await responses.send(GRPCHealth.HealthCheckResponse(status: status))
      last = status
    }
    // What was told last may not have been read, when a drain ended the wait for it.
    let status = health.status(of: request.service) ?? .serviceUnknown
    if status != last { try await responses.send(GRPCHealth.HealthCheckResponse(status: status)) }
    throw RPCStatus(.unavailable, "the server is stopping")
  }

  private static func checkName(_ request: GRPCHealth.HealthCheckRequest) throws(RPCStatus) {
    guard request.service.utf8.count <= maximumNameBytes else {
      throw RPCStatus(.invalidArgument, "service: is longer than \(maximumNameBytes) bytes")
    }
  }
}
