import TenancyRPC
import TenancyTelemetry

extension Tracer.Settings {
  init(_ settings: inout SettingsReader) throws {
    let text = try settings.string("otlp")
    guard let collector = Self.collector(text) else {
      throw settings.error(
        "otlp: unix:/PATH, 127.0.0.1:PORT or localhost:PORT: spans are sent in plain text, so the "
          + "collector, or an agent that passes them on over TLS, must be on this host")
    }
    self.init(collector: collector)
    ratio = try settings.fraction("sample_ratio") ?? ratio
    spansPerSecond = try settings.integer("spans_per_second", in: 1...100_000) ?? spansPerSecond
  }

  private static func collector(_ text: String) -> RPCChannel.Target? {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst("unix:".count))
      let fits = path.utf8.count <= Configuration.maximumSocketPath
      return path.hasPrefix("/") && fits ? .unix(path: path) : nil
    }
    for host in ["127.0.0.1:", "localhost:"] where text.hasPrefix(host) {
      guard let port = UInt16(text.dropFirst(host.count)), port > 0 else { return nil }
      return .loopback(port: Int(port))
    }
    return nil
  }
}
