internal import Glibc

/// A thread for what blocks: those of tasks and of Dispatch are shared.
enum OwnThread {
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Ends when the body does.
  /// - Returns: whether it runs; else the system has no thread to give.
  static func run(_ body: @escaping @Sendable () -> Void) -> Bool {
    let passed = Unmanaged.passRetained(Body(body))
    var attributes = pthread_attr_t()
    guard pthread_attr_init(&attributes) == 0 else {
      passed.release()
      return false
    }
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    pthread_attr_setstacksize(&attributes, stackSize)
    var thread = pthread_t()
    let code = pthread_create(
      &thread, &attributes,
      { pointer in
        // The signals of the process are for others.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        // What was retained for this thread alone.
        if let pointer { Unmanaged<Body>.fromOpaque(pointer).takeRetainedValue().run() }
        return nil
      }, passed.toOpaque())
    if code != 0 { passed.release() }
    return code == 0
  }

  /// SQLite's parser and its expressions are bounded: see `SQLiteLimits`.
  private static let stackSize = 1 << 20
}
