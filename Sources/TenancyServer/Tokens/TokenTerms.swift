public import Tenancy
import TenancyCrypto
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
  /// Others whose tokens are accepted for all tenants.
  public var outside = PlatformIssuers()
  /// The claim in which tokens of tenants' own issuers name the tenant by its id, where their `aud` does not; nil: only
  /// that does.
  public var tenantClaim: String?

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

  /// What `aud` says of a tenant before its id.
  private var tenantAudiences: String { "\(audience)/tenants/" }

  /// This service on behalf of one tenant, in `aud`: what tokens of other issuers name the tenant by.
  func audience(of tenant: TenantID) -> String { "\(tenantAudiences)\(tenant)" }

  /// The tenant that an audience names; nil: none.
  func tenant(ofAudience text: String) -> TenantID? {
    let start = tenantAudiences
    guard text.utf8.starts(with: start.utf8) else { return nil }
    // By bytes: a character can go over the end of the start.
    return TenantID(parsing: String(decoding: text.utf8.dropFirst(start.utf8.count), as: UTF8.self))
  }

  /// Whether `iss` is one that nobody else may have.
  public func isOurs(_ issuer: String) -> Bool {
    issuer == self.issuer || issuer.utf8.starts(with: "\(self.issuer)/tenants/".utf8)
      || outside.find(issuer) != nil
  }

  func expectations(of tenant: TenantID) -> TokenExpectations {
    TokenExpectations(
      issuer: ExactText(issuer(of: tenant)), audiences: [], maximumLife: Int64(maximumLife),
      skew: Self.clockDifference, expirySkew: 0)
  }

  /// What a token of another issuer has to be, as its terms say.
  /// - Parameter isPlatform: whether it is trusted for all tenants: its tokens are for this service unless its terms say
  ///   otherwise, and those of a tenant's own are for this service on behalf of the tenant.
  func expectations(
    of issuer: ExternalIssuer, for tenant: TenantID, isPlatform: Bool
  ) -> OutsideExpectations {
    let usual = isPlatform ? audience : audience(of: tenant)
    let audiences = issuer.audiences.isEmpty ? [usual] : issuer.audiences
    var expected = OutsideExpectations(
      issuer: ExactText(issuer.issuer), audiences: Set(audiences.map { ExactText($0) }),
      algorithms: SignatureAlgorithm.accepted(issuer.algorithms),
      types: issuer.acceptsPlainType ? [.accessToken, .jwt] : [.accessToken],
      maximumLife: Int64(issuer.maximumLifeSeconds), skew: Self.clockDifference)
    expected.subjectClaim = ExactText(issuer.subjectClaim)
    expected.permissionsClaim = issuer.permissionsClaim.map { ExactText($0) }
    expected.requiredClaims = issuer.requiredClaims.map {
      OutsideExpectations.RequiredClaim(name: ExactText($0.name), value: ExactText($0.value))
    }
    return expected
  }
}
