import Tenancy
import TenancyTokens

/// Finds out who makes a call that carries a token. Confined to an event loop.
///
/// What is judged here holds for as long as the token and its connection last: signature, claims, times and what it is
/// bound to. What may change meanwhile (epoch, revocations, keys, the tenant of the certificate) is judged at each call
/// by the gate, on the state that the call is answered from.
final class TokenJudge {
  private let terms: TokenTerms
  private let rules: IdentityRules
  private let clock: @Sendable () -> Int64
  private var known = KnownTokens()
  private var keys = TokenKeyCache()
  private var allowance = VerifyingAllowance()

  /// Places of known tokens that are looked at each second.
  private static let sweepSteps = 1024

  /// - Parameter clock: nanoseconds, never set.
  init(_ terms: TokenTerms, _ rules: IdentityRules, clock: @escaping @Sendable () -> Int64) {
    self.terms = terms
    self.rules = rules
    self.clock = clock
  }

  /// Once a second.
  func sweep(at now: Timestamp) {
    known.sweep(Self.sweepSteps, at: now)
    allowance.sweep(at: clock())
  }

  /// - Parameters:
  ///   - token: as it came, without `Bearer`.
  ///   - peer: who has presented it.
  ///   - account: a number that all have in common who are this peer.
  /// - Throws: why nobody makes calls with it.
  func caller(
    presenting token: UnsafeRawBufferPointer, _ peer: Caller, account: @autoclosure () -> Int,
    _ state: borrowing ControlState, at now: Timestamp
  ) throws(TokenDenial) -> Caller {
    let found = try find(token, account: account(), state, at: now)
    if found.lastPeer === peer, let caller = found.lastCaller { return caller }
    guard terms.areServed(by: found.grant) else {
      throw TokenDenial(TokenGrant.forAnother, found.grant.tenant)
    }
    let caller = try caller(found.grant, peer)
    (found.lastPeer, found.lastCaller) = (peer, caller)
    return caller
  }

  /// A token that is its tenant's, for whomever it is and whatever it is bound to.
  /// - Parameter account: on whose account it is looked at.
  func find(
    _ token: UnsafeRawBufferPointer, account: @autoclosure () -> Int,
    _ state: borrowing ControlState, at now: Timestamp
  ) throws(TokenDenial) -> KnownToken {
    if let found = known.find(token) { return found }
    return try verify(Array(token), account(), state, now)
  }

  private func verify(
    _ bytes: [UInt8], _ account: Int, _ state: borrowing ControlState, _ now: Timestamp
  ) throws(TokenDenial) -> KnownToken {
    let began = clock()
    guard allowance.admits(peer: account, nil, at: began) else { throw Self.tooMany(nil) }
    // A tenant is charged for what its key has to do with: whether there is one is not to be learned from that.
    var charged: TenantID?
    var isRefused = true
    defer {
      let ended = clock()
      allowance.charge(peer: account, charged, ended - began, isRefused: isRefused, at: ended)
    }
    let judgement = TokenJudgement(terms)
    let (record, key) = try judgement.key(of: bytes, state, at: now)
    guard allowance.admits(peer: account, record.tenant.id, at: began) else {
      throw Self.tooMany(record.tenant.id)
    }
    charged = record.tenant.id
    let grant = try judgement.verify(bytes, record.tenant.id, at: now) {
      () throws(TenancyError) in try keys.key(key)
    }
    isRefused = false
    let token = KnownToken(grant, bytes)
    known.insert(token)
    return token
  }

  static let unknownKey = TokenDenial(
    TenancyError(.unauthenticated, .tokenKeyUnknown, "the token is of no key that is accepted"))

  private static func tooMany(_ tenant: TenantID?) -> TokenDenial {
    TokenDenial(
      TenancyError(
        .resourceExhausted, .tokenRateExceeded, "too many tokens that were not seen before",
        retryAfterSeconds: 1), tenant)
  }

  /// Who presents a token besides whom it is bound to.
  private func caller(_ grant: TokenGrant, _ peer: Caller) throws(TokenDenial) -> Caller {
    let isGateway = peer.isPlatform
    guard !isGateway || peer.permissions.grants(IdentityRules.presentTokens) else {
      throw TokenDenial(.missing(permission: IdentityRules.presentTokens.text), grant.tenant)
    }
    do throws(TokenRefusal) {
      try TokenVerifier.judgeBinding(
        of: grant.claims, isRequired: terms.requiresBinding && !isGateway,
        certificate: peer.certificate?.fingerprint)
    } catch {
      throw TokenDenial(TenancyError(error), grant.tenant)
    }
    return Caller(grant, presentedBy: peer, rules: rules)
  }
}

/// Why a call with a token has no caller, and whose token it says it is.
struct TokenDenial: Error {
  let error: TenancyError
  let tenant: TenantID?

  init(_ error: TenancyError, _ tenant: TenantID? = nil) {
    self.error = error
    self.tenant = tenant
  }
}

/// Whether a token is its tenant's, wherever it is judged.
struct TokenJudgement {
  private let terms: TokenTerms

  init(_ terms: TokenTerms) { self.terms = terms }

  /// The key that a token says it is of, and whose that is. Nothing else of the token is looked at: most of those that
  /// are none end here.
  func key(
    of token: [UInt8], _ state: borrowing ControlState, at now: Timestamp
  ) throws(TokenDenial) -> (TenantRecord, TokenKey) {
    let header: JOSEHeader
    do throws(TokenRefusal) {
      header = try CompactJWS.header(of: token)
    } catch {
      throw TokenDenial(TenancyError(error))
    }
    guard let keyID = header.keyID?.text, let owner = state.owner(ofTokenKey: keyID),
      let record = state.find(owner), let key = record.tenant.verifyingKey(keyID, at: now)
    else { throw TokenJudge.unknownKey }
    return (record, key)
  }

  /// All but what depends on who takes it and who presents it.
  /// - Parameters:
  ///   - tenant: whose key it is of.
  ///   - key: makes that ready to verify with.
  func verify(
    _ token: [UInt8], _ tenant: TenantID, at now: Timestamp,
    key: () throws(TenancyError) -> JWK
  ) throws(TokenDenial) -> TokenGrant {
    let ready: JWK
    do throws(TenancyError) { ready = try key() } catch { throw TokenDenial(error, tenant) }
    do throws(TokenRefusal) {
      return try TokenGrant(
        try TokenVerifier.verify(
          CompactJWS(parsing: token), key: ready, expecting: terms.expectations(of: tenant),
          now: now),
        of: tenant)
    } catch {
      throw TokenDenial(TenancyError(error), tenant)
    }
  }
}
