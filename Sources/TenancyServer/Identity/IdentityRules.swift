public import Tenancy
public import TenancyRPC

/// How a connection's peer becomes a caller.
public struct IdentityRules: Sendable {
  /// SPIFFE trust domains whose certificates are accepted, and what these may name.
  public var trustDomains: [String: TrustDomainGrant]
  /// Unix user ids that are platform identities, and their roles.
  public var unixUsers: [UInt32: [String]] = [:]
  /// Platform roles of whoever calls over an insecure listener; empty: nobody may.
  public var insecureRoles: [String] = []
  /// What platform roles may do: permissions, wildcards included.
  public var platformRoles: [String: [Permission]] = IdentityRules.defaultPlatformRoles {
    didSet { roleGrants = platformRoles.mapValues { MethodGrants($0) } }
  }
  /// What every workload of a tenant may do in its tenant without a role there.
  public var workloadPermissions: [Permission] = IdentityRules.defaultWorkloadPermissions {
    didSet { workloadGrants = MethodGrants(workloadPermissions) }
  }
  /// `platformRoles`, worked out.
  private var roleGrants = Self.defaultRoleGrants
  /// `workloadPermissions`, worked out.
  private(set) var workloadGrants = Self.defaultWorkloadGrants

  /// Trust domains whose workloads are registered in the server's store, besides those of its certificate authorities:
  /// their certificates that name a registration entry are good for as long as that is there.
  public var registeredDomains: Set<String> = []

  /// - Parameter trustDomains: the first may name everything, the others nothing until they are granted it.
  public init(trustDomains: [String]) {
    self.trustDomains = Dictionary(
      trustDomains.enumerated().map { ($1, $0 == 0 ? .everything : .nothing) },
      uniquingKeysWith: { first, _ in first })
  }

  /// `admin` and `operator` may do everything, `viewer` reads, `auditor` reads who may do what and who has done what,
  /// `automation` (pipelines) sets tenants and their policies up, but ends none, and `resolver` (gateways and sidecars)
  /// resolves, checks, and calls with tokens that it was given.
  public static let defaultPlatformRoles: [String: [Permission]] = [
    "admin": everything, "operator": everything,
    "viewer": permissions([
      "tenancy.tenants:get", "tenancy.tenants:list", "tenancy.tenants:list_history",
      "tenancy.tenants:resolve",
      "tenancy.authorization:check", "tenancy.authorization:explain",
      "tenancy.authorization:list", "tenancy.decisions:list", "tenancy.decisions:replay",
      "tenancy.decisions:simulate", "tenancy.roles:get", "tenancy.roles:list",
      "tenancy.assignments:list", "tenancy.groups:get",
      "tenancy.groups:list", "tenancy.group_members:list", "tenancy.audit:list",
      "tenancy.audit:export",
      "tenancy.token_keys:get", "tenancy.authentication:get", "tenancy.workload_entries:get",
      "tenancy.workload_entries:list", "tenancy.certificate_authorities:get",
      "tenancy.certificate_authorities:list", "tenancy.domains:get", "tenancy.domains:list",
      "tenancy.clusters:list", "tenancy.operations:get", "tenancy.operations:list",
      "tenancy.setting_definitions:get", "tenancy.setting_definitions:list",
      "tenancy.setting_definitions:list_conflicts", "tenancy.plans:get", "tenancy.plans:list",
      "tenancy.feature_flags:get", "tenancy.feature_flags:list", "tenancy.usage:list",
    ]),
    "auditor": permissions([
      "tenancy.tenants:get", "tenancy.tenants:list", "tenancy.tenants:list_history",
      "tenancy.authorization:explain", "tenancy.authorization:list", "tenancy.decisions:list",
      "tenancy.decisions:replay", "tenancy.decisions:simulate", "tenancy.roles:get",
      "tenancy.roles:list", "tenancy.assignments:list", "tenancy.groups:get",
      "tenancy.groups:list", "tenancy.group_members:list", "tenancy.audit:list",
      "tenancy.audit:export", "tenancy.authentication:get", "tenancy.workload_entries:get",
      "tenancy.workload_entries:list", "tenancy.certificate_authorities:get",
      "tenancy.certificate_authorities:list", "tenancy.domains:get", "tenancy.domains:list",
    ]),
    "automation": permissions([
      "tenancy.tenants:get", "tenancy.tenants:list", "tenancy.tenants:create",
      "tenancy.tenants:update", "tenancy.tenants:configure", "tenancy.tenants:provision",
      "tenancy.tenants:maintain", "tenancy.operations:get", "tenancy.operations:list",
      "tenancy.roles:*", "tenancy.assignments:*", "tenancy.groups:*", "tenancy.group_members:*",
      "tenancy.policies:apply", "tenancy.authorization:check", "tenancy.authorization:explain",
      "tenancy.authorization:list", "tenancy.authentication:get", "tenancy.domains:get",
      "tenancy.domains:list", "tenancy.domains:claim", "tenancy.domains:verify",
      "tenancy.plans:get", "tenancy.plans:list", "tenancy.setting_definitions:get",
      "tenancy.setting_definitions:list", "tenancy.feature_flags:get",
      "tenancy.feature_flags:list",
    ]),
    "resolver": permissions([
      "tenancy.tenants:resolve", "tenancy.authorization:check", "tenancy.tokens:introspect",
      "tenancy.token_keys:get", presentTokens.text, "tenancy.requests:check",
      "tenancy.requests:limit",
    ]),
  ]

