internal import NIOCore

/// How far an engine has come: what tells a slow peer from one that does nothing.
struct ConnectionProgress {
  /// A frame has begun and is not whole, or the connection's opening is not.
  var isInputPartial = false
  /// What is not whole is a header block: the time of its request runs.
  var isBlockPartial = false
  /// Frames begun so far; those of a header block count as one.
  var framesBegun: UInt64 = 0
  /// Response bytes that wait for the peer to make room in its windows.
  var waitingBytes = 0
  /// Response bytes that the peer has made room for so far.
  var takenBytes: UInt64 = 0
  var openCalls = 0
  /// Grows with each call that begins.
  var callsBegun: UInt64 = 0
  /// Pings of ours that the peer has answered.
  var pingsAcknowledged: UInt64 = 0
}

/// Judges, each time that it is supervised, whether the peer of one connection still takes part. Does no I/O.
struct ConnectionJudge {
  enum Verdict: Equatable {
    case fine
    /// To be cut off, and why.
    case stalled(String)
    /// To be drained: nothing happened for the idle timeout, or the connection is old.
    case retire(String)
    /// Keepalive: to be sent a PING.
    case ping
  }

  /// Bytes that a peer must take within the stall timeout, or all that wait: less is no progress.
  static let leastProgress: UInt64 = 1024
  /// Connections that were made together do not end together.
  static let ageJitter = 0.1

  /// Bytes taken at some time.
  private struct Mark {
    let taken: UInt64
    let since: NIODeadline
  }

  private let limits: ServerLimits
  private var keepaliveInterval: Duration?
  private let retirement: NIODeadline?
  private var input: (frames: UInt64, since: NIODeadline)?
  private var window: Mark?
  private var socket: Mark?
  private var idleSince: NIODeadline
  private var lastCalls: UInt64 = 0
  private var lastFrames: UInt64 = 0
  private var lastActivity: NIODeadline
  private var pingSent: (answers: UInt64, at: NIODeadline)?

  /// - Parameter canPing: whether the protocol has pings.
  init(_ limits: ServerLimits, now: NIODeadline, jitter: Double, canPing: Bool = true) {
    self.limits = limits
    keepaliveInterval = canPing ? limits.keepaliveInterval : nil
    idleSince = now
    lastActivity = now
    retirement = limits.maximumConnectionAge.map {
      now + TimeAmount.bounded($0 * (1 + Self.ageJitter * jitter))
    }
  }

  /// How often to judge while something is under way.
  static func interval(_ limits: ServerLimits) -> TimeAmount {
    let shortest = [
      limits.stallTimeout, limits.requestTimeout, limits.idleTimeout, limits.maximumConnectionAge,
      limits.keepaliveInterval, limits.keepaliveTimeout,
    ].compactMap { $0 }.min()
    let nanoseconds = TimeAmount.bounded(shortest ?? .seconds(10)).nanoseconds / 20
    return .nanoseconds(min(max(nanoseconds, 20_000_000), 500_000_000))
  }

  /// - Parameters:
  ///   - buffered: bytes that wait in the socket's queue.
  ///   - written: bytes given to the socket's queue so far.
  mutating func judge(
    _ progress: ConnectionProgress, buffered: Int, written: UInt64, at now: NIODeadline
  ) -> Verdict {
    let patience = TimeAmount.bounded(limits.stallTimeout)
    if let reason = judgeInput(progress, patience, at: now) { return .stalled(reason) }
    if Self.isStalled(&window, progress.waitingBytes, progress.takenBytes, patience, now) {
      return .stalled("answers were not taken")
    }
    // What has left the queue: what was put into it and is not there any more.
    if Self.isStalled(&socket, buffered, written - min(written, UInt64(buffered)), patience, now) {
      return .stalled("the connection was not read")
    }
    return judgeAge(progress, at: now)
  }

  private mutating func judgeInput(
    _ progress: ConnectionProgress, _ patience: TimeAmount, at now: NIODeadline
  ) -> String? {
    guard progress.isInputPartial else {
      input = nil
      return nil
    }
    guard let (frames, since) = input, frames == progress.framesBegun else {
      input = (progress.framesBegun, now)
      return nil
    }
    if progress.isBlockPartial {
      // Where it is not whole no answer can be given: the connection is all that can be ended.
      let limit = min(patience, TimeAmount.bounded(limits.requestTimeout))
      return now - since >= limit ? "a header block was begun and not finished" : nil
    }
    return now - since >= patience ? "a frame was begun and not finished" : nil
  }

  private static func isStalled(
    _ mark: inout Mark?, _ waiting: Int, _ taken: UInt64,
    _ patience: TimeAmount, _ now: NIODeadline
  ) -> Bool {
    guard waiting > 0 else {
      mark = nil
      return false
    }
    guard let before = mark, taken - min(taken, before.taken) < leastProgress else {
      mark = Mark(taken: taken, since: now)
      return false
    }
    return now - before.since >= patience
  }

  private mutating func judgeAge(
    _ progress: ConnectionProgress, at now: NIODeadline
  ) -> Verdict {
    if progress.openCalls > 0 || progress.callsBegun != lastCalls { idleSince = now }
    lastCalls = progress.callsBegun
    if lastFrames != progress.framesBegun {
      lastActivity = now
      lastFrames = progress.framesBegun
    }
    if let retirement, now >= retirement { return .retire("the connection is old") }
    if let limit = limits.idleTimeout, now - idleSince >= TimeAmount.bounded(limit) {
      return .retire("the connection is idle")
    }
    return judgeLife(progress, at: now)
  }

  /// Keepalive: a peer that says nothing is asked, and has to answer.
  private mutating func judgeLife(
    _ progress: ConnectionProgress, at now: NIODeadline
  ) -> Verdict {
    guard let interval = keepaliveInterval else { return .fine }
    if let sent = pingSent {
      if progress.pingsAcknowledged > sent.answers {
        pingSent = nil
        lastActivity = now
      } else if now - sent.at >= TimeAmount.bounded(limits.keepaliveTimeout) {
        return .stalled("a ping was not answered")
      }
      return .fine
    }
    guard now - lastActivity >= TimeAmount.bounded(interval) else { return .fine }
    pingSent = (progress.pingsAcknowledged, now)
    return .ping
  }

  /// The peer says nothing any more, and is not asked.
  mutating func endKeepalive() {
    keepaliveInterval = nil
    pingSent = nil
  }

  /// When to judge again a connection on which nothing is under way, and nothing happens till then. Nil:
  /// never.
  var nextCheck: NIODeadline? {
    let idleEnd = limits.idleTimeout.map { idleSince + TimeAmount.bounded($0) }
    let lifeSign =
      pingSent.map { $0.at + TimeAmount.bounded(limits.keepaliveTimeout) }
      ?? keepaliveInterval.map { lastActivity + TimeAmount.bounded($0) }
    return [retirement, idleEnd, lifeSign].compactMap(\.self).min()
  }
}
