public import NIOCore

/// Something that a `TimerQueue` can wait for; in at most one queue, once. Confined to an event loop. Open for the
/// modules of this package: nobody else imports this one.
open class LoopTimer {
  public init() {}

  @exclusivity(unchecked) public fileprivate(set) final var deadline = NIODeadline.distantFuture
  /// Position in the queue's heap, or -1.
  @exclusivity(unchecked) @usableFromInline final var position = -1

  @inlinable
  public final var isScheduled: Bool { position >= 0 }

  /// The time has come. The timer is not in the queue any more.
  open func timerFired() { preconditionFailure("abstract") }
}

/// A `LoopTimer` that runs a closure.
public final class ActionTimer: LoopTimer {
  private let action: () -> Void

  public init(_ action: @escaping () -> Void) { self.action = action }

  public override func timerFired() { action() }
}

/// The timers of one event loop: a binary heap in which each timer knows its place, and one task of the
/// loop for the earliest. To set and to cancel one costs O(log n) and allocates nothing; NIO's own
/// scheduled tasks cost 0.6 µs a pair, and cancelling looks at all of them. Confined to its event loop.
///
/// `@exclusivity(unchecked)`: for what other modules may use the compiler checks each access at run time, which takes
/// a few percent of a call; no access spans a call out.
public final class TimerQueue {
  @usableFromInline let loop: any EventLoop
  @exclusivity(unchecked) private var heap: [LoopTimer] = []
  /// The loop's task, and when it will run.
  private var wake: Scheduled<Void>?
  private var wakeTime = NIODeadline.distantFuture

  public init(loop: any EventLoop) { self.loop = loop }

  public var count: Int { heap.count }

  /// The time of the turn, read once when somebody asks.
  @exclusivity(unchecked) @usableFromInline var turn: NIODeadline?

  /// Something has happened on the loop: `turnTime` is read anew.
  @inlinable @inline(__always)
  public func beginTurn() { turn = nil }

  /// When what the loop is about now began; good for deadlines, which need not be exact to the microsecond.
  @inlinable
  public var turnTime: NIODeadline {
    if let turn { return turn }
    let now = loop.now
    turn = now
    return now
  }

  /// The last reading of the clock for a call that ended, in nanoseconds.
  @inlinable
  public var lastReading: UInt64 { reading }
  @exclusivity(unchecked) @usableFromInline var reading: UInt64 = 0

  /// Reads the clock, for when a call ends.
  @inlinable @inline(__always)
  public func readClock() -> UInt64 {
    reading = loop.now.uptimeNanoseconds
    return reading
  }

  /// Sets a timer, anew if it is set already.
  public func schedule(_ timer: LoopTimer, at deadline: NIODeadline) {
    if timer.isScheduled { remove(timer) }
    timer.deadline = deadline
    timer.position = heap.count
    heap.append(timer)
    siftUp(timer.position)
    arm()
  }

  public func schedule(_ timer: LoopTimer, in delay: TimeAmount) {
    schedule(timer, at: loop.now + delay)
  }

  /// Without effect on one that is not set. The loop's task is left: it finds nothing to do.
  public func cancel(_ timer: LoopTimer) {
    if timer.isScheduled { remove(timer) }
  }

  /// Lets go of the loop: nothing fires until a timer is set again.
  public func stop() {
    wake?.cancel()
    wake = nil
    wakeTime = .distantFuture
  }

  /// Fires what is due at `now`.
  public func advance(to now: NIODeadline) {
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
