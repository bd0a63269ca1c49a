import Tenancy

/// The configuration's `quotas`: those of each tenant.
extension TenantQuotas {
  init(_ settings: inout SettingsReader) throws {
    self.init()
    let bytes = 1024...1_000_000_000_000
    residentBytes = try settings.integer("resident_bytes", in: bytes) ?? residentBytes
    assignmentBytes = try settings.integer("assignment_bytes", in: bytes) ?? assignmentBytes
    storedBytes = try settings.integer("stored_bytes", in: bytes) ?? storedBytes
    logBytes.burst = try settings.integer("log_bytes", in: bytes) ?? logBytes.burst
    logBytes.perSecond =
      try settings.integer("log_bytes_per_second", in: bytes) ?? logBytes.perSecond
    let number = 1...1_000_000
    writes.burst = try settings.integer("writes", in: number) ?? writes.burst
    writes.perSecond = try settings.integer("writes_per_second", in: number) ?? writes.perSecond
  }
}
