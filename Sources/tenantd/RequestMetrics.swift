import Tenancy
import TenancyMetrics
import TenancyServer

/// What is told of HTTP requests that came through Envoy. Thread-safe.
struct RequestMetrics: Sendable {
  private let tally: RequestTally
  private let limiter: RequestLimiter?

  /// - Parameter limiter: nil: requests are not limited.
  init(_ tally: RequestTally, _ limiter: RequestLimiter?) {
    self.tally = tally
    self.limiter = limiter
  }

  func render(into text: inout MetricsText) {
    let judged = "tenancy_http_requests_total"
    text.begin(judged, .counter, "HTTP requests that Envoy has asked of, by what it was told.")
    for verdict in RequestTally.Verdict.allCases {
      text.sample(judged, [("verdict", verdict.name)], String(tally.count(of: verdict)))
    }
    let limited = "tenancy_http_requests_limited_total"
    text.begin(limited, .counter, "Of which Envoy has asked whether their tenant has any left.")
    for limit in RequestTally.Limit.allCases {
      text.sample(limited, [("verdict", limit.name)], String(tally.count(of: limit)))
    }
    guard let limiter else { return }
    text.single(
      "tenancy_limits_nodes", .gauge, "Nodes that share the limits, as far as is known.",
      "\(limiter.nodes)")
    text.single(
      "tenancy_limits_tenants", .gauge, "Tenants of which requests are counted in memory.",
      "\(limiter.meteredTenants)")
  }
}
