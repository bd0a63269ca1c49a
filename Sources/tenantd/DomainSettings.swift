import TenancyFetch
import TenancyServer

/// `domains`: who is asked whether a tenant controls a domain.
struct DomainSettings: Sendable {
  /// Empty: those of the system.
  var resolvers: [DNSClient.Server] = []
  var privateHosts = false
  var httpPort = 80
  var verificationsPerMinute = DomainTerms.defaultPerMinute

  /// The system's resolvers, and web servers of the public internet.
  init() {}

  init(_ settings: inout SettingsReader) throws {
    let texts = try settings.strings("resolvers") ?? []
    guard texts.count <= DNSClient.maximumServers else {
      throw settings.error("resolvers: at most \(DNSClient.maximumServers)")
    }
    resolvers = try texts.map { text in
      guard let server = DNSClient.Server(parsing: text) else {
        throw settings.error(
          "resolvers: \"\(text)\" is no address of IPv4 or IPv6, with or without a port")
      }
      return server
    }
    privateHosts = try settings.boolean("private_hosts") ?? privateHosts
    httpPort = try settings.integer("http_port", in: 1...65_535) ?? httpPort
    verificationsPerMinute =
      try settings.integer("verifications_per_minute", in: 1...10_000) ?? verificationsPerMinute
  }

  var terms: DomainTerms {
    let prover = DomainProver(
      DNSClient(servers: resolvers), httpPort: httpPort, allowsInside: privateHosts)
    return DomainTerms(
      checker: DomainChecking(prover), httpPort: httpPort,
      verificationsPerMinute: verificationsPerMinute)
  }
}
