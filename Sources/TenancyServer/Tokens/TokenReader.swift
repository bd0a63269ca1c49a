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
      let (found, key) = try judgement.key(of: bytes, access.snapshot.state, at: access.now)
      guard let record = access.visibleTenant(found.tenant.id) else { return nil }
      let grant = try judgement.verify(bytes, record.tenant.id, at: access.now) {
        () throws(TenancyError) in try key.read()
      }
      let audience = ExactText(audience.isEmpty ? terms.audience : audience)
      return grant.claims.audience.contains(audience) ? (grant, record) : nil
    } catch {
      return nil
    }
  }

  /// The `jti` of a token that a key of this tenant has signed, whether it is in time or not, and for whomever it is.
  func tokenID(_ token: String, of tenant: TenantID) -> String? {
    do {
      let jws = try CompactJWS(parsing: Array(token.utf8))
      guard let record = access.visibleTenant(tenant),
        let key = jws.header.keyID.flatMap({ record.tenant.tokenKey($0.text) }),
        jws.isSigned(by: try key.read())
      else { return nil }
      return try TokenClaims(parsing: jws.payload).tokenID?.text
    } catch {
      return nil
    }
  }
}
