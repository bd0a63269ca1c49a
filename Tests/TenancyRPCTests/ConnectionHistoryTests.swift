import NIOCore
import TenancyTestSupport
import Testing

@testable import TenancyRPCServer

/// Whatever happens to a connection, in whatever order.
@Suite("Histories of connections")
struct ConnectionHistoryTests {
  /// A lifetime that is driven as a handler drives it, and what must hold of it.
  private struct History {
    private let lifetime: TestedLifetime
    private var random: SeededGenerator
    private var now = LifetimeEvent.start
    private let hasCredential: Bool
    private var actions: [String: Int] = [:]
    private let ahead: [LifetimeEvent: Int64] = [.silent: 30, .stalled: 10, .idle: 100]
    /// When it has to be closed by.
    private var end: NIODeadline?
    /// When its credential has to be checked by; nil: no more.
    private var check: NIODeadline?

    init(_ seed: UInt64) {
      var random = SeededGenerator(seed: seed)
      var limits = LifetimeEvent.limits
      if Bool.random(using: &random) { limits.maximumConnectionAge = .seconds(20) }
      if Bool.random(using: &random) { limits.idleTimeout = nil }
      if Bool.random(using: &random) { limits.keepaliveInterval = nil }
      hasCredential = Bool.random(using: &random)
      if hasCredential { check = now }
      self.random = random
      lifetime = TestedLifetime(limits, hasCredential: hasCredential)
    }

    mutating func step() {
      if Int.random(in: 0..<3, using: &random) == 0 {
        now = now + .milliseconds(Int64.random(in: 0...2_000, using: &random))
        runDue()
      } else {
        let rare: [LifetimeEvent] = [.inputClosed, .closeOutput, .close, .stalled]
        let event = LifetimeEvent.allCases.filter {
          $0 != .second && $0 != .years
            && (!rare.contains($0) || Int.random(in: 0..<20, using: &random) == 0)
        }.randomElement(using: &random)
        if let event, hasCredential || ![.credentialAccepted, .credentialRefused].contains(event) {
          happen(event)
        }
      }
    }

    private mutating func happen(_ event: LifetimeEvent) {
      let before = lifetime.phase
      let action = lifetime.happen(event, at: now)
      note(action, event)
      if event == .credentialAccepted, check != nil { check = now + .seconds(60) }
      audit(before, event, action)
    }

    /// As the handler does when its timer fires.
    mutating func runDue() {
      while let due = lifetime.nextDue(at: now) {
        let before = lifetime.phase
        #expect(before != .closed || due == .close)
        switch due {
        case .close: note("close", .second)
        case .lingerCheck: if lifetime.lingers(buffered: 0) { note("close", .second) }
        case .finalGoAway: note("finalGoAway", .second)
        case .credentialCheck:
          #expect(check.map { $0 <= now } == true, "not before its time")
          happen(Bool.random(using: &random) ? .credentialAccepted : .credentialRefused)
        case .supervision:
          happen(.fine)
          if Bool.random(using: &random) { happen(.becameQuiet) }
        }
      }
      // What was due is done.
      #expect(lifetime.deadline.map { $0 > now } ?? true)
      #expect(end.map { $0 > now } ?? true || lifetime.phase == .closed, "its time was over")
    }

    private mutating func note(_ action: String, _ event: LifetimeEvent) {
      let name = action.hasPrefix("close(") ? "close" : action
      actions[name, default: 0] += 1
      switch name {
      case "close": check = nil
      case "closeOutput":
        bound(now + ConnectionLifetime.longestLinger)
        check = nil
      case "finishCalls": bound(now + ConnectionLifetime.halfCloseGrace)
      case "refuse":
        bound(now + .seconds(2))
        check = nil
      // Some events are judged at a time to come.
      case "drain" where event != .drain: bound(now + .seconds((ahead[event] ?? 0) + 7))
      default: break
      }
    }

    private mutating func bound(_ deadline: NIODeadline) { end = min(end ?? deadline, deadline) }

    private func audit(
      _ before: ConnectionLifetime.Phase, _ event: LifetimeEvent, _ action: String
    ) {
      let after = lifetime.phase
      // It goes one way.
      let order: [ConnectionLifetime.Phase: Int] = [
        .opening: 0, .active: 1, .quiet: 1, .draining: 2, .closing: 3, .closed: 4,
      ]
      #expect(order[after] ?? -1 >= order[before] ?? 9, "\(event): from \(before) to \(after)")
      if before == .closed { #expect(action == "", "\(event) after the end") }
      if before == .closing {
        #expect(["", "close", "notifyHandlers"].contains(action), "\(event) while closing")
      }
      for once in ["close", "closeOutput", "refuse", "finalGoAway", "drain"] {
        #expect(actions[once] ?? 0 <= 1, "\(once) more than once")
      }
      #expect((actions["notifyHandlers"] ?? 0) + (actions["drain"] ?? 0) <= 1)
      // What must end has a deadline, and not after its end.
      if after == .closed {
        #expect(lifetime.deadline == nil)
      } else if !lifetime.isQuiet {
        #expect(lifetime.deadline != nil)
      }
      if after != .closed {
        for latest in [end, check].compactMap(\.self) {
          #expect(lifetime.deadline.map { $0 <= latest } == true, "\(event): its time is forgotten")
        }
      }
      if after == .closing {
        let next = now + ConnectionLifetime.lingerTimeout
        #expect(lifetime.deadline.map { $0 <= next } == true, "\(event): looked at too late")
      }
      if lifetime.awaitsAcknowledgement { #expect(after == .draining) }
    }

    /// Nothing happens any more but time.
    mutating func waitForTheEnd() {
      if lifetime.phase != .closed, end == nil { happen(.closeOutput) }
      var waits = 0
      while let deadline = lifetime.deadline, waits < 1000 {
        waits += 1
        now = max(now, deadline)
        runDue()
      }
      #expect(lifetime.phase == .closed)
      #expect(actions["close"] == 1)
    }
  }

  @Test(arguments: 1...300)
  func anyOrder(_ seed: UInt64) {
    var history = History(seed)
    for _ in 0..<200 { history.step() }
    history.waitForTheEnd()
  }
}
