import NIOCore
import Synchronization
import Testing

@testable import TenancyRPCCore
@testable import TenancyRPCServer

@Suite("Peers that do not take part any more")
struct SupervisionTests {
  private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

  private static var limits: ServerLimits {
    var limits = ServerLimits()
    limits.stallTimeout = .seconds(10)
    limits.idleTimeout = .seconds(100)
    limits.keepaliveInterval = .seconds(30)
    limits.keepaliveTimeout = .seconds(5)
    return limits
  }

  /// The verdict at each second from 0 on.
  private static func verdicts(
    _ limits: ServerLimits = limits, seconds: Int64, jitter: Double = 0,
    _ state: (Int64) -> (ConnectionProgress, buffered: Int, written: UInt64)
  ) -> [ConnectionJudge.Verdict] {
    var judge = ConnectionJudge(limits, now: start, jitter: jitter)
    return (0...seconds).map { second in
      let (progress, buffered, written) = state(second)
      return judge.judge(
        progress, buffered: buffered, written: written, at: start + .seconds(second))
    }
  }

  private static func first(_ verdicts: [ConnectionJudge.Verdict]) -> Int? {
    verdicts.firstIndex { $0 != .fine }
  }

  @Test func unfinishedFrame() {
    let verdicts = Self.verdicts(seconds: 12) { _ in
      (ConnectionProgress(isInputPartial: true, framesBegun: 3), 0, 0)
    }
    #expect(Self.first(verdicts) == 10)
    #expect(verdicts[10] == .stalled("a frame was begun and not finished"))
  }

  /// Many slow frames are not one that is never finished.
  @Test func slowFrames() {
    let verdicts = Self.verdicts(seconds: 60) { second in
      (ConnectionProgress(isInputPartial: true, framesBegun: UInt64(second / 9)), 0, 0)
    }
    #expect(Self.first(verdicts) == nil)
  }

  /// The frames of a header block are no progress: its request's time runs.
  @Test(arguments: [(10, 60, 10), (30, 60, 30), (30, 5, 5)])
  func headerBlock(_ stall: Int, _ request: Int, _ end: Int) {
    var limits = Self.limits
    limits.stallTimeout = .seconds(stall)
    limits.requestTimeout = .seconds(request)
    let verdicts = Self.verdicts(limits, seconds: 31) { _ in
      (ConnectionProgress(isInputPartial: true, isBlockPartial: true, framesBegun: 3), 0, 0)
    }
    #expect(Self.first(verdicts) == end)
    #expect(verdicts[end] == .stalled("a header block was begun and not finished"))
  }

  @Test(arguments: [0, 100, 102, 103])
  func window(_ bytesPerSecond: UInt64) {
    let verdicts = Self.verdicts(seconds: 12) { second in
      var progress = ConnectionProgress(waitingBytes: 5000)
      progress.takenBytes = UInt64(second) * bytesPerSecond
      progress.framesBegun = UInt64(second)
      return (progress, 0, 0)
    }
    // 1,024 bytes within ten seconds are the least.
    #expect(Self.first(verdicts) == (bytesPerSecond < 103 ? 10 : nil))
  }

  @Test func socketThatIsNotRead() {
    let stuck = Self.verdicts(seconds: 12) { _ in (ConnectionProgress(), 70_000, 90_000) }
    #expect(Self.first(stuck) == 10)
    let moving = Self.verdicts(seconds: 29) { second in
      (ConnectionProgress(), 70_000, 90_000 + UInt64(second) * 200)
    }
    #expect(Self.first(moving) == nil)
  }

  @Test func idle() {
    var limits = Self.limits
    limits.keepaliveInterval = nil
    let idle = Self.verdicts(limits, seconds: 101) { _ in (ConnectionProgress(), 0, 0) }
    #expect(Self.first(idle) == 100)
    let busy = Self.verdicts(limits, seconds: 200) { _ in
      (ConnectionProgress(openCalls: 1), 0, 0)
    }
    #expect(Self.first(busy) == nil)
    // Calls that begin and end between two judgements.
    let quick = Self.verdicts(limits, seconds: 200) { second in
      (ConnectionProgress(callsBegun: UInt64(second / 99)), 0, 0)
    }
    #expect(Self.first(quick) == nil)
  }

  /// A protocol without pings has no keepalive.
  @Test func noPings() {
    var limits = Self.limits
    limits.idleTimeout = nil
    var judge = ConnectionJudge(limits, now: Self.start, jitter: 0, canPing: false)
    for second in 0...100 {
      let verdict = judge.judge(
        ConnectionProgress(), buffered: 0, written: 0, at: Self.start + .seconds(Int64(second)))
      #expect(verdict == .fine)
    }
    #expect(judge.nextCheck == nil)
  }

  @Test func whenToJudgeAgain() {
    var limits = Self.limits
    limits.maximumConnectionAge = .seconds(70)
    var judge = ConnectionJudge(limits, now: Self.start, jitter: 0)
    func judged(at second: Int64, pings: UInt64 = 0) -> Int64? {
      let now = Self.start + .seconds(second)
      _ = judge.judge(
        ConnectionProgress(pingsAcknowledged: pings), buffered: 0, written: 0, at: now)
      return judge.nextCheck.map { ($0 - Self.start).nanoseconds / 1_000_000_000 }
    }
    #expect(judged(at: 0) == 30, "a ping is due")
    #expect(judged(at: 30) == 35, "it must have come by then")
    #expect(judged(at: 32, pings: 1) == 62)
    #expect(judged(at: 62, pings: 1) == 67)
    #expect(judged(at: 64, pings: 2) == 70, "the connection is old")
  }

  @Test(arguments: [-1.0, 0, 1])
  func age(_ jitter: Double) {
    var limits = Self.limits
    limits.maximumConnectionAge = .seconds(50)
    let verdicts = Self.verdicts(limits, seconds: 60, jitter: jitter) { second in
      (ConnectionProgress(framesBegun: UInt64(second), openCalls: 1), 0, 0)
    }
    #expect(Self.first(verdicts) == 50 + Int(5 * jitter))
    #expect(verdicts.last == .retire("the connection is old"))
  }

  @Test func keepalive() {
    let silent = Self.verdicts(seconds: 36) { _ in (ConnectionProgress(), 0, 0) }
    #expect(Self.first(silent) == 30)
    #expect(silent[30] == .ping)
    #expect(silent[34] == .fine)
    #expect(silent[35] == .stalled("a ping was not answered"))
    let alive = Self.verdicts(seconds: 70) { second in
      (ConnectionProgress(openCalls: 1, pingsAcknowledged: second > 31 ? 1 : 0), 0, 0)
    }
    // 30 seconds after the answer, the next.
    #expect(alive.indices.filter { alive[$0] == .ping } == [30, 62])
  }
}

@Suite("Limits of all connections")
struct SharedLimitTests {
  @Test func retryInfo() {
    let status = RPCStatus(.resourceExhausted, "busy", retryAfter: .milliseconds(1500))
    let details = RetryInfo.details(status, delay: .milliseconds(1500))
    let described = RPCStatus(.resourceExhausted, "busy", details: details)
    #expect(RetryInfo.delay(in: described) == .milliseconds(1500))
  }
}
