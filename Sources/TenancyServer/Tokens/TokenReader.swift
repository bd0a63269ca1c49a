import Tenancy
import TenancyTokens

/// Reads tokens that requests are about, not those that calls are made with. Off the event loop.
struct TokenReader {
  private let terms: TokenTerms
  private let access: Access

  init(_ terms: TokenTerms, _ access: Access) {
    self.terms = terms
    self.access = access
  }

  /// A token of a tenant that the caller may see, if it is its tenant's and in time; whether it was ended otherwise is
  /// not looked at.
  /// - Parameter audience: whom it has to be for; empty: this service.
  func read(_ token: String, audience: String = "") -> (TokenGrant, TenantRecord)? {
    let bytes = Array(token.utf8)
    let judgement = TokenJudgement(terms)
    do throws(TokenDenial) {
      let found = try judgement.candidate(
        for: TokenJudgement.start(of: bytes), access.snapshot.state, at: access.now)
      guard let record = access.visibleTenant(found.record.tenant.id) else { return nil }
      let grant = try SharedTokenKeys.with { keys throws(TokenDenial) in
        try judgement.verify(found, at: access.now, &keys)
      }
      return grant.isFor(audience, terms) ? (grant, record) : nil
    } catch {
      return nil
    }
  }

  /// The `jti` of a token of this tenant's, as revocations name it, whether it is in time or not, and for whomever it is.
  func tokenID(_ token: String, of tenant: TenantID) -> String? {
    access.visibleTenant(tenant).flatMap { record in
      TokenJudgement(terms).tokenID(Array(token.utf8), of: record, access.snapshot.state)
    }
  }
}
