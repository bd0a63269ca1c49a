internal import Tenancy
public import TenancyContext
public import TenancyRPC
internal import TenancyWire

/// Contexts of tenants, from what a server knows of them.
extension TenancyClient {
  /// The context of a tenant as the server tells of it now: its names, its settings with their defaults, the flags that
  /// are on for the subject, and the server to ask what the subject may.
  ///
  /// It stays as it is: whoever keeps it compares `tenant.epoch`, which grows when what was kept is not true any more.
  /// - Parameters:
  ///   - name: the tenant's id or slug, or `tenants/{id or slug}`.
  ///   - subject: for whom the work is done; nil: for nobody in particular.
  /// - Throws: `RPCStatus`.
  public nonisolated(nonsending) func context(
    of name: String, subject: String? = nil, options: RPCCallOptions = RPCCallOptions()
  ) async throws -> TenantContext {
    let tenant = try await tenants.getTenant(V1.GetTenantRequest(name: name), options: options)
    guard let id = TenantID(parsing: tenant.id) else {
      throw RPCStatus(.internalError, "the server's tenant has no id")
    }
    let settings = try await configurations.getEffectiveConfiguration(
      V1.GetEffectiveConfigurationRequest(name: tenant.name), options: options)
    let flags = try await configurations.evaluateFeatureFlags(
      V1.EvaluateFeatureFlagsRequest(name: tenant.name, subject: subject ?? ""), options: options)
    return TenantContext(
      tenant: TenantDetails(
        id: id, slug: tenant.slug, displayName: tenant.displayName, epoch: tenant.epoch),
      configuration: TenantValues(
        settings: settings.settings ?? [:],
        flags: Set(flags.flags.filter(\.enabled).map(\.flag))),
      subject: subject, authorizer: RemoteAuthorizer(authorization, options))
  }
}

/// Asks a server what subjects may.
private struct RemoteAuthorizer: TenantAuthorizer {
  private let client: AuthorizationClient
  private let options: RPCCallOptions

  init(_ client: AuthorizationClient, _ options: RPCCallOptions) {
    self.client = client
    self.options = options
  }

  func isAllowed(_ question: TenantQuestion) async throws -> Bool {
    let request = V1.CheckRequest(
      tenant: "\(question.tenant)", subject: question.subject, permission: question.permission,
      resource: question.resource)
    return try await client.check(request, options: options).allowed
  }
}
