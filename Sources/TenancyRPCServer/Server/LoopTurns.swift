internal import NIOCore
internal import TenancyLoop

/// A connection that has more to do than fits into one turn.
protocol TurnTaker: AnyObject {
  func takeTurn()
}

/// The connections of an event loop that have more to do than fits into one turn, in a line: peers have
/// their turns one after the other, of each its connections. What all of them do before the loop looks for
/// input again is bounded, so that whoever asks little waits for little, however many ask much. Confined
/// to its event loop.
final class LoopTurns {
  private typealias Line = CircularBuffer<any TurnTaker>

  /// What those in the line may do before the loop goes on.
  static let budget = TimeAmount.microseconds(500)
  /// What one connection may do before others have their turn.
  static let slice = TimeAmount.microseconds(200)

  /// Until the next of them: without it the loop would find one task after the other due, and never look.
  private static let pause = TimeAmount.microseconds(50)

  private let timers: TimerQueue
  let now: () -> NIODeadline
  private var isRunning = false
  private var peers = Round<PeerKey, Line>()
  private lazy var timer = ActionTimer { [unowned self] in run() }

  /// - Parameter now: the time, read anew.
  init(_ timers: TimerQueue, now: @escaping () -> NIODeadline) {
    self.timers = timers
    self.now = now
  }

  var isEmpty: Bool { peers.isEmpty }

  /// One that is not in the line yet goes to its end.
  func enter(_ taker: any TurnTaker, of peer: PeerKey) {
    peers.add(to: peer, Line()) { $0.append(taker) }
    if !isRunning, !timer.isScheduled { timers.schedule(timer, in: .zero) }
  }

  /// Gives turns until there has been enough of it for now.
  func run() {
    isRunning = true
    defer { isRunning = false }
    let end = now() + Self.budget
    repeat {
      // A line that is empty is not kept.
      let taker = peers.next { line in (line.popFirst(), hasMore: !line.isEmpty) }
      guard let taker, let taker else { return }
      taker.takeTurn()
    } while now() < end
    if !isEmpty { timers.schedule(timer, in: Self.pause) }
  }
}
