import TenancyRPC
import TenancyTelemetry

/// The `tracing` section of the configuration.
struct TracingSettings: Sendable {
  /// Without what TLS to the collector needs, which is read from files.
  private let tracer: Tracer.Settings
  /// Nil: the collector is reached in plain text.
  private let tls: TLSContext.Files?

  init(_ settings: inout SettingsReader) throws {
    let text = try settings.string("otlp")
    let tls = try settings.section("tls") { try Self.tls(&$0) }
    var tracer = Tracer.Settings(
      collector: try tls.map { try Self.remote(text, $0.serverName, settings) }
        ?? Self.local(text, settings))
    tracer.ratio = try settings.fraction("sample_ratio") ?? tracer.ratio
    tracer.spansPerSecond =
      try settings.integer("spans_per_second", in: 1...100_000) ?? tracer.spansPerSecond
    self.tracer = tracer
    self.tls = tls?.files
  }

  /// - Throws: `ConfigurationError` when the files can't be used.
  func settings() throws -> Tracer.Settings {
    guard let tls else { return tracer }
    var settings = tracer
    var context = TLSContext.Configuration(tls)
    context.refuseExposedKeys()
    do {
      settings.tls = try TLSContext(.client, context)
    } catch {
      throw ConfigurationError(description: "tracing.tls: \(error)")
    }
    return settings
  }

  private static func tls(
    _ settings: inout SettingsReader
  ) throws -> (files: TLSContext.Files, serverName: String?) {
    let files = TLSContext.Files(
      certificateChain: try settings.string("certificate"),
      privateKey: try settings.string("private_key"), peerAuthorities: try settings.string("ca"))
    return (files, try settings.optionalString("server_name"))
  }

  private static func remote(
    _ text: String, _ serverName: String?, _ settings: SettingsReader
  ) throws -> RPCChannel.Target {
    guard !text.hasPrefix("unix:"), let colon = text.lastIndex(of: ":"), colon != text.startIndex,
      let port = UInt16(text[text.index(after: colon)...]), port > 0,
      let host = host(text[..<colon])
    else { throw settings.error("otlp: HOST:PORT, as it is reached by TLS") }
    return .tcp(host: host, port: Int(port), serverName: serverName)
  }

  /// A name, an IPv4 address, or an IPv6 address in brackets.
  private static func host(_ text: Substring) -> String? {
    let isBracketed = text.hasPrefix("[") && text.hasSuffix("]")
    let host = isBracketed ? text.dropFirst().dropLast() : text
    guard !host.isEmpty, host.contains(":") == isBracketed,
      !host.utf8.contains(where: { $0 <= 0x20 || $0 == UInt8(ascii: "/") })
    else { return nil }
    return String(host)
  }

  private static func local(
    _ text: String, _ settings: SettingsReader
  ) throws -> RPCChannel.Target {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst("unix:".count))
      if path.hasPrefix("/"), path.utf8.count <= Configuration.maximumSocketPath {
        return .unix(path: path)
      }
    }
    for host in ["127.0.0.1:", "localhost:"] where text.hasPrefix(host) {
      if let port = UInt16(text.dropFirst(host.count)), port > 0 {
        return .loopback(port: Int(port))
      }
    }
    throw settings.error(
      "otlp: unix:/PATH, 127.0.0.1:PORT or localhost:PORT: without tracing.tls spans are sent in "
        + "plain text, so the collector, or an agent that passes them on, must be on this host")
  }
}

extension TLSContext.Configuration {
  /// Has files refused, whenever they are read, whose key others can read.
  mutating func refuseExposedKeys() {
    let files = self
    fileRule = {
      do {
        try OwnFiles.check(files)
        return nil
      } catch {
        return "\(error)"
      }
    }
  }
}
