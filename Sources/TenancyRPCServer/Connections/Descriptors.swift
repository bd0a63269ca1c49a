#if canImport(Glibc)
  import Glibc
#endif

/// File descriptors of this process.
public enum Descriptors {
  /// Descriptors that connections leave to others: listeners, event loops, databases, logs.
  public static let reserved = 64

  /// How many the process may have open.
  public static var limit: Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
    return Int(clamping: limit.rlim_cur)
  }

  /// Lets the process have as many open as the system allows it: the usual limit is meant for
  /// programs that use `select`. For executables, before they start threads.
  public static func raiseLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    // The limit stays as it is then.
    _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}
