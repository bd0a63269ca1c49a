import Dispatch
import Synchronization
import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyRPCCore
@testable import TenancyRPCServer
@testable import TenancyServer

/// Calls that were admitted before a revocation and come to the writer after it.
struct RevocationTests {
  private static let rules = IdentityRules(trustDomains: ["d"])
  /// As many as one tenant may have waiting, nearly.
  private static let queued = 250

  private let store = MemoryStore()
  /// Whether the manager's certificate is revoked.
  private let isRevoked: Flag
  private let plane: ControlPlane
  private let methods: [TenancyMethod]
  private let admin = Caller(
    .platform(roles: ["admin"]), subject: "admin", source: .certificate, certificate: nil,
    rules: rules)
  /// Holds tenant-admin in acme.
  private let manager: Caller

  init() throws {
    let isRevoked = Flag()
    self.isRevoked = isRevoked
    manager = Caller(
      .tenant(name: "acme"), subject: "manager", source: .certificate, certificate: nil,
      rules: Self.rules, refusal: { isRevoked.isSet ? "certificate revoked" : nil })
    var acme = Sample.tenant(1, "acme")
    acme.configuration.schema = SchemaConfiguration(schemaName: "acme")
    let assignment = RoleAssignment(
      id: "1", subject: "manager", role: "tenant-admin", createTime: Sample.moment, expireTime: nil)
    try store.append([
      LogEntry(
        revision: 1, time: Sample.moment, actor: "test", action: "test", tenants: [],
        changes: [.putTenant(acme), .putAssignment(acme.id, assignment)])
    ])
    plane = try ControlPlane(store: store, clock: { Sample.moment })
    methods =
      TenancyService(
        plane: plane, provisioner: Provisioner(plane, NoDataPlane()), rules: ResolutionRules()
      ).methods
  }

  /// Keeps the writer busy until `queue` has put writes behind what it does.
  private func whileBusy<Queued>(_ queue: () -> Queued) async throws -> Queued {
    let barrier = store.holdNextAppend()
    let busy = Task.immediate {
      try await methods.call(
        V1.TenantManager.updateTenant,
        V1.UpdateTenantRequest(tenant: V1.Tenant(name: "tenants/acme", displayName: "Busy")),
        by: admin)
    }
    await barrier.reached()
    let queued = queue()
    barrier.open()
    _ = try await busy.value
    return queued
  }

  /// Queues a revocation, and behind it writes of the manager, while the writer is busy. Nothing of the
  /// manager may be committed after the revocation.
  private func revoke(_ action: String, _ revocation: @escaping @Sendable () async throws -> Void)
    async throws
  {
    let (revoking, writes) = try await whileBusy {
      (Task.immediate { try await revocation() }, queueWrites())
    }
    try await revoking.value
    var acknowledged = 0
    for write in writes {
      let code = await write.value
      #expect(code == .ok || code == .permissionDenied)
      if code == .ok { acknowledged += 1 }
    }
    let log = store.log
    let revoked = try #require(log.firstIndex { $0.action == action })
    #expect(log[revoked...].filter { $0.actor == "manager" }.count == 0)
    #expect(acknowledged == log[..<revoked].filter { $0.actor == "manager" }.count)
  }

  private func queueWrites() -> [Task<RPCStatus.Code, Never>] {
    (0..<Self.queued).map { number in
      Task.immediate { () -> RPCStatus.Code in
        do {
          if number.isMultiple(of: 2) {
            try await methods.call(
              V1.Authorization.createRole,
              V1.CreateRoleRequest(parent: "tenants/acme", roleId: "r\(number)"), by: manager)
          } else {
            let configuration = V1.TenantConfiguration(featureFlags: ["f\(number)": true])
            try await methods.call(
              V1.TenantManager.updateTenantConfiguration,
              V1.UpdateTenantConfigurationRequest(
                name: "tenants/acme", configuration: configuration), by: manager)
          }
          return .ok
        } catch {
          return (error as? RPCStatus)?.code ?? .unknown
        }
      }
    }
  }

  @Test func aSuspendedTenantsAdministratorWritesNothingMore() async throws {
    try await revoke("tenants.deactivate") {
      try await methods.call(
        V1.TenantManager.deactivateTenant, V1.DeactivateTenantRequest(name: "acme"), by: admin)
    }
  }

  /// The CRL is not part of the state: it counts from the moment in which it is loaded.
  @Test func whoseCertificateIsRevokedWritesNothingMore() async throws {
    let writes = try await whileBusy {
      defer { isRevoked.set() }
      return queueWrites()
    }
    for write in writes { #expect(await write.value == .unauthenticated) }
    #expect(store.log.filter { $0.actor == "manager" }.count == 0)
  }

  @Test func whoseRoleIsRevokedWritesNothingMore() async throws {
    try await revoke("assignments.delete") {
      try await methods.call(
        V1.Authorization.deleteRoleAssignment,
        V1.DeleteRoleAssignmentRequest(name: "tenants/acme/assignments/1"), by: admin)
    }
  }
}

private final class Flag: Sendable {
  private let flag = Atomic(false)

  var isSet: Bool { flag.load(ordering: .acquiring) }
  func set() { flag.store(true, ordering: .releasing) }
}
