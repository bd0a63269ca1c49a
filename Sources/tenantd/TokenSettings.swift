import Tenancy
import TenancyServer

extension TokenTerms {
  /// - Parameters:
  ///   - issuers: those that are trusted for all tenants are put there.
  ///   - fetching: how keys are fetched is put there, where any may be.
  init(
    _ settings: inout SettingsReader, _ issuers: inout [IssuerSettings],
    _ fetching: inout KeySetSettings?
  ) throws {
    let issuer = try settings.string("issuer")
    guard Self.isText(issuer), issuer.contains(":"), !issuer.hasSuffix("/") else {
      throw settings.error(
        "issuer: a URI such as https://tenancy.example.com, without a slash at its end, of at most "
          + "\(Self.maximumTextBytes) bytes")
    }
    let audience = try settings.optionalString("audience") ?? issuer
    guard Self.isText(audience) else {
      throw settings.error("audience: 1 to \(Self.maximumTextBytes) bytes of visible ASCII")
    }
    self.init(issuer: issuer, audience: audience)
    maximumLife =
      try settings.integer("maximum_life_seconds", in: 30...Self.longestLife) ?? maximumLife
    if let name = try settings.optionalString("algorithm") {
      guard let algorithm = TokenKey.Algorithm(rawValue: name) else {
        throw settings.error(
          "algorithm: one of \(TokenKey.Algorithm.allCases.map(\.rawValue))")
      }
      self.algorithm = algorithm
    }
    requiresBinding = try settings.boolean("require_binding") ?? requiresBinding
    tenantClaim = try settings.optionalString("tenant_claim")
    issuers = try settings.list("issuers") { try IssuerSettings(&$0) }
    try issuers.check(settings)
    guard !issuers.contains(where: { isOurs($0.issuer.issuer.issuer) }) else {
      throw settings.error("issuers: one of them has the issuer of this server")
    }
    let jwks = try settings.section("jwks") { try KeySetSettings(&$0) }
    outside = PlatformIssuers(
      issuers.map(\.issuer), fetched: FetchedKeySets(jwks?.terms ?? FetchedKeySets.Terms()))
    fetching = jwks ?? (outside.areFetched ? KeySetSettings() : nil)
  }

  static func isText(_ text: String) -> Bool {
    (1...maximumTextBytes).contains(text.utf8.count)
      && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C }
  }
}
