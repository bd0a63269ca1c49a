import Tenancy
import TenancyMetrics
import TenancyServer

/// What scrapers are told of what tenants use: of a few by name. Thread-safe.
struct UsageReport: Sendable {
  private let counters: TenantCallCounters
  private let meter: DataMeter
  /// How many have series of their own.
  private let limit: Int

  init(_ counters: TenantCallCounters, _ meter: DataMeter, limit: Int) {
    self.counters = counters
    self.meter = meter
    self.limit = limit
  }

  func render(into text: inout MetricsText) async {
    let readings = meter.readings
    await renderCalls(into: &text)
    let bytes = "tenancy_tenant_data_bytes"
    text.begin(
      bytes, .gauge, "What the data of a tenant took up when it was measured: of those with most.")
    let most = readings.compactMap { id, reading in reading.usage.bytes.map { (id, $0) } }
      .sorted { ($1.1, $0.0) < ($0.1, $1.0) }.prefix(limit)
    for (id, size) in most { text.sample(bytes, [("tenant", id.description)], String(size)) }
    text.single(
      "tenancy_data_readings", .gauge, "Tenants whose data was measured.", "\(readings.count)")
    text.single(
      "tenancy_data_unknown", .gauge, "Of which it is not known what it takes up.",
      "\(readings.values.count { $0.usage.bytes == nil })")
    text.single(
      "tenancy_data_unreachable", .gauge, "Of which the place of the data did not answer.",
      "\(readings.values.count { $0.isReached == false })")
  }

  private func renderCalls(into text: inout MetricsText) async {
    guard counters.counts else { return }
    let summary = await counters.summary()
    let busiest = summary.tenants
      .sorted { ($1.value.counts.all, $0.key) < ($0.value.counts.all, $1.key) }.prefix(limit)
    let outcomes = "tenancy_tenant_outcomes_total"
    text.begin(
      outcomes, .counter,
      "Calls of the busiest tenants by what became of them: begins anew for one that was forgotten."
    )
    for (id, usage) in busiest {
      for outcome in CallOutcome.allCases {
        text.sample(
          outcomes, [("tenant", id.description), ("outcome", outcome.name)],
          String(usage.counts[outcome]))
      }
    }
    let connections = "tenancy_tenant_connections"
    text.begin(connections, .gauge, "Open connections of the busiest tenants' own identities.")
    for (id, usage) in busiest {
      text.sample(connections, [("tenant", id.description)], String(usage.connections))
    }
    text.single(
      "tenancy_usage_tenants", .gauge, "Tenants whose calls are counted.",
      "\(summary.tenants.count)")
    text.single(
      "tenancy_usage_forgotten_total", .counter,
      "Tenants that had to make room for others, with what was counted of them.",
      "\(summary.forgotten)")
  }
}
