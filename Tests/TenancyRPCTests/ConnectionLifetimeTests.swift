import NIOCore
import Testing

@testable import TenancyRPCServer

/// What happens to a connection, as a test tells it, and what the connection's lifetime makes of it.
enum LifetimeEvent: String, CaseIterable {
  case opened, activity, becameQuiet
  case fine, silent, stalled, idle
  case inputClosed, outputGone
  case acknowledged, credentialAccepted, credentialRefused
  case drain, closeOutput, close
  /// A second after the start, and long after.
  case second, years

  static let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

  static var limits: ServerLimits {
    var limits = ServerLimits()
    limits.stallTimeout = .seconds(10)
    limits.idleTimeout = .seconds(100)
    limits.keepaliveInterval = .seconds(30)
    limits.connectionAgeGrace = .seconds(7)
    limits.credentialGrace = .seconds(2)
    return limits
  }

  /// - Returns: what is to be done; "" if nothing.
  fileprivate func apply(to lifetime: inout ConnectionLifetime, at now: NIODeadline = start)
    -> String
  {
    switch self {
    case .opened: lifetime.opened()
    case .activity: lifetime.activity(at: now)
    case .becameQuiet: lifetime.becameQuiet(at: now)
    case .fine: return supervise(&lifetime, now)
    case .silent: return supervise(&lifetime, now + .seconds(30))
    case .stalled:
      let stuck = ConnectionProgress(isInputPartial: true)
      let first = lifetime.supervise(stuck, buffered: 0, written: 0, at: now)
      if first == .drain { return Self.text(first) }
      return Self.text(
        lifetime.supervise(stuck, buffered: 0, written: 0, at: now + .seconds(10)))
    case .idle: return supervise(&lifetime, now + .seconds(100))
    case .inputClosed: return Self.text(lifetime.inputClosed(at: now))
    case .outputGone: return lifetime.outputGone(at: now) ? "close" : ""
    case .acknowledged: return lifetime.drainAcknowledged() ? "finalGoAway" : ""
    case .credentialAccepted: lifetime.credentialAccepted(nextCheck: now + .seconds(60))
    case .credentialRefused: return lifetime.credentialRefused(at: now) ? "refuse" : ""
    case .drain: return Self.text(lifetime.drain(at: now))
    case .closeOutput: return lifetime.closeOutput(buffered: 0, at: now) ? "closeOutput" : ""
    case .close: return lifetime.close() ? "close" : ""
    case .second: return Self.due(&lifetime, now + .seconds(1))
    case .years: return Self.due(&lifetime, now + .hours(100_000))
    }
    return ""
  }

  private func supervise(_ lifetime: inout ConnectionLifetime, _ now: NIODeadline) -> String {
    Self.text(lifetime.supervise(ConnectionProgress(), buffered: 0, written: 0, at: now))
  }

  private static func due(_ lifetime: inout ConnectionLifetime, _ now: NIODeadline) -> String {
    var all: [String] = []
    while let due = lifetime.nextDue(at: now) {
      let isCut = due == .lingerCheck && lifetime.lingers(buffered: 0)
      all.append(isCut ? "close" : "\(due)")
    }
    return all.joined(separator: " ")
  }

  private static func text(_ action: some Any) -> String {
    let text = "\(action)"
    return text == "none" ? "" : text
  }
}

/// A lifetime of which a test asks what it likes.
final class TestedLifetime {
  private var lifetime: ConnectionLifetime

  init(_ limits: ServerLimits = LifetimeEvent.limits, hasCredential: Bool = false) {
    lifetime = ConnectionLifetime(
      limits, now: LifetimeEvent.start, jitter: 0, canPing: true, hasCredential: hasCredential)
  }

  var phase: ConnectionLifetime.Phase { lifetime.phase }
  var isClosing: Bool { lifetime.isClosing }
  var isQuiet: Bool { lifetime.isQuiet }
  var deadline: NIODeadline? { lifetime.deadline }
  var awaitsOpening: Bool { lifetime.awaitsOpening }
  var awaitsAcknowledgement: Bool { lifetime.awaitsAcknowledgement }
  var handlersAreNotified: Bool { lifetime.handlersAreNotified }

