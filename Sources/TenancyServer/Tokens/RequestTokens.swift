import Tenancy
import TenancyCrypto
import TenancyRPC
import TenancyTokens
import TenancyWire

/// Tokens that requests are about: sidecars and services pass on those that they were given.
struct RequestTokens: Sendable {
  /// Nil: tokens are not taken.
  let terms: TokenTerms?
  /// Of those that are not looked at on an event loop.
  private let pace = TokenPace()

  init(_ terms: TokenTerms?) { self.terms = terms }

  /// What a token says, if it is accepted.
  /// - Parameters:
  ///   - audience: whom it has to be for; empty: this service.
  ///   - fingerprint: of the certificate that it came with, in hex; empty: that of the call.
  /// - Throws: UNAUTHENTICATED and why it is not accepted.
  func read(
    _ token: borrowing TextView, audience: borrowing TextView, fingerprint: borrowing TextView,
    _ access: Access, _ loop: ServiceLoop?
  ) throws(TenancyError) -> TokenGrant {
    guard let terms else { throw Self.notTaken }
    let audience = try WireErrors.text(audience).decodedText
    let fingerprint = try WireErrors.text(fingerprint).decodedText
    do throws(TokenDenial) {
      let grant = try verified(token.bytes, terms, access, loop)
      // To a tenant's own callers another tenant's token is a contradiction, whatever else there is to say of it.
      if let home = access.home, home.tenant.id != grant.tenant { return grant }
      try judge(grant, terms, audience, fingerprint, access)
      return grant
    } catch {
      let home = access.home?.tenant.id
      let isForeign = home != nil && error.tenant != nil && error.tenant != home
      throw (isForeign ? TokenDenial.unknownKey.error : error.error).reaching(error.tenant)
    }
  }

  private func verified(
    _ token: RawSpan, _ terms: TokenTerms, _ access: Access, _ loop: ServiceLoop?
  ) throws(TokenDenial) -> TokenGrant {
    if let judge = loop?.tokens {
      return try token.withUnsafeBytes { bytes throws(TokenDenial) in
        try judge.find(
          bytes, account: access.account, access.snapshot.state, at: access.now
        ).grant
      }
    }
    do throws(TenancyError) {
      try pace.take(
        for: access.accountText, isPlatform: access.caller.isPlatform, at: access.now)
    } catch {
      throw TokenDenial(error)
    }
    let bytes = token.withUnsafeBytes { Array($0) }
    let judgement = TokenJudgement(terms)
    let found = try judgement.candidate(
      for: TokenJudgement.start(of: bytes), access.snapshot.state, at: access.now)
    return try SharedTokenKeys.with { keys throws(TokenDenial) in
      try judgement.verify(found, at: access.now, &keys)
    }
  }

  private func judge(
    _ grant: TokenGrant, _ terms: TokenTerms, _ audience: String, _ fingerprint: String,
    _ access: Access
  ) throws(TokenDenial) {
    guard let record = access.snapshot.state.find(grant.tenant) else {
      throw TokenDenial.unknownKey
    }
    guard grant.isFor(audience, terms) else {
      throw TokenDenial(TokenGrant.forAnother, grant.tenant)
    }
    if let bound = grant.certificate {
      let presented =
        fingerprint.isEmpty ? access.caller.certificate?.fingerprintText : fingerprint
      guard presented == HexText.encode(bound) else {
        throw TokenDenial(Self.bound, grant.tenant)
      }
    }
    // The tenant's state is for who resolves to say.
    if !record.tenant.state.isGone, let refusal = grant.refusal(in: record, at: access.now) {
      throw TokenDenial(refusal, grant.tenant)
    }
  }

  static let notTaken = TenancyError(
    .unauthenticated, .tokensNotConfigured, "the server takes no tokens: it has none configured")
  private static let bound = TenancyError(
    TokenRefusal(
      .binding, "the token is bound to another certificate"))
}

extension TenancyError {
  /// The same to the caller.
  /// - Parameter tenant: the one that it tried to reach, for the audit trail; nil: not known.
  func reaching(_ tenant: TenantID?) -> TenancyError {
    guard let tenant else { return self }
    return TenancyError(
      category, reason, message, metadata: metadata, violations: violations,
      retryAfterSeconds: retryAfterSeconds, attempted: tenant)
  }
}
