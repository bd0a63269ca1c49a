import Tenancy
import TenancyClient
import TenancyRPC
import TenancyWire
import Testing

@Suite("What an error says beyond its code", .timeLimit(.minutes(1)))
struct StatusDetailsTests {
  private func expect(
    _ status: RPCStatus, _ code: RPCStatus.Code, _ reason: String,
    _ metadata: [String: String] = [:], at location: SourceLocation = #_sourceLocation
  ) {
    #expect(status.code == code, sourceLocation: location)
    let info = GoogleRPC.ErrorInfo(reason: reason, domain: "tenancy.v1", metadata: metadata)
    #expect(status.errorInfo == info, sourceLocation: location)
  }

  @Test(arguments: Transport.allCases)
  func fieldsThatAreNotAccepted(over transport: Transport) async throws {
    try await withLiveServer { server in
      try await server.asOperator(over: transport) { client in
        let slug = try await refusal { try await client.create("Not A Slug") }
        expect(slug, .invalidArgument, "INVALID_FIELD")
        #expect(slug.fieldViolations.map(\.field) == ["tenant.slug"])
        #expect(slug.fieldViolations.allSatisfy { slug.message.contains($0.description) })
        #expect(slug.retryDelay == nil)

        let mask = try await refusal {
          _ = try await client.create("acme")
          return try await client.tenants.updateTenant(
            V1.UpdateTenantRequest(
              tenant: V1.Tenant(name: "acme"),
              updateMask: GoogleProtobuf.FieldMask(paths: ["slug", "epoch"])))
        }
        #expect(mask.fieldViolations.map(\.field) == ["update_mask.paths[1]"])

        let item = V1.BatchCheckItem(subject: "user:alice", permission: "a:b")
        let wild = V1.BatchCheckItem(subject: "user:alice", permission: "a:*")
        let batch = try await refusal {
          try await client.authorization.batchCheck(
            V1.BatchCheckRequest(tenant: "acme", items: [item, wild]))
        }
        #expect(batch.fieldViolations.map(\.field) == ["items[1].permission"])
      }
    }
  }

