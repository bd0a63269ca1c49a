public import TenancyRPC

/// All services of a Tenancy server over one connection.
public struct TenancyClient: Sendable {
  /// Creates, changes and lists tenants, and moves them along their lifecycles.
  public let tenants: TenantManagerClient
  /// Which tenant a request is for.
  public let resolver: TenantResolverClient
  /// Roles, assignments, and who may do what.
  public let authorization: AuthorizationClient
  /// Who the server takes the caller for.
  public let identity: IdentityClient
  /// Tokens that carry a tenant's identity; `TokenSource` keeps one that is good.
  public let tokens: TokensClient
  /// Tenants' settings and feature flags, as they are in effect.
  public let configurations: TenantConfigurationsClient
  /// Who did what.
  public let audit: AuditClient
  private let channel: RPCChannel

  /// Shares `channel` with whoever else uses it.
  public init(_ channel: RPCChannel) {
    self.channel = channel
    tenants = TenantManagerClient(channel)
    resolver = TenantResolverClient(channel)
    authorization = AuthorizationClient(channel)
    identity = IdentityClient(channel)
    tokens = TokensClient(channel)
    configurations = TenantConfigurationsClient(channel)
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
