import Logging
import Synchronization
import Tenancy
import TenancyMetrics
import TenancyRPC
import TenancySwiftMetrics

/// What scrapers and probes are told. Thread-safe.
final class Monitor: Sendable {
  private let plane: ControlPlane
  private let metrics: ServerMetrics
  private let recorded: MetricsRegistry?
  /// Nil: no tokens are issued, and no keys of theirs are told.
  private let keys: PublishedKeys?
  private let requests: RequestMetrics
  /// Nil: there is no Workload API.
  private let workloads: WorkloadReport?
  /// Nil: as little as there are metrics.
  private let usage: UsageReport?
  /// Nil: AuthZEN is not served.
  private let authZEN: AuthZENServing?
  private let process = ProcessMetrics()
  /// That of metrics, and of AuthZEN if it has one of its own.
  private let listeners: Mutex<[ProbeListener]> = Mutex([])
  private let serving = Atomic(false)
  private let scrapes = ScrapeCache()

  private init(
    _ plane: ControlPlane, _ metrics: ServerMetrics, _ recorded: MetricsRegistry?,
    _ keys: PublishedKeys?, _ requests: RequestMetrics, _ workloads: WorkloadReport?,
    _ usage: UsageReport?, _ authZEN: AuthZENServing?
  ) {
    self.usage = usage
    self.authZEN = authZEN
    self.plane = plane
    self.workloads = workloads
    self.requests = requests
    self.keys = keys
    self.metrics = metrics
    self.recorded = recorded
  }

  /// Starts to listen, if it is configured.
  static func start(
    _ settings: HTTPSettings?, _ plane: ControlPlane, _ metrics: ServerMetrics?,
    _ recorded: MetricsRegistry?, _ requests: RequestMetrics, _ workloads: WorkloadReport?,
    _ usage: UsageReport?, _ authZEN: AuthZENServing?, publishesKeys: Bool, _ logger: Logger
  ) async throws -> Monitor? {
    guard let settings, let metrics else { return nil }
    let monitor = Monitor(
      plane, metrics, recorded, publishesKeys ? PublishedKeys(plane: plane) : nil, requests,
      workloads, usage, authZEN)
    let shared = authZEN.flatMap { $0.listen == nil ? $0.exchange : nil }
    let listener = ProbeListener(exchange: shared) { [weak monitor] in await monitor?.page($0) }
    let address: ListenAddress
    do {
      address = try await listener.start(settings.listen)
    } catch {
      await listener.stop()
      throw ConfigurationError(
        description: "http: cannot listen on \(settings.listen): \(SocketFailure.reason(error))")
    }
    monitor.listeners.withLock { $0 = [listener] }
    logger.info("metrics", metadata: ["address": "\(address)"])
    return monitor
  }

  /// Whether calls are taken: not before the start, and not while the server drains.
  func isServing(_ isServing: Bool) { serving.store(isServing, ordering: .releasing) }

  func stop() async { for listener in listeners.withLock({ $0 }) { await listener.stop() } }

  /// Starts AuthZEN's own listener, if it has one.
  func startAuthZEN(_ logger: Logger) async throws {
    guard let listener = try await authZEN?.start(logger) else { return }
    listeners.withLock { $0.append(listener) }
  }

  // MARK: Pages

  private func page(_ path: String) async -> ProbeListener.Page? {
    switch path {
    case "/metrics":
      ProbeListener.Page(
        contentType: "text/plain; version=0.0.4; charset=utf-8",
        await scrapes.text { [self] in await render() })
    case "/livez": ProbeListener.Page("ok\n")
    case "/readyz": readiness
    case "/version": ProbeListener.Page("tenantd \(Version.text)\n")
    case WorkloadReport.keysPath: workloads?.keys
    case _: keys?.page(path)
    }
  }

  private var readiness: ProbeListener.Page {
    let checks = [
      ("serving", serving.load(ordering: .acquiring)), ("store", plane.isHealthy),
      ("state", !plane.isStale(at: plane.now)),
    ]
    let lines = checks.map { "\($0.1 ? "ok" : "failed") \($0.0)\n" }.joined()
    return ProbeListener.Page(status: checks.allSatisfy(\.1) ? 200 : 503, lines)
  }

  private func render() async -> String {
    var text = MetricsText()
    await metrics.render(into: &text) { TenantID(high: $0.high, low: $0.low).description }
    text.single(
      "tenancy_store_healthy", .gauge, "Whether the last write or read of the store succeeded.",
      plane.isHealthy ? "1" : "0")
    text.single(
      "tenancy_ready", .gauge, "Whether /readyz answers 200.", readiness.status == 200 ? "1" : "0")
    text.single(
      "tenancy_revision", .gauge, "The revision that is answered from.",
      "\(plane.state.revision)")
    text.single(
      "tenancy_tenants", .gauge, "Tenants, deleted ones included.", "\(plane.state.tenantCount)")
    text.single(
      "tenancy_write_queue_depth", .gauge, "Writes that wait for their turn.",
      "\(plane.waitingWrites)")
    let batches = "tenancy_write_batch_duration_seconds"
    let times = plane.writeTimes
    text.begin(
      batches, .histogram,
      "How long batches of writes held the writer, the store's commit included.")
    text.histogram(batches, [], WriteTimes.bounds, times.counts, sum: times.nanoseconds)
    if let age = plane.stateAge {
      let (seconds, attoseconds) = age.components
      text.single(
        "tenancy_state_age_seconds", .gauge,
        "Since the state was seen to be the store's newest.",
        MetricsText.seconds(
          UInt64(clamping: seconds) &* 1_000_000_000
            &+ UInt64(clamping: attoseconds / 1_000_000_000)
        ))
    }
    requests.render(into: &text)
    await usage?.render(into: &text)
    workloads?.render(into: &text)
    authZEN?.render(into: &text)
    process.render(into: &text)
    recorded?.render(into: &text)
    return text.text
  }
}

/// One text at a time is made, and given to all who ask within a while: a flood of scrapes costs nothing.
private actor ScrapeCache {
  private static let lifetime = Duration.milliseconds(250)

  private var last: (text: String, time: ContinuousClock.Instant)?
  private var current: Task<String, Never>?

  func text(_ make: @escaping @Sendable () async -> String) async -> String {
    if let last, last.time.duration(to: .now) < Self.lifetime { return last.text }
    if let current { return await current.value }
    // Ends when it is made; those who ask wait for it.
    let task = Task { await make() }
    current = task
    let text = await task.value
    last = (text, .now)
    current = nil
    return text
  }
}
