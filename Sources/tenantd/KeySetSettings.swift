import Tenancy
import TenancyServer

/// `tokens.jwks`: from where keys of token issuers may be fetched, and how.
struct KeySetSettings: Sendable {
  var terms = FetchedKeySets.Terms()
  /// Servers that may be on this machine or its own network.
  var privateHosts: [HostPattern] = []
  /// PEM file with the CAs of these servers; nil: those that the system has.
  var authorities: String?

  /// No tenant's are.
  init() {}

  init(_ settings: inout SettingsReader) throws {
    terms.hosts = try Self.hosts(try settings.strings("hosts"), "hosts", settings)
    privateHosts = try Self.hosts(
      try settings.strings("private_hosts"), "private_hosts", settings)
    authorities = try settings.optionalString("ca_file")
    terms.refreshSeconds =
      try settings.integer("refresh_seconds", in: 1...86_400) ?? terms.refreshSeconds
    terms.staleSeconds =
      try settings.integer("stale_seconds", in: 1...604_800) ?? terms.staleSeconds
    guard terms.staleSeconds >= terms.refreshSeconds else {
      throw settings.error("stale_seconds: at least refresh_seconds")
    }
  }

  private static func hosts(
    _ texts: [String]?, _ name: String, _ settings: SettingsReader
  ) throws -> [HostPattern] {
    try (texts ?? []).map { text in
      guard let pattern = HostPattern(parsing: text) else {
        throw settings.error(
          "\(name): \"\(text)\" is neither a server's name in lower case nor *. and the end of such, "
            + "with or without a port")
      }
      return pattern
    }
  }
}
