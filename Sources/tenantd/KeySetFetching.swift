import CoreMetrics
import Logging
import Tenancy
import TenancyFetch
import TenancyServer

/// Fetches the keys of token issuers, and tells of it. Thread-safe.
struct KeySetFetching: Sendable {
  private let fetcher: HTTPSFetcher
  private let settings: KeySetSettings
  private let fetched: FetchedKeySets
  private let logger: Logger
  private let counters: (ok: Counter, failed: Counter)
  private let sources: [KeySetEvent.Condition: Gauge]

  /// - Throws: `ConfigurationError` where the CAs can't be read.
  init(_ settings: KeySetSettings, _ fetched: FetchedKeySets, _ logger: Logger) throws {
    do {
      // From it comes trust.
      fetcher = try HTTPSFetcher(authorities: settings.authorities) { path in
        do {
          try OwnFiles.checkTrusted(path)
          return nil
        } catch {
          return "\(error)"
        }
      }
    } catch {
      throw ConfigurationError(description: "tokens.jwks.ca_file: \(error)")
    }
    self.settings = settings
    self.fetched = fetched
    self.logger = logger
    func counter(_ result: String) -> Counter {
      Counter(label: "tenantd.issuer.key.fetches", dimensions: [("result", result)])
    }
    counters = (ok: counter("ok"), failed: counter("failed"))
    sources = Dictionary(
      uniqueKeysWithValues: KeySetEvent.Condition.allCases.map { condition in
        let gauge = Gauge(
          label: "tenantd.issuer.key.sources", dimensions: [("condition", condition.rawValue)])
        gauge.record(0)
        return (condition, gauge)
      })
  }

  /// Runs until it is cancelled.
  /// - Parameter reviewStreams: called when tokens of a tenant are good no more that were; of nil: of all tenants.
  func run(
    _ plane: ControlPlane, reviewStreams: @escaping @Sendable (TenantID?) -> Void
  ) async {
    await fetched.run(plane) { job in
      await fetch(job)
    } attempted: { succeeded in
      (succeeded ? counters.ok : counters.failed).increment()
    } changed: { event in
      tell(event)
      let counts = fetched.counts
      for (condition, gauge) in sources { gauge.record(counts[condition] ?? 0) }
      if event.endsTokens { reviewStreams(event.owner) }
    }
  }

  /// On a thread of its own, which ends by itself when nobody waits for it any more: it blocks, and tasks have to go on.
  private func fetch(_ job: KeySetJob) async -> Result<KeySetAnswer, KeySetFailure> {
    await OneAnswer.of(ifCancelled: .failure(KeySetFailure("the server stops"))) { give in
      if !OwnThread.run({ give(get(job)) }) {
        give(.failure(KeySetFailure("there is no thread for it", isBusy: true)))
      }
    }
  }

  private func get(_ job: KeySetJob) -> Result<KeySetAnswer, KeySetFailure> {
    let isPrivate = settings.privateHosts.contains { $0.matches(job.url) }
    do throws(FetchFailure) {
      let document = try fetcher.get(
        job.url, for: job.owner, pins: job.pins, allowsInside: isPrivate)
      return .success(KeySetAnswer(body: document.body, maximumAge: document.maximumAge))
    } catch {
      return .failure(
        KeySetFailure("\(error.stage.rawValue): \(error)", isBusy: error.stage == .busy))
    }
  }

  private func tell(_ event: KeySetEvent) {
    var metadata: Logger.Metadata = [
      "issuer": "\(event.issuer)", "url": "\(event.url)",
      "tenant": "\(event.owner.map { "\($0)" } ?? "all")",
    ]
    if let failure = event.failure { metadata["error"] = "\(failure)" }
    switch event.condition {
    case .waiting: break  // Nothing has become of it.
    case .good:
      metadata["keys"] = "\(event.keyCount)"
      logger.notice("keys of a token issuer fetched", metadata: metadata)
    case .failing:
      metadata["keys"] = "\(event.keyCount)"
      logger.warning("keys of a token issuer not fetched: tried again", metadata: metadata)
    case .stale:
      logger.error(
        "keys of a token issuer are too old: its tokens are refused", metadata: metadata)
    }
  }
}
