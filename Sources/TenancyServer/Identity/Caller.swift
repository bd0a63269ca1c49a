import Tenancy
import TenancyRPC
import TenancyWire

/// Who makes a call. Worked out once; what it may do is judged at each call. Thread-safe.
public final class Caller: Sendable {
  enum Kind: Sendable {
    /// An operator or a service of the platform.
    case platform(roles: [String])
    /// A workload of the tenant of this id or slug, which may or may not exist.
    case tenant(name: String)
  }

  let kind: Kind
  /// The SPIFFE ID, `uid:{n}`, `insecure`, or whom a token is for.
  let subject: String
  let source: V1.IdentitySource
  let certificate: PeerCertificate?
  /// Nil: its certificate comes from no registration entry.
  private let registration: Registration?
  /// What the call's token gives; nil: it has none.
  let token: TokenGrant?
  /// Who has presented the token; nil without one.
  let presenter: Caller?
  /// After this moment the credential is void.
  let expireTime: Timestamp?
  /// Whether it has proven nothing: it makes calls for those whose tokens it has, and none of its own.
  let isBearer: Bool
  /// What it may do by itself, wherever its kind may, by its kind.
  private let grants: MethodGrants
  /// What it may call by itself, by `MethodRule.index`: what its token doesn't allow is left out.
  private let permittedMethods: [Bool]
  /// Why its certificate is not accepted any more, or nil.
  let refusal: @Sendable () -> String?
  /// The connection, for the audit trail.
  let connection: @Sendable () -> String

  init(
    _ kind: Kind, subject: String, source: V1.IdentitySource, certificate: PeerCertificate?,
    rules: IdentityRules, refusal: @escaping @Sendable () -> String? = { nil },
    connection: @escaping @Sendable () -> String = { "" }
  ) {
    self.refusal = refusal
    self.connection = connection
    self.kind = kind
    self.subject = subject
    self.source = source
    self.certificate = certificate
    registration = certificate.flatMap { Registration(of: $0, by: rules) }
    token = nil
    presenter = nil
    isBearer = false
    expireTime = certificate.map {
      // Good up to and including the second of notAfter (RFC 5280 §4.1.2.5).
      Timestamp(nanoseconds: $0.notAfter.multipliedClamped(by: 1_000_000_000) &+ 999_999_999)
    }
    switch kind {
    case .platform(let roles): grants = rules.grants(of: roles)
    case .tenant: grants = rules.workloadGrants
    }
    permittedMethods = grants.methods
  }

  /// A client without a certificate.
  init(bearerFrom address: String, connection: @escaping @Sendable () -> String) {
    kind = .platform(roles: [])
    subject = "address:\(address)"
    source = .unspecified
    certificate = nil
    registration = nil
    token = nil
    presenter = nil
    isBearer = true
    expireTime = nil
    grants = Self.presenting
    permittedMethods = MethodGrants.none.methods
    refusal = { nil }
    self.connection = connection
  }

  /// Who tells of the requests of others, as far as it presents their tokens: with its own certificate it proves nothing
  /// of who makes them.
  init(passingOn gateway: Caller) {
    kind = .platform(roles: [])
    subject = gateway.subject
    source = gateway.source
    certificate = nil
    registration = nil
    token = nil
    presenter = nil
    isBearer = false
    expireTime = nil
    let mayPresent = gateway.permissions.grants(IdentityRules.presentTokens)
    grants = mayPresent ? Self.presenting : .none
    permittedMethods = MethodGrants.none.methods
    refusal = { nil }
    connection = { "" }
  }

  /// Whom a token is for. Workloads may do what their tenant's workloads may, others what their roles let them; the
  /// token's own permissions only narrow that.
  init(_ token: TokenGrant, presentedBy peer: Caller, rules: IdentityRules) {
    kind = .tenant(name: token.tenantText)
    subject = token.subject
    source = .token
    certificate = peer.certificate
    registration = peer.registration
    self.token = token
    presenter = peer
    isBearer = false
    expireTime = min(token.expireTime, peer.expireTime ?? token.expireTime)
    refusal = peer.refusal
    connection = peer.connection
    grants = ForeignSubjects.isWorkload(token.subject) ? rules.workloadGrants : .none
    permittedMethods = grants.methods(allowedBy: token)
  }

  /// Those who may present the tokens of others, and do nothing else.
  private static let presenting = MethodGrants([IdentityRules.presentTokens])

  /// What it may do by itself, wherever its kind may.
  var permissions: PermissionSet { grants.permissions }

  /// Whether it may call a method by itself, wherever its kind may.
  @inline(__always)
  func permits(_ rule: MethodRule) -> Bool {
    if let index = rule.index { return permittedMethods[index] }  // In range: of the same list.
    return rule.permission.map { permissions.grants($0) && allows($0) } ?? false
  }

  /// Whether its token, if it has one, may be used for that.
  func allows(_ permission: Permission) -> Bool { token?.allows(permission) ?? true }

  /// What a call is answered once its credential's time is over or the entry that it comes from is gone, or where it has
  /// none; nil: it is good.
  @inline(__always)
  func lapse(in state: borrowing ControlState, at now: Timestamp) -> TenancyError? {
    if let error = expiry(at: now) { return error }
    guard let registration else { return nil }
    return registration.hasLapsed(in: state) ? Gate.unregistered : nil
  }

  @inline(__always)
  private func expiry(at now: Timestamp) -> TenancyError? {
    if isBearer { return Gate.tokenMissing }
    guard let end = expireTime, end < now else { return nil }
    if let token, token.expireTime <= now { return TokenGrant.expired }
    return Gate.expired
  }

  var isPlatform: Bool {
    switch kind {
    case .platform: true
    case .tenant: false
    }
  }
}

extension Int64 {
  /// For moments far in the future: clamps instead of trapping, with room for the rest of a second.
  fileprivate func multipliedClamped(by factor: Int64) -> Int64 {
    let (product, overflow) = multipliedReportingOverflow(by: factor)
    return overflow ? Int64.max - 999_999_999 : Swift.min(product, Int64.max - 999_999_999)
  }
}
