import Tenancy
import TenancyWire
import Testing

@testable import tenantctl

@Suite struct RequestTests {
  @Test func create() throws {
    let command = try CreateTenantCommand.parse([
      "--display-name", "Acme Inc", "--isolation", "hybrid", "--schema-name", "acme",
      "--setting", "limits={\"rows\":10}", "--setting", "region=eu", "--flag", "beta=true",
      "--validate-only",
    ])
    #expect(
      try command.request()
        == V1.CreateTenantRequest(
          tenant: V1.Tenant(
            displayName: "Acme Inc", isolationModel: .hybrid,
            configuration: V1.TenantConfiguration(
              schema: V1.SchemaConfig(schemaName: "acme"),
              customSettings: [
                "limits": .object(["rows": .number(10)]), "region": .string("eu"),
              ],
              featureFlags: ["beta": true])),
          validateOnly: true))
  }

  @Test func createWithoutConfiguration() throws {
    let command = try CreateTenantCommand.parse(["--display-name", "A", "--isolation", "shared"])
    #expect(try command.request().tenant?.configuration == nil)
  }

  @Test func passwordNeedsItsDatabase() throws {
    let command = try CreateTenantCommand.parse([
      "--display-name", "A", "--isolation", "database", "--username", "u",
    ])
    #expect(throws: UsageError.self) { try command.request() }
  }

  @Test func updateMask() throws {
    let command = try UpdateTenantCommand.parse([
      "acme", "--display-name", "", "--isolation", "schema", "--etag", "e",
    ])
    let request = try command.request()
    #expect(request.tenant == V1.Tenant(name: "tenants/acme", isolationModel: .schema, etag: "e"))
    #expect(request.updateMask?.paths == ["display_name", "isolation_model"])
    #expect(throws: UsageError.self) { try UpdateTenantCommand.parse(["acme"]).request() }
  }

  @Test func configureMask() throws {
    let request = try ConfigureTenantCommand.parse([
      "acme", "--setting", "b=2", "--setting", "a.x=1", "--unset-setting", "old", "--flag",
      "f=false", "--unset-flag", "g", "--connection-string", "db", "--tenant-identifier", "t",
    ]).request()
    #expect(
      request.updateMask?.paths == [
        "database", "shared", "custom_settings.a.x", "custom_settings.b", "custom_settings.old",
        "feature_flags.f", "feature_flags.g",
      ])
    #expect(request.configuration?.customSettings == ["a.x": .number(1), "b": .number(2)])
    #expect(request.configuration?.featureFlags == ["f": false])
    #expect(request.name == "tenants/acme")
  }

  @Test func configureUnsetOnly() throws {
    let request = try ConfigureTenantCommand.parse(["acme", "--unset-setting", "a"]).request()
    #expect(request.configuration == V1.TenantConfiguration())
    #expect(request.updateMask?.paths == ["custom_settings.a"])
  }

  @Test(arguments: [
    ["acme"], ["acme", "--flag", "a=true", "--unset-flag", "a"],
    ["acme", "--setting", "a=1", "--setting", "a=2"],
  ])
  func configureRefused(arguments: [String]) throws {
    let command = try ConfigureTenantCommand.parse(arguments)
    #expect(throws: UsageError.self) { try command.request() }
  }

  @Test func roleUpdateMask() throws {
    let request = try UpdateRoleCommand.parse([
      "acme", "editor", "--description", "", "--permission", "doc:read",
    ]).request()
    #expect(request.role?.name == "tenants/acme/roles/editor")
    #expect(request.updateMask?.paths == ["description", "permissions"])
    #expect(throws: UsageError.self) { try UpdateRoleCommand.parse(["acme", "editor"]).request() }
  }

  @Test func assignment() throws {
    let request = try AssignRoleCommand.parse(["acme", "user:a", "editor", "--expires-in", "2h"])
      .request(now: 1_000)
    #expect(
      request
        == V1.CreateRoleAssignmentRequest(
          parent: "tenants/acme",
          assignment: V1.RoleAssignment(
            subject: "user:a", role: "editor",
            expireTime: GoogleProtobuf.Timestamp(seconds: 8_200))))
  }

  @Test func resolve() throws {
    let request = try ResolveCommand.parse([
      "--host", "acme.example.test", "--header", "x-tenant-id=acme", "--env", "TENANT_ID=acme",
    ]).request()
    #expect(
      request
        == V1.ResolveTenantRequest(
          host: "acme.example.test", headers: ["x-tenant-id": "acme"],
          environment: ["TENANT_ID": "acme"]))
  }

  @Test(arguments: [
    ["acme"], ["acme", "user:a"], ["acme", "user:a", "doc:read", "--batch", "f"],
    ["acme", "user:a", "--batch", "f"],
  ])
  func checkRefused(arguments: [String]) {
    #expect(throws: (any Error).self) { try CheckCommand.parse(arguments) }
  }

  @Test(arguments: [["acme"], ["acme", "id", "--role", "r"], ["acme", "--role", "r"]])
  func unassignRefused(arguments: [String]) {
    #expect(throws: (any Error).self) { try UnassignRoleCommand.parse(arguments) }
  }
}
