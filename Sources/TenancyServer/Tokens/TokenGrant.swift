import Tenancy
import TenancyTokens

/// What a verified token gives to whoever presents it, as long as its tenant lets it. Immutable.
final class TokenGrant: Sendable {
  let tenant: TenantID
  /// The same as text.
  let tenantText: String
  let trust: TokenTrust
  /// As role assignments name it.
  let subject: String
  /// `jti`; of another issuer's, behind the issuer's id.
  let tokenID: String
  /// What it comes from by way of exchanges; nil: from no other.
  let origin: TokenOrigin?
  let issueTime: Timestamp
  let expireTime: Timestamp
  /// SHA-256 of the certificate that it is bound to; nil: to none.
  let certificate: [UInt8]?
  /// What it may be used for at most; nil: for whatever its subject may do.
  let permissions: PermissionSet?
  /// As the token has it, for narrower ones. Of another issuer's, subject and permissions are as they are mapped.
  let claims: TokenClaims
  private let issuers: PlatformIssuers

  /// - Throws: `.claims` for those that this service's tokens do not have.
  init(
    _ token: VerifiedToken, of tenant: TenantID, _ issuers: PlatformIssuers
  ) throws(TokenRefusal) {
    let claims = token.claims
    tenantText = tenant.description
    guard claims.tenant == ExactText(tenantText), let epoch = claims.tenantEpoch,
      let tokenID = claims.tokenID, let keyID = token.keyID
    else { throw TokenRefusal(.claims, "tid, tep or jti is missing, or tid is another's") }
    self.tenant = tenant
    self.issuers = issuers
    self.tokenID = tokenID.text
    origin = try TokenOrigin(claims)
    trust = .own(keyID: keyID.text, epoch: epoch)
    self.claims = claims
    subject = claims.subject.text
    issueTime = claims.issuedAt
    expireTime = claims.expires
    certificate = claims.certificateSHA256
    permissions =
      claims.permissions.isEmpty
      ? nil : PermissionSet(try Self.permissions(claims.permissions))
  }

  /// Another issuer's.
  /// - Throws: `.claims` for a subject that it can't name.
  init(
    _ token: OutsideToken, _ verified: VerifiedOutsideToken, of tenant: TenantID,
    by trust: OutsideTrust
  ) throws(TokenRefusal) {
    var claims = verified.claims
    subject = trust.terms.subjectPrefix + claims.subject.text
    guard trust.mayName(subject) else {
      throw TokenRefusal(.claims, "\(trust.terms.subjectClaim) is no subject that it can name")
    }
    self.tenant = tenant
    tenantText = tenant.description
    self.trust = .outside(trust)
    issuers = trust.issuers
    tokenID = Self.tokenID(of: token, by: trust.terms, claims.tokenID?.text)
    origin = nil
    issueTime = claims.issuedAt
    expireTime = claims.expires
    certificate = claims.certificateSHA256
    // What is none says something to others.
    let mapped = verified.permissions?.compactMap { Permission(parsing: $0.text) }
    permissions = mapped.map { PermissionSet($0) }
    claims.subject = ExactText(subject)
    // Who acts for the subject is one of the issuer's as well: it can't say of anybody else that they do.
    for at in claims.actors.indices {
      let actor = trust.terms.subjectPrefix + claims.actors[at].subject.text
      guard trust.mayName(actor) else {
        throw TokenRefusal(.claims, "act is no subject that its issuer can name")
      }
      claims.actors[at].subject = ExactText(actor)
    }
    claims.permissions = mapped?.map { ExactText($0.text) } ?? []
    // Nobody reads them, and there may be many.
    claims.others = []
    self.claims = claims
  }

  /// The same for a token whatever its signature is; where it has no `jti`, or none that can be revoked by name, it is
  /// named by what is signed.
  static func tokenID(
    of token: OutsideToken, by issuer: ExternalIssuer, _ claimed: String?
  ) -> String {
    let text = claimed.map { "\(issuer.id)/\($0)" }
    if let text, Revocation.isTokenID(text) { return text }
    return "\(issuer.id)/sha256-\(Base64URL.text(token.digest).text)"
  }

  private static func permissions(_ texts: [ExactText]) throws(TokenRefusal) -> [Permission] {
    var permissions: [Permission] = []
    for text in texts {
      guard let permission = Permission(parsing: text.text) else {
        throw TokenRefusal(.claims, "permissions has what is none")
      }
      permissions.append(permission)
    }
    return permissions
  }

  /// The issuer that has let it in, where that is another.
  var outside: OutsideTrust? {
    guard case .outside(let trust) = trust else { return nil }
    return trust
  }

  /// Whether it may be used for all that a permission stands for, if its subject may.
  func allows(_ permission: Permission) -> Bool { permissions?.covers(permission) ?? true }

