import Tenancy
import TenancyTokens

/// What a token is exchanged for: what the caller is, or a token that it has.
struct TokenBase {
  let record: TenantRecord
  let subject: String
  /// Nil: the caller's certificate says when.
  let expireTime: Timestamp?
  /// The token; nil where there is none.
  let grant: TokenGrant?

  /// - Parameter token: empty: what the caller has proven to be.
  init(
    _ access: Access, _ token: String, _ terms: TokenTerms, _ pace: TokenPace
  ) throws(TenancyError) {
    guard !token.isEmpty else {
      guard let home = access.home else {
        throw .invalid(
          "subject_token", "is required: an identity of the platform's is no tenant's")
      }
      record = home
      grant = access.caller.token
      subject = access.caller.subject
      expireTime = grant?.expireTime
      return
    }
    let caller = access.caller
    let isGateway = caller.isPlatform
    guard !isGateway || caller.permissions.grants(IdentityRules.presentTokens) else {
      throw .missing(permission: IdentityRules.presentTokens.text)
    }
    try pace.take(
      for: access.accountText, isPlatform: access.caller.isPlatform, at: access.now)
    guard let (found, record) = TokenReader(terms, access).read(token) else {
      throw Self.refused
    }
    if let refusal = found.refusal(in: record, at: access.now) { throw refusal }
    do throws(TokenRefusal) {
      try TokenVerifier.judgeBinding(
        of: found.claims, isRequired: terms.requiresBinding && !isGateway,
        certificate: caller.certificate?.fingerprint)
    } catch {
      throw TenancyError(error)
    }
    self.record = record
    grant = found
    subject = found.subject
    expireTime = found.expireTime
  }

  /// The same whatever is wrong with it, and for another tenant's.
  private static let refused = TenancyError(
    .unauthenticated, .tokenKeyUnknown, "subject_token is not accepted")

  /// What a token may be used for that is made with another.
  /// - Parameter wanted: empty: all that the other may.
  static func narrowed(
    _ wanted: [String], by grant: TokenGrant?
  ) throws(TenancyError) -> [String] {
    guard let grant else { return wanted }
    if wanted.isEmpty {
      let all = grant.claims.permissions.map(\.text)
      // Of a token that says nothing of that, none means all.
      guard grant.permissions == nil || !all.isEmpty else {
        throw .invalid("permissions", "the token may be used for nothing")
      }
      return all
    }
    for (at, text) in wanted.enumerated() {
      guard let permission = Permission(parsing: text), grant.allows(permission) else {
        throw .invalid("permissions[\(at)]", "more than the token may be used for")
      }
    }
    return wanted
  }

  /// Who acts with the narrower one: the caller, where that is not its subject.
  func actors(with caller: String) throws(TenancyError) -> [TokenClaims.Actor] {
    let before = grant?.claims.actors ?? []
    let isNew = caller != subject && before.first?.subject != ExactText(caller)
    let actors = isNew ? [TokenClaims.Actor(subject: ExactText(caller))] + before : before
    guard actors.count <= TokenClaims.maximumActors else {
      throw .invalid(
        "subject_token", "was passed on \(TokenClaims.maximumActors) times already")
    }
    return actors
  }
}
