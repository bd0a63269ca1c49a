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
    guard let (claimed, record) = claimed(token) else { return nil }
    do throws(TokenDenial) {
      let judgement = TokenJudgement(terms)
      let (_, key) = try judgement.key(of: claimed, access.snapshot.state, at: access.now)
      let grant = try judgement.verify(claimed, record.tenant.id, at: access.now) {
        () throws(TenancyError) in try key.read()
      }
      let audience = ExactText(audience.isEmpty ? terms.audience : audience)
      return grant.claims.audience.contains(audience) ? (grant, record) : nil
    } catch {
      return nil
    }
  }

  /// The `jti` of a token that a key of this tenant has signed, whether it is in time or not, and for whomever it is.
  func claims(_ token: String, of tenant: TenantID) -> String? {
    guard let (claimed, record) = claimed(token), record.tenant.id == tenant,
      let key = claimed.header.keyID.flatMap({ record.tenant.tokenKey($0.text) })
    else { return nil }
    do throws(TenancyError) {
      guard claimed.isSigned(by: try key.read()) else { return nil }
      return claimed.claims.tokenID?.text
    } catch {
      return nil
    }
  }

  private func claimed(_ token: String) -> (ClaimedToken, TenantRecord)? {
    do throws(TokenRefusal) {
      let claimed = try ClaimedToken(parsing: Array(token.utf8))
      guard let tenant = terms.tenant(issuing: claimed.claims.issuer),
        let record = access.visibleTenant(tenant)
      else { return nil }
      return (claimed, record)
    } catch {
      return nil
    }
  }
}
