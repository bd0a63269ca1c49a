public import Tenancy
import TenancyTokens

/// How tokens are issued, and which are accepted.
public struct TokenTerms: Sendable {
  /// Seconds that a token may live at most, however it is configured (15 minutes).
  public static let longestLife = 900
  /// Seconds by which the clocks of nodes may differ: tokens that begin so much later are taken, and those are void that
  /// a subject gets within so many after its tokens were revoked.
  public static let clockDifference: Int64 = 5
  /// Bytes of `issuer` and of `audience`.
  public static let maximumTextBytes = 256

  /// What `iss` of a tenant's tokens begins with; `/tenants/{id}` follows.
  public let issuer: String
  /// This service, in `aud`.
  public private(set) var audience: String
  /// Seconds.
  public var maximumLife = longestLife
  /// Of keys that are made from now on.
  public var algorithm = TokenKey.Algorithm.es256
  /// Whether tokens that are bound to no certificate are accepted from gateways alone.
  public var requiresBinding = true

  /// - Parameters:
  ///   - issuer: a URI without a slash at its end.
  ///   - audience: any text, such as a URI.
  public init(issuer: String, audience: String) {
    self.issuer = issuer
    self.audience = audience
  }
}

extension TokenTerms {
  /// `iss` of a tenant's tokens.
  func issuer(of tenant: TenantID) -> String { "\(issuer)/tenants/\(tenant)" }

  /// The same for who is called by another name.
  func serving(_ audience: String) -> TokenTerms {
    var terms = self
    terms.audience = audience
    return terms
  }

  /// Whether a token is for this service.
  func areServed(by token: TokenGrant) -> Bool {
    token.claims.audience.contains(ExactText(audience))
  }

  func expectations(of tenant: TenantID) -> TokenExpectations {
    TokenExpectations(
      issuer: ExactText(issuer(of: tenant)), audiences: [], maximumLife: Int64(maximumLife),
      skew: Self.clockDifference, expirySkew: 0)
  }
}
