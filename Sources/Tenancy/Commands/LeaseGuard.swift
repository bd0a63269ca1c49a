import Synchronization

/// Asks, right before something is done that can't be undone, whether a lease is still held. What is done
/// outside of the store is not fenced, so the time between the question and the deed is kept short: who was
/// paused in between asks again. Thread-safe.
///
/// What is left is a pause between the last look at the clock and the system call. A place is therefore one
/// node's, and others leave alone what is there: see `DataPlaces`.
final class LeaseGuard: Sendable {
  /// Of the time that a lease lasts, how much may pass between the answer and the deed.
  private static let share = 8
  /// Before it gives up on a store that is too slow to say in time.
  private static let maximumAttempts = 3

  private let plane: ControlPlane
  private let lease: Lease
  private let lasting: Duration
  /// When the question was asked that was answered last.
  private let confirmed = Mutex<ContinuousClock.Instant?>(nil)

  init(_ plane: ControlPlane, _ lease: Lease, lasting: Duration) {
    self.plane = plane
    self.lease = lease
    self.lasting = lasting
  }

  /// Returns when the lease is known to be held, by a renewal of a moment ago. Blocks.
  /// - Throws: ABORTED with LEASE_LOST if it is not; UNAVAILABLE if that can't be found out.
  func require() throws(TenancyError) {
    for _ in 0..<Self.maximumAttempts {
      if isFresh { return }
      let asked = ContinuousClock.now
      do throws(StoreError) {
        try plane.renewNow(lease, lasting: lasting)
      } catch {
        if case .leaseLost = error.code { throw ControlPlane.leaseLost }
        throw ControlPlane.unavailable
      }
      confirmed.withLock { $0 = max($0 ?? asked, asked) }
    }
    guard isFresh else { throw ControlPlane.unavailable }
  }

  private var isFresh: Bool {
    let maximum = lasting / Self.share
    return confirmed.withLock { $0.map { $0.duration(to: .now) < maximum } ?? false }
  }
}
