import Logging
import Tenancy

/// Keeps the revision log within its bounds.
enum LogCompaction {
  /// Between two times: the log is over its bound by what is written meanwhile.
  static let interval = Duration.seconds(10)

  /// Runs until cancelled. A failure is told once, until it works again; whether the store can be written to
  /// is what writes tell.
  static func run(_ plane: ControlPlane, _ logger: Logger) async {
    var hasFailed = false
    while !Task.isCancelled {
      do throws(StoreError) {
        try await plane.compactLog()
        hasFailed = false
      } catch {
        if !hasFailed {
          logger.error("the log was not compacted", metadata: ["reason": "\(error.description)"])
        }
        hasFailed = true
      }
      // A cancelled sleep ends the loop at its condition.
      try? await Task.sleep(for: interval)
    }
  }
}
