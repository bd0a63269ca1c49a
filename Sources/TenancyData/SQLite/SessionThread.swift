internal import Glibc
internal import Synchronization

/// The thread of one SQLite session: what is isolated to it runs there, and blocks nobody else. Thread-safe.
final class SessionThread: SerialExecutor {
  private struct State {
    var jobs: [UnownedJob] = []
    var isEnded = false
  }
  private let state = Mutex(State())
  private let bell = Bell()

  /// - Returns: nil: the system has no thread to give.
  init?() {
    guard OwnThread.run({ [self] in work() }) else { return nil }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    state.withLock { $0.jobs.append(job) }
    bell.ring()
  }

  func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

  /// After what is enqueued.
  func end() {
    state.withLock { $0.isEnded = true }
    bell.ring()
  }

  private func work() {
    while true {
      bell.wait()
      let (jobs, isEnded) = state.withLock { state in
        defer { state.jobs = [] }
        return (state.jobs, state.isEnded)
      }
      for job in jobs { job.runSynchronously(on: asUnownedSerialExecutor()) }
      // What they have enqueued has rung once more.
      if isEnded, jobs.isEmpty { return }
    }
  }
}

/// Owns a semaphore.
private final class Bell: Sendable {
  // Only semaphore calls touch it, which any thread may make, until nobody has this any more.
  private nonisolated(unsafe) let semaphore: UnsafeMutablePointer<sem_t>

  init() {
    semaphore = .allocate(capacity: 1)
    sem_init(semaphore, 0, 0)
  }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func ring() { sem_post(semaphore) }

  func wait() {
    while sem_wait(semaphore) != 0, errno == EINTR {}
  }
}
