import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyRPCCore
@testable import TenancyRPCServer
@testable import TenancyServer

/// Whole methods that write, called as the runtime calls them.
struct ServiceTests {
  private static let rules = IdentityRules(trustDomains: ["d"])

  private let plane: ControlPlane
  private let methods: [TenancyMethod]
  private let admin = Caller(
    .platform(roles: ["admin"]), subject: "admin", source: .certificate, certificate: nil,
    rules: rules)
  /// Holds tenant-admin in acme.
  private let manager = Caller(
    .tenant(name: "acme"), subject: "manager", source: .certificate, certificate: nil, rules: rules)

  init() throws { try self.init(sealer: Sample.keyring()) }

  private init(sealer: (any SecretSealer)?) throws {
    var acme = Sample.tenant(1, "acme")
    acme.configuration.schema = SchemaConfiguration(schemaName: "acme")
    let assignment = RoleAssignment(
      id: "1", subject: "manager", role: "tenant-admin", createTime: Sample.moment, expireTime: nil)
    plane = try Sample.plane(
      [acme, Sample.tenant(2, "beta")], [.putAssignment(acme.id, assignment)],
      sealer: sealer)
    methods =
      TenancyService(
        plane: plane, provisioner: Provisioner(plane, NoDataPlane()), rules: ResolutionRules()
      ).methods
  }

  private func createRole(
    _ id: String, _ permission: String, in tenant: String = "acme", by caller: Caller
  ) async -> RPCStatus.Code {
    let request = V1.CreateRoleRequest(
      parent: "tenants/\(tenant)", roleId: id, role: V1.Role(permissions: [permission]))
    do {
      let role = try await methods.call(V1.Authorization.createRole, request, by: caller)
      #expect(role.permissions == [permission])
      return .ok
    } catch {
      return (error as? RPCStatus)?.code ?? .unknown
    }
  }

  @Test func nobodyGivesAwayWhatTheyLack() async {
    let cases: [(String, RPCStatus.Code)] = [
      ("docs:read", .ok), ("*:*", .ok), ("tenancy.roles:create", .ok), ("tenancy.roles:*", .ok),
      ("tenancy.tenants:update", .ok), ("tenancy.tenants:delete", .permissionDenied),
      ("tenancy.tenants:*", .permissionDenied), ("tenancy.other:get", .permissionDenied),
    ]
    for (number, (permission, code)) in cases.enumerated() {
      #expect(await createRole("r\(number)", permission, by: manager) == code, "\(permission)")
    }
    #expect(await createRole("p", "tenancy.tenants:delete", by: admin) == .ok)
    #expect(await createRole("q", "tenancy.other:get", by: admin) == .permissionDenied)
    #expect(await createRole("b", "docs:read", in: "beta", by: manager) == .permissionDenied)
    #expect(plane.state.find("beta")?.policy.customRoleCount == 0)
  }

