import Synchronization
import TenancyRPC

/// Sends spans to a collector, in batches, by this project's own client. One call at a time: while the collector is
/// away a batch is tried again and again, and what the queue has no room for meanwhile is counted.
struct SpanExporter: Sendable {
  /// Spans of one call.
  static let maximumBatch = 512
  /// From the first span of a batch until it is sent.
  private static let delay = Duration.milliseconds(200)
  /// How long a collector may take for one batch.
  private static let timeout = Duration.seconds(10)
  private static let shortestBackoff = Duration.milliseconds(500)
  private static let longestBackoff = Duration.seconds(5)
  /// Between two reports of what was dropped.
  private static let reportInterval = Duration.seconds(5)
  /// For what waits when the end has come.
  private static let lastTimeout = Duration.seconds(2)

  private let queue: SpanQueue
  private let target: RPCChannel.Target
  private let tls: TLSContext?
  private let resource: OTLPResource.Resource
  private let scope: OTLPCommon.InstrumentationScope
  private let report: @Sendable (Tracer.Event) -> Void

  init(
    _ queue: SpanQueue, to collector: Tracer.Settings, version: String,
    report: @escaping @Sendable (Tracer.Event) -> Void
  ) {
    self.queue = queue
    target = collector.collector
    tls = collector.tls
    self.report = report
    resource = OTLPResource.Resource(attributes: [
      .text("service.name", "tenantd"), .text("service.version", version),
    ])
    scope = OTLPCommon.InstrumentationScope(name: "TenancyTelemetry", version: version)
  }

  func run() async {
    var configuration = RPCChannel.Configuration()
    configuration.retry = .never
    let channel = RPCChannel(target, tls: tls, configuration: configuration)
    var progress = Progress()
    await withTaskGroup { group in
      group.addTask {
        // Cancelled: what is left is told at the end.
        while (try? await Task.sleep(for: Self.reportInterval)) != nil { tellDropped() }
      }
      for await _ in queue.arrivals {
        // More may come: they go together.
        try? await Task.sleep(for: Self.delay)  // Cancelled: at once.
        await exportAll(channel, &progress)
        if Task.isCancelled { break }
      }
      group.cancelAll()
    }
    await last(channel, progress)
    await channel.close()
  }

  private struct Progress {
    /// Taken from the queue and not sent.
    var batch: [CallSpan] = []
    var hasFailed = false
  }

  /// Until nothing waits, or it is cancelled.
  private func exportAll(_ channel: RPCChannel, _ progress: inout Progress) async {
    var backoff = Self.shortestBackoff
    while !Task.isCancelled {
      if progress.batch.isEmpty { progress.batch = queue.take(Self.maximumBatch) }
      if progress.batch.isEmpty { return }
      if await export(channel, &progress, within: Self.timeout) {
        backoff = Self.shortestBackoff
        continue
      }
      try? await Task.sleep(for: backoff)  // Cancelled: the loop ends.
      backoff = min(backoff * 2, Self.longestBackoff)
    }
  }

  /// The end has come: each batch is tried once.
  private func last(_ channel: RPCChannel, _ progress: Progress) async {
    // Calls of a cancelled task fail at once: this one is awaited here, and ends by its deadline.
    let task = Task {
      var rest = progress
      let end = ContinuousClock.now.advanced(by: Self.lastTimeout)
      while true {
        if rest.batch.isEmpty { rest.batch = queue.take(Self.maximumBatch) }
        let left = ContinuousClock.now.duration(to: end)
        guard !rest.batch.isEmpty, left > .zero,
          await export(channel, &rest, within: left)
        else { break }
      }
      queue.dropAll(and: rest.batch.count)
      tellDropped()
    }
    await task.value
  }

  /// - Returns: whether the batch is done with.
  private func export(
    _ channel: RPCChannel, _ progress: inout Progress, within timeout: Duration
  ) async -> Bool {
    let spans = OTLPTrace.ScopeSpans(scope: scope, spans: progress.batch.map { $0.message() })
    let request = OTLPCollector.ExportTraceServiceRequest(resourceSpans: [
      OTLPTrace.ResourceSpans(resource: resource, scopeSpans: [spans])
    ])
    do {
      let answer = try await channel.unary(
        OTLPCollector.TraceService.export, request, options: RPCCallOptions(timeout: timeout))
      if let partial = answer.partialSuccess, partial.rejectedSpans > 0 {
        queue.drop(refused: Int(min(partial.rejectedSpans, Int64(progress.batch.count))))
      }
      if progress.hasFailed { report(.exportsAgain) }
      progress.hasFailed = false
    } catch {
      if Task.isCancelled { return false }
      if !progress.hasFailed { report(.exportFailed("\(target): \(error)")) }
      progress.hasFailed = true
      guard let status = error as? RPCStatus, !Self.mayDoBetter(status) else { return false }
      queue.drop(refused: progress.batch.count)
    }
    progress.batch = []
    return true
  }

  /// Those that OTLP says are worth another try.
  private static func mayDoBetter(_ status: RPCStatus) -> Bool {
    let codes: [RPCStatus.Code] = [
      .cancelled, .deadlineExceeded, .resourceExhausted, .aborted, .outOfRange, .unavailable,
      .dataLoss,
    ]
    return codes.contains(status.code)
  }

  private func tellDropped() {
    let dropped = queue.takeDropped()
    guard !dropped.isEmpty else { return }
    report(
      .dropped(
        overRate: dropped.overRate, overflown: dropped.overflown, refused: dropped.refused))
  }
}
