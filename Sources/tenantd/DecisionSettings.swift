import TenancyServer

/// The configuration's `decisions`: what is recorded of what policies answer.
extension DecisionTerms {
  init(_ settings: inout SettingsReader) throws {
    self.init()
    allowedSample = try settings.integer("allowed_sample", in: 0...1_000_000_000) ?? allowedSample
    allowedPerSecond =
      try settings.integer("allowed_per_second", in: 1...10_000) ?? allowedPerSecond
    denialsPerSecond =
      try settings.integer("denials_per_second", in: 0...10_000) ?? denialsPerSecond
    decisionsPerTenant =
      try settings.integer("decisions_per_tenant", in: 1...10_000) ?? decisionsPerTenant
    bytesPerTenant =
      try settings.integer("bytes_per_tenant", in: 8_192...16_777_216) ?? bytesPerTenant
    bytes = try settings.integer("bytes", in: 65_536...4_294_967_296) ?? bytes
    retention =
      try settings.integer("retention_seconds", in: 1...31_536_000).map { .seconds($0) }
      ?? retention
    redacted = try (settings.strings("redacted_attributes") ?? []).map { name in
      guard let path = AttributePath(parsing: name) else {
        throw settings.error(
          "redacted_attributes: \(name) is none of subject.attributes.{name}, resource.attributes.{name} and "
            + "context.{name}")
      }
      return path
    }
  }
}
