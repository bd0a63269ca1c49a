import CoreMetrics
import TenancySwiftMetrics

/// What is recorded through swift-metrics, by the daemon and by the libraries that it uses.
enum Recording {
  /// How the names begin of what is counted without it: by the runtime's observers, of the store and the process.
  private static let reserved = ["process_", "rpc_server_", "tenancy_", "tls_server_"]

  /// Once in a process, and before anything is recorded.
  ///
  /// - Returns: nil: nobody asks for metrics, so nothing is kept.
  static func begin(_ settings: HTTPSettings?) -> MetricsRegistry? {
    guard settings != nil else { return nil }
    let registry = MetricsRegistry(reserved: reserved)
    MetricsSystem.bootstrap(registry)
    return registry
  }
}

/// Counts how it went to read files again while the daemon runs. All are there from the start, at zero: the first
/// failure is seen as an increase. Thread-safe.
struct ReloadCounters: Sendable {
  enum Part: String, CaseIterable {
    case accessLog = "access_log"
    case approver
    case collector
    case configuration
    case issuerKeys = "issuer_keys"
    case masterKeys = "master_keys"
    case tls
  }

  private let counters: [Part: (ok: Counter, failed: Counter)]

  /// Made once metrics are recorded.
  init() {
    let made = Part.allCases.map { part in
      (part, (ok: Self.counter(part, "ok"), failed: Self.counter(part, "failed")))
    }
    counters = Dictionary(uniqueKeysWithValues: made)
  }

  private static func counter(_ part: Part, _ result: String) -> Counter {
    Counter(label: "tenantd.reloads", dimensions: [("part", part.rawValue), ("result", result)])
  }

  func ended(_ part: Part, succeeded: Bool) {
    guard let (ok, failed) = counters[part] else { return }  // All have them: see `init`.
    (succeeded ? ok : failed).increment()
  }
}
