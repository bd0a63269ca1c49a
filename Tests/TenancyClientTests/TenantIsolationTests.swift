import TenancyClient
import TenancyRPC
import TenancyWire
import Testing

@Suite("A tenant's client and another tenant", .timeLimit(.minutes(1)))
struct TenantIsolationTests {
  /// All that operators see of a tenant.
  private struct Everything: Equatable {
    let tenant: V1.Tenant
    let roles: V1.ListRolesResponse
    let assignments: V1.ListRoleAssignmentsResponse

    init(_ name: String, _ client: Stubs) async throws {
      tenant = try await client.get(name)
      roles = try await client.authorization.listRoles(V1.ListRolesRequest(parent: name))
      assignments = try await client.authorization.listRoleAssignments(
        V1.ListRoleAssignmentsRequest(parent: name))
    }
  }

  /// Makes acme, whose console is its administrator, and globex, whose engineer is alice.
  private func makeTwo(_ client: Stubs) async throws -> (acme: V1.Tenant, globex: V1.Tenant) {
    let acme = try await client.createActive("acme")
    let globex = try await client.createActive("globex")
    _ = try await client.assign(
      "tenant-admin", to: "spiffe://example.org/tenant/acme/console", in: acme.name)
    _ = try await client.authorization.createRole(
      V1.CreateRoleRequest(
        parent: globex.name, roleId: "engineer", role: V1.Role(permissions: ["equipment:read"])))
    _ = try await client.assign("engineer", to: "user:alice", in: globex.name)
    return (acme, globex)
  }

  @Test func coversEveryMethodThatNamesATenant() {
    let naming = V1.methods.filter { $0.requirement.tenantField != nil }
    #expect(Set(TenantCall.all.map(\.method)) == Set(naming))
  }

  /// Whether the other tenant exists cannot be told from the refusal, nor does any call change it.
  @Test(arguments: ["console", "plain"])
  func everyMethodIsRefused(to workload: String) async throws {
    try await withLiveServer { server in
      try await server.asOperator(over: .unix) { platform in
        let (_, globex) = try await makeTwo(platform)
        let before = try await Everything(globex.name, platform)
        try await server.asWorkload(of: "acme", named: workload) { client in
          for entry in TenantCall.all {
            let stranger = try await refusal { try await entry.call(client, "tenants/nobody") }
            #expect(stranger.code == .permissionDenied, "\(entry.method.path)")
            if entry.method.requirement.scope == .platform {
              #expect(stranger.errorInfo?.reason == "PERMISSION_MISSING", "\(entry.method.path)")
            } else if workload == "console",
              entry.method != V1.TenantConfigurations.accessSecretSetting.identity
            {
              #expect(stranger.errorInfo?.reason == "TENANT_MISMATCH", "\(entry.method.path)")
            }
            for name in [globex.name, globex.id, globex.slug, "tenants/globex"] {
              let refused = try await refusal { try await entry.call(client, name) }
              // Bare names do not name what is in a tenant: they are malformed for all alike.
              let unknown = name.hasPrefix("tenants/") ? "tenants/nobody" : "nobody"
              let stranger = try await refusal { try await entry.call(client, unknown) }
              #expect(refused == stranger, "\(entry.method.path) on \(name)")
            }
          }
        }
        #expect(try await Everything(globex.name, platform) == before)
      }
    }
  }

  @Test func resolvesOnlyToItself() async throws {
    try await withLiveServer { server in
      let (acme, globex) = try await server.asOperator(over: .unix) { try await makeTwo($0) }
      try await server.asWorkload(of: acme.id) { client in
        let resolver = client.resolver
        for other in [globex.slug, globex.id, "nobody"] {
          for refused in [
            try await refusal {
              try await resolver.resolveTenant(
                V1.ResolveTenantRequest(headers: ["x-tenant-id": other]))
            },
            try await refusal {
              try await resolver.resolveFromPath(
                V1.ResolveFromPathRequest(path: "/tenants/\(other)/"))
            },
            try await refusal {
              try await resolver.resolveFromSubdomain(
                V1.ResolveFromSubdomainRequest(host: "\(other).example.com"))
            },
            try await refusal {
              try await resolver.resolveFromHeaders(
                V1.ResolveFromHeadersRequest(headers: ["x-tenant-id": other]))
            },
            try await refusal {
              try await resolver.resolveFromEnvironment(
                V1.ResolveFromEnvironmentRequest(environment: ["TENANT_ID": other]))
            },
            try await refusal {
              try await resolver.validateTenant(V1.ValidateTenantRequest(name: other))
            },
          ] {
            #expect(refused.code == .permissionDenied)
            #expect(refused.errorInfo?.reason == "TENANT_MISMATCH")
          }
        }
        let own = try await resolver.resolveTenant(V1.ResolveTenantRequest())
        #expect(own.tenant?.id == acme.id && own.strategy == .credential)
        let visible = try await client.tenants.listTenants(
          V1.ListTenantsRequest(showDeleted: true))
        #expect(visible.tenants.map(\.id) == [acme.id])
        let me = try await client.identity.whoAmI(V1.WhoAmIRequest())
        #expect(me.tenant == acme.name && me.tenantSlug == "acme" && me.platformRoles.isEmpty)
      }
    }
  }

  /// What it may do at home shows that it is not simply refused everything.
  @Test func managesItsOwnTenant() async throws {
    try await withLiveServer { server in
      let acme = try await server.asOperator(over: .unix) { try await makeTwo($0).acme }
      try await server.asWorkload(of: "acme") { client in
        #expect(try await client.get("acme").id == acme.id)
        let made = try await client.authorization.createRole(
          V1.CreateRoleRequest(
            parent: acme.name, roleId: "guard", role: V1.Role(permissions: ["doors:open"])))
        _ = try await client.assign("guard", to: "user:dave", in: acme.name)
        let answer = try await client.authorization.check(
          V1.CheckRequest(tenant: "acme", subject: "user:dave", permission: "doors:open"))
        #expect(answer.allowed && answer.role == "guard")
        let changed = try await client.tenants.updateTenantConfiguration(
          V1.UpdateTenantConfigurationRequest(
            name: "acme", configuration: V1.TenantConfiguration(featureFlags: ["beta": true])))
        #expect(changed.configuration?.featureFlags == ["beta": true])
        _ = try await client.authorization.deleteRole(
          V1.DeleteRoleRequest(name: made.name, force: true))

        let create = try await refusal { try await client.create("another") }
        #expect(create.code == .permissionDenied)
        let slug = V1.Tenant(name: "acme", slug: "acme-2")
        let rename = try await refusal {
          try await client.tenants.updateTenant(V1.UpdateTenantRequest(tenant: slug))
        }
        #expect(rename.errorInfo?.reason == "PERMISSION_MISSING")
      }
    }
  }
}
