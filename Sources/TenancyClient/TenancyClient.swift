public import TenancyRPC

/// All services of a Tenancy server over one connection.
public struct TenancyClient: Sendable {
  public let tenants: TenantManagerClient
  public let resolver: TenantResolverClient
  public let authorization: AuthorizationClient
  public let identity: IdentityClient
  public let audit: AuditClient
  private let channel: RPCChannel

  /// Shares `channel` with whoever else uses it.
  public init(_ channel: RPCChannel) {
    self.channel = channel
    tenants = TenantManagerClient(channel)
    resolver = TenantResolverClient(channel)
    authorization = AuthorizationClient(channel)
    identity = IdentityClient(channel)
    audit = AuditClient(channel)
  }

  /// Connects with the first call.
  ///
  /// - Parameter tls: a client's context; needed for TCP, not used on Unix sockets.
  public init(_ target: RPCChannel.Target, tls: TLSContext? = nil) {
    self.init(RPCChannel(target, tls: tls))
  }

  /// Closes the channel; calls in flight end with CANCELLED.
  public func close() async { await channel.close() }
}
