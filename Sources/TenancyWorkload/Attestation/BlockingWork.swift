internal import Dispatch
internal import Synchronization

/// Runs what may block for a moment on a few threads of its own, so that neither an event loop nor Swift's pool waits
/// for it. What is done for one user is done one after the other: who gets it stuck (a file system of its own can do
/// that, where root is let in) is behind it himself, and few others are. Thread-safe.
final class BlockingWork: Sendable {
  private static let lanes = 8

  private let queues = (0..<lanes).map {
    DispatchQueue(label: "tenancy.workload.attestation.\($0)")
  }
  private let timers = DispatchQueue(label: "tenancy.workload.attestation.timers")
  private let timeout: DispatchTimeInterval

  /// - Parameter timeout: how long who asks waits, those before included.
  init(timeout: Duration) {
    let (seconds, attoseconds) = timeout.components
    self.timeout = .milliseconds(Int(seconds * 1000 + attoseconds / 1_000_000_000_000_000))
  }

  /// - Returns: what `body` does; nil if that takes too long. It may run to its end all the same.
  func run<Result: Sendable>(
    for user: UInt32, _ body: @escaping @Sendable () -> Result
  ) async -> Result? {
    let queue = queues[Int(user) % Self.lanes]
    return await withCheckedContinuation { continuation in
      let waiting = Waiting(continuation)
      timers.asyncAfter(deadline: .now() + timeout) { waiting.resume(nil) }
      queue.async {
        // Nobody waits for it any more: those behind have their turn.
        guard waiting.isWaiting else { return }
        waiting.resume(body())
      }
    }
  }

  private final class Waiting<Result: Sendable>: Sendable {
    private let continuation: Mutex<CheckedContinuation<Result?, Never>?>

    init(_ continuation: CheckedContinuation<Result?, Never>) {
      self.continuation = Mutex(continuation)
    }

    var isWaiting: Bool { continuation.withLock { $0 != nil } }

    func resume(_ result: Result?) {
      continuation.withLock { $0.take() }?.resume(returning: result)
    }
  }
}
