import Dispatch
import Synchronization
import TenancyRPC

/// Writes lines that event loops hand over, on a thread of its own: a loop copies its line into memory and goes
/// on, whatever the disk does. What does not fit is counted, and the count is logged. Thread-safe.
final class LogWriter: Sendable {
  /// Of lines that wait for the writer.
  static let maximumWaitingBytes = 1 << 20
  /// Lines of this time are written at once.
  private static let delay = DispatchTimeInterval.milliseconds(10)
  /// Between two lines about what was not logged.
  private static let noticeInterval = DispatchTimeInterval.seconds(1)

  private struct State {
    var lines: [UInt8] = []
    var count = 0
    /// The writer will look at what waits.
    var isScheduled = false
    var mustReopen = false
    var budget: FairBudget
    var missing = Missing()
    /// The writer will tell of them.
    var isNoticeScheduled = false

    /// - Returns: whether the writer must be woken.
    mutating func schedule() -> Bool {
      if isScheduled { return false }
      isScheduled = true
      return true
    }

    /// The same for a notice.
    mutating func scheduleNotice() -> Bool {
      if isNoticeScheduled { return false }
      isNoticeScheduled = true
      return true
    }
  }

  /// Calls that were not logged though they should have been.
  struct Missing: Equatable {
    /// Failed calls beyond what is logged in a second, by code.
    var suppressed: [UInt64] = []
    /// Lines for which there was no room, or which could not be written.
    var lost: UInt64 = 0

    var isEmpty: Bool { self == Missing() }

    mutating func suppress(_ code: RPCStatus.Code) {
      if suppressed.isEmpty { suppressed = Array(repeating: 0, count: Self.codes) }
      let place = Int(code.rawValue)
      if suppressed.indices.contains(place) { suppressed[place] &+= 1 }
    }

    mutating func add(_ other: Missing) {
      lost &+= other.lost
      if suppressed.isEmpty { return suppressed = other.suppressed }
      for (place, count) in other.suppressed.enumerated() { suppressed[place] &+= count }
    }

    /// Of gRPC.
    private static let codes = 17
  }

  /// Only the queue uses it: it has one reference, which is not handed on.
  private final class Output: @unchecked Sendable {
    var file: LogFile
    var line: LogLine
    /// Used again, so that no memory is taken for a batch.
    private var spare: [UInt8] = []
    var hasFailed = false

    init(_ file: consuming LogFile, _ format: LogFormat) {
      self.file = file
      line = LogLine(format)
    }

    func takeSpare() -> [UInt8] {
      defer { spare = [] }
      return spare
    }

    func keep(_ lines: consuming [UInt8]) {
      lines.removeAll(keepingCapacity: true)
      spare = lines
    }
  }

  private let state: Mutex<State>
  private let queue = DispatchQueue(label: "tenancy.access-log")
  private let output: Output
  private let report: @Sendable (AccessLog.Event) -> Void

  init(
    _ file: consuming LogFile, _ format: LogFormat, errorsPerSecond: Int,
    report: @escaping @Sendable (AccessLog.Event) -> Void
  ) {
    state = Mutex(State(budget: FairBudget(perSecond: errorsPerSecond)))
    output = Output(file, format)
    self.report = report
  }

  /// Whether a failed call is logged; one that is not is counted.
  func admits(_ code: RPCStatus.Code, at time: UInt64, account: Int) -> Bool {
    let (isAdmitted, isFirst) = state.withLock { state in
      if state.budget.take(at: time, account: account) { return (true, false) }
      state.missing.suppress(code)
      return (false, state.scheduleNotice())
    }
    if isFirst { scheduleNotice() }
    return isAdmitted
  }

  /// Takes a line, which ends with a newline.
  func write(_ line: [UInt8]) {
    let (isFirst, isFirstLost) = state.withLock { state in
      if state.lines.count + line.count > Self.maximumWaitingBytes {
        state.missing.lost &+= 1
        return (false, state.scheduleNotice())
      }
      state.lines.append(contentsOf: line)
      state.count += 1
      return (state.schedule(), false)
    }
    if isFirst { schedule() }
    if isFirstLost { scheduleNotice() }
  }

  /// Opens the file anew, once what waits is written to the old one.
  func reopen() {
    let isFirst = state.withLock { state in
      state.mustReopen = true
      return state.schedule()
    }
    if isFirst { schedule() }
  }

  /// Writes what waits, unless that takes longer.
  func finish(within limit: DispatchTimeInterval) async {
    let isDone = DoneFlag()
    await withCheckedContinuation { continuation in
      queue.async { [self] in
        drain()
        tell()
        if isDone.set() { continuation.resume() }
      }
      // A disk may hang.
      DispatchQueue.global().asyncAfter(deadline: .now() + limit) {
        if isDone.set() { continuation.resume() }
      }
    }
  }

  // MARK: The writer's thread

  private func schedule() {
    queue.asyncAfter(deadline: .now() + Self.delay) { [self] in drain() }
  }

  private func scheduleNotice() {
    queue.asyncAfter(deadline: .now() + Self.noticeInterval) { [self] in tell() }
  }

  private func drain() {
    let fresh = output.takeSpare()
    let (lines, count, mustReopen) = state.withLock { state in
      let waiting = (state.lines, state.count, state.mustReopen)
      state.lines = fresh
      state.count = 0
      state.mustReopen = false
      state.isScheduled = false
      return waiting
    }
    if !lines.isEmpty { write(lines, count) }
    output.keep(lines)
    if mustReopen { reopenFile() }
  }

  private func write(_ lines: [UInt8], _ count: Int) {
    let (written, error) = output.file.write(lines)
    if let error {
      lose(Missing(lost: UInt64(clamping: count - written)))
      if !output.hasFailed { report(.writeFailed(error.description)) }
    } else if output.hasFailed {
      report(.writesAgain)
    }
    output.hasFailed = error != nil
  }

  private func lose(_ missing: Missing) {
    let isFirst = state.withLock { state in
      state.missing.add(missing)
      return state.scheduleNotice()
    }
    if isFirst { scheduleNotice() }
  }

  /// Tells of what was not logged.
  private func tell() {
    let missing = state.withLock { state in
      defer { state.missing = Missing() }
      state.isNoticeScheduled = false
      return state.missing
    }
    guard !missing.isEmpty else { return }
    output.line.begin()
    output.line.field("time", WallTime.now())
    output.line.field("notice", "calls not logged")
    output.line.field("suppressed", missing.suppressed.reduce(0, &+))
    output.line.field("lost", missing.lost)
    let counts = missing.suppressed.enumerated().filter { $0.element > 0 }
    if !counts.isEmpty {
      output.line.field(
        "suppressed_by_status",
        counts: counts.map { (RPCStatus.Code(number: $0.offset).description, $0.element) })
    }
    output.line.end()
    // Told when it can be.
    if output.file.write(output.line.bytes).error != nil { lose(missing) }
  }

  private func reopenFile() {
    do throws(LogFileError) {
      try output.file.reopen()
      report(.reopened)
    } catch {
      report(.notReopened(error.description))
    }
  }
}

/// Set once.
private final class DoneFlag: Sendable {
  private let isSet = Atomic(false)

  /// - Returns: whether it was not set before.
  func set() -> Bool { !isSet.exchange(true, ordering: .relaxed) }
}
