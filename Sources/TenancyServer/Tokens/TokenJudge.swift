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
    let found = try find(token, account: account(), for: peer, state, now)
    if found.lastPeer === peer, let caller = found.lastCaller { return caller }
    guard found.grant.isFor("", terms) else {
      throw TokenDenial(TokenGrant.forAnother, found.grant.tenant)
    }
    let caller = try caller(found.grant, peer)
    (found.lastPeer, found.lastCaller) = (peer, caller)
    return caller
  }

  /// To the workloads of others a tenant says nothing of whom it trusts.
  private func find(
    _ token: UnsafeRawBufferPointer, account: @autoclosure () -> Int, for peer: Caller,
    _ state: borrowing ControlState, _ now: Timestamp
  ) throws(TokenDenial) -> KnownToken {
    do throws(TokenDenial) {
      return try find(token, account: account(), state, at: now)
    } catch {
      guard case .tenant(let name) = peer.kind, let tenant = error.tenant,
        error.error.category == .unauthenticated || error.error.tellsOfFetchedKeys,
        state.find(name.utf8Span.span.bytes, at: now)?.tenant.id != tenant
      else { throw error }
      throw TokenDenial(TokenDenial.unknownKey.error, tenant)
    }
  }

  /// A token that is its tenant's, for whomever it is and whatever it is bound to.
  /// - Parameter account: on whose account it is looked at.
  func find(
    _ token: UnsafeRawBufferPointer, account: @autoclosure () -> Int,
    _ state: borrowing ControlState, at now: Timestamp
  ) throws(TokenDenial) -> KnownToken {
    if let found = known.find(token), !isOutdated(found.grant, state) { return found }
    return try verify(Array(token), account(), state, now)
  }

  /// What was set has changed since: it may be accepted by that all the same, and it may be not.
  private func isOutdated(_ grant: TokenGrant, _ state: borrowing ControlState) -> Bool {
    guard grant.outside != nil, let record = state.find(grant.tenant) else { return false }
    return grant.isOutdated(in: record.tenant)
  }

  private func verify(
    _ bytes: [UInt8], _ account: Int, _ state: borrowing ControlState, _ now: Timestamp
  ) throws(TokenDenial) -> KnownToken {
    let began = clock()
    let judgement = TokenJudgement(terms)
    let start = Result { () throws(TokenDenial) in try TokenJudgement.start(of: bytes) }
    // Who makes tokens elsewhere, as many as they like, and who sends what is none, keep none out that are of our own.
    let account = Self.saysOurs(start, state) ? account : account ^ Self.strangers
    guard allowance.admits(peer: account, nil, at: began) else { throw Self.tooMany(nil) }
    // A tenant is charged for what its key has to do with: whether there is one is not to be learned from that.
    var charged: TenantID?
    var isRefused = true
    defer {
      let ended = clock()
      allowance.charge(peer: account, charged, ended - began, isRefused: isRefused, at: ended)
    }
    let candidate = try judgement.candidate(for: start.get(), state, at: now)
    let tenant = candidate.record.tenant.id
    guard allowance.admits(peer: account, tenant, at: began) else { throw Self.tooMany(tenant) }
    charged = tenant
    let grant = try judgement.verify(candidate, at: now, &keys)
    isRefused = false
    let token = KnownToken(grant, bytes)
    known.insert(token)
    return token
  }

  private static func saysOurs(
    _ start: Result<CompactJWS.Start, TokenDenial>, _ state: borrowing ControlState
  ) -> Bool {
    guard case .success(let start) = start else { return false }
    return TokenJudgement.saysOurs(start, state)
  }

  /// What makes another account of one.
  private static let strangers = 0x5851_F42D_4C95_7F2D

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
