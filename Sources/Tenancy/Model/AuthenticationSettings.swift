/// By what a tenant's callers may say who they are, beside certificates, which are always taken. What is set here
/// narrows what the server's configuration allows, and never widens it; other issuers are trusted for this tenant
/// alone.
public struct AuthenticationSettings: Hashable, Sendable, Codable {
  /// Issuers of one tenant, at most.
  public static let maximumIssuers = 8
  /// Seconds that `maximumLifeSeconds` may say.
  public static let lives = 30...900

  /// Whether tokens that this service issues for the tenant are issued and accepted.
  public var acceptsOwnTokens = true
  /// Whether those of `issuers` are accepted.
  public var acceptsExternalIssuers = true
  /// Whether those of the issuers are accepted that the server's configuration has for all tenants.
  public var acceptsPlatformIssuers = true
  /// Seconds that a token of the tenant's own may live; nil: as long as the server's configuration says, which also
  /// bounds this. Of tokens that were issued before as well.
  public var maximumLifeSeconds: Int?
  /// Whether a token that is bound to no certificate is refused whoever presents it, gateways included.
  public var requiresBinding = false
  /// In the order in which they were given.
  public var issuers: [ExternalIssuer] = []
  /// Counts changes; 0: the settings were never changed.
  public var version: UInt64 = 0

  /// What a tenant has that never changed them.
  public init() {}

  /// Names this version; a change that carries it fails if the settings have changed since.
  public var etag: String { "a\(version)" }

  /// Whether nothing was ever set.
  public var isDefault: Bool { self == Self() }

  /// The issuer whose tokens have this `iss`, if it is there, byte for byte, and accepted.
  public func trustedIssuer(_ issuer: String) -> ExternalIssuer? {
    guard acceptsExternalIssuers else { return nil }
    return issuers.first { $0.isEnabled && $0.issuer.utf8.elementsEqual(issuer.utf8) }
  }
}