  @Test func aTenantsAdministratorChangesSettingsButDoesNotMove() async throws {
    var request = V1.UpdateTenantRequest(tenant: V1.Tenant(name: "tenants/acme", slug: "new"))
    await #expect(throws: RPCStatus.self) {
      try await methods.call(V1.TenantManager.updateTenant, request, by: manager)
    }
    request.tenant?.slug = ""
    request.tenant?.displayName = "New"
    let after = try await methods.call(V1.TenantManager.updateTenant, request, by: manager)
    #expect(after.displayName == "New" && after.slug == "acme")
    request.tenant?.slug = "new"
    let moved = try await methods.call(V1.TenantManager.updateTenant, request, by: admin)
    #expect(moved.slug == "new")
  }

  @Test func withoutAMasterKeyPasswordsAreRefusedAndNothingElse() async throws {
    let server = try ServiceTests(sealer: nil)
    var request = V1.CreateTenantRequest(
      tenant: V1.Tenant(displayName: "Gamma", isolationModel: .database))
    request.tenant?.configuration = V1.TenantConfiguration(
      database: V1.DatabaseConfig(connectionString: "db", password: "secret"))
    let error = await #expect(throws: RPCStatus.self) {
      try await server.methods.call(V1.TenantManager.createTenant, request, by: admin)
    }
    #expect(error?.code == .failedPrecondition)
    #expect(error?.message.contains("secrets.master_key") == true)
    #expect(error?.message.contains("secret\"") == false)
    request.tenant?.configuration?.database?.password = ""
    let made = try await server.methods.call(V1.TenantManager.createTenant, request, by: admin)
    #expect(made.configuration?.database?.passwordSet == false)
  }

  @Test func aPasswordThatIsSentIsSealedAndReplaced() async throws {
    var request = V1.CreateTenantRequest(
      tenant: V1.Tenant(displayName: "Gamma", isolationModel: .database))
    let database = V1.DatabaseConfig(connectionString: "db", password: "secret")
    request.tenant?.configuration = V1.TenantConfiguration(database: database)
    let made = try await methods.call(V1.TenantManager.createTenant, request, by: admin)
    let id = try #require(TenantID(parsing: made.id))
    func versions() -> UInt64? {
      plane.state.find(id)?.tenant.configuration.database?.password?.version
    }
    #expect(versions() == 1)
    let settings = V1.UpdateTenantConfigurationRequest(
      name: made.name, configuration: V1.TenantConfiguration(database: database),
      updateMask: GoogleProtobuf.FieldMask(paths: ["feature_flags"]))
    _ = try await methods.call(V1.TenantManager.updateTenantConfiguration, settings, by: admin)
    #expect(versions() == 1)
    for (paths, version) in [([], 2), (["database"], 3), (["*"], 4)] as [([String], UInt64)] {
      var change = settings
      change.updateMask = GoogleProtobuf.FieldMask(paths: paths)
      _ = try await methods.call(V1.TenantManager.updateTenantConfiguration, change, by: admin)
      #expect(versions() == version)
    }
    let whole = V1.UpdateTenantRequest(
      tenant: V1.Tenant(
        name: made.name, configuration: V1.TenantConfiguration(database: database)))
    _ = try await methods.call(V1.TenantManager.updateTenant, whole, by: admin)
    #expect(versions() == 5)
  }

  @Test func aRequestIDIsForOneRequest() async throws {
    var request = V1.CreateTenantRequest(
      tenant: V1.Tenant(displayName: "Gamma", isolationModel: .database),
      requestId: "0190b0c0-1234-4abc-9def-0123456789ab")
    request.tenant?.configuration = V1.TenantConfiguration(
      database: V1.DatabaseConfig(connectionString: "db", password: "secret"))
    let made = try await methods.call(V1.TenantManager.createTenant, request, by: admin)
    #expect(made.configuration?.database?.password == "")
    #expect(made.configuration?.database?.passwordSet == true)
    let again = try await methods.call(V1.TenantManager.createTenant, request, by: admin)
    #expect(again == made)
    // What is stored of the request tells a password from none, but not one from another.
    let tenant = try #require(request.tenant)
    func digest(_ password: String) -> String {
      var tenant = tenant
      tenant.configuration?.database?.password = password
      return RequestIDs.digest(of: tenant)
    }
    #expect(digest("secret") == digest("guess") && digest("secret") != digest(""))
    request.tenant?.displayName = "Delta"
    await #expect(throws: RPCStatus.self) {
      try await methods.call(V1.TenantManager.createTenant, request, by: admin)
    }
  }
}

struct NameFormTests {
  @Test(arguments: [
    ("0190b0c0-1234-4abc-9def-0123456789ab", true), ("0190B0C0-1234-4ABC-9DEF-0123456789AB", true),
    ("", false), ("0190b0c012344abc9def0123456789ab", false), ("x", false),
    ("0190b0c0-1234-4abc-9def-0123456789ag", false), ("0190b0c0-1234-4abc-9def-0123456789a", false),
    ("é190b0c-1234-4abc-9def-0123456789ab", false), ("----", false),
  ])
  func requestIDs(_ text: String, _ isGood: Bool) {
    #expect(RequestIDs.isWellFormed(text) == isGood)
  }

  @Test(arguments: [
    ("tenants/a/roles/r", "r"), ("tenants/a/roles/", nil), ("tenants/a/roles", nil), ("r", nil),
    ("a/roles/r", nil), ("tenants/a/assignments/r", nil), ("tenants/a/roles/r/s", nil),
    ("/tenants/a/roles/r", nil), ("", nil),
  ])
  func roleNames(_ name: String, _ id: String?) {
    let error = thrown { () throws(TenancyError) in
      #expect(try RoleService.id(in: name, "roles", field: "name") == id)
    }
    #expect(error?.violations.first?.field == (id == nil ? "name" : nil))
  }

  @Test func aNameHasALength() {
    let prefix = "tenants/a/roles/"
    let longest = prefix + String(repeating: "r", count: RoleService.maximumNameBytes - 16)
    let slashes = String(repeating: "/", count: 4 << 20)
    for (name, message) in [
      (longest, nil), (longest + "r", "name: longer than 256 bytes"),
      (slashes, "name: longer than 256 bytes"),
    ] {
      let error = thrown { () throws(TenancyError) in
        try RoleService.id(in: name, "roles", field: "name")
      }
      #expect(error?.message == message)
    }
  }

  @Test func aRoleIsOfTheSameTenant() throws {
    let tenant = Sample.tenant(1, "acme")
    let record = try #require(try Sample.plane([tenant]).state.find("acme"))
    for name in ["r", "tenants/acme/roles/r", "tenants/\(tenant.id)/roles/r"] {
      #expect(try RoleService.roleID(name, in: record, field: "role") == "r")
    }
    for name in ["tenants/beta/roles/r", "x/acme/roles/r", "tenants/acme/r", "/"] {
      let error = thrown { () throws(TenancyError) in
        try RoleService.roleID(name, in: record, field: "role")
      }
      #expect(error?.violations.first?.field == "role")
    }
  }
}
