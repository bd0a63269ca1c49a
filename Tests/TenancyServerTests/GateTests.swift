import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyRPCServer
@testable import TenancyServer

/// Every method against every kind of caller.
struct GateTests {
  private static let rules = IdentityRules(trustDomains: ["d"])
  private static let acme = Sample.tenant(1, "acme")
  private static let beta = Sample.tenant(2, "beta")
  private static let states: [TenantState] = TenantState.known

  /// acme and beta are served; one more tenant stands in each state. A subject that ends in a role's
  /// name holds that role.
  private static func makePlane() throws -> ControlPlane {
    let others = states.enumerated().map { number, state in
      Sample.tenant(UInt64(10 + number), slug(of: state), state: state)
    }
    let tenants = [acme, beta] + others
    let assignments = tenants.flatMap { tenant in
      [("tenant-admin", nil), ("tenant-viewer", nil), ("tenant-admin", Sample.moment)]
        .enumerated().map { number, held in
          let (role, end) = held as (String, Timestamp?)
          let subject = subject(tenant.slug.text, end == nil ? role : "ended")
          return Change.putAssignment(
            tenant.id,
            RoleAssignment(
              id: "\(number)", subject: subject, role: role, createTime: Sample.moment,
              expireTime: end))
        }
    }
    return try Sample.plane(tenants, assignments)
  }

  private static func slug(of state: TenantState) -> String {
    "in-" + state.rawValue.replacing("_", with: "-")
  }

  private static func subject(_ tenant: String, _ workload: String) -> String {
    "spiffe://d/tenant/\(tenant)/\(workload)"
  }

  private static func platform(_ role: String) -> Caller {
    Caller(
      .platform(roles: [role]), subject: "spiffe://d/platform/\(role)", source: .certificate,
      certificate: nil,
      rules: rules)
  }

  private static func workload(
    _ tenant: String, _ name: String = "w", notAfter: Int64 = 1_900_000_000
  ) -> Caller {
    let subject = subject(tenant, name)
    return Caller(
      .tenant(name: tenant), subject: subject,
      source: .certificate, certificate: Sample.certificate([subject], notAfter: notAfter),
      rules: rules)
  }

  private let plane: ControlPlane
  private let gate: Gate

  init() throws {
    plane = try Self.makePlane()
    gate = Gate(plane: plane)
  }

  /// What the gate says: the reason of a refusal, or nil.
  private func refusal(
    _ caller: Caller, _ row: AdmissionRow, tenant: String = "acme",
    check: (Access) -> Void = { _ in }
  ) -> TenancyError.Reason? {
    let name = "tenants/\(tenant)/x/y"
    return thrown { () throws(TenancyError) in
      try name.withBytes { bytes throws(TenancyError) in
        let access = try gate.admit(
          caller, MethodRule.declared(row.path), tenantName: row.namesTenant ? bytes.bytes : nil,
          .child,
          snapshot: plane.snapshot)
        check(access)
      }
    }?.reason
  }

  // MARK: The table itself

  @Test func theTableIsThatOfTheAPI() {
    #expect(AdmissionRow.all.map(\.path).sorted() == TenancyService.served.map(\.path).sorted())
    let scopes: [Requirement.Scope: String] = [
      .platform: "platform", .tenant: "tenant", .ownSelf: "self",
    ]
    for row in AdmissionRow.all {
      let rule = MethodRule.declared(row.path)
      #expect(scopes[rule.scope] == row.scope, "\(row)")
      #expect(rule.permissionText == row.permission, "\(row)")
      #expect((rule.permission == nil) == row.permission.isEmpty, "\(row)")
      #expect(rule.tenantField.isEmpty != row.namesTenant, "\(row)")
    }
  }

  @Test func everyMethodIsServedOnce() throws {
    let provisioner = Provisioner(plane, NoDataPlane())
    let methods = TenancyService(
      plane: plane, provisioner: provisioner, rules: ResolutionRules()
    ).methods
    #expect(methods.map(\.path).sorted() == TenancyService.served.map(\.path).sorted())
  }

  // MARK: Platform identities

  @Test(arguments: AdmissionRow.all)
  func platformRoles(_ row: AdmissionRow) {
    for (role, name) in [
      ("admin", "admin"), ("operator", "admin"), ("viewer", "viewer"), ("resolver", "resolver"),
      ("nobody-knows", "unknown"), ("", "unknown"),
    ] {
      let reason = refusal(Self.platform(role), row) { access in
        #expect(access.home == nil)
        #expect(access.target?.tenant == (row.namesTenant ? Self.acme : nil))
      }
      #expect(reason == (row.admitted.contains(name) ? nil : .permissionMissing), "\(role) \(row)")
    }
  }

  @Test(arguments: AdmissionRow.all)
  func platformIdentitiesReachEveryTenantInAnyState(_ row: AdmissionRow) {
    for state in Self.states {
      #expect(refusal(Self.platform("admin"), row, tenant: Self.slug(of: state)) == nil)
    }
    let unknown = refusal(Self.platform("admin"), row, tenant: "nobody")
    #expect(unknown == (row.namesTenant ? .tenantNotFound : nil))
    let malformed = refusal(Self.platform("admin"), row, tenant: "No Body")
    #expect(malformed == (row.namesTenant ? .invalidField : nil))
  }

  // MARK: Workloads of a tenant

