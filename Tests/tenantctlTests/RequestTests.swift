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

  @Test func configureLimits() throws {
    func request(_ arguments: String...) throws -> V1.UpdateTenantConfigurationRequest {
      try ConfigureTenantCommand.parse(["acme"] + arguments).request()
    }
    let both = try request(
      "--plan", "large", "--limit", "100/second", "--limit", "uploads 10/minute 20", "--limit",
      "5/month")
    #expect(both.updateMask?.paths == ["limits.plan", "limits.limits"])
    #expect(
      both.configuration?.limits
        == V1.RequestLimits(
          plan: "large",
          limits: [
            V1.RequestLimit(requests: 100, period: .second),
            V1.RequestLimit(name: "uploads", requests: 10, period: .minute, burst: 20),
            V1.RequestLimit(requests: 5, period: .month),
          ]))
    #expect(try request("--plan", "x").updateMask?.paths == ["limits.plan"])
    #expect(try request("--limit", "1/day").updateMask?.paths == ["limits.limits"])
    let none = try request("--unset-limits")
    #expect(none.updateMask?.paths == ["limits"] && none.configuration?.limits == nil)
    #expect(throws: UsageError.self) { try request("--unset-limits", "--plan", "x") }
    let wrong = [
      "", "100", "100/", "/second", "0/second", "-1/second", "1/week", "a b 1/second",
      "1/second 2 3", "1/second x", "1/second 0", "1/second/2", "99999999999999999999/day",
    ]
    for text in wrong {
      #expect(throws: UsageError.self, "\(text)") { try LimitText.parse(text) }
    }
    for text in ["requests 5/second", "uploads 10/minute 20", "requests 1/year"] {
      #expect(LimitText.text(of: try LimitText.parse(text)) == text)
    }
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

  @Test func rolesAreReplacedListByList() throws {
    let request = try UpdateRoleCommand.parse([
      "acme", "editor", "--deny", "doc:*", "--parent", "reader", "--parent", "writer",
      "--unset-exclusions", "--unset-permissions",
    ]).request()
    #expect(
      request.updateMask?.paths == [
        "permissions", "denied_permissions", "parents", "excluded_roles",
      ])
    #expect(
      request.role
        == V1.Role(
          name: "tenants/acme/roles/editor", deniedPermissions: ["doc:*"],
          parents: ["reader", "writer"]))
    for both in [
      ["--deny", "a:b", "--unset-denials"], ["--parent", "a", "--unset-parents"],
      ["--exclude", "a", "--unset-exclusions"], ["--permission", "a:b", "--unset-permissions"],
    ] {
      #expect(throws: UsageError.self) {
        try UpdateRoleCommand.parse(["acme", "editor"] + both).request()
      }
    }
  }

  @Test func assignmentsOfSomeResourcesAndUnderConditions() throws {
    let arguments = ["acme", "user:a", "editor", "--resource", "doc/7", "--reason", "on call"]
    let request = try AssignRoleCommand.parse(arguments + ["--condition", "context.x == 1.0"])
      .request(now: 0)
    #expect(
      request.assignment
        == V1.RoleAssignment(
          subject: "user:a", role: "editor", resource: "doc/7", condition: "context.x == 1.0",
          reason: "on call"))
    let both = try AssignRoleCommand.parse(
      arguments + ["--condition", "true", "--condition-file", "/dev/null"])
    #expect(throws: UsageError.self) { try both.request(now: 0) }
    // Whoever forgets to write one would give the role for always.
    let empty = try AssignRoleCommand.parse(arguments + ["--condition-file", "/dev/null"])
    #expect(throws: UsageError.self) { try empty.request(now: 0) }
  }

  @Test func oneOfSeveralAssignments() throws {
    let held = ["", "doc", "doc/7"].map { V1.RoleAssignment(name: "t/\($0.count)", resource: $0) }
    #expect(try UnassignRoleCommand.one(of: [], nil) == nil)
    #expect(try UnassignRoleCommand.one(of: held, "")?.name == "t/0")
    #expect(try UnassignRoleCommand.one(of: held, "doc/7")?.name == "t/5")
    #expect(try UnassignRoleCommand.one(of: held, "other") == nil)
    #expect(throws: UsageError("the subject has the role 3 times: name one of 0, 3, 5")) {
      try UnassignRoleCommand.one(of: held, nil)
    }
  }

  @Test func attributesAreObjects() throws {
    let request = try CheckCommand.parse([
      "acme", "user:a", "doc:read", "--resource", "7", "--subject-attributes", #"{"team": "x"}"#,
      "--resource-attributes", "{}", "--context", #"{"a": [1, {"b": null}]}"#,
    ]).request()
    #expect(request.resource == "7")
    #expect(
      request.attributes
        == V1.CheckAttributes(
          subject: ["team": "x"], resource: [:],
          context: ["a": .array([.number(1), .object(["b": .null])])]))
    #expect(try CheckCommand.parse(["acme", "user:a", "doc:read"]).request().attributes == nil)
    for wrong in ["", "[]", "1", "{", #"{"a": 1, "a": 2}"#, "{} {}"] {
      let command = try CheckCommand.parse(["acme", "user:a", "doc:read", "--context", wrong])
      #expect(throws: UsageError.self, "\(wrong)") { try command.request() }
    }
  }

  @Test func batchesNameResources() throws {
    let items = try BatchFile(parsing: "user:a doc:read 7\n user:b  doc:read\n").items
    #expect(
      items == [
        V1.BatchCheckItem(subject: "user:a", permission: "doc:read", resource: "7"),
        V1.BatchCheckItem(subject: "user:b", permission: "doc:read"),
      ])
    #expect(throws: UsageError.self) { try BatchFile(parsing: "user:a doc:read 7 8") }
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

  @Test func groupUpdateMask() throws {
    let request = try UpdateGroupCommand.parse(["acme", "eng", "--description", ""]).request()
    #expect(request.group?.name == "tenants/acme/groups/eng")
    #expect(request.updateMask?.paths == ["description"])
    #expect(throws: UsageError.self) { try UpdateGroupCommand.parse(["acme", "eng"]).request() }
  }

  @Test func groupMember() throws {
    let request = try AddGroupMemberCommand.parse([
      "acme", "eng", "user:a", "--expires-in", "2h", "--replace",
    ]).request(now: 1_000)
    #expect(
      request
        == V1.CreateGroupMemberRequest(
          parent: "tenants/acme",
          groupMember: V1.GroupMember(
            group: "eng", member: "user:a",
            expireTime: GoogleProtobuf.Timestamp(seconds: 8_200)), replace: true))
  }

  @Test(arguments: [["acme"], ["acme", "id", "--group", "r"], ["acme", "--group", "r"]])
  func removingAMemberRefused(arguments: [String]) {
    #expect(throws: (any Error).self) { try RemoveGroupMemberCommand.parse(arguments) }
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
    ["acme", "user:a", "--batch", "f"], ["acme", "--resource", "7", "--batch", "f"],
  ])
  func checkRefused(arguments: [String]) {
    #expect(throws: (any Error).self) { try CheckCommand.parse(arguments) }
  }

  @Test(arguments: [
    ["acme"], ["acme", "id", "--role", "r"], ["acme", "--role", "r"],
    ["acme", "id", "--resource", "r"],
  ])
  func unassignRefused(arguments: [String]) {
    #expect(throws: (any Error).self) { try UnassignRoleCommand.parse(arguments) }
  }
}
