import Tenancy
import TenancyMetrics
import TenancyRPC

/// Where metrics and probes are served.
struct HTTPSettings: Sendable {
  var listen: ListenAddress
  /// How many tenants have series of their own.
  var tenants = ServerMetrics.defaultTenants
  /// Nil: AuthZEN is not served.
  var authZEN: AuthZENSettings?
}

/// How AuthZEN is served.
struct AuthZENSettings: Sendable {
  /// A listener of its own; nil: that of metrics.
  var listen: ListenAddress?
  /// What metadata says of where it is: nil: there is none.
  var url: String?

  /// Whether its own listener has TLS, and takes certificates.
  var isSecure: Bool {
    if case .tcp = listen { true } else { false }
  }
}

extension HTTPSettings {
  init(_ settings: inout SettingsReader) throws {
    authZEN = try settings.section("authzen") { try Self.authZEN(&$0) }
    let text = try settings.string("listen")
    let allowsRemote = try settings.boolean("allow_remote") ?? false
    tenants = try settings.integer("tenants", in: 0...1000) ?? ServerMetrics.defaultTenants
    listen = try Self.place(text, settings)
    guard case .tcp(let host, _, _, _) = listen else { return }
    guard allowsRemote || ["127.0.0.1", "::1", "localhost"].contains(host) else {
      throw settings.error("listen: only loopback or unix, unless allow_remote is true")
    }
  }

  private static func place(
    _ text: String, _ settings: SettingsReader
  ) throws -> ListenAddress {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst("unix:".count))
      guard path.hasPrefix("/"), path.utf8.count <= Configuration.maximumSocketPath else {
        throw settings.error(
          "listen: unix: takes an absolute path of at most \(Configuration.maximumSocketPath) bytes"
        )
      }
      return .unix(path: path, mode: 0o660)
    }
    guard let colon = text.lastIndex(of: ":"), colon != text.startIndex,
      let port = UInt16(text[text.index(after: colon)...])
    else { throw settings.error("listen: unix:/PATH, HOST:PORT or [IPv6]:PORT") }
    let host = text[..<colon].trimmingBrackets
    guard !host.contains("["), !host.contains("]") else {
      throw settings.error("listen: unix:/PATH, HOST:PORT or [IPv6]:PORT")
    }
    return .tcp(host: host, port: Int(port), insecure: true)
  }

  private static func authZEN(_ settings: inout SettingsReader) throws -> AuthZENSettings {
    var found = AuthZENSettings()
    found.listen = try settings.optionalString("listen").map { try place($0, settings) }
    if let url = try settings.optionalString("url") {
      guard let parsed = HTTPSURL(parsing: url), url == "https://\(parsed.authority)" else {
        throw settings.error(
          "url: https:// and a server's name, with a port where it is not 443, and without a path")
      }
      found.url = url
    }
    return found
  }
}
