internal import CTenancyEpoll
internal import Glibc
internal import Synchronization

/// Waits for descriptors on one thread, for all sessions of the process. Thread-safe.
final class SocketWaiter: Sendable {
  /// Why a wait has ended.
  enum Outcome {
    case ready
    case timedOut
    case interrupted
  }

  private struct Entry {
    let continuation: CheckedContinuation<Outcome, Never>
    let deadline: ContinuousClock.Instant
    let descriptor: Int32
  }

  private struct State {
    var entries: [UInt64: Entry] = [:]
    var next: UInt64 = bellNumber
    /// When the thread looks at deadlines next.
    var wakes = ContinuousClock.Instant.now
    var isRunning = false
  }

  static let shared = SocketWaiter()

  private static let bellNumber: UInt64 = 0
  private let state = Mutex(State())
  private let poll = epoll_create1(Int32(EPOLL_CLOEXEC))
  /// Wakes the thread.
  private let bell = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))

  private init() {
    var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data(u64: Self.bellNumber))
    epoll_ctl(poll, EPOLL_CTL_ADD, bell, &event)
  }

  /// Waits until the descriptor is ready. Nobody else may wait for it, and it must not be closed meanwhile.
  /// - Parameter interruption: what ends the wait before its time; nil: nothing.
  func wait(
    _ descriptor: Int32, reads: Bool, writes: Bool, until deadline: ContinuousClock.Instant,
    _ interruption: Interruption?
  ) async -> Outcome {
    let outcome = await withCheckedContinuation { continuation in
      let number = add(
        Entry(
          continuation: continuation, deadline: deadline, descriptor: descriptor))
      var event = epoll_event(
        events: EPOLLONESHOT.rawValue | (reads ? EPOLLIN.rawValue : 0)
          | (writes ? EPOLLOUT.rawValue : 0),
        data: epoll_data(u64: number))
      var code = epoll_ctl(poll, EPOLL_CTL_MOD, descriptor, &event)
      if code != 0, errno == ENOENT { code = epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event) }
      // One that can't be waited for says what is wrong with it when it is used.
      if code != 0 { finish(number, .ready) }
      interruption?.onStop { [self] in finish(number, .interrupted) }
    }
    interruption?.forget()
    return outcome
  }

  private func add(_ entry: Entry) -> UInt64 {
    let (number, starts, rings) = state.withLock { state in
      state.next += 1
      state.entries[state.next] = entry
      let (starts, rings) = (!state.isRunning, entry.deadline < state.wakes)
      state.isRunning = true
      if rings { state.wakes = entry.deadline }
      return (state.next, starts, rings)
    }
    // Without a thread nothing would ever end: there is none to give at the process' start only.
    if starts, !OwnThread.run({ self.run() }) { state.withLock { $0.isRunning = false } }
    if rings { eventfd_write(bell, 1) }
    return number
  }

  private func finish(_ number: UInt64, _ outcome: Outcome) {
    let entry = state.withLock { state in
      let entry = state.entries.removeValue(forKey: number)
      // Before whoever waits goes on, and perhaps closes it.
      if let entry, outcome != .ready {
        var event = epoll_event()
        epoll_ctl(poll, EPOLL_CTL_DEL, entry.descriptor, &event)
      }
      return entry
    }
    entry?.continuation.resume(returning: outcome)
  }

  // MARK: The thread

  private static let eventsAtOnce = 64
  private static let longest = Duration.seconds(3600)

  private func run() {
    var events = [epoll_event](repeating: epoll_event(), count: Self.eventsAtOnce)
    while true {
      let count = epoll_wait(poll, &events, Int32(Self.eventsAtOnce), timeout())
      for event in events.prefix(max(0, Int(count))) {
        if event.data.u64 == Self.bellNumber {
          var value: eventfd_t = 0
          eventfd_read(bell, &value)
        } else {
          finish(event.data.u64, .ready)
        }
      }
      for number in due() { finish(number, .timedOut) }
    }
  }

  /// Milliseconds, rounded up.
  private func timeout() -> Int32 {
    let left = state.withLock { $0.wakes - .now }.components
    guard left.seconds >= 0, left.attoseconds >= 0 else { return 0 }
    return Int32(clamping: left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000 + 1)
  }

  private func due() -> [UInt64] {
    state.withLock { state in
      let now = ContinuousClock.now
      guard state.wakes <= now else { return [] }
      state.wakes = now + Self.longest
      var due: [UInt64] = []
      for (number, entry) in state.entries {
        if entry.deadline <= now {
          due.append(number)
        } else if entry.deadline < state.wakes {
          state.wakes = entry.deadline
        }
      }
      return due
    }
  }
}
