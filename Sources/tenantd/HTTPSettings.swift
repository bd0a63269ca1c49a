import TenancyMetrics
import TenancyRPC

/// Where metrics and probes are served.
struct HTTPSettings: Sendable {
  var listen: ListenAddress
  /// How many tenants have series of their own.
  var tenants = ServerMetrics.defaultTenants
}

extension HTTPSettings {
  init(_ settings: inout SettingsReader) throws {
    let text = try settings.string("listen")
    let allowsRemote = try settings.boolean("allow_remote") ?? false
    tenants = try settings.integer("tenants", in: 0...1000) ?? ServerMetrics.defaultTenants
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst("unix:".count))
      guard path.hasPrefix("/"), path.utf8.count <= Configuration.maximumSocketPath else {
        throw settings.error(
          "listen: unix: takes an absolute path of at most \(Configuration.maximumSocketPath) bytes"
        )
      }
      listen = .unix(path: path, mode: 0o660)
      return
    }
    guard let colon = text.lastIndex(of: ":"), colon != text.startIndex,
      let port = UInt16(text[text.index(after: colon)...])
    else { throw settings.error("listen: unix:/PATH, HOST:PORT or [IPv6]:PORT") }
    let host = text[..<colon].trimmingBrackets
    guard !host.contains("["), !host.contains("]") else {
      throw settings.error("listen: unix:/PATH, HOST:PORT or [IPv6]:PORT")
    }
    guard allowsRemote || ["127.0.0.1", "::1", "localhost"].contains(host) else {
      throw settings.error("listen: only loopback or unix, unless allow_remote is true")
    }
    listen = .tcp(host: host, port: Int(port), insecure: true)
  }
}
