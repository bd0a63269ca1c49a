import TenancyClient
import TenancyContext
import TenancyCrypto
import TenancyRPC
import TenancyWire
import Testing

/// Contexts that a server tells of.
struct TenantContextsTests {
  @Test func aContextIsWhatTheServerKnows() async throws {
    try await withLiveServer { server in
      let acme = try await server.asOperator(over: .unix) { client in
        let acme = try await client.createActive("acme")
        _ = try await client.settings.createSettingDefinition(
          V1.CreateSettingDefinitionRequest(
            settingDefinitionId: "retention_days",
            settingDefinition: V1.SettingDefinition(
              type: .integer, defaultValue: .number(30))))
        _ = try await client.tenants.updateTenantConfiguration(
          V1.UpdateTenantConfigurationRequest(
            name: acme.name, configuration: V1.TenantConfiguration(featureFlags: ["beta": true])))
        _ = try await client.authorization.createRole(
          V1.CreateRoleRequest(
            parent: acme.name, roleId: "reader", role: V1.Role(permissions: ["docs:read"])))
        _ = try await client.authorization.createRoleAssignment(
          V1.CreateRoleAssignmentRequest(
            parent: acme.name,
            assignment: V1.RoleAssignment(subject: "user:al", role: "reader", resource: "docs/7")))
        return acme
      }
      let files = try server.certificates.issue(.workload(tenant: "acme", workload: "web"))
      let channel = RPCChannel(server.target(), tls: try TLSContext(.client, files))
      do {
        let client = TenancyClient(channel)
        let context = try await client.context(of: "acme", subject: "user:al")
        #expect("\(context.tenant.id)" == acme.id && context.tenant.slug == "acme")
        #expect(context.tenant.epoch == acme.epoch && context.subject == "user:al")
        #expect(context.value(TenantSetting("retention_days", default: 1)) == 30)
        #expect(context.isEnabled("beta") && !context.isEnabled("gamma"))
        try await TenantContext.with(context) {
          let (read, all, written) = (
            try await TenantContext.require().has("docs:read", on: "7"),
            try await TenantContext.require().has("docs:read"),
            try await TenantContext.require().has("docs:write", on: "7")
          )
          #expect(read && !all && !written)
        }
        // Of another tenant nothing is told, whether it is there or not.
        let error = await #expect(throws: RPCStatus.self) { try await client.context(of: "other") }
        #expect(error?.code == .permissionDenied)
      }
      await channel.close()
    }
  }
}
