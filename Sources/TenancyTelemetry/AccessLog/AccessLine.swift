internal import Glibc
import TenancyRPC

/// Puts what is known of a call into a line. Confined to an event loop.
struct AccessLine {
  private let methods: [String]
  private let tenantName: TenantName
  private(set) var line: LogLine
  /// Both made when the second changes.
  private var second = Int.min
  private var secondText = ""

  init(_ format: LogFormat, methods: [String], tenantName: @escaping TenantName) {
    self.methods = methods
    self.tenantName = tenantName
    line = LogLine(format)
  }

  /// - Parameters:
  ///   - sample: one in how many calls of its kind is logged; nil: each.
  ///   - trace: which the call belongs to.
  mutating func write(
    _ call: borrowing CallRecord, _ details: borrowing CallDetails, sample: Int?, trace: TraceID?
  ) {
    line.begin()
    line.field("time", now())
    line.field("method", method(call, details))
    line.field("protocol", Self.name(call.wire))
    line.field("status", call.code.description)
    line.field("reason", ErrorReason.find(in: details.status))
    line.field("peer", Self.name(call.peer))
    let names = details.caller
    line.field("subject", names?.subject)
    line.field("caller_tenant", names?.tenant)
    if !call.tag.isZero { line.field("tenant", tenantName(call.tag)) }
    line.field("request_id", details.requestID)
    line.field("trace_id", trace?.text)
    line.field("request_bytes", UInt64(clamping: call.requestBytes))
    line.field("response_bytes", UInt64(clamping: call.responseBytes))
    line.field("request_messages", UInt64(clamping: call.requestMessages))
    line.field("response_messages", UInt64(clamping: call.responseMessages))
    line.field("duration_us", (call.endTime &- call.beginTime) / 1000)
    let queued = call.startTime > call.beginTime ? call.startTime &- call.beginTime : 0
    line.field("queue_us", queued / 1000)
    if let sample, sample > 1 { line.field("sample", UInt64(clamping: sample)) }
    line.end()
  }

  private func method(_ call: borrowing CallRecord, _ details: borrowing CallDetails) -> String {
    if let method = call.method, methods.indices.contains(method) { return methods[method] }
    // Without what follows the path: tokens are found there.
    return details.unknownPath.map { String($0.prefix { $0 != "?" }) } ?? ""
  }

  private mutating func now() -> String {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    if time.tv_sec != second {
      second = time.tv_sec
      secondText = WallTime.seconds(second)
    }
    return secondText + WallTime.fraction(microseconds: time.tv_nsec / 1000)
  }

  private static func name(_ wire: CallRecord.Wire) -> String {
    switch wire {
    case .grpc: "grpc"
    case .ttrpc: "ttrpc"
    }
  }

  private static func name(_ peer: CallRecord.PeerKind) -> String {
    switch peer {
    case .certificate: "certificate"
    case .unix: "unix"
    case .anonymous: "anonymous"
    }
  }
}

/// Moments as RFC 3339 writes them, in UTC.
enum WallTime {
  /// `2026-11-29T03:50:02`.
  static func seconds(_ seconds: Int) -> String {
    var (time, parts) = (time_t(seconds), tm())
    guard gmtime_r(&time, &parts) != nil else { return "\(seconds)" }
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(Int(parts.tm_year) + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T"
      + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
  }

  /// `.000123Z`.
  static func fraction(microseconds: Int) -> String {
    let digits = String(microseconds)
    return "." + String(repeating: "0", count: max(0, 6 - digits.count)) + digits + "Z"
  }

  /// Now, to the microsecond.
  static func now() -> String {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return seconds(time.tv_sec) + fraction(microseconds: time.tv_nsec / 1000)
  }
}
