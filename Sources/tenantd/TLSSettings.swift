import RPC

/// The `tls` section of the configuration.
struct TLSSettings: Sendable {
  var context: TLSContext.Configuration
  /// How often the files are looked at for changes.
  var reloadInterval = Duration.seconds(2)

  init(_ context: TLSContext.Configuration) { self.context = context }

  init(_ settings: inout SettingsReader) throws {
    context = TLSContext.Configuration(
      certificateChain: try settings.string("certificate"),
      privateKey: try settings.string("private_key"), trust: try Self.trust(&settings))
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

  private static func trust(_ settings: inout SettingsReader) throws -> TLSContext.Trust {
    let bundles = try settings.list("trust_bundles") { bundle in
      TrustBundle(
        domain: try bundle.string("trust_domain"), authorities: try bundle.string("ca"),
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
}