  /// Field paths are those of the request that was sent.
  @Test func fieldsOfTheRequestItself() async throws {
    try await withLiveServer { server in
      try await server.asOperator(over: .unix) { client in
        let acme = try await client.create("acme").name
        let bad = V1.TenantConfiguration(schema: V1.SchemaConfig(schemaName: "1st"))
        func tenant(_ slug: String, _ configuration: V1.TenantConfiguration) -> V1.Tenant {
          V1.Tenant(
            name: slug, displayName: slug, isolationModel: .schema, configuration: configuration)
        }
        let create = try await refusal {
          try await client.tenants.createTenant(
            V1.CreateTenantRequest(tenant: tenant("globex", bad)))
        }
        let update = try await refusal {
          try await client.tenants.updateTenant(V1.UpdateTenantRequest(tenant: tenant("acme", bad)))
        }
        for status in [create, update] {
          #expect(
            status.fieldViolations.map(\.field) == ["tenant.configuration.schema.schema_name"])
          #expect(status.message.hasPrefix("tenant.configuration.schema.schema_name: "))
        }
        let configure = try await refusal {
          try await client.tenants.updateTenantConfiguration(
            V1.UpdateTenantConfigurationRequest(
              name: acme,
              configuration: V1.TenantConfiguration(shared: V1.SharedConfig(tenantIdentifier: " ")))
          )
        }
        #expect(
          configure.fieldViolations.map(\.field) == ["configuration.shared.tenant_identifier"])

        let role = try await client.authorization.createRole(
          V1.CreateRoleRequest(
            parent: acme, roleId: "guard", role: V1.Role(permissions: ["doors:open"])))
        let add = try await refusal {
          try await client.authorization.addRolePermissions(
            V1.AddRolePermissionsRequest(name: role.name, permissions: ["doors:open", "doors"]))
        }
        #expect(add.fieldViolations.map(\.field) == ["permissions[1]"])
      }
    }
  }

  @Test func aSharedNameThatIsTaken() async throws {
    try await withLiveServer { server in
      try await server.asOperator(over: .unix) { client in
        let shared = V1.SharedConfig(tenantIdentifier: "row-1")
        let configuration = V1.TenantConfiguration(shared: shared)
        func create(_ slug: String) async throws -> V1.Tenant {
          try await client.tenants.createTenant(
            V1.CreateTenantRequest(
              tenant: V1.Tenant(
                slug: slug, displayName: slug, isolationModel: .shared,
                configuration: configuration)))
        }
        _ = try await create("acme")
        let taken = try await refusal { try await create("globex") }
        expect(
          taken, .alreadyExists, "NAME_TAKEN",
          ["field": "tenant.configuration.shared.tenant_identifier", "value": "row-1"])
      }
    }
  }

  /// In every method that names a tenant, the violation is of the field that does.
  @Test func aTenantNameThatIsMalformed() async throws {
    try await withLiveServer { server in
      try await server.asOperator(over: .unix) { client in
        for entry in TenantCall.all {
          let status = try await refusal { try await entry.call(client, "tenants/No Tenant") }
          #expect(status.code == .invalidArgument, "\(entry.method.path)")
          #expect(
            status.fieldViolations.map(\.field) == [entry.method.requirement.tenantField ?? ""],
            "\(entry.method.path)")
        }
      }
    }
  }

  @Test(arguments: Transport.allCases)
  func whatIsNotThereOrNotPossible(over transport: Transport) async throws {
    try await withLiveServer { server in
      try await server.asOperator(over: transport) { client in
        let unknown = try await refusal { try await client.get("tenants/nobody") }
        expect(unknown, .notFound, "TENANT_NOT_FOUND")
        #expect(unknown.fieldViolations.isEmpty)

        let acme = try await client.create("acme")
        let early = try await refusal {
          try await client.tenants.activateTenant(V1.ActivateTenantRequest(name: acme.name))
        }
        expect(
          early, .failedPrecondition, "ILLEGAL_TRANSITION",
          ["state": "pending", "event": "activate"])
        #expect(early.retryDelay == nil)

        let unprovisioned = try await refusal {
          try await client.resolver.resolveFromPath(
            V1.ResolveFromPathRequest(path: "/tenants/acme/"))
        }
        expect(unprovisioned, .failedPrecondition, "TENANT_NOT_PROVISIONED")
      }
    }
  }

  /// The API does not put tenants into maintenance yet; the state itself can.
  @Test func whenToTryAgain() async throws {
    try await withLiveServer { server in
      try await server.asOperator(over: .unix) { client in
        let id = try #require(TenantID(parsing: try await client.createActive("acme").id))
        try await server.plane.write(actor: "test", action: "maintain") {
          (transaction) throws(TenancyError) -> Void in
          guard var tenant = transaction.state.find(id)?.tenant else { throw .tenantNotFound }
          tenant.state = .maintenance
          transaction.emit(.putTenant(tenant), about: id)
        }
        let status = try await refusal {
          try await client.resolver.resolveFromPath(
            V1.ResolveFromPathRequest(path: "/tenants/acme/"))
        }
        expect(status, .unavailable, "TENANT_MAINTENANCE")
        #expect(status.retryDelay == .seconds(30))
      }
    }
  }

  @Test func nothingWhereTheServerSaidNothing() async throws {
    let client = TenancyClient(.unix(path: "/nonexistent/socket"))
    let status = try await refusal { try await client.identity.whoAmI(V1.WhoAmIRequest()) }
    await client.close()
    #expect(status.code == .unavailable)
    #expect(status.errorInfo == nil && status.fieldViolations.isEmpty && status.retryDelay == nil)
  }

  @Test(arguments: [[0xFF], [0x1A, 0x7F], Array(repeating: 0, count: 64)] as [[UInt8]])
  func nothingWhereTheDetailsCannotBeRead(_ details: [UInt8]) {
    let status = RPCStatus(.invalidArgument, "message", details: details)
    #expect(status.errorInfo == nil && status.fieldViolations.isEmpty && status.retryDelay == nil)
  }
}