  /// Whether who takes tokens by this name takes it.
  /// - Parameter audience: empty: this service. Whether it is for us was judged by its issuer's terms, where that is
  ///   another.
  func isFor(_ audience: String, _ terms: TokenTerms) -> Bool {
    if audience.isEmpty, outside != nil { return true }
    return claims.audience.contains(ExactText(audience.isEmpty ? terms.audience : audience))
  }

  // MARK: Whether it is still accepted

  /// Why the token is not accepted any more, by what its tenant is now; nil: it is.
  func refusal(in record: TenantRecord, at now: Timestamp) -> TenancyError? {
    if expireTime <= now { return Self.expired }
    guard record.tenant.id == tenant else { return Self.epochMoved }
    if let refusal = refusalOfTrust(in: record.tenant, at: now) { return refusal }
    guard record.mayHave(subject) else { return Self.strange }
    if certificate == nil, mustBeBound(by: record.tenant) { return Self.unbound }
    if record.isRevoked(tokenID: tokenID, subject: subject, issuedAt: issueTime) {
      return Self.revoked
    }
    // With a token all go that were made of it.
    guard let origin else { return nil }
    if record.isRevoked(tokenID: origin.tokenID, subject: subject, issuedAt: issueTime) {
      return Self.revoked
    }
    if let outside = origin.outside, !issuers.isCurrent(outside, in: record.tenant) {
      return Self.issuerGone
    }
    return nil
  }

  private func mustBeBound(by tenant: borrowing Tenant) -> Bool {
    tenant.authentication.requiresBinding || outside?.terms.requiresBinding ?? false
  }

  private func refusalOfTrust(
    in tenant: borrowing Tenant, at now: Timestamp
  ) -> TenancyError? {
    switch trust {
    case .own(let keyID, let epoch):
      guard tenant.epoch == epoch else { return Self.epochMoved }
      guard tenant.verifyingKey(keyID, at: now) != nil else { return Self.keyGone }
      let settings = tenant.authentication
      guard settings.acceptsOwnTokens else { return Self.providerOff }
      if let life = settings.maximumLifeSeconds, issueTime + .seconds(life) < expireTime {
        return Self.lifetime
      }
      return nil
    case .outside(let trust):
      // Its issuer knows of no epoch: by the clocks, as far as they may differ.
      let horizon = tenant.tokenHorizon
      if let horizon, issueTime <= horizon + .seconds(TokenTerms.clockDifference) {
        return Self.epochMoved
      }
      guard trust.isCurrent(in: tenant) else { return Self.issuerGone }
      return nil
    }
  }

  /// Whether it has to be verified again to know: it was, by what was set then.
  func isOutdated(in tenant: borrowing Tenant) -> Bool {
    outside.map { !$0.isCurrent(in: tenant) } ?? false
  }

  static let forAnother = TenancyError(
    .unauthenticated, .tokenAudienceMismatch, "the token is for somebody else")
  static let expired = TenancyError(.unauthenticated, .tokenExpired, "the token has expired")
  private static let epochMoved = TenancyError(
    .unauthenticated, .tokenRevoked, "the token was issued before its tenant's state has changed")
  private static let strange = TenancyError(
    .unauthenticated, .tokenRevoked,
    "the token's subject has a name that is not its tenant's any more")
  private static let keyGone = TenancyError(
    .unauthenticated, .tokenKeyUnknown, "the key of the token is not its tenant's any more")
  private static let issuerGone = TenancyError(
    .unauthenticated, .tokenKeyUnknown,
    "the token's issuer or key is not trusted any more, or otherwise")
  static let providerOff = TenancyError(
    .unauthenticated, .tokenProviderOff, "the tenant takes no tokens of this kind")
  private static let lifetime = TenancyError(
    TokenRefusal(.lifetime, "the tenant takes no tokens that live so long"))
  private static let unbound = TenancyError(
    TokenRefusal(.unbound, "the tenant takes no tokens that are bound to no certificate"))
  private static let revoked = TenancyError(
    .unauthenticated, .tokenRevoked, "the token was revoked")
}

extension OutsideTrust {
  /// Whether it can be one of the issuer's: nobody is to be taken for a workload, for one of the platform's, or for
  /// another issuer's.
  fileprivate func mayName(_ subject: String) -> Bool {
    RoleCommands.isSubject(subject) && !TokenFields.isReserved(subject)
      && (isPlatform || !issuers.prefixes.contains { subject.utf8.starts(with: $0.utf8) })
  }
}

extension Tenant {
  /// The key of this id, if it verifies tokens at `now`.
  func verifyingKey(_ id: String, at now: Timestamp) -> TokenKey? {
    tokenKey(id).flatMap { $0.verifies(at: now) ? $0 : nil }
  }
}

extension TenancyError {
  /// What the caller is told of a token that is refused.
  init(_ refusal: TokenRefusal) {
    self.init(.unauthenticated, Reason(refusal.reason.rawValue), refusal.detail)
  }
}
