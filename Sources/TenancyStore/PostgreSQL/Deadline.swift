internal import Glibc

/// A moment after which nothing is waited for any more.
struct Deadline: Sendable {
  private let moment: ContinuousClock.Instant

  init(in duration: Duration) { moment = .now + duration }

  private init(at moment: ContinuousClock.Instant) { self.moment = moment }

  /// This one, or the one after `duration`, whichever comes first.
  func capped(in duration: Duration) -> Deadline { Deadline(at: min(moment, .now + duration)) }

  var hasPassed: Bool { moment <= .now }

  /// What is left, rounded up, as poll(2) takes it.
  fileprivate var milliseconds: Int32 {
    let left = (moment - .now).components
    guard left.seconds >= 0, left.attoseconds >= 0 else { return 0 }
    guard left.seconds < 1_000_000 else { return 1_000_000_000 }
    return Int32(left.seconds) * 1000 + Int32(left.attoseconds / 1_000_000_000_000_000) + 1
  }

  /// Waits until one of the descriptors is ready for what it is asked.
  /// - Returns: which are (or have failed, which whoever uses them finds out); none when the deadline has
  ///   passed.
  func wait(for descriptors: [(Int32, events: Int32)]) -> [Bool] {
    var polled = descriptors.map { descriptor, events in
      pollfd(fd: descriptor, events: Int16(truncatingIfNeeded: events), revents: 0)
    }
    while true {
      let count = poll(&polled, nfds_t(polled.count), milliseconds)
      if count > 0 { return polled.map { $0.revents != 0 } }
      if count == 0, hasPassed { return polled.map { _ in false } }
      // A failure other than by a signal is one of the descriptor, which its next use reports.
      if count < 0, errno != EINTR { return polled.map { _ in true } }
    }
  }
}
