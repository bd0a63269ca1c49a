import Tenancy
import TenancyCrypto
import TenancyTokens

/// Issues tenants' tokens. Thread-safe.
struct TokenIssuer: Sendable {
  /// What a token is to say, checked.
  struct Wish: Sendable {
    var subject: String
    var audiences: [String]
    var permissions: [String]
    /// SHA-256 of a certificate; nil: bound to none.
    var certificate: [UInt8]?
    /// Whoever acts now first.
    var actors: [TokenClaims.Actor] = []
    /// Seconds.
    var lifetime: Int
    /// Not alive after this; nil: nothing ends it but its life.
    var end: Timestamp?
    /// The token that it is made with, if there is one: it is void when that is.
    var base: TokenGrant?
    /// For the audit trail.
    var action = "tokens.issue"
  }

  struct Issued: Sendable {
    let token: String
    let id: String
    let expireTime: Timestamp
  }

  /// Of a token's id.
  private static let idBytes = 16

  let plane: ControlPlane
  let terms: TokenTerms
  let signers: TokenSigners

  /// - Throws: what the tenant's state answers; what making its first key throws; ABORTED for a token that would be
  ///   void because of what was revoked in this second, or in the few before it.
  func issue(
    _ wish: Wish, in tenant: TenantID, by access: Access
  ) async throws(TenancyError) -> Issued {
    let judge = try access.requireJudge()
    let commands = TokenCommands(plane, actor: access.caller.subject, judge: judge)
    let key = try await commands.ensureKey(of: tenant) { [terms] in
      try TokenSigners.make(terms.algorithm)
    }
    let signer = try await signers.signer(key, of: tenant)
    // Judged on this moment: time has passed since the call was admitted.
    let state = plane.state
    try judge.judge(on: state, at: plane.now)
    guard let record = state.find(tenant) else { throw .tenantNotFound }
    if let refusal = record.refusal(at: plane.now) { throw refusal }
    try Self.judge(wish, by: record.tenant.authentication)
    if let refusal = wish.base?.refusal(in: record, at: plane.now) { throw refusal }
    let claims = try claims(wish, record, client: access.bearer)
    do {
      let token = try signer.issue(claims)
      note(wish, in: tenant, by: access)
      return Issued(
        token: String(decoding: token, as: UTF8.self), id: claims.tokenID?.text ?? "",
        expireTime: claims.expires)
    } catch let refusal as TokenRefusal {
      throw .invalid("request", refusal.detail)
    } catch {
      throw TenancyError(.internalError, .secretsFailed, "a token can't be signed: \(error)")
    }
  }

  /// Nothing is issued that the tenant would not take.
  private static func judge(
    _ wish: Wish, by settings: AuthenticationSettings
  ) throws(TenancyError) {
    guard settings.acceptsOwnTokens else {
      throw TenancyError(
        .failedPrecondition, .tokenProviderOff,
        "no tokens are issued for the tenant, by its settings")
    }
    guard wish.certificate != nil || !settings.requiresBinding else {
      throw TenancyError(
        .failedPrecondition, TenancyError.Reason(TokenRefusal.Reason.unbound.rawValue),
        "the tenant takes only tokens that are bound to a certificate, by its settings")
    }
  }

  /// Who has asked, and for whom.
  private func note(_ wish: Wish, in tenant: TenantID, by access: Access) {
    plane.noteAllowed(
      by: Denials.origin(access.caller, home: access.home?.tenant.id, ""),
      action: wish.action, target: tenant,
      remark: "for \(wish.subject)")
  }

  private func claims(
    _ wish: Wish, _ record: TenantRecord, client: String
  ) throws(TenancyError) -> TokenClaims {
    // In whole seconds, as all readers take them.
    let seconds = plane.now.seconds
    let life = min(wish.lifetime, record.tenant.authentication.maximumLifeSeconds ?? .max)
    let end = min(seconds + Int64(life), wish.end?.seconds ?? .max)
    guard end > seconds else {
      throw TenancyError(
        .failedPrecondition, .tokenExpired, "what the token is to be exchanged for ends now")
    }
    let id = try Self.makeID()
    let issued = Timestamp(seconds: seconds, subsecondNanoseconds: 0)
    guard !record.isRevoked(tokenID: id, subject: wish.subject, issuedAt: issued) else {
      throw TenancyError(
        .aborted, .tokenRevoked, "tokens of this second were revoked", retryAfterSeconds: 1)
    }
    var claims = TokenClaims(
      issuer: ExactText(terms.issuer(of: record.tenant.id)), subject: ExactText(wish.subject),
      audience: wish.audiences.map { ExactText($0) }, issuedAt: issued,
      expires: Timestamp(seconds: end, subsecondNanoseconds: 0))
    claims.tokenID = ExactText(id)
    claims.clientID = ExactText(client)
    claims.tenant = ExactText(record.idText)
    claims.tenantEpoch = record.tenant.epoch
    claims.permissions = wish.permissions.map { ExactText($0) }
    claims.certificateSHA256 = wish.certificate
    claims.actors = wish.actors
    if let base = wish.base { claims.others = TokenOrigin(of: base, in: record.tenant).members }
    return claims
  }

  private static func makeID() throws(TenancyError) -> String {
    do throws(CryptoError) {
      return Base64URL.text(try RandomBytes.make(idBytes)).text
    } catch {
      throw TenancyError(.internalError, .secretsFailed, "\(error)")
    }
  }
}
