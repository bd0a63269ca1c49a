import TenancyRPC
import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyCrypto
@testable import TenancyServer

/// Callers whose certificates come from a registration entry, which may be deleted meanwhile.
struct RegistrationTests {
  private static let entry = WorkloadEntry(
    id: Sample.id(9).description, tenant: Sample.id(1), path: "web",
    selectors: .init(userID: 7), createTime: Sample.moment)
  private let plane: ControlPlane
  private let gate: Gate
  private let rules: IdentityRules

  init() throws {
    plane = try Sample.plane([Sample.tenant(1, "acme")], [.putWorkloadEntry(Self.entry)])
    gate = Gate(plane: plane)
    var rules = IdentityRules(trustDomains: ["d", "other"])
    rules.trustDomains["other"] = .everything
    rules.registeredDomains = ["d"]
    self.rules = rules
  }

  private func caller(
    _ id: String? = entry.id, domain: String = "d", path: String = "tenant/acme/web"
  ) throws -> Caller {
    var certificate = Sample.certificate(["spiffe://\(domain)/\(path)"])
    certificate.registration = id
    return try rules.caller(.certificate(certificate)).get()
  }

  private func admission(_ caller: Caller) -> TenancyError? {
    do throws(TenancyError) {
      _ = try gate.admit(
        caller, MethodRule.declared(V1.Identity.whoAmI.path), tenantName: nil, .child,
        snapshot: plane.snapshot)
      return nil
    } catch {
      return error
    }
  }

  private func delete() async throws {
    try await WorkloadEntryCommands(plane, actor: "test", judge: .server).delete(Self.entry.id)
  }

  @Test func eachCallIsJudged() async throws {
    let workload = try caller()
    let gateway = try caller(path: "platform/resolver/envoy")
    let byHand = try caller(nil)
    for caller in [workload, gateway, byHand] { #expect(admission(caller) == nil) }
    try await delete()
    for caller in [workload, gateway] {
      let refused = admission(caller)
      #expect(refused?.category == .unauthenticated && refused?.reason == .identityRevoked)
    }
    #expect(admission(byHand) == nil)
    #expect(try admission(caller(Sample.id(8).description))?.reason == .identityRevoked)
  }

  /// A partner runs this server as well, and has its own entries.
  @Test func entriesOfOtherTrustDomainsAreNotHere() async throws {
    let partner = try caller(Sample.id(8).description, domain: "other")
    #expect(admission(partner) == nil)
    #expect(
      rules.registrationRefusal(of: try #require(partner.certificate), in: plane.state) == nil)
    // Unless the store's own authorities sign for it.
    let authority = SigningAuthority(
      id: Sample.id(7).description, trustDomain: "other", state: .prepared, chain: "c",
      expireTime: Sample.moment, propagation: 1, createTime: Sample.moment,
      prepareTime: Sample.moment, version: 1,
      reference: SecretReference(version: 1, key: KeyID(high: 0, low: 1)))
    try await plane.write(actor: "test", action: "test") { (transaction) throws(TenancyError) in
      transaction.emit(.putAuthority(authority))
    }
    #expect(admission(partner)?.reason == .identityRevoked)
    #expect(
      rules.registrationRefusal(of: try #require(partner.certificate), in: plane.state) != nil)
  }

  /// Between admission and commit.
  @Test func whatIsWrittenIsJudgedOnTheStateThatItIsAppliedTo() async throws {
    let caller = try caller(path: "platform/operator")
    let roles = RoleService(plane: plane).methods(gate)
    let request = V1.CreateRoleRequest(
      parent: "tenants/acme", roleId: "reader", role: V1.Role(permissions: ["bill:read"]))
    try await roles.call(V1.Authorization.createRole, request, by: caller)
    try await delete()
    let status = await #expect(throws: RPCStatus.self) {
      try await roles.call(V1.Authorization.createRole, request, by: caller)
    }
    #expect(status?.code == .unauthenticated)
  }
}
