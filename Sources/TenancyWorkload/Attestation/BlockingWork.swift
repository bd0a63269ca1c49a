internal import Dispatch
internal import Synchronization

/// Runs what may block for a moment on a thread of its own, one after the other, so that neither an event loop nor
/// Swift's pool waits for it. Thread-safe.
final class BlockingWork: Sendable {
  private let queue = DispatchQueue(label: "tenancy.workload.attestation")
  private let timers = DispatchQueue(label: "tenancy.workload.attestation.timers")
  private let timeout: DispatchTimeInterval

  /// - Parameter timeout: how long who asks waits, those before included.
  init(timeout: Duration) {
    let (seconds, attoseconds) = timeout.components
    self.timeout = .milliseconds(Int(seconds * 1000 + attoseconds / 1_000_000_000_000_000))
  }

  /// - Returns: what `body` does; nil if that takes too long. It may run to its end all the same.
  func run<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result? {
    await withCheckedContinuation { continuation in
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
