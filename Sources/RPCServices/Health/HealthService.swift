public import RPC

/// `grpc.health.v1.Health`, for a server to serve.
public struct HealthService: Sendable {
  /// Statuses that List tells. Over it: RESOURCE_EXHAUSTED, as its protocol has it.
  static let maximumListed = 100
  /// Bytes of a service's name that Watch takes, since it keeps it. Over it: INVALID_ARGUMENT.
  static let maximumNameBytes = 1024

  private let health: HealthStatus

  public init(_ health: HealthStatus) { self.health = health }

  public var methods: [ServiceMethod] {
    [
      .inline(GRPCHealth.Health.check) { [health] (_, request) throws(RPCStatus) in
        guard let status = health.status(of: request.service) else {
          throw RPCStatus(.notFound, "unknown service")
        }
        return GRPCHealth.HealthCheckResponse(status: status)
      },
      .inline(GRPCHealth.Health.list) { [health] (_, _) throws(RPCStatus) in
        let all = health.all
        guard all.count <= Self.maximumListed else {
          throw RPCStatus(.resourceExhausted, "there are more than \(Self.maximumListed) services")
        }
        return GRPCHealth.HealthListResponse(
          statuses: all.mapValues { GRPCHealth.HealthCheckResponse(status: $0) })
      },
      .serverStreaming(GRPCHealth.Health.watch) { [health] _, request, responses in
        guard request.service.utf8.count <= Self.maximumNameBytes else {
          throw RPCStatus(
            .invalidArgument, "service: is longer than \(Self.maximumNameBytes) bytes")
        }
        var last: HealthStatus.Status?
        // Ends when the client goes away, too: its task is cancelled.
        for await status in health.updates(of: request.service) where status != last {
          try await responses.send(GRPCHealth.HealthCheckResponse(status: status))
          last = status
        }
        throw RPCStatus(.unavailable, "the server is stopping")
      },
    ]
  }
}
