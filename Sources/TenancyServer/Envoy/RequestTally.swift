import Synchronization
import Tenancy

/// How HTTP requests were judged since the start. Thread-safe.
public final class RequestTally: Sendable {
  /// What became of a request.
  public enum Verdict: Int, Sendable, CaseIterable {
    /// It may go on, as somebody's.
    case allowed
    /// It needs no identity.
    case anonymous
    /// It has no credentials that count.
    case unauthenticated
    /// It may not go on.
    case denied
    /// It is not understood.
    case invalid
    /// It could not be judged, or there is too much at once.
    case unavailable

    /// As metrics have it.
    public var name: String { "\(self)" }

    init(_ error: TenancyError) {
      self =
        switch error.category {
        case .unauthenticated: .unauthenticated
        case .permissionDenied, .notFound, .failedPrecondition: .denied
        case .invalidArgument, .outOfRange, .alreadyExists, .aborted: .invalid
        case .unavailable, .resourceExhausted, .unimplemented, .internalError, .cancelled:
          .unavailable
        }
    }
  }

  /// What became of the question whether there is a request left.
  public enum Limit: Int, Sendable, CaseIterable {
    /// It counts.
    case within
    /// It is more than a limit allows.
    case over
    /// Its tenant is not served.
    case unserved

    /// As metrics have it.
    public var name: String { "\(self)" }
  }

  private final class Counter: Sendable {
    let count = Atomic<UInt64>(0)
  }

  private let verdicts = Verdict.allCases.map { _ in Counter() }
  private let limits = Limit.allCases.map { _ in Counter() }

  /// Nothing was judged yet.
  public init() {}

  // In range: there is one for each case, in their order.

  func note(_ verdict: Verdict) {
    verdicts[verdict.rawValue].count.wrappingAdd(1, ordering: .relaxed)
  }

  func note(_ limit: Limit) { limits[limit.rawValue].count.wrappingAdd(1, ordering: .relaxed) }

  /// How many requests were judged so.
  public func count(of verdict: Verdict) -> UInt64 {
    verdicts[verdict.rawValue].count.load(ordering: .relaxed)
  }

  /// How many questions were answered so.
  public func count(of limit: Limit) -> UInt64 {
    limits[limit.rawValue].count.load(ordering: .relaxed)
  }
}
