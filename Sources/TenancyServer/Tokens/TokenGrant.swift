import Tenancy
import TenancyTokens

/// What a verified token gives to whoever presents it, as long as its tenant lets it. Immutable.
final class TokenGrant: Sendable {
  let tenant: TenantID
  /// The same as text.
  let tenantText: String
  /// The tenant's, when it was issued.
  let epoch: UInt64
  let subject: String
  /// `jti`.
  let tokenID: String
  /// `jti` of the token that it comes from by way of exchanges; nil: from none.
  let origin: String?
  /// Of the key that has verified it.
  let keyID: String
  let issueTime: Timestamp
  let expireTime: Timestamp
  /// SHA-256 of the certificate that it is bound to; nil: to none.
  let certificate: [UInt8]?
  /// What it may be used for at most; nil: for whatever its subject may do.
  let permissions: PermissionSet?
  /// As the token has it, for narrower ones.
  let claims: TokenClaims

  /// - Throws: UNAUTHENTICATED for claims that this service's tokens do not have.
  init(_ token: VerifiedToken, of tenant: TenantID) throws(TokenRefusal) {
    let claims = token.claims
    tenantText = tenant.description
    guard claims.tenant == ExactText(tenantText), let epoch = claims.tenantEpoch,
      let tokenID = claims.tokenID, let keyID = token.keyID
    else { throw TokenRefusal(.claims, "tid, tep or jti is missing, or tid is another's") }
    self.tenant = tenant
    self.epoch = epoch
    self.tokenID = tokenID.text
    origin = try Self.origin(of: claims)
    self.keyID = keyID.text
    self.claims = claims
    subject = claims.subject.text
    issueTime = claims.issuedAt
    expireTime = claims.expires
    certificate = claims.certificateSHA256
    permissions =
      claims.permissions.isEmpty
      ? nil : PermissionSet(try Self.permissions(claims.permissions))
  }

  /// A claim of our own: nobody else is to make something of it.
  static let originName: ExactText = "origin_jti"

  private static func origin(of claims: TokenClaims) throws(TokenRefusal) -> String? {
    switch claims.others[originName] {
    case nil: return nil
    case .text(let text)? where Revocation.isTokenID(text.text): return text.text
    default: throw TokenRefusal(.claims, "\(originName) is no token's id")
    }
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

  /// Whether it may be used for all that a permission stands for, if its subject may.
  func allows(_ permission: Permission) -> Bool { permissions?.covers(permission) ?? true }

  /// Why the token is not accepted any more, by what its tenant is now; nil: it is.
  func refusal(in record: TenantRecord, at now: Timestamp) -> TenancyError? {
    if expireTime <= now { return Self.expired }
    guard record.tenant.id == tenant, record.tenant.epoch == epoch else { return Self.epochMoved }
    guard record.tenant.verifyingKey(keyID, at: now) != nil else { return Self.keyGone }
    guard record.mayHave(subject) else { return Self.strange }
    if record.isRevoked(tokenID: tokenID, subject: subject, issuedAt: issueTime) {
      return Self.revoked
    }
    // With a token all go that were made of it.
    guard let origin, record.isRevoked(tokenID: origin, subject: subject, issuedAt: issueTime)
    else {
      return nil
    }
    return Self.revoked
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
  private static let revoked = TenancyError(
    .unauthenticated, .tokenRevoked, "the token was revoked")
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
