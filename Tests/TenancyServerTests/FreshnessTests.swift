import Synchronization
import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyCrypto
@testable import TenancyRPCCore
@testable import TenancyServer

struct FreshnessTests {
  @Test func aNodeWhoseStateIsTooOldAdmitsNobodyToAnything() async throws {
    let (store, clock) = (MemoryStore(), TestClock())
    try store.append([
      LogEntry(
        revision: 1, time: Sample.moment, actor: "test", action: "test", tenants: [],
        changes: [.putTenant(Sample.tenant(1, "acme"))])
    ])
    let plane = try ControlPlane(
      store: store, clock: { clock.now }, maximumStaleness: .seconds(60))
    let gate = Gate(plane: plane)
    func refusal(_ row: AdmissionRow, _ caller: Caller) -> TenancyError? {
      thrown { () throws(TenancyError) in
        try "tenants/acme/x/y".withBytes { bytes throws(TenancyError) in
          _ = try gate.admit(
            caller, MethodRule.declared(row.path), tenantName: row.namesTenant ? bytes.bytes : nil,
            .child,
            snapshot: plane.snapshot)
        }
      }
    }
    clock.advance(seconds: 60)
    #expect(AdmissionRow.all.allSatisfy { refusal($0, Sample.operator)?.reason != .stateStale })
    clock.advance(seconds: 1)
    for row in AdmissionRow.all {
      for caller in [Sample.operator, Sample.workload] {
        let error = refusal(row, caller)
        #expect(error?.reason == .stateStale && error?.category == .unavailable, "\(row.path)")
      }
    }
    #expect(await plane.confirmCurrent())
    #expect(AdmissionRow.all.allSatisfy { refusal($0, Sample.operator)?.reason != .stateStale })
  }

  /// By whichever of its names, and without a wait for who is refused in any case.
  @Test func aCallWaitsOnItsTenantsAccount() throws {
    let plane = try Sample.plane([
      Sample.tenant(1, "acme"), Sample.tenant(2, "gone", state: .suspended),
    ])
    let (gate, state) = (Gate(plane: plane), plane.state)
    func payer(_ caller: Caller, _ path: String) -> ReadPayer? {
      gate.payer(of: caller, MethodRule.declared("/tenancy.v1.\(path)"), state)
    }
    func workload(_ name: String, permits: Bool = true) -> Caller {
      var rules = IdentityRules(trustDomains: ["d"])
      if !permits { rules.workloadPermissions = [] }
      return Caller(
        .tenant(name: name), subject: "w", source: .certificate, certificate: nil, rules: rules)
    }
    let (validate, provision) = (
      "TenantResolver/ValidateTenant", "TenantManager/ProvisionTenantResources"
    )
    let id = "\(Sample.id(1))"
    #expect(payer(workload("acme"), validate) == .admitted("tenant \(id)"))
    #expect(payer(workload(id), validate) == .admitted("tenant \(id)"))
    #expect(payer(workload("acme", permits: false), validate) == .stranger("tenant \(id)"))
    #expect(payer(workload("gone"), validate) == .stranger("tenant \(Sample.id(2))"))
    #expect(payer(workload("new"), validate) == .stranger("tenant new"))
    #expect(payer(workload("acme"), provision) == nil)
    #expect(payer(Sample.operator, provision) == .admitted("platform operator"))
    let nobody = Caller(
      .platform(roles: []), subject: "n", source: .certificate, certificate: nil,
      rules: IdentityRules(trustDomains: ["d"]))
    #expect(payer(nobody, provision) == nil)
    let expired = Caller(
      .tenant(name: "acme"), subject: "w", source: .certificate,
      certificate: Sample.certificate([], notAfter: 1), rules: IdentityRules(trustDomains: ["d"]))
    #expect(payer(expired, validate) == nil)
  }

  @Test func aTokenIsReadFromMetadataOrRefused() throws {
    let token = ConsistencyToken(store: 1, revision: 2)
    let name = ConsistencyMetadata.name
    #expect(try ConsistencyMetadata.token(in: [:]) == nil)
    #expect(try ConsistencyMetadata.token(in: ["other": "x", name: token.text]) == token)
    for wrong in [[name: ""], [name: "x"], [name: token.text, "a": "b", name: token.text]]
      as [RPCMetadata]
    {
      let error = thrown { () throws(TenancyError) in try ConsistencyMetadata.token(in: wrong) }
      #expect(error?.category == .invalidArgument)
      #expect(error?.violations.map(\.field) == [name])
    }
  }
}