  /// What a platform identity needs to make calls with the tokens of tenants' subjects: gateways.
  static let presentTokens = Permission(reserved: "tokens", "present")

  /// Reading its tenant, resolving and checking.
  public static let defaultWorkloadPermissions = permissions([
    "tenancy.tenants:get", "tenancy.tenants:list", "tenancy.tenants:resolve",
    "tenancy.authorization:check", "tenancy.authorization:explain", "tenancy.authorization:list",
    "tenancy.roles:get", "tenancy.roles:list", "tenancy.assignments:list", "tenancy.groups:get",
    "tenancy.groups:list", "tenancy.group_members:list", "tenancy.tokens:introspect",
    "tenancy.token_keys:get",
  ])

  private static let everything = permissions([
    "tenancy.tenants:*", "tenancy.authorization:*", "tenancy.decisions:*", "tenancy.roles:*",
    "tenancy.assignments:*", "tenancy.groups:*", "tenancy.group_members:*", "tenancy.policies:*",
    "tenancy.secrets:*", "tenancy.audit:*", "tenancy.tokens:*", "tenancy.token_keys:*",
    "tenancy.requests:*", "tenancy.authentication:*",
    "tenancy.workload_entries:*", "tenancy.certificate_authorities:*", "tenancy.domains:*",
    "tenancy.data:*", "tenancy.clusters:*", "tenancy.operations:*", "tenancy.secret_settings:*",
    "tenancy.setting_definitions:*", "tenancy.plans:*", "tenancy.feature_flags:*",
    "tenancy.usage:*",
  ])

  private static func permissions(_ texts: [String]) -> [Permission] {
    texts.compactMap(Permission.init(parsing:))
  }

  /// Whether a method of the API needs what the permission, a wildcard maybe, stands for.
  public static func isUsed(_ permission: Permission) -> Bool {
    let set = PermissionSet([permission])
    if set.grants(presentTokens) { return true }
    return MethodRule.all.contains { rule in rule.permission.map { set.grants($0) } ?? false }
  }

  private static let defaultRoleGrants = defaultPlatformRoles.mapValues { MethodGrants($0) }
  private static let defaultWorkloadGrants = MethodGrants(defaultWorkloadPermissions)

  /// What a platform identity of these roles may do.
  func grants(of roles: [String]) -> MethodGrants {
    if roles.count == 1, let role = roles.first { return roleGrants[role] ?? .none }
    return MethodGrants(roles.flatMap { platformRoles[$0] ?? [] })
  }

  // MARK: Judging

  /// Why a verified certificate is not an identity here, or nil. Applied within the handshake.
  public func refusal(of certificate: PeerCertificate) -> String? {
    switch identity(of: certificate) {
    case .success: nil
    case .failure(let refusal): refusal.reason
    }
  }

