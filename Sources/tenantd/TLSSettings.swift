import Tenancy
import TenancyRPC
import TenancyServer

/// The `tls` section of the configuration.
struct TLSSettings: Sendable {
  var context: TLSContext.Configuration
  /// How often the files are looked at for changes.
  var reloadInterval = Duration.seconds(2)
  /// What each trust domain of a bundle may name; nil where the configuration does not say.
  var grants: [String: TrustDomainGrant?] = [:]

  init(_ context: TLSContext.Configuration) { self.context = context }

  init(_ settings: inout SettingsReader) throws {
    var grants: [String: TrustDomainGrant?] = [:]
    context = TLSContext.Configuration(
      certificateChain: try settings.string("certificate"),
      privateKey: try settings.string("private_key"), trust: try Self.trust(&settings, &grants))
    self.grants = grants
    if let seconds = try settings.integer("reload_seconds", in: 1...86_400) {
      reloadInterval = .seconds(seconds)
    }
    // 0: sessions are not resumed. 7 days is the most that TLS allows (RFC 8446 §4.6.1).
    if let seconds = try settings.integer("session_seconds", in: 0...604_800) {
      context.limits.sessionLifetime = .seconds(seconds)
    }
    if let seconds = try settings.integer("handshake_seconds", in: 1...3600) {
      context.limits.handshakeTimeout = .seconds(seconds)
    }
  }

  private static func trust(
    _ settings: inout SettingsReader, _ grants: inout [String: TrustDomainGrant?]
  ) throws -> TLSContext.Trust {
    let bundles = try settings.list("trust_bundles") { bundle in
      let domain = try bundle.trustDomain(try bundle.string("trust_domain"), "trust_domain")
      guard grants.updateValue(try grant(&bundle), forKey: domain) == nil else {
        throw bundle.error("trust_domain: \(domain) has a bundle already")
      }
      return TrustBundle(
        domain: domain, authorities: try bundle.string("ca"),
        revocations: try bundle.strings("crls") ?? [])
    }
    let authorities = try settings.optionalString("client_ca")
    let revocations = try settings.strings("crls") ?? []
    switch (authorities, bundles.isEmpty) {
    case (let authorities?, true): return .authorities(authorities, revocations: revocations)
    case (nil, false) where revocations.isEmpty: return .domains(bundles)
    case (nil, false): throw settings.error("crls: say in trust_bundles whose they are")
    default: throw settings.error("either client_ca or trust_bundles is needed")
    }
  }

  private static func grant(_ bundle: inout SettingsReader) throws -> TrustDomainGrant? {
    let roles = try bundle.strings("platform_roles")
    let tenants = try bundle.strings("tenants")
    guard roles != nil || tenants != nil else { return nil }
    for tenant in tenants ?? []
    where tenant != TrustDomainGrant.all && Slug(parsing: tenant) == nil
      && TenantID(parsing: tenant) == nil
    {
      throw bundle.error("tenants: \"\(tenant)\" is neither a tenant's id nor a slug, nor *")
    }
    return TrustDomainGrant(platformRoles: Set(roles ?? []), tenants: Set(tenants ?? []))
  }
}
