import TenancyRPC

/// One line for each call: of those that fail, all, up to so many a second; of others, one in so many. Lines are
/// made on the event loop of their call and written elsewhere: a slow disk delays no call. What is not logged is
/// counted, and the count is logged. Thread-safe.
public final class AccessLog: Sendable {
  public struct Settings: Sendable {
    /// Nil: standard error.
    public var path: String?
    /// Of calls that are OK, one in so many of each event loop is logged; 0: none.
    public var sample: Int
    /// Failed calls that are logged in a second, at most.
    public var errorsPerSecond: Int

    public static let defaultSample = 1
    public static let defaultErrorsPerSecond = 200

    public init(
      path: String?, sample: Int = defaultSample, errorsPerSecond: Int = defaultErrorsPerSecond
    ) {
      self.path = path
      self.sample = sample
      self.errorsPerSecond = errorsPerSecond
    }
  }

  /// What an operator may want to read elsewhere.
  public enum Event: Sendable, Equatable {
    case writeFailed(String)
    case writesAgain
    case reopened
    case notReopened(String)
  }

  let writer: LogWriter
  let format: LogFormat
  let sample: Int
  let tenantName: TenantName

  /// Opens the log. Standard error is written as `key=value` where it is a terminal; all else is JSON.
  /// - Parameter report: called on the writer's thread.
  /// - Throws: `LogFileError` when the file can't be opened.
  public convenience init(
    _ settings: Settings, tenantName: @escaping TenantName,
    report: @escaping @Sendable (Event) -> Void
  ) throws(LogFileError) {
    let isText = settings.path == nil && LogFile.standardErrorIsTerminal
    try self.init(settings, format: isText ? .text : .json, tenantName: tenantName, report: report)
  }

  init(
    _ settings: Settings, format: LogFormat, tenantName: @escaping TenantName,
    report: @escaping @Sendable (Event) -> Void
  ) throws(LogFileError) {
    let file = try LogFile(settings.path)
    self.format = format
    sample = settings.sample
    self.tenantName = tenantName
    writer = LogWriter(file, format, errorsPerSecond: settings.errorsPerSecond, report: report)
  }

  /// Opens the file anew: it was renamed by who rotates logs. Lines from before go into the old one.
  public func reopen() { writer.reopen() }

  /// Writes what waits. A disk that takes nothing is not waited for longer than two seconds.
  public func finish() async { await writer.finish(within: .seconds(2)) }
}

/// One event loop's part. Confined to it.
struct LoopAccessLog {
  private let writer: LogWriter
  private let tenantName: TenantName
  private let sample: Int
  private var line: AccessLine
  /// Calls that are OK until the next one that is logged.
  private var left: Int

  init(_ log: AccessLog, methods: [String]) {
    writer = log.writer
    tenantName = log.tenantName
    sample = log.sample
    left = log.sample
    line = AccessLine(log.format, methods: methods, tenantName: log.tenantName)
  }

  /// - Parameter trace: made, if it is not known, only for a call that is logged.
  @inline(__always)
  mutating func note(
    _ call: borrowing CallRecord, _ details: borrowing CallDetails, trace: TraceID?
  ) {
    if call.code == .ok {
      guard sample > 0 else { return }
      left -= 1
      if left > 0 { return }
      left = sample
      write(call, details, sample: sample, trace)
    } else {
      noteFailure(call, details, trace)
    }
  }

  private mutating func noteFailure(
    _ call: borrowing CallRecord, _ details: borrowing CallDetails, _ trace: TraceID?
  ) {
    let account = details.account
    guard writer.admits(call.code, at: call.endTime, account: account) else { return }
    write(call, details, sample: nil, trace)
  }

  private mutating func write(
    _ call: borrowing CallRecord, _ details: borrowing CallDetails, sample: Int?,
    _ trace: TraceID?
  ) {
    line.write(call, details, sample: sample, trace: trace ?? TraceParent(of: details)?.trace)
    writer.write(line.line.bytes)
  }
}

extension TraceParent {
  /// What a call says it belongs to; nil where it says nothing, or more than one thing.
  init?(of details: borrowing CallDetails) {
    var (found, count): (TraceParent?, Int) = (nil, 0)
    details.forEachValue(of: Self.metadataName) { value in
      count += 1
      found = TraceParent(parsing: value)
    }
    guard count == 1, let found else { return nil }
    self = found
  }
}
