import Synchronization
import TenancyClient
import TenancyRPC
import TenancyWire
import Testing

/// The generated stubs of every service, over a channel that notes which methods are called.
struct Stubs {
  let tenants: TenantManagerClient
  let resolver: TenantResolverClient
  let authorization: AuthorizationClient
  let identity: IdentityClient
  let secrets: SecretsClient
  let audit: AuditClient
  let tokens: TokensClient
  let workloads: WorkloadEntriesClient
  let authorities: CertificateAuthoritiesClient
  let domains: TenantDomainsClient
  let data: TenantDataClient
  let clusters: ClustersClient
  let operations: TenantOperationsClient
  let settings: SettingDefinitionsClient
  let plans: PlansClient
  let flags: FeatureFlagsClient
  let configurations: TenantConfigurationsClient
  private let channel: RecordingChannel

  /// Paths of the methods called so far.
  var called: Set<String> { channel.called }

  /// Runs `body` over `channel`, and closes that whatever happens.
  static func run<Answer>(
    _ channel: RPCChannel, _ body: (Stubs) async throws -> Answer
  ) async throws -> Answer {
    do {
      let answer = try await body(Stubs(RecordingChannel(channel)))
      await channel.close()
      return answer
    } catch {
      await channel.close()
      throw error
    }
  }

  private init(_ channel: RecordingChannel) {
    self.channel = channel
    tenants = TenantManagerClient(channel)
    resolver = TenantResolverClient(channel)
    authorization = AuthorizationClient(channel)
    identity = IdentityClient(channel)
    secrets = SecretsClient(channel)
    audit = AuditClient(channel)
    tokens = TokensClient(channel)
    workloads = WorkloadEntriesClient(channel)
    authorities = CertificateAuthoritiesClient(channel)
    domains = TenantDomainsClient(channel)
    data = TenantDataClient(channel)
    clusters = ClustersClient(channel)
    operations = TenantOperationsClient(channel)
    settings = SettingDefinitionsClient(channel)
    plans = PlansClient(channel)
    flags = FeatureFlagsClient(channel)
    configurations = TenantConfigurationsClient(channel)
  }

  // MARK: In fewer words

  /// A new tenant with rows of shared tables: PENDING.
  func create(_ slug: String) async throws -> V1.Tenant {
    try await tenants.createTenant(
      V1.CreateTenantRequest(
        tenant: V1.Tenant(slug: slug, displayName: slug.uppercased(), isolationModel: .shared)))
  }

  /// A new tenant that is ACTIVE.
  func createActive(_ slug: String) async throws -> V1.Tenant {
    let name = try await create(slug).name
    return try await tenants.provisionTenantResources(
      V1.ProvisionTenantResourcesRequest(name: name))
  }

  func get(_ name: String) async throws -> V1.Tenant {
    try await tenants.getTenant(V1.GetTenantRequest(name: name))
  }

  func assign(_ role: String, to subject: String, in tenant: String) async throws
    -> V1.RoleAssignment
  {
    try await authorization.createRoleAssignment(
      V1.CreateRoleAssignmentRequest(
        parent: tenant, assignment: V1.RoleAssignment(subject: subject, role: role)))
  }
}

private final class RecordingChannel: CallChannel {
  private let channel: RPCChannel
  private let paths = Mutex<Set<String>>([])

  init(_ channel: RPCChannel) { self.channel = channel }

  var called: Set<String> { paths.withLock { $0 } }

  private func note(_ path: String) { _ = paths.withLock { $0.insert(path) } }

  nonisolated(nonsending) func unary<Request, Response>(
    _ method: RPCMethod<Request, Response>, _ request: Request, options: RPCCallOptions
  ) async throws -> Response {
    note(method.path)
    return try await channel.unary(method, request, options: options)
  }

  nonisolated(nonsending) func serverStreaming<Request, Response, Answer>(
    _ method: RPCMethod<Request, Response>, _ request: Request, options: RPCCallOptions,
    _ body: (ResponseMessages<Response>) async throws -> Answer
  ) async throws -> Answer {
    note(method.path)
    return try await channel.serverStreaming(method, request, options: options, body)
  }

  nonisolated(nonsending) func clientStreaming<Request, Response>(
    _ method: RPCMethod<Request, Response>, options: RPCCallOptions,
    _ send: (RequestWriter<Request>) async throws -> Void
  ) async throws -> Response {
    note(method.path)
    return try await channel.clientStreaming(method, options: options, send)
  }

  nonisolated(nonsending) func bidirectional<Request, Response, Answer>(
    _ method: RPCMethod<Request, Response>, options: RPCCallOptions,
    _ body: (RequestWriter<Request>, ResponseMessages<Response>) async throws -> Answer
  ) async throws -> Answer {
    note(method.path)
    return try await channel.bidirectional(method, options: options, body)
  }
}

/// The status that a call ends with; one that succeeds fails the test.
func refusal<Answer>(
  at location: SourceLocation = #_sourceLocation, of call: () async throws -> Answer
) async throws -> RPCStatus {
  try await #require(throws: RPCStatus.self, sourceLocation: location) { _ = try await call() }
}
