import Tenancy
import TenancyCrypto
import TenancyTokens

/// By what a token was let in: asked at each call whether it still would be.
enum TokenTrust: Sendable {
  /// A key of the tenant's own, and the tenant's epoch when the token was issued.
  case own(keyID: String, epoch: UInt64)
  case outside(OutsideTrust)
}

/// An issuer that is trusted, and that of its keys which has signed a token.
final class OutsideTrust: Sendable {
  /// Without keys.
  let terms: ExternalIssuer
  let key: ExternalKey
  /// Whether it is trusted for all tenants.
  let isPlatform: Bool
  let issuers: PlatformIssuers

  init(terms: ExternalIssuer, key: ExternalKey, isPlatform: Bool, issuers: PlatformIssuers) {
    self.terms = terms
    self.key = key
    self.isPlatform = isPlatform
    self.issuers = issuers
  }

  /// Whether the same would be found of a token by what its tenant and the server have set now.
  func isCurrent(in tenant: borrowing Tenant) -> Bool {
    guard let now = issuers.trusted(terms.issuer, by: tenant) else { return false }
    return now.isPlatform == isPlatform && now.issuer.terms == terms
      && now.issuer.keys.contains(key)
  }

}

/// What a token comes from by way of exchanges: with that it ends.
struct TokenOrigin: Sendable, Equatable {
  struct Outside: Sendable, Equatable {
    /// `iss`.
    let issuer: String
    /// The thumbprint of the key that has signed it.
    let keyID: String
    /// Of the tenant's settings when it was exchanged: they say how the issuer is judged.
    let settings: UInt64
  }

  /// Claims of our own: nobody else is to make something of them.
  private static let tokenName: ExactText = "origin_jti"
  private static let issuerName: ExactText = "origin_iss"
  private static let keyName: ExactText = "origin_key"
  private static let settingsName: ExactText = "origin_settings"

  /// `jti`.
  let tokenID: String
  /// Where it was another issuer's.
  let outside: Outside?

  /// - Parameter tenant: as it is now.
  init(of grant: TokenGrant, in tenant: borrowing Tenant) {
    if let origin = grant.origin {
      self = origin
      return
    }
    tokenID = grant.tokenID
    outside = grant.outside.map { trust in
      Outside(
        issuer: trust.terms.issuer, keyID: trust.key.id, settings: tenant.authentication.version)
    }
  }

  /// Nil: it comes from none.
  init?(_ claims: TokenClaims) throws(TokenRefusal) {
    guard let id = try Self.text(Self.tokenName, claims) else { return nil }
    guard Revocation.isTokenID(id) else {
      throw TokenRefusal(.claims, "\(Self.tokenName) is no token's id")
    }
    tokenID = id
    let issuer = try Self.text(Self.issuerName, claims)
    let key = try Self.text(Self.keyName, claims)
    let settings = try Self.text(Self.settingsName, claims)
    switch (issuer, key, settings.flatMap(UInt64.init)) {
    case (nil, nil, nil) where settings == nil: outside = nil
    case (let issuer?, let key?, let settings?):
      outside = Outside(issuer: issuer, keyID: key, settings: settings)
    default:
      throw TokenRefusal(
        .claims, "one of \(Self.issuerName), \(Self.keyName) and \(Self.settingsName) is missing")
    }
  }

  /// In the order of their names.
  var members: [TokenJSON.Member] {
    func member(_ name: ExactText, _ text: String) -> TokenJSON.Member {
      TokenJSON.Member(name, .text(ExactText(text)))
    }
    let own = member(Self.tokenName, tokenID)
    guard let outside else { return [own] }
    return [
      member(Self.issuerName, outside.issuer), own, member(Self.keyName, outside.keyID),
      member(Self.settingsName, "\(outside.settings)"),
    ]
  }

  private static func text(
    _ name: ExactText, _ claims: TokenClaims
  ) throws(TokenRefusal) -> String? {
    switch claims.others[name] {
    case nil: return nil
    case .text(let text)?: return text.text
    default: throw TokenRefusal(.claims, "\(name) is not text")
    }
  }
}

extension PlatformIssuers {
  /// An issuer that a tenant's tokens may be of. One that is trusted for all tenants is never a tenant's own, whoever
  /// was there first.
  func trusted(
    _ issuer: String, by tenant: borrowing Tenant
  ) -> (issuer: ExternalIssuer, isPlatform: Bool)? {
    if let found = find(issuer) {
      return tenant.authentication.acceptsPlatformIssuers ? (found.issuer, true) : nil
    }
    return tenant.authentication.trustedIssuer(issuer).map { ($0, false) }
  }

  /// Whether the issuer and the key are trusted that have let in what a token was made of, and are judged as they were.
  func isCurrent(_ origin: TokenOrigin.Outside, in tenant: borrowing Tenant) -> Bool {
    guard let (issuer, isPlatform) = trusted(origin.issuer, by: tenant),
      issuer.keys.contains(where: { $0.id == origin.keyID })
    else { return false }
    // How those of all tenants are judged is not the tenant's to change.
    return isPlatform || origin.settings == tenant.authentication.version
  }
}