  func nextDue(at now: NIODeadline) -> ConnectionLifetime.Due? { lifetime.nextDue(at: now) }

  func supervise(_ progress: ConnectionProgress, at now: NIODeadline) {
    _ = lifetime.supervise(progress, buffered: 0, written: 0, at: now)
  }

  func closeOutput(buffered: Int) -> Bool {
    lifetime.closeOutput(buffered: buffered, at: LifetimeEvent.start)
  }

  func lastWasWritten(buffered: Int) { lifetime.lastWasWritten(buffered: buffered) }

  func lingers(buffered: Int) -> Bool { lifetime.lingers(buffered: buffered) }

  /// - Returns: what is to be done; "" if nothing.
  @discardableResult
  func happen(_ event: LifetimeEvent, at now: NIODeadline = LifetimeEvent.start) -> String {
    event.apply(to: &lifetime, at: now)
  }
}

@Suite("How a connection lives and ends")
struct ConnectionLifetimeTests {
  private typealias Phase = ConnectionLifetime.Phase

  /// The events that lead to a phase.
  private static func way(to phase: Phase) -> [LifetimeEvent] {
    switch phase {
    case .opening: []
    case .active: [.opened]
    case .quiet: [.opened, .becameQuiet]
    case .draining: [.opened, .drain]
    case .closing: [.opened, .closeOutput]
    case .closed: [.opened, .close]
    }
  }

  /// What each event does in each phase, and where it leads: nothing, and nowhere, if nothing is said.
  private static let table: [LifetimeEvent: [Phase: (action: String, next: Phase)]] = [
    .opened: [.opening: ("", .active)],
    .activity: [.quiet: ("", .active)],
    .becameQuiet: [.active: ("", .quiet)],
    .fine: living { ("proceed", $0) },
    .silent: living { ("ping", $0) },
    .stalled: living { _ in ("close(\"a frame was begun and not finished\")", .closed) },
    .idle: living { ($0 == .draining ? "proceed" : "drain", .draining) },
    .inputClosed: living { _ in ("finishCalls", .draining) },
    .acknowledged: [.draining: ("finalGoAway", .draining)],
    .credentialRefused: living { _ in ("refuse", .draining) },
    .drain: living { ($0 == .draining ? "" : "drain", .draining) }
      .merging([.closing: ("notifyHandlers", .closing)]) { $1 },
    .closeOutput: living { _ in ("closeOutput", .closing) },
    .close: living { _ in ("close", .closed) }.merging([.closing: ("close", .closed)]) { $1 },
    .second: living {
      switch $0 {
      case .quiet: ("", .quiet)
      case .draining: ("finalGoAway supervision", .draining)
      default: ("supervision", $0)
      }
    }.merging([.closing: ("close", .closed)]) { $1 },
    .years: living {
      $0 == .quiet
        ? ("supervision", .active)
        : ($0 == .draining ? "finalGoAway supervision" : "supervision", $0)
    }.merging([.closing: ("close", .closed)]) { $1 },
  ]

  private static func living(
    _ row: (Phase) -> (String, Phase)
  ) -> [Phase: (action: String, next: Phase)] {
    var all: [Phase: (action: String, next: Phase)] = [:]
    for phase in [Phase.opening, .active, .quiet, .draining] { all[phase] = row(phase) }
    return all
  }

  @Test(arguments: LifetimeEvent.allCases, ConnectionLifetime.Phase.allCases)
  func everyEventInEveryPhase(event: LifetimeEvent, phase: ConnectionLifetime.Phase) {
    let lifetime = TestedLifetime()
    for step in Self.way(to: phase) { lifetime.happen(step) }
    #expect(lifetime.phase == phase)
    let expected = Self.table[event]?[phase] ?? (action: "", next: phase)
    #expect(lifetime.happen(event) == expected.action)
    #expect(lifetime.phase == expected.next)
    #expect(lifetime.isClosing == [.closing, .closed].contains(expected.next))
  }

  // MARK: When it ends

