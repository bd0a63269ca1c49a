internal import NIOCore

/// How one connection lives and ends, from the first byte of its protocol on. Told what happens and when, it
/// says what is to be done: it does no I/O and has neither a clock nor a timer. Whoever drives it asks
/// `nextDue` when `deadline` has come. Confined to an event loop.
///
///     serving ──▶ draining ──▶ closing ──▶ closed
///        └────────────┴───────────┴──────────▲
///
/// - Serving: calls are taken. The peer is judged every so often while something is under way (active), and
///   else when keepalive, idle timeout or maximum age come due (quiet).
/// - Draining: the peer was told by a GOAWAY that no more calls are taken; those in flight are finished. By
///   when, depends on the cause.
/// - Closing: our side is closed, and input is discarded until the peer closes its own.
struct ConnectionLifetime: ~Copyable {
  private struct Serving {
    var hasOpened = false
    var isQuiet = false
    /// When the peer is judged; nil: not before something happens.
    var nextSupervision: NIODeadline?
    /// Nil: there is no credential, or it was refused.
    var nextCredentialCheck: NIODeadline?

    var deadline: NIODeadline? {
      guard let nextSupervision, let nextCredentialCheck else {
        return nextSupervision ?? nextCredentialCheck
      }
      return min(nextSupervision, nextCredentialCheck)
    }

    mutating func nextDue(
      at now: NIODeadline, _ interval: TimeAmount
    ) -> Due? {
      if let next = nextCredentialCheck, next <= now {
        nextCredentialCheck = nil
        return .credentialCheck
      }
      if let next = nextSupervision, next <= now {
        supervise(in: interval, from: now)
        return .supervision
      }
      return nil
    }

    mutating func supervise(in interval: TimeAmount, from now: NIODeadline) {
      isQuiet = false
      nextSupervision = now + interval
    }
  }

  private struct Drain {
    /// When the final GOAWAY is said although nobody has acknowledged the first; nil: it was said.
    var finalGoAway: NIODeadline?
    /// When what is left is cut; nil: the server, whose own drain it is, says when.
    var end: NIODeadline?
    var isRefused = false

    mutating func end(by deadline: NIODeadline) { end = min(end ?? deadline, deadline) }
  }

  private struct Closing {
    /// When it is cut, unless the peer has taken some of what is left by then.
    var end: NIODeadline
    /// When it is cut whatever the peer does.
    let limit: NIODeadline
    /// Bytes that waited in the socket's queue when that was last looked at.
    var buffered: Int
    /// All that was written has gone out.
    var isOutputGone = false
  }

  private enum State {
    case serving(Serving)
    /// What it was is still supervised.
    case draining(Serving, Drain)
    case closing(Closing)
    case closed
  }

  /// How long the acknowledgement of a drain's PING is waited for.
  static let acknowledgementTimeout = TimeAmount.seconds(1)
  /// How long the peer's end of the connection is waited for when ours is closed; and how long it may take none of
  /// what was written before.
  static let lingerTimeout = TimeAmount.seconds(1)
  /// How long a peer may take for what was written before our side was closed.
  static let longestLinger = TimeAmount.seconds(30)
  /// How long calls in flight may take when the peer sends no more, and their answers until they have gone out.
  static let halfCloseGrace = TimeAmount.seconds(30)

  private var state: State
  private var judge: ConnectionJudge
  private let supervisionInterval: TimeAmount
  private let ageGrace: TimeAmount
  private let credentialGrace: TimeAmount
  /// Handlers were told that the connection drains.
  private(set) var handlersAreNotified = false
  private var isInputClosed = false

  /// - Parameters:
  ///   - jitter: from -1 to 1: how much earlier or later the connection is old than others.
  ///   - canPing: whether the protocol has pings.
  ///   - hasCredential: whether the peer has one that can end; its first check is due at once.
  init(
    _ limits: ServerLimits, now: NIODeadline, jitter: Double, canPing: Bool, hasCredential: Bool
  ) {
    judge = ConnectionJudge(limits, now: now, jitter: jitter, canPing: canPing)
    supervisionInterval = ConnectionJudge.interval(limits)
    ageGrace = .bounded(limits.connectionAgeGrace)
    credentialGrace = .bounded(limits.credentialGrace)
    state = .serving(
      Serving(
        nextSupervision: now + supervisionInterval,
        nextCredentialCheck: hasCredential ? now : nil))
  }

  // MARK: Where it is

  var phase: Phase {
    switch state {
    case .serving(let serving):
      if !serving.hasOpened { .opening } else { serving.isQuiet ? .quiet : .active }
    case .draining: .draining
    case .closing: .closing
    case .closed: .closed
    }
  }

