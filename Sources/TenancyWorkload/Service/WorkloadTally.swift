internal import Synchronization
internal import TenancyRPC

/// What the Workload API has done since the start, for metrics. Thread-safe.
package final class WorkloadTally: Sendable {
  /// What is called.
  package enum Method: Int, Sendable, CaseIterable {
    case fetchX509SVID, fetchX509Bundles, fetchJWTSVID, fetchJWTBundles, validateJWTSVID
    case streamSecrets, fetchSecrets

    /// As it is called.
    package var name: String {
      let text = "\(self)"
      return text.prefix(1).uppercased() + text.dropFirst()
    }
  }

  /// Why a call was refused, or a stream ended.
  package enum Refusal: Int, Sendable, CaseIterable {
    /// The metadata that calls must carry is not there.
    case header
    /// The process has no identity, or not the one that it asks for.
    case identity
    /// The process is not known: it has ended, or is none of this machine.
    case process
    /// Too many calls of the user, at once or in a while.
    case calls, streams
    /// The user was given too many certificates or tokens.
    case signatures
    /// Finding out what the process is takes too long.
    case attestation
    /// The node has not seen its database for too long.
    case stale
    /// Nothing signs now, or signing fails.
    case signing
    /// What is asked is not understood.
    case request
    /// A token that was to be judged is not accepted.
    case token

    /// As metrics have it.
    package var name: String { "\(self)" }
  }

  /// What identities are given in.
  package enum Kind: Int, Sendable, CaseIterable {
    case x509, jwt

    /// As metrics have it.
    package var name: String { "\(self)" }
  }

  /// Upper bounds of the times that it takes to find out what a process is, in nanoseconds.
  package static let bounds: [UInt64] = [
    100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000,
    100_000_000, 250_000_000, 500_000_000, 1_000_000_000, 2_500_000_000, 5_000_000_000,
  ]

  private final class Counter: Sendable {
    let count = Atomic<UInt64>(0)

    func add(_ more: UInt64 = 1) { count.wrappingAdd(more, ordering: .relaxed) }
    var value: UInt64 { count.load(ordering: .relaxed) }
  }

  private let calls = Method.allCases.map { _ in Counter() }
  private let refusals = Refusal.allCases.map { _ in Counter() }
  private let issued = Kind.allCases.map { _ in Counter() }
  private let times = (0...bounds.count).map { _ in Counter() }
  private let time = Counter()

  init() {}

  // In range, all of them: there is one for each case, in their order, and of times one more than there are bounds.

  func note(_ method: Method) { calls[method.rawValue].add() }

  func note(issued kind: Kind) { issued[kind.rawValue].add() }

  /// Counts a refusal.
  /// - Returns: `status`, for whoever is refused.
  func refused(_ reason: Refusal, _ status: RPCStatus) -> RPCStatus {
    refusals[reason.rawValue].add()
    return status
  }

  func note(attestation taken: Duration) {
    let (seconds, attoseconds) = taken.components
    let nanoseconds =
      UInt64(clamping: seconds) &* 1_000_000_000 &+ UInt64(clamping: attoseconds / 1_000_000_000)
    times[Self.bounds.firstIndex { nanoseconds <= $0 } ?? Self.bounds.count].add()
    time.add(nanoseconds)
  }

  /// Calls and streams that were begun.
  package func count(of method: Method) -> UInt64 { calls[method.rawValue].value }

  /// Those that were refused so.
  package func count(of refusal: Refusal) -> UInt64 { refusals[refusal.rawValue].value }

  /// Certificates, or tokens, that were made.
  package func count(issued kind: Kind) -> UInt64 { issued[kind.rawValue].value }

  /// How often it has taken how long to find out what a process is, by the first bound that is not exceeded; the last are
  /// those that exceed all. And of all, nanoseconds.
  package var attestations: (counts: [UInt64], nanoseconds: UInt64) {
    (times.map(\.value), time.value)
  }
}