  /// Seconds from the start until it is closed, when nobody does anything but wait.
  private static func end(_ lifetime: TestedLifetime) -> Int64? {
    var waits = 0
    while let deadline = lifetime.deadline, waits < 1000 {
      waits += 1
      while let due = lifetime.nextDue(at: deadline) {
        switch due {
        case .close: return (deadline - LifetimeEvent.start).nanoseconds / 1_000_000_000
        case .credentialCheck:
          lifetime.happen(.credentialAccepted, at: deadline)
        case .supervision:
          // With a call in flight, or nothing would come to its end.
          let progress = ConnectionProgress(framesBegun: UInt64(waits), openCalls: 1)
          lifetime.supervise(progress, at: deadline)
        case .finalGoAway: break
        case .lingerCheck:
          guard lifetime.lingers(buffered: 0) else { break }
          return (deadline - LifetimeEvent.start).nanoseconds / 1_000_000_000
        }
      }
    }
    return nil
  }

  @Test(
    arguments: [
      ([.inputClosed], 30), ([.credentialRefused], 2), ([.closeOutput], 1),
      // The earlier end counts, whichever was first.
      ([.credentialRefused, .inputClosed], 2),
      ([.inputClosed, .credentialRefused], 2),
      ([.drain, .credentialRefused], 2), ([.credentialRefused, .drain], 2),
      ([.drain, .inputClosed, .closeOutput], 1),
    ] as [([LifetimeEvent], Int64)])
  func whenItEnds(_ events: [LifetimeEvent], _ seconds: Int64) {
    let lifetime = TestedLifetime(hasCredential: true)
    for event in events { lifetime.happen(event) }
    #expect(Self.end(lifetime) == seconds)
    #expect(lifetime.phase == .closed && lifetime.deadline == nil)
  }

  /// The server says when.
  @Test func itsOwnDrainHasNoEndOfItsOwn() {
    let lifetime = TestedLifetime()
    #expect(lifetime.happen(.drain) == "drain")
    #expect(Self.end(lifetime) == nil)
  }

  @Test func itsAgeHasAGrace() {
    var limits = LifetimeEvent.limits
    limits.maximumConnectionAge = .seconds(50)
    limits.keepaliveInterval = nil
    let lifetime = TestedLifetime(limits)
    #expect(Self.end(lifetime) == 57)
    #expect(lifetime.handlersAreNotified)
  }

  /// What was written last counts.
  @Test func aSlowReaderOfTheLastHasTime() {
    let lifetime = TestedLifetime()
    #expect(lifetime.closeOutput(buffered: 0))
    lifetime.lastWasWritten(buffered: 8_192)
    #expect(!lifetime.lingers(buffered: 4_096))
    #expect(lifetime.lingers(buffered: 4_096))
  }

  /// It has time while it takes what was written before, and so much altogether.
  @Test(arguments: [(4096, 5), (65_536, 30)])
  func aSlowReaderHasTime(_ buffered: Int, _ seconds: Int64) {
    let lifetime = TestedLifetime()
    #expect(lifetime.closeOutput(buffered: buffered))
    var left = buffered
    var now = LifetimeEvent.start
    while let deadline = lifetime.deadline, lifetime.phase != .closed {
      now = deadline
      left -= 1024
      if lifetime.nextDue(at: now) == .lingerCheck { _ = lifetime.lingers(buffered: left) }
    }
    #expect((now - LifetimeEvent.start) == .seconds(seconds))
  }

  @Test(arguments: [(4096, 4096), (4096, 3073), (4096, 5000), (10, 10)])
  func whoTakesNextToNothingIsCut(_ before: Int, _ after: Int) {
    let lifetime = TestedLifetime()
    #expect(lifetime.closeOutput(buffered: before))
    #expect(lifetime.nextDue(at: LifetimeEvent.start + .seconds(1)) == .lingerCheck)
    #expect(lifetime.lingers(buffered: after))
    #expect(lifetime.phase == .closed)
  }

