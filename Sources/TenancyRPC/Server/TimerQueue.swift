internal import NIOCore

/// Something that a `TimerQueue` can wait for; in at most one queue, once. Confined to an event loop.
class LoopTimer {
  fileprivate(set) final var deadline = NIODeadline.distantFuture
  /// Position in the queue's heap, or -1.
  fileprivate final var position = -1

  final var isScheduled: Bool { position >= 0 }

  /// The time has come. The timer is not in the queue any more.
  func timerFired() { preconditionFailure("abstract") }
}

/// A `LoopTimer` that runs a closure.
final class ActionTimer: LoopTimer {
  private let action: () -> Void

  init(_ action: @escaping () -> Void) { self.action = action }

  override func timerFired() { action() }
}

/// The timers of one event loop: a binary heap in which each timer knows its place, and one task of the
/// loop for the earliest. To set and to cancel one costs O(log n) and allocates nothing; NIO's own
/// scheduled tasks cost 0.6 µs a pair, and cancelling looks at all of them. Confined to its event loop.
final class TimerQueue {
  private let loop: any EventLoop
  private var heap: [LoopTimer] = []
  /// The loop's task, and when it will run.
  private var wake: Scheduled<Void>?
  private var wakeTime = NIODeadline.distantFuture

  init(loop: any EventLoop) { self.loop = loop }

  var count: Int { heap.count }

  /// The time of the turn, read once when somebody asks.
  private var turn: NIODeadline?

  /// Something has happened on the loop: `turnTime` is read anew.
  @inline(__always)
  func beginTurn() { turn = nil }

  /// When what the loop is about now began; good for deadlines, which need not be exact to the microsecond.
  var turnTime: NIODeadline {
    if let turn { return turn }
    let now = loop.now
    turn = now
    return now
  }

  /// The last reading of the clock for a call that ended, in nanoseconds.
  private(set) var lastReading: UInt64 = 0

  /// Reads the clock, for when a call ends.
  @inline(__always)
  func readClock() -> UInt64 {
    lastReading = loop.now.uptimeNanoseconds
    return lastReading
  }

  /// Sets a timer, anew if it is set already.
  func schedule(_ timer: LoopTimer, at deadline: NIODeadline) {
    if timer.isScheduled { remove(timer) }
    timer.deadline = deadline
    timer.position = heap.count
    heap.append(timer)
    siftUp(timer.position)
    arm()
  }

  func schedule(_ timer: LoopTimer, in delay: TimeAmount) {
    schedule(timer, at: loop.now + delay)
  }

  /// Without effect on one that is not set. The loop's task is left: it finds nothing to do.
  func cancel(_ timer: LoopTimer) {
    if timer.isScheduled { remove(timer) }
  }

  /// Lets go of the loop: nothing fires until a timer is set again.
  func stop() {
    wake?.cancel()
    wake = nil
    wakeTime = .distantFuture
  }

  /// Fires what is due at `now`.
  func advance(to now: NIODeadline) {
    turn = now
    while let first = heap.first, first.deadline <= now {
      remove(first)
      first.timerFired()
    }
  }

  private func arm() {
    guard let first = heap.first, first.deadline < wakeTime else { return }
    wake?.cancel()
    wakeTime = first.deadline
    let bound = NIOLoopBound(self, eventLoop: loop)
    wake = loop.scheduleTask(deadline: wakeTime) { bound.value.wakeUp() }
  }

  private func wakeUp() {
    wake = nil
    wakeTime = .distantFuture
    advance(to: loop.now)
    arm()
  }

  // MARK: Heap

  private func remove(_ timer: LoopTimer) {
    let position = timer.position
    let last = heap.removeLast()
    timer.position = -1
    guard last !== timer else { return }
    heap[position] = last
    last.position = position
    siftDown(position)
    siftUp(last.position)
  }

  private func siftUp(_ start: Int) {
    var child = start
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child].deadline < heap[parent].deadline else { return }
      swap(child, parent)
      child = parent
    }
  }

  private func siftDown(_ start: Int) {
    var parent = start
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < heap.count && heap[child].deadline < heap[least].deadline {
        least = child
      }
      if least == parent { return }
      swap(parent, least)
      parent = least
    }
  }

  private func swap(_ a: Int, _ b: Int) {
    heap.swapAt(a, b)
    heap[a].position = a
    heap[b].position = b
  }
}
