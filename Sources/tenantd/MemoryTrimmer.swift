import CMalloc
import Tenancy

/// Gives memory that a burst of writes left free back to the system, once the burst is over: an idle
/// daemon should be small.
enum MemoryTrimmer {
  static let interval = Duration.seconds(1)

  /// Threads share this many heaps at most. Many heaps keep many free pages.
  private static let maximumHeaps: Int32 = 2

  /// Before the first thread is started.
  static func prepare() { mallopt(M_ARENA_MAX, maximumHeaps) }

  /// Runs until cancelled.
  static func run(_ plane: ControlPlane) async {
    malloc_trim(0)
    var trimmed = plane.state.revision
    var last = trimmed
    while !Task.isCancelled {
      // A cancelled sleep ends the loop at its condition.
      try? await Task.sleep(for: interval)
      let now = plane.state.revision
      if now == last, now != trimmed {
        malloc_trim(0)
        trimmed = now
      }
      last = now
    }
  }
}