  /// Neither is input taken any more nor is anything sent.
  var isClosing: Bool {
    switch state {
    case .serving, .draining: false
    case .closing, .closed: true
    }
  }

  /// `activity` has to be told.
  var isQuiet: Bool {
    switch state {
    case .serving(let serving), .draining(let serving, _): serving.isQuiet
    case .closing, .closed: false
    }
  }

  /// `opened` has to be told.
  var awaitsOpening: Bool {
    switch state {
    case .serving(let serving), .draining(let serving, _): !serving.hasOpened
    case .closing, .closed: false
    }
  }

  /// `drainAcknowledged` has to be told.
  var awaitsAcknowledgement: Bool {
    switch state {
    case .draining(_, let drain): drain.finalGoAway != nil
    case .serving, .closing, .closed: false
    }
  }

  /// When `nextDue` is to be asked again; nil: not before something happens. It may move either way with
  /// each event: where it has moved away, to ask at the former one does no harm.
  var deadline: NIODeadline? {
    switch state {
    case .serving(let serving): serving.deadline
    case .draining(let serving, let drain):
      [serving.deadline, drain.finalGoAway, drain.end].compactMap(\.self).min()
    case .closing(let closing): closing.end
    case .closed: nil
    }
  }
}

/// Time.
extension ConnectionLifetime {
  /// What is due by now, the most final first. To be asked until there is nothing.
  mutating func nextDue(at now: NIODeadline) -> Due? {
    switch state {
    case .serving(var serving):
      let due = serving.nextDue(at: now, supervisionInterval)
      state = .serving(serving)
      return due
    case .draining(var serving, var drain):
      if let end = drain.end, end <= now {
        state = .closed
        return .close
      }
      var due: Due?
      if let next = drain.finalGoAway, next <= now {
        drain.finalGoAway = nil
        due = .finalGoAway
      } else {
        due = serving.nextDue(at: now, supervisionInterval)
      }
      state = .draining(serving, drain)
      return due
    case .closing(var closing):
      guard closing.end <= now else { return nil }
      guard !closing.isOutputGone, now < closing.limit else {
        state = .closed
        return .close
      }
      closing.end = min(now + Self.lingerTimeout, closing.limit)
      state = .closing(closing)
      return .lingerCheck
    case .closed: return nil
    }
  }
}

/// The peer's part in it.
extension ConnectionLifetime {
  /// The peer has said what its protocol begins with.
  mutating func opened() {
    changeServing { $0.hasOpened = true }
  }

  /// Something has come in, or is to be sent: from now on there may be something under way.
  mutating func activity(at now: NIODeadline) {
    let interval = supervisionInterval
    changeServing { if $0.isQuiet { $0.supervise(in: interval, from: now) } }
  }

  /// The supervisor has found nothing under way: the peer is not judged again before something happens, or
  /// its time has come.
  mutating func becameQuiet(at now: NIODeadline) {
    // Not more often than an active one.
    let next = judge.nextCheck.map { max($0, now + supervisionInterval) }
    changeServing {
      $0.isQuiet = true
      $0.nextSupervision = next
    }
  }

  /// Judges the peer by how far the connection has come.
  ///
  /// - Parameters:
  ///   - buffered: bytes that wait in the socket's queue.
  ///   - written: bytes given to the socket's queue so far.
  mutating func supervise(
    _ progress: ConnectionProgress, buffered: Int, written: UInt64, at now: NIODeadline
  ) -> SupervisionAction {
    guard !isClosing else { return .none }
    let grace = ageGrace
    switch judge.judge(progress, buffered: buffered, written: written, at: now) {
    case .fine: return .proceed
    case .ping: return .ping
    case .stalled(let reason):
      state = .closed
      return .close(reason)
    case .retire:
      guard case .serving = state, drain(at: now) == .drain else { return .proceed }
      changeDrain { $0.end(by: now + grace) }
      return .drain
    }
  }

  /// The peer sends no more: what it has asked is answered, and nothing else.
  mutating func inputClosed(at now: NIODeadline) -> InputClosedAction {
    isInputClosed = true
    // Nor does it answer.
    judge.endKeepalive()
    if case .closing(let closing) = state {
      return closing.isOutputGone && close() ? .close : .none
    }
    return finishCalls(by: now + Self.halfCloseGrace) ? .finishCalls : .none
  }

