import Logging
import Tenancy
import TenancyMetrics
import TenancyRPC
import TenancyServer
import TenancyTelemetry

/// Those who watch the server's calls, as far as the configuration wants them.
struct Observation: Sendable {
  let metrics: ServerMetrics?
  /// Of tenants' calls.
  let counters: TenantCallCounters
  private let log: AccessLog?
  private let tracer: Tracer?
  private let collectorFiles: PeerFiles?

  /// - Throws: `ConfigurationError` when the access log can't be opened, or files of TLS to the collector can't be
  ///   used.
  init(
    _ configuration: Configuration, _ reloads: ReloadCounters, _ logger: Logger
  ) throws {
    counters = TenantCallCounters(tenants: configuration.usage.tenants)
    metrics = configuration.http.map { ServerMetrics(tenants: $0.tenants) }
    let name: TenantName = { TenantID(high: $0.high, low: $0.low).description }
    let tracing = try configuration.tracing?.settings()
    tracer = tracing.map { settings in
      Tracer(settings, version: Version.text, tenantName: name) { Self.tell($0, logger) }
    }
    collectorFiles = tracing?.tls.map {
      PeerFiles(tls: $0, part: .collector, reloads: reloads, logger: logger)
    }
    do {
      log = try configuration.accessLog.map { settings in
        try AccessLog(settings, tenantName: name) { Self.tell($0, reloads, logger) }
      }
    } catch let error as LogFileError {
      throw ConfigurationError(description: "access_log: \(error)")
    }
  }

  /// Nil: nobody watches, and nothing is paid for it.
  var observer: (any ServerObserver)? {
    let telemetry = log != nil || tracer != nil ? CallTelemetry(log: log, tracer: tracer) : nil
    let all: [(any ServerObserver)?] = [counters.counts ? counters : nil, metrics, telemetry]
    return all.compactMap(\.self).reduce(nil) { watching, next in
      watching.map { CombinedObserver($0, next) } ?? next
    }
  }

  var traces: Bool { tracer != nil }

  /// Exports spans until cancelled, and then for a moment what waits.
  func run() async {
    await withTaskGroup { group in
      if let collectorFiles { group.addTask { await collectorFiles.watch() } }
      await tracer?.run()
      group.cancelAll()
    }
  }

  /// SIGHUP.
  func reload() { collectorFiles?.reload() }

  /// Files of logs were rotated.
  func reopen() { log?.reopen() }

  /// Writes what waits.
  func finish() async { await log?.finish() }

  private static func tell(_ event: Tracer.Event, _ logger: Logger) {
    switch event {
    case .exportFailed(let error):
      logger.warning("spans not exported: tried again", metadata: ["error": "\(error)"])
    case .exportsAgain: logger.notice("spans exported again")
    case .dropped(let overRate, let overflown, let refused):
      logger.warning(
        "spans dropped",
        metadata: [
          "over_rate": "\(overRate)", "no_room": "\(overflown)", "refused": "\(refused)",
        ])
    }
  }

  private static func tell(
    _ event: AccessLog.Event, _ reloads: ReloadCounters, _ logger: Logger
  ) {
    switch event {
    case .writeFailed(let error):
      logger.error("access log not written: lines are lost", metadata: ["error": "\(error)"])
    case .writesAgain: logger.notice("access log written again")
    case .reopened:
      reloads.ended(.accessLog, succeeded: true)
      logger.info("access log opened anew")
    case .notReopened(let error):
      reloads.ended(.accessLog, succeeded: false)
      logger.error(
        "access log not opened anew: the old file stays in use", metadata: ["error": "\(error)"])
    }
  }
}