  /// Why a certificate is refused that was issued by a registration entry, or nil: the entry is gone. Applied within the
  /// handshake, and whenever the peer is looked at.
  public func registrationRefusal(
    of certificate: PeerCertificate, in state: borrowing ControlState
  ) -> String? {
    guard let registration = Registration(of: certificate, by: self) else { return nil }
    return registration.hasLapsed(in: state) ? Registration.reason : nil
  }

  /// The caller behind a peer.
  /// - Parameters:
  ///   - refusal: why the peer is not accepted any more, or nil.
  ///   - source: names its connection.
  func caller(
    _ peer: Peer, refusal: @escaping @Sendable () -> String? = { nil },
    source: @escaping @Sendable () -> String = { "" }
  ) -> Result<Caller, IdentityRefusal> {
    switch peer {
    case .certificate(let certificate):
      identity(of: certificate).map { identity in
        switch identity {
        case .tenant(let name, let id):
          Caller(
            .tenant(name: name), subject: id.description, source: .certificate,
            certificate: certificate, rules: self, refusal: refusal, connection: source)
        case .platform(let roles, let id):
          Caller(
            .platform(roles: roles), subject: id.description, source: .certificate,
            certificate: certificate, rules: self, refusal: refusal, connection: source)
        }
      }
    case .unixProcess(let process):
      if let roles = unixUsers[process.userID] {
        .success(
          Caller(
            .platform(roles: roles), subject: "uid:\(process.userID)", source: .unixPeer,
            certificate: nil, rules: self, connection: source))
      } else {
        .failure(IdentityRefusal("the Unix user \(process.userID) is not allowed"))
      }
    case .uncertified(let address):
      .success(Caller(bearerFrom: address, connection: source))
    case .anonymous:
      if insecureRoles.isEmpty {
        .failure(IdentityRefusal("the peer presents no credential"))
      } else {
        .success(
          Caller(
            .platform(roles: insecureRoles), subject: "insecure", source: .insecure,
            certificate: nil, rules: self, connection: source))
      }
    }
  }

  private enum Identity {
    case tenant(name: String, SPIFFEID)
    case platform(roles: [String], SPIFFEID)
  }

  /// X.509-SVID rules (SPIFFE X509-SVID §2 and §4): a leaf with exactly one URI name, a SPIFFE ID; and
  /// ours: a known trust domain, and of what it may name `/tenant/{id or slug}/…`, `/platform/{role}` or
  /// `/platform/{role}/{workload}`.
  private func identity(of certificate: PeerCertificate) -> Result<Identity, IdentityRefusal> {
    guard !certificate.isAuthority else {
      return .failure(IdentityRefusal("a CA's certificate is no identity"))
    }
    guard certificate.uriNames.count == 1, let name = certificate.uriNames.first else {
      return .failure(
        IdentityRefusal("\(certificate.uriNames.count) URI names where there must be one"))
    }
    guard let id = SPIFFEID(parsing: name) else {
      return .failure(IdentityRefusal("the URI name is not a SPIFFE ID"))
    }
    guard let grant = trustDomains[id.trustDomain] else {
      return .failure(IdentityRefusal("foreign trust domain \(id.trustDomain)"))
    }
    switch (id.path.first, id.path.dropFirst().first) {
    case ("tenant", let tenant?):
      guard TenantID(parsing: tenant) != nil || Slug(parsing: tenant) != nil else {
        return .failure(IdentityRefusal("the tenant in the SPIFFE ID is not in canonical form"))
      }
      guard grant.covers(tenant: tenant) else {
        return .failure(IdentityRefusal("\(id.trustDomain) may not name the tenant \(tenant)"))
      }
      return .success(.tenant(name: tenant, id))
    case ("platform", let role?) where id.path.count <= 3:
      guard grant.covers(platformRole: role) else {
        return .failure(IdentityRefusal("\(id.trustDomain) may not name the platform role \(role)"))
      }
      return .success(.platform(roles: [role], id))
    default:
      return .failure(IdentityRefusal("the SPIFFE ID names neither a tenant nor a platform role"))
    }
  }
}

/// Why a peer is no caller. For the log.
struct IdentityRefusal: Error {
  let reason: String
  init(_ reason: String) { self.reason = reason }
}
