import TenancyRPC
import TenancyTelemetry

/// The `tracing` section of the configuration.
struct TracingSettings: Sendable {
  /// Without what TLS to the collector needs, which is read from files.
  private let tracer: Tracer.Settings
  private let collector: PeerSettings

  init(_ settings: inout SettingsReader) throws {
    let text = try settings.string("otlp")
    let tls = try settings.section("tls") { try PeerSettings.TLS(&$0) }
    collector = try PeerSettings(
      text, tls, "otlp", in: settings,
      local: "without tracing.tls spans are sent in plain text, so the collector, or an agent that "
        + "passes them on, must be on this host")
    var tracer = Tracer.Settings(collector: collector.target)
    tracer.ratio = try settings.fraction("sample_ratio") ?? tracer.ratio
    tracer.spansPerSecond =
      try settings.integer("spans_per_second", in: 1...100_000) ?? tracer.spansPerSecond
    self.tracer = tracer
  }

  /// - Throws: `ConfigurationError` when the files can't be used.
  func settings() throws -> Tracer.Settings {
    var settings = tracer
    settings.tls = try collector.context(for: "tracing.tls")
    return settings
  }
}
