package import Tenancy

/// Authentication settings for tests.
package enum SampleSettings {
  /// Settings with all that there can be.
  package static func all(_ name: Character = "k") -> AuthenticationSettings {
    var settings = AuthenticationSettings()
    settings.acceptsPlatformIssuers = false
    settings.maximumLifeSeconds = 300
    settings.requiresBinding = true
    settings.version = 3
    var first = Self.issuer(name)
    first.isEnabled = false
    first.algorithms = ["EdDSA"]
    first.audiences = ["https://api.test"]
    first.acceptsPlainType = true
    first.subjectClaim = "email"
    first.subjectPrefix = "user:"
    first.requiredClaims = [ExternalIssuer.RequiredClaim(name: "org\"\u{2028}", value: "é/")]
    first.permissionsClaim = "scope"
    first.maximumLifeSeconds = 60
    first.requiresBinding = true
    var fetched = ExternalIssuer(id: "f", issuer: "https://f.test", keys: [])
    fetched.published = PublishedKeySet(
      url: "https://f.test/keys?a=%2F", pins: [String(repeating: "A", count: 43) + "="])
    settings.issuers = [first, issuer("z"), fetched]
    return settings
  }

  /// - Parameter name: a lower-case letter.
  package static func issuer(_ name: Character) -> ExternalIssuer {
    ExternalIssuer(
      id: "i\(name)", issuer: "https://\(name).test",
      keys: [
        ExternalKey(id: String(repeating: name, count: 43), publicKey: #"{"kid":"\#(name)\u007f"}"#)
      ])
  }
}