  /// The last of what was written may be taken long before the peer closes.
  @Test func thePeerHasASecondWhenAllHasGoneOut() {
    let lifetime = TestedLifetime()
    #expect(lifetime.closeOutput(buffered: 4096))
    lifetime.happen(.outputGone, at: LifetimeEvent.start + .milliseconds(900))
    #expect(lifetime.nextDue(at: LifetimeEvent.start + .milliseconds(1899)) == nil)
    #expect(lifetime.nextDue(at: LifetimeEvent.start + .milliseconds(1900)) == .close)
  }

  /// What was written waits in the socket's queue, whichever side is closed first.
  @Test(arguments: [[LifetimeEvent.closeOutput, .inputClosed], [.inputClosed, .closeOutput]])
  func bothSidesAreClosed(_ events: [LifetimeEvent]) {
    let lifetime = TestedLifetime()
    for event in events { #expect(lifetime.happen(event) != "close") }
    #expect(lifetime.phase == .closing)
    #expect(lifetime.happen(.outputGone) == "close")
  }

  @Test func thePeerMayCloseLast() {
    let lifetime = TestedLifetime()
    lifetime.happen(.closeOutput)
    #expect(lifetime.happen(.outputGone) == "")
    #expect(lifetime.happen(.inputClosed) == "close")
  }

  /// It can't answer.
  @Test func nobodyWhoHasClosedIsAskedForALifeSign() {
    let lifetime = TestedLifetime()
    lifetime.happen(.inputClosed)
    #expect(lifetime.happen(.silent) == "proceed")
    let asked = TestedLifetime()
    #expect(asked.happen(.silent) == "ping")
    asked.happen(.inputClosed, at: LifetimeEvent.start + .seconds(30))
    #expect(asked.happen(.fine, at: LifetimeEvent.start + .seconds(55)) == "proceed")
  }

  // MARK: What is said once

  /// A connection whose calls are only being finished is told of the server's drain all the same, and its
  /// peer has heard all there is to hear.
  @Test func handlersOfFinishingCallsAreNotified() {
    let lifetime = TestedLifetime()
    #expect(lifetime.happen(.inputClosed) == "finishCalls")
    #expect(!lifetime.handlersAreNotified)
    #expect(lifetime.happen(.idle) == "proceed")
    #expect(!lifetime.handlersAreNotified, "nobody was told")
    #expect(lifetime.happen(.drain) == "notifyHandlers")
    #expect(lifetime.happen(.drain) == "")
    #expect(lifetime.handlersAreNotified && !lifetime.awaitsAcknowledgement)
  }

  @Test func refusedOnceIsRefused() {
    let lifetime = TestedLifetime(hasCredential: true)
    #expect(lifetime.nextDue(at: LifetimeEvent.start) == .credentialCheck)
    #expect(lifetime.happen(.credentialRefused) == "refuse")
    #expect(lifetime.happen(.credentialRefused) == "")
    lifetime.happen(.credentialAccepted)
    #expect(lifetime.happen(.second) == "supervision", "it is not checked again")
  }

  /// Half closed, it is still the peer's credential that its calls are answered for.
  @Test func finishingCallsIsNoExcuse() {
    let lifetime = TestedLifetime(hasCredential: true)
    lifetime.happen(.inputClosed)
    #expect(lifetime.happen(.credentialRefused) == "refuse")
  }

  @Test func theFinalGoAwayIsSaidOnce() {
    let lifetime = TestedLifetime()
    lifetime.happen(.drain)
    #expect(lifetime.happen(.acknowledged) == "finalGoAway")
    #expect(lifetime.happen(.acknowledged) == "")
    #expect(lifetime.happen(.second) == "supervision")
  }

  /// A connection that drains before it has opened is proven when it has.
  @Test func openingWhileDraining() {
    let lifetime = TestedLifetime()
    lifetime.happen(.drain)
    #expect(lifetime.awaitsOpening)
    lifetime.happen(.opened)
    #expect(!lifetime.awaitsOpening && lifetime.phase == .draining)
  }

  /// Activity does not move what is due while something is under way.
  @Test func activityCostsNothingWhileActive() {
    let lifetime = TestedLifetime()
    let deadline = lifetime.deadline
    lifetime.happen(.activity, at: LifetimeEvent.start + .milliseconds(300))
    #expect(lifetime.deadline == deadline)
  }
}
