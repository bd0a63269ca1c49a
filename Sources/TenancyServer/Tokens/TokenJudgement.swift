import Tenancy
import TenancyCrypto
import TenancyTokens

/// Why a call with a token has no caller, and whose token it says it is.
struct TokenDenial: Error {
  let error: TenancyError
  let tenant: TenantID?

  init(_ error: TenancyError, _ tenant: TenantID? = nil) {
    self.error = error
    self.tenant = tenant
  }

  static let unknownKey = TokenDenial(
    TenancyError(.unauthenticated, .tokenKeyUnknown, "the token is of no key that is accepted"))
}

/// Whether a token is its tenant's, wherever it is judged.
///
/// It is the token that says whose it is, and never who presents it: by the key of a tenant's own, or, of another
/// issuer, by what that issuer has written for this purpose. So a tenant that trusts an issuer of another's, or says
/// that it is one, gets none of the other's tokens, and takes none away.
struct TokenJudgement {
  /// Whose a token says it is, and what would show it.
  struct Candidate {
    fileprivate enum Proof {
      case own(TokenKey, CompactJWS.Start)
      case outside(OutsideToken, TrustedIssuer)
    }

    let record: TenantRecord
    fileprivate let proof: Proof
  }

  private let terms: TokenTerms

  init(_ terms: TokenTerms) { self.terms = terms }

  /// What a token says before anything else is looked at.
  static func start(of token: [UInt8]) throws(TokenDenial) -> CompactJWS.Start {
    try read { () throws(TokenRefusal) in try CompactJWS.Start(parsing: token) }
  }

  /// The key that a token says it is of, and whose that is. Of what has a key of ours nothing else is looked at: most
  /// of those that are none end here.
  func candidate(
    for start: CompactJWS.Start, _ state: borrowing ControlState, at now: Timestamp
  ) throws(TokenDenial) -> Candidate {
    if let keyID = start.header.keyID?.text, let owner = state.owner(ofTokenKey: keyID) {
      guard let record = state.find(owner), let key = record.tenant.verifyingKey(keyID, at: now)
      else { throw TokenDenial.unknownKey }
      return Candidate(record: record, proof: .own(key, start))
    }
    // Where nobody trusts others there is nothing more to look at.
    guard state.tenantsWithIssuers > 0 || !terms.outside.isEmpty else {
      throw TokenDenial.unknownKey
    }
    let read = try Self.read { () throws(TokenRefusal) in try OutsideToken(start) }
    guard let found = outside(read, state) else { throw TokenDenial.unknownKey }
    return found
  }

  /// Whether a token says that it is of a key of ours, whether it is or not.
  static func saysOurs(_ start: CompactJWS.Start, _ state: borrowing ControlState) -> Bool {
    guard let keyID = start.header.keyID else { return false }
    return state.owner(ofTokenKey: keyID.text) != nil
  }

  private static func read<Value>(
    _ body: () throws(TokenRefusal) -> Value
  ) throws(TokenDenial) -> Value {
    do throws(TokenRefusal) {
      return try body()
    } catch {
      throw TokenDenial(TenancyError(error))
    }
  }

  private func outside(
    _ token: OutsideToken, _ state: borrowing ControlState
  ) -> Candidate? {
    guard let issuer = token.claimedText("iss")?.text,
      let record = tenant(of: token, by: issuer, state), !record.tenant.state.isGone,
      let trusted = terms.outside.trusted(issuer, by: record.tenant)
    else { return nil }
    return Candidate(record: record, proof: .outside(token, trusted))
  }

  /// The tenant that a token of another issuer says it is for.
  private func tenant(
    of token: OutsideToken, by issuer: String, _ state: borrowing ControlState
  ) -> TenantRecord? {
    if let naming = terms.outside.find(issuer)?.naming {
      switch naming {
      case .tenant(let name): return state.find(name)
      case .claim(let claim, let names):
        guard let value = token.claimedText(ExactText(claim))?.text else { return nil }
        if names.isEmpty { return state.find(value) }
        // To Swift, texts can be equal that are two; of ASCII none are.
        guard value.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
        return names[value].flatMap { state.find($0) }
      }
    }
    let named = token.claimedAudience.compactMap { terms.tenant(ofAudience: $0.text) }
    if let first = named.first {
      // One that names two is for neither.
      return named.allSatisfy { $0 == first } ? state.find(first) : nil
    }
    guard let claim = terms.tenantClaim, let value = token.claimedText(ExactText(claim)) else {
      return nil
    }
    return TenantID(parsing: value.text).flatMap { state.find($0) }
  }

  /// All but what depends on who takes it and who presents it.
  /// - Parameter keys: those that are ready.
  func verify(
    _ candidate: Candidate, at now: Timestamp, _ keys: inout TokenKeyCache
  ) throws(TokenDenial) -> TokenGrant {
    let tenant = candidate.record.tenant.id
    do {
      switch candidate.proof {
      case .own(let key, let start):
        let ready = try keys.key(key)
        let verified = try TokenVerifier.verify(
          CompactJWS(start), key: ready, expecting: terms.expectations(of: tenant),
          now: now)
        return try TokenGrant(verified, of: tenant, terms.outside)
      case .outside(let token, let trusted):
        return try verify(token, of: tenant, by: trusted, at: now, &keys)
      }
    } catch let refusal as TokenRefusal {
      throw TokenDenial(TenancyError(refusal), tenant)
    } catch let error as TenancyError {
      throw TokenDenial(error, tenant)
    } catch {
      throw TokenDenial(TokenDenial.unknownKey.error, tenant)
    }
  }

  private func verify(
    _ token: OutsideToken, of tenant: TenantID, by trusted: TrustedIssuer, at now: Timestamp,
    _ keys: inout TokenKeyCache
  ) throws -> TokenGrant {
    if let missing = trusted.missing { throw missing }
    let issuer = trusted.issuer
    let verified: VerifiedOutsideToken
    do {
      verified = try token.verify(
        keys: try keys.set(issuer.keys),
        expecting: terms.expectations(of: issuer, for: tenant, isPlatform: trusted.isPlatform),
        now: now)
    } catch let refusal as TokenRefusal where refusal.reason == .keyUnknown {
      throw trusted.refusalOfUnknownKey() ?? TenancyError(refusal)
    }
    let trust = OutsideTrust(
      terms: issuer.terms, key: ExternalKey(verified.key), isPlatform: trusted.isPlatform,
      issuers: terms.outside)
    return try TokenGrant(token, verified, of: tenant, by: trust)
  }

  /// The `jti` of a token that a key of a tenant's, or of an issuer that it trusts, has signed: whether it is in time or
  /// not, and for whomever it is.
  func tokenID(
    _ token: [UInt8], of record: TenantRecord, _ state: borrowing ControlState
  ) -> String? {
    do {
      let jws = try CompactJWS(parsing: token)
      if let key = jws.header.keyID.flatMap({ record.tenant.tokenKey($0.text) }) {
        guard jws.isSigned(by: try key.read()) else { return nil }
        return try TokenClaims(parsing: jws.payload).tokenID?.text
      }
      let outside = try OutsideToken(parsing: token)
      guard let found = self.outside(outside, state), found.record.tenant.id == record.tenant.id,
        case .outside(_, let trusted) = found.proof
      else { return nil }
      let issuer = trusted.issuer
      _ = try outside.signer(among: try ExternalKey.read(issuer.keys))
      return TokenGrant.tokenID(of: outside, by: issuer, outside.claimedText("jti")?.text)
    } catch {
      return nil
    }
  }
}