  @Test(arguments: AdmissionRow.all)
  func workloadsOfATenant(_ row: AdmissionRow) {
    for (workload, name) in [
      ("w", "workload"), ("tenant-viewer", "tenantViewer"), ("tenant-admin", "tenantAdmin"),
      ("ended", "workload"),
    ] {
      let reason = refusal(Self.workload("acme", workload), row) { access in
        #expect(access.home?.tenant == Self.acme)
        #expect(access.target?.tenant == (row.namesTenant ? Self.acme : nil))
        #expect(access.seen == [Self.acme])
      }
      let expected: TenancyError.Reason? = row.admitted.contains(name) ? nil : .permissionMissing
      #expect(reason == expected, "\(workload) \(row)")
    }
    let byID = refusal(Self.workload(Self.acme.id.description), row, tenant: "acme")
    #expect(byID == (row.admitted.contains("workload") ? nil : .permissionMissing))
  }

  @Test(arguments: AdmissionRow.all)
  func noWorkloadReachesAnotherTenant(_ row: AdmissionRow) {
    for workload in ["w", "tenant-viewer", "tenant-admin"] {
      let caller = Self.workload("acme", workload)
      let own = refusal(caller, row)
      for other in ["beta", "nobody", Self.slug(of: .deleted), Sample.id(2).description] {
        let reason = refusal(caller, row, tenant: other) { access in
          #expect(access.target == nil)
          #expect(access.home?.tenant == Self.acme)
        }
        #expect(reason == (own ?? (row.namesTenant ? .tenantMismatch : nil)), "\(other) \(row)")
      }
    }
  }

  /// A role that a subject holds in one tenant is worth nothing to the same name from another.
  @Test(arguments: AdmissionRow.all)
  func rolesAreThoseOfTheHome(_ row: AdmissionRow) {
    let stranger = Caller(
      .tenant(name: "beta"), subject: Self.subject("acme", "tenant-admin"), source: .certificate,
      certificate: nil,
      rules: Self.rules)
    let reason = refusal(stranger, row, tenant: "beta")
    #expect(reason == (row.admitted.contains("workload") ? nil : .permissionMissing))
  }

  @Test(arguments: AdmissionRow.all, TenantState.known)
  func aHomeMustBeServed(_ row: AdmissionRow, _ state: TenantState) {
    let home = Self.slug(of: state)
    let reason = refusal(Self.workload(home, "tenant-admin"), row, tenant: home)
    let isQuestionAboutOneself = row.scope == "self"
    let expected: TenancyError.Reason? =
      switch state {
      case .active: row.admitted.contains("tenantAdmin") ? nil : .permissionMissing
      case .deleted, .purging, .purged: .identityUnknown
      case .suspended: isQuestionAboutOneself ? nil : .tenantSuspended
      case .maintenance: isQuestionAboutOneself ? nil : .tenantMaintenance
      case .pending, .provisioning, .provisionFailed:
        isQuestionAboutOneself ? nil : .tenantNotProvisioned
      }
    #expect(reason == expected)
  }

  @Test(arguments: AdmissionRow.all)
  func anUnknownHomeIsNobody(_ row: AdmissionRow) {
    for home in ["nobody", "Acme", Sample.id(99).description, ""] {
      #expect(refusal(Self.workload(home), row) == .identityUnknown)
    }
  }

  @Test(arguments: AdmissionRow.all)
  func anExpiredCertificateIsVoid(_ row: AdmissionRow) {
    let now = Sample.moment.seconds
    #expect(refusal(Self.workload("acme", notAfter: now - 1), row) == .identityExpired)
    #expect(refusal(Self.workload("acme", notAfter: now), row) != .identityExpired)
    let admin = Caller(
      .platform(roles: ["admin"]), subject: "x",
      source: .certificate, certificate: Sample.certificate([], notAfter: now - 1),
      rules: Self.rules)
    #expect(refusal(admin, row) == .identityExpired)
  }
}

/// What an admitted call may see.
struct AccessTests {
  private static func access(_ home: String?, _ state: ControlPlane) -> Access {
    let rules = IdentityRules(trustDomains: [])
    let kind: Caller.Kind = home.map { .tenant(name: $0) } ?? .platform(roles: [])
    return Access(
      caller: Caller(kind, subject: "x", source: .certificate, certificate: nil, rules: rules),
      home: home.flatMap { state.state.find($0) }, target: nil, now: Sample.moment,
      snapshot: state.snapshot)
  }

  @Test func tenantsSeeThemselvesAndThePlatformAll() throws {
    let plane = try Sample.plane([Sample.tenant(1, "acme"), Sample.tenant(2, "beta")])
    let platform = Self.access(nil, plane)
    #expect(platform.seen.count == 2)
    #expect(try platform.find("beta".utf8Span.span.bytes) != nil)
    #expect(try platform.find("nobody".utf8Span.span.bytes) == nil)
    let acme = Self.access("acme", plane)
    #expect(acme.seen.map(\.slug.text) == ["acme"])
    #expect(try acme.find("acme".utf8Span.span.bytes)?.tenant.slug.text == "acme")
    for name in ["beta", "nobody", ""] {
      let error = thrown { () throws(TenancyError) in try acme.find(name.utf8Span.span.bytes) }
      #expect(error?.reason == .tenantMismatch)
    }
    // Without a home there is nothing to see.
    let nobody = Self.access("nobody", plane)
    #expect(nobody.seen.isEmpty)
    let error = thrown { () throws(TenancyError) in try nobody.requireTarget() }
    #expect(error?.reason == .tenantNotFound)
  }
}
