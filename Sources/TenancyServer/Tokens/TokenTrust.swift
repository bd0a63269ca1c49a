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
  /// was there first. Where its keys are fetched, they are those that there are now.
  func trusted(_ issuer: String, by tenant: borrowing Tenant) -> TrustedIssuer? {
    if let found = find(issuer) {
      guard tenant.authentication.acceptsPlatformIssuers else { return nil }
      return TrustedIssuer(found.issuer, owner: nil, configured: [], fetched)
    }
    guard let found = tenant.authentication.trustedIssuer(issuer) else { return nil }
    return TrustedIssuer(
      found, owner: tenant.id, configured: tenant.authentication.issuers, fetched)
  }

  /// Whether the issuer and the key are trusted that have let in what a token was made of, and are judged as they were.
  func isCurrent(_ origin: TokenOrigin.Outside, in tenant: borrowing Tenant) -> Bool {
    guard let found = trusted(origin.issuer, by: tenant),
      found.issuer.keys.contains(where: { $0.id == origin.keyID })
    else { return false }
    // How those of all tenants are judged is not the tenant's to change.
    return found.isPlatform || origin.settings == tenant.authentication.version
  }
}

/// An issuer, and its keys as they are now, wherever these are from.
struct TrustedIssuer {
  /// None of its keys where these are missing.
  let issuer: ExternalIssuer
  /// Whether it is trusted for all tenants.
  let isPlatform: Bool
  /// Why its keys are missing that are fetched; nil: they are there.
  let missing: TenancyError?
  private let source: KeySource?
  private let fetched: FetchedKeySets

  fileprivate init(
    _ issuer: ExternalIssuer, owner: TenantID?, configured: [ExternalIssuer],
    _ fetched: FetchedKeySets
  ) {
    isPlatform = owner == nil
    self.fetched = fetched
    source = KeySource(issuer, owner: owner)
    guard let source else {
      self.issuer = issuer
      missing = nil
      return
    }
    var issuer = issuer
    switch fetched.keys(source, configured: configured) {
    case .good(let keys):
      issuer.keys = keys
      missing = nil
    case .notFetched: missing = Self.notFetched
    case .stale: missing = Self.stale
    }
    self.issuer = issuer
  }

  /// What is said of a token of a key that is not among its keys.
  /// - Returns: nil: that there is no such key.
  func refusalOfUnknownKey() -> TenancyError? {
    guard let source, fetched.hasten(source) else { return nil }
    return Self.refreshing
  }

  private static let notFetched = TenancyError(
    .unavailable, .tokenKeysNotFetched, "the keys of the token's issuer were not fetched yet",
    retryAfterSeconds: 1)
  private static let stale = TenancyError(
    .unavailable, .tokenKeysStale,
    "the keys of the token's issuer could not be fetched for too long", retryAfterSeconds: 5)
  private static let refreshing = TenancyError(
    .unavailable, .tokenKeysRefreshing,
    "the token is of a new key of its issuer's, whose keys are being fetched",
    retryAfterSeconds: 1)
}

extension TenancyError {
  /// Whether it says that an issuer is trusted whose keys are fetched.
  var tellsOfFetchedKeys: Bool {
    [.tokenKeysNotFetched, .tokenKeysStale, .tokenKeysRefreshing].contains(reason)
  }
}
