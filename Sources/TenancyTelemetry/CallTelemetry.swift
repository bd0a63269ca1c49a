public import TenancyRPC

/// Logs and traces the calls of a server. Thread-safe.
public struct CallTelemetry: ServerObserver {
  private let log: AccessLog?
  private let tracer: Tracer?

  public init(log: AccessLog?, tracer: Tracer?) {
    self.log = log
    self.tracer = tracer
  }

  public func makeLoopObserver(methods: [String], loop: ObservedLoop) -> LoopObserver {
    LoopTelemetry(
      log: log.map { LoopAccessLog($0, methods: methods) },
      tracer: tracer.map { LoopTracer($0, methods: methods) })
  }
}

/// One event loop's part.
final class LoopTelemetry: LoopObserver {
  @exclusivity(unchecked) private var log: LoopAccessLog?
  @exclusivity(unchecked) private var tracer: LoopTracer?

  init(log: LoopAccessLog?, tracer: LoopTracer?) {
    self.log = log
    self.tracer = tracer
  }

  override func callEnded(_ call: borrowing CallRecord, _ details: borrowing CallDetails) {
    // First: a trace that begins here is named in the log.
    let trace = tracer?.note(call, details)
    log?.note(call, details, trace: trace ?? nil)
  }
}
