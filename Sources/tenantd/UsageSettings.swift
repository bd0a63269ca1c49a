import Tenancy
import TenancyServer

/// The configuration's `usage`: what is counted and measured of tenants.
struct UsageSettings: Sendable {
  /// Whose calls are counted, on each event loop; 0: nobody's.
  var tenants = TenantCallCounters.defaultTenants
  var meter = DataMeter.Terms()
  /// Whether all data is measured in the background.
  var measuresAll = true

  init() {}

  init(_ settings: inout SettingsReader) throws {
    tenants = try settings.integer("tenants", in: 0...100_000) ?? tenants
    meter.kept = max(tenants, meter.kept)
    meter.freshness =
      try settings.integer("data_freshness_seconds", in: 1...86_400).map { .seconds($0) }
      ?? meter.freshness
    let round = try settings.integer("data_round_seconds", in: 0...604_800)
    if let round { meter.roundInterval = .seconds(round) }
    measuresAll = round != 0
  }
}
