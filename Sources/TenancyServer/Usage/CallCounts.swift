import Tenancy
import TenancyRPC

/// What has become of a call, as far as its tenant is concerned.
public enum CallOutcome: Int, CaseIterable, Sendable {
  /// It was answered.
  case ok
  /// Somebody may not do what was asked.
  case denied
  /// It was more than a limit allows.
  case limited
  /// Its client has given it up.
  case cancelled
  /// All others.
  case failed

  /// As metrics have it.
  public var name: String { "\(self)" }

  @inline(__always)
  init(_ code: RPCStatus.Code, _ verdict: CallVerdict) {
    switch verdict {
    case .byStatus: self.init(code)
    case .denied: self = .denied
    case .limited: self = .limited
    case .failed: self = .failed
    }
  }

  @inline(__always)
  private init(_ code: RPCStatus.Code) {
    if code == .ok {
      self = .ok
    } else if code == .permissionDenied || code == .unauthenticated {
      self = .denied
    } else if code == .resourceExhausted {
      self = .limited
    } else if code == .cancelled {
      self = .cancelled
    } else {
      self = .failed
    }
  }
}

extension CallVerdict {
  /// Of an HTTP request that does not go on.
  init(_ error: TenancyError) {
    self =
      switch error.category {
      case .permissionDenied, .unauthenticated, .notFound: .denied
      case .resourceExhausted: .limited
      case .invalidArgument, .alreadyExists, .failedPrecondition, .aborted, .unimplemented,
        .internalError, .unavailable, .cancelled, .outOfRange:
        .failed
      }
  }
}

/// Calls of one tenant that are over.
public struct CallCounts: Hashable, Sendable {
  /// As many.
  public private(set) var ok: UInt64 = 0
  /// As many.
  public private(set) var denied: UInt64 = 0
  /// As many.
  public private(set) var limited: UInt64 = 0
  /// As many.
  public private(set) var cancelled: UInt64 = 0
  /// As many.
  public private(set) var failed: UInt64 = 0
  /// When the last was over, by the clock of `CallRecord`; 0: there was none.
  public private(set) var latest: UInt64 = 0
  var recent = RecentCalls()

  /// None.
  public init() {}

  /// Of whatever outcome.
  public var all: UInt64 { ok &+ denied &+ limited &+ cancelled &+ failed }

  /// Those of one outcome.
  public subscript(outcome: CallOutcome) -> UInt64 {
    switch outcome {
    case .ok: ok
    case .denied: denied
    case .limited: limited
    case .cancelled: cancelled
    case .failed: failed
    }
  }

  /// Those that were over within a minute before `now`.
  public func ofLastMinute(at now: UInt64) -> UInt64 { recent.ofLastMinute(at: now) }

  @inline(__always)
  mutating func add(_ outcome: CallOutcome, at time: UInt64) {
    switch outcome {
    case .ok: ok &+= 1
    case .denied: denied &+= 1
    case .limited: limited &+= 1
    case .cancelled: cancelled &+= 1
    case .failed: failed &+= 1
    }
    latest = time
    recent.add(at: time)
  }

  /// Adds what another event loop has counted.
  mutating func add(_ other: CallCounts) {
    ok &+= other.ok
    denied &+= other.denied
    limited &+= other.limited
    cancelled &+= other.cancelled
    failed &+= other.failed
    latest = max(latest, other.latest)
    recent.add(other.recent)
  }
}

/// How many calls there were in each ten seconds of the last minute and a little more.
struct RecentCalls: Hashable, Sendable {
  private static let slot: UInt64 = 10_000_000_000
  private static let ofMinute: UInt64 = 6
  private static let kept: UInt64 = 8

  private var counts = SIMD8<UInt32>()
  /// The number of the newest.
  private var newest: UInt64 = 0

  @inline(__always)
  mutating func add(at time: UInt64) {
    let slot = time / Self.slot
    if slot != newest { advance(to: slot) }
    // In range: one of eight.
    counts[Int(truncatingIfNeeded: newest & 7)] &+= 1
  }

  private mutating func advance(to slot: UInt64) {
    // The clock does not go back: were it to, what comes would be of the newest.
    guard slot > newest else { return }
    if slot - newest >= Self.kept { counts = SIMD8() }
    for passed in max(newest, slot - min(slot, Self.kept)) + 1...slot {
      counts[Int(truncatingIfNeeded: passed & 7)] = 0  // In range: one of eight.
    }
    newest = slot
  }

  mutating func add(_ other: RecentCalls) {
    var other = other
    advance(to: other.newest)
    other.advance(to: newest)
    counts = counts &+ other.counts
  }

  /// Of the ten seconds that are only partly within the minute, that part.
  func ofLastMinute(at now: UInt64) -> UInt64 {
    var known = self
    let slot = max(now / Self.slot, newest)
    known.advance(to: slot)
    func count(_ slot: UInt64) -> UInt64 {
      UInt64(known.counts[Int(truncatingIfNeeded: slot & 7)])  // In range: one of eight.
    }
    var sum: UInt64 = 0
    for back in 0..<Self.ofMinute where back <= slot { sum += count(slot - back) }
    guard slot >= Self.ofMinute, now / Self.slot == slot else { return sum }
    let left = Self.slot - now % Self.slot
    return sum + count(slot - Self.ofMinute) * (left / 1_000_000) / (Self.slot / 1_000_000)
  }
}
