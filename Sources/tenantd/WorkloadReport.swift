import TenancyMetrics
import TenancyWorkload

/// What scrapers, and who verifies tokens, are told of the Workload API. Thread-safe.
struct WorkloadReport: Sendable {
  /// Where the public keys of JWT-SVIDs are.
  static let keysPath = "/workloads/jwks.json"
  /// Seconds that others may keep them, as those of tenants' tokens.
  private static let lifetime = 60

  private let service: WorkloadService

  init(_ service: WorkloadService) { self.service = service }

  /// The keys of JWT-SVIDs, as streams are told them; also where there are none any more. Nil: the profile is not served.
  var keys: ProbeListener.Page? {
    service.tokenBundle.map { bundle in
      ProbeListener.Page(
        contentType: "application/jwk-set+json", caching: "max-age=\(Self.lifetime)",
        String(decoding: bundle, as: UTF8.self))
    }
  }

  func render(into text: inout MetricsText) {
    let tally = service.tally
    let calls = "tenancy_workload_calls_total"
    text.begin(calls, .counter, "Calls of the Workload API that were begun, streams included.")
    for method in WorkloadTally.Method.allCases {
      text.sample(calls, [("method", method.name)], String(tally.count(of: method)))
    }
    let refused = "tenancy_workload_refusals_total"
    text.begin(refused, .counter, "Of which were refused, or ended.")
    for reason in WorkloadTally.Refusal.allCases {
      text.sample(refused, [("reason", reason.name)], String(tally.count(of: reason)))
    }
    text.single(
      "tenancy_workload_streams", .gauge, "Streams and calls of the Workload API under way.",
      "\(service.underWay)")
    let issued = "tenancy_workload_svids_total"
    text.begin(issued, .counter, "Certificates and tokens that were made for workloads.")
    for kind in WorkloadTally.Kind.allCases {
      text.sample(issued, [("kind", kind.name)], String(tally.count(issued: kind)))
    }
    let times = "tenancy_workload_attestation_duration_seconds"
    let taken = tally.attestations
    text.begin(
      times, .histogram,
      "How long it took to find out what a process is, and to make its certificates.")
    text.histogram(times, [], WorkloadTally.bounds, taken.counts, sum: taken.nanoseconds)
  }
}
