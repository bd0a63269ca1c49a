import TenancyClient
import TenancyRPC
import TenancyWire
import Testing

/// One tenant, found in every way.
enum ResolverStory {
  private typealias Finding = V1.ResolutionFinding

  static func run(_ client: Stubs) async throws {
    let resolver = client.resolver
    let none = try await refusal {
      try await resolver.getDefaultTenant(V1.GetDefaultTenantRequest())
    }
    #expect(none.code == .notFound)  // Configured, but not created yet.

    let acme = try await client.createActive(LiveServer.defaultTenant)
    let idle = try await client.create("idle")
    let found = V1.ResolvedTenant(
      name: acme.name, id: acme.id, slug: "acme", displayName: "ACME", state: .active,
      isolationModel: .shared, epoch: 3, tenantIdentifier: acme.id)

    func expect(
      _ answer: V1.ResolveTenantResponse, _ strategy: V1.ResolutionStrategy, _ value: String,
      _ rule: V1.ResolutionRule = .agreement, at location: SourceLocation = #_sourceLocation
    ) {
      let only = Finding(
        strategy: strategy, value: value, decided: true, statement: .named)
      #expect(
        answer
          == V1.ResolveTenantResponse(
            tenant: found, strategy: strategy, explanation: [only], rule: rule),
        sourceLocation: location)
    }
    expect(
      try await resolver.resolveFromPath(
        V1.ResolveFromPathRequest(path: "/tenants/\(acme.id)/equipment?page=2")), .path, acme.id)
    expect(
      try await resolver.resolveFromSubdomain(
        V1.ResolveFromSubdomainRequest(host: "ACME.example.com:8443")), .subdomain, "acme")
    expect(
      try await resolver.resolveFromHeaders(
        V1.ResolveFromHeadersRequest(headers: ["X-Tenant-ID": "acme", "accept": "*/*"])),
      .header, "acme")
    expect(
      try await resolver.resolveFromEnvironment(
        V1.ResolveFromEnvironmentRequest(environment: ["TENANT_ID": "acme", "HOME": "/"])),
      .environment, "acme")
    expect(
      try await resolver.getDefaultTenant(V1.GetDefaultTenantRequest()), .default, "acme",
      .default)
    let unnamed = try await refusal {
      try await resolver.resolveTenant(V1.ResolveTenantRequest())
    }
    #expect(unnamed.code == .notFound)
    let token = try await refusal {
      try await resolver.resolveFromToken(V1.ResolveFromTokenRequest(token: "abc"))
    }
    #expect(token.code == .unauthenticated)

    try await allAtOnce(acme, idle, resolver)
    try await validates(acme, idle, resolver)
  }

  private static func allAtOnce(
    _ acme: V1.Tenant, _ idle: V1.Tenant, _ resolver: TenantResolverClient
  ) async throws {
    var request = V1.ResolveTenantRequest(
      path: "/health", host: "acme.example.com", headers: ["x-tenant-id": acme.id])
    let answer = try await resolver.resolveTenant(request)
    #expect(answer.tenant?.id == acme.id)
    #expect(answer.strategy == .subdomain)
    #expect(
      answer.explanation == [
        Finding(strategy: .path, statement: .noMatch),
        Finding(strategy: .subdomain, value: "acme", decided: true, statement: .named),
        Finding(strategy: .header, value: acme.id, statement: .named),
      ])

    let explained = try await resolver.explainResolution(request)
    #expect(explained.verdict?.tenant == answer.tenant)
    #expect(explained.verdict?.rule == .agreement)
    #expect(
      explained.findings == [
        Finding(strategy: .environment, statement: .notGiven),
        Finding(strategy: .path, statement: .noMatch),
        Finding(strategy: .subdomain, value: "acme", decided: true, statement: .named),
        Finding(strategy: .header, value: acme.id, statement: .named),
        Finding(strategy: .credential, statement: .notGiven),
        Finding(strategy: .token, statement: .notGiven),
        Finding(strategy: .query, statement: .switchedOff),
      ])

    request.path = "/tenants/idle/equipment"
    let ambiguous = try await refusal { try await resolver.resolveTenant(request) }
    #expect(ambiguous.code == .invalidArgument)
    #expect(ambiguous.errorInfo?.reason == "TENANT_AMBIGUOUS")
    let verdict = try await resolver.explainResolution(request).verdict
    #expect(verdict?.reason == "TENANT_AMBIGUOUS" && verdict?.code == 3 && verdict?.tenant == nil)

    request = V1.ResolveTenantRequest(
      host: "acme.example.com", environment: ["TENANT_ID": idle.id])
    let pinned = try await refusal { try await resolver.resolveTenant(request) }
    #expect(pinned.code == .failedPrecondition)
    #expect(pinned.errorInfo?.reason == "ENVIRONMENT_PIN_CONFLICT")
  }

  private static func validates(
    _ acme: V1.Tenant, _ idle: V1.Tenant, _ resolver: TenantResolverClient
  ) async throws {
    func validate(_ name: String) async throws -> V1.ValidateTenantResponse {
      try await resolver.validateTenant(V1.ValidateTenantRequest(name: name))
    }
    #expect(
      try await validate(acme.name) == V1.ValidateTenantResponse(valid: true, state: .active))
    #expect(
      try await validate(idle.slug)
        == V1.ValidateTenantResponse(state: .pending, reason: "TENANT_NOT_PROVISIONED"))
    #expect(
      try await validate("tenants/nobody") == V1.ValidateTenantResponse(reason: "TENANT_NOT_FOUND"))
  }
}