  /// All that was written has gone out, and our side is closed. Returns whether the connection is to be closed: the
  /// peer's side is, too.
  mutating func outputGone(at now: NIODeadline) -> Bool {
    guard case .closing(var closing) = state, !closing.isOutputGone else { return false }
    if isInputClosed { return close() }
    closing.isOutputGone = true
    closing.end = min(now + Self.lingerTimeout, closing.limit)
    state = .closing(closing)
    return false
  }

  /// What is to be the last has been written, if anything: so many bytes wait in the socket's queue now.
  mutating func lastWasWritten(buffered: Int) {
    guard case .closing(var closing) = state else { return }
    closing.buffered = buffered
    state = .closing(closing)
  }

  /// So many bytes still wait in the socket's queue of a connection whose output is closed. Returns whether it is to
  /// be cut: the peer has taken next to nothing of them since that was last told.
  mutating func lingers(buffered: Int) -> Bool {
    guard case .closing(var closing) = state else { return false }
    let taken = closing.buffered - buffered
    guard closing.buffered > 0,
      taken >= min(Int(ConnectionJudge.leastProgress), closing.buffered)
    else { return close() }
    closing.buffered = buffered
    state = .closing(closing)
    return false
  }

  /// The peer knows of the first GOAWAY. Returns whether the final one is to be said.
  mutating func drainAcknowledged() -> Bool {
    guard awaitsAcknowledgement else { return false }
    changeDrain { $0.finalGoAway = nil }
    return true
  }

  // MARK: Its credential

  private var isRefused: Bool {
    if case .draining(_, let drain) = state { drain.isRefused } else { false }
  }

  /// The credential is still good, and is to be checked again then. Who was refused stays so.
  mutating func credentialAccepted(nextCheck: NIODeadline) {
    if isRefused { return }
    changeServing { $0.nextCredentialCheck = nextCheck }
  }

  /// The peer is not acceptable any more. Returns whether its streams are to be ended and both GOAWAYs to
  /// be said: not twice.
  mutating func credentialRefused(at now: NIODeadline) -> Bool {
    guard !isRefused, finishCalls(by: now + credentialGrace) else { return false }
    changeServing { $0.nextCredentialCheck = nil }
    changeDrain { $0.isRefused = true }
    return true
  }
}

/// Our part.
extension ConnectionLifetime {
  /// The server drains, or has begun to before the connection was there.
  mutating func drain(at now: NIODeadline) -> DrainAction {
    switch state {
    case .serving(let serving):
      state = .draining(serving, Drain(finalGoAway: now + Self.acknowledgementTimeout))
      handlersAreNotified = true
      return .drain
    case .draining, .closing:
      defer { handlersAreNotified = true }
      return handlersAreNotified ? .none : .notifyHandlers
    case .closed: return .none
    }
  }

  /// Nothing is left to read or to write, or nothing can be. Returns whether our side of the connection is
  /// to be closed: not twice. To close both with input unread would reset the connection, and the peer might
  /// never read the GOAWAY and the answers before it.
  /// - Parameter buffered: bytes that wait in the socket's queue.
  mutating func closeOutput(buffered: Int, at now: NIODeadline) -> Bool {
    guard !isClosing else { return false }
    var limit = now + Self.longestLinger
    // An earlier end stays.
    if case .draining(_, let drain) = state, let earlier = drain.end { limit = min(limit, earlier) }
    let end = min(now + Self.lingerTimeout, limit)
    state = .closing(Closing(end: end, limit: limit, buffered: buffered))
    return true
  }

  /// The connection is to end at once, or has ended. Returns whether it had not before.
  @discardableResult
  mutating func close() -> Bool {
    if case .closed = state { return false }
    state = .closed
    return true
  }

  // MARK: Steps

  /// What has been asked is served by then, and nothing else. False if that is not possible any more.
  private mutating func finishCalls(by end: NIODeadline) -> Bool {
    switch state {
    case .serving(let serving):
      state = .draining(serving, Drain(end: end))
      return true
    case .draining(let serving, var drain):
      drain.finalGoAway = nil
      drain.end(by: end)
      state = .draining(serving, drain)
      return true
    case .closing, .closed: return false
    }
  }

  private mutating func changeServing(_ change: (inout Serving) -> Void) {
    switch state {
    case .serving(var serving):
      change(&serving)
      state = .serving(serving)
    case .draining(var serving, let drain):
      change(&serving)
      state = .draining(serving, drain)
    case .closing, .closed: break
    }
  }

  private mutating func changeDrain(_ change: (inout Drain) -> Void) {
    guard case .draining(let serving, var drain) = state else { return }
    change(&drain)
    state = .draining(serving, drain)
  }
}
