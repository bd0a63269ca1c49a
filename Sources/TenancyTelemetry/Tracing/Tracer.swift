internal import Glibc
public import TenancyRPC

/// Makes a span of each call that is sampled, and exports it over OTLP. Whether a call is sampled is decided when it
/// ends, in one place: one that says in its `traceparent` what it belongs to is if that is, others by chance. Nothing
/// is made for a call that is not. Thread-safe.
public final class Tracer: Sendable {
  public struct Settings: Sendable {
    /// Where the collector is.
    public var collector: RPCChannel.Target
    /// For TLS to a collector that is reached by TCP.
    public var tls: TLSContext?
    /// The part of calls without a `traceparent` that are sampled, from 0 to 1.
    public var ratio: Double
    /// Whatever callers want, no more are made in a second.
    public var spansPerSecond: Int

    public static let defaultSpansPerSecond = 1000

    public init(
      collector: RPCChannel.Target, ratio: Double = 0,
      spansPerSecond: Int = defaultSpansPerSecond
    ) {
      self.collector = collector
      self.ratio = ratio
      self.spansPerSecond = spansPerSecond
    }
  }

  /// What an operator may want to read.
  public enum Event: Sendable, Equatable {
    case exportFailed(String)
    case exportsAgain
    /// Spans that were not exported: over what is made in a second, without room, not wanted by the collector.
    case dropped(overRate: UInt64, overflown: UInt64, refused: UInt64)
  }

  let queue: SpanQueue
  let settings: Settings
  let tenantName: TenantName
  private let exporter: SpanExporter

  /// - Parameter report: called now and then, on any thread.
  public init(
    _ settings: Settings, version: String, tenantName: @escaping TenantName,
    report: @escaping @Sendable (Event) -> Void
  ) {
    self.settings = settings
    self.tenantName = tenantName
    queue = SpanQueue(spansPerSecond: settings.spansPerSecond)
    exporter = SpanExporter(queue, to: settings, version: version, report: report)
  }

  /// Exports until cancelled, and then for a moment what waits.
  public func run() async { await exporter.run() }
}

/// One event loop's part. Confined to it.
struct LoopTracer {
  private let queue: SpanQueue
  private let tenantName: TenantName
  private let methods: [String]
  /// Of 2^64.
  private let threshold: UInt64
  private var chance: Chance
  private var system = SystemRandomNumberGenerator()

  init(_ tracer: Tracer, methods: [String]) {
    queue = tracer.queue
    tenantName = tracer.tenantName
    self.methods = methods
    threshold = Self.threshold(tracer.settings.ratio)
    chance = Chance(seed: system.next())
  }

  static func threshold(_ ratio: Double) -> UInt64 {
    ratio >= 1 ? .max : UInt64(max(0, ratio) * 0x1p64)
  }

  /// - Returns: the trace of a call whose span was made.
  @inline(__always)
  mutating func note(
    _ call: borrowing CallRecord, _ details: borrowing CallDetails
  ) -> TraceID? {
    let parent = TraceParent(of: details)
    if let parent {
      guard parent.isSampled else { return nil }
    } else if threshold == 0 || threshold != .max && chance.next() >= threshold {
      return nil
    }
    return trace(call, details, parent)
  }

  private mutating func trace(
    _ call: borrowing CallRecord, _ details: borrowing CallDetails, _ parent: TraceParent?
  ) -> TraceID? {
    let account = details.account
    guard queue.admits(at: call.endTime, account: account),
      let trace = parent?.trace ?? TraceID(high: system.next(), low: system.next()),
      let span = SpanID(system.next())
    else { return nil }
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let end = UInt64(clamping: now.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: now.tv_nsec)
    let path = call.method.flatMap { methods.indices.contains($0) ? methods[$0] : nil }
    queue.add(
      CallSpan(
        trace: trace, span: span, parent: parent?.parent, path: path, wire: call.wire,
        code: call.code, startTime: end &- (call.endTime &- call.beginTime), endTime: end,
        tenant: call.tag.isZero ? nil : tenantName(call.tag), requestID: details.requestID))
    return trace
  }
}

/// Numbers for sampling, at no cost (SplitMix64): nobody gains anything by guessing them.
private struct Chance {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
