import Synchronization

/// A slug that a tenant once had. It is found by that as by its own, until the slug is retired.
/// Thread-safe; all revisions of the state share it.
public final class FormerSlug: Sendable {
  /// Days over which uses are counted, the running one included.
  public static let countedDays = 7

  /// What the tenant was called.
  public let slug: Slug
  /// Which tenant was called so.
  public let tenant: TenantID
  private let counts = Mutex(Counts())

  private struct Counts {
    /// Since 1970, in UTC.
    var day: Int64 = 0
    /// Of `day` and the days before it, the newest first.
    var uses: [UInt64] = []
    var last: Timestamp?
  }

  /// Uses in memory: a restart forgets them.
  public struct Uses: Hashable, Sendable {
    /// Over the last `countedDays`.
    public let count: UInt64
    /// Nil: none since the start.
    public let last: Timestamp?
  }

  init(_ slug: Slug, of tenant: TenantID) {
    self.slug = slug
    self.tenant = tenant
  }

  func noteUse(at now: Timestamp) {
    counts.withLock { counts in
      Self.advance(&counts, to: now)
      counts.uses[0] += 1
      counts.last = now
    }
  }

  /// How often the slug was used in the last `countedDays`, but not before the process started.
  public func recentUses(at now: Timestamp) -> Uses {
    counts.withLock { counts in
      Self.advance(&counts, to: now)
      return Uses(count: counts.uses.reduce(0, +), last: counts.last)
    }
  }

  private static func advance(_ counts: inout Counts, to now: Timestamp) {
    let today = now.seconds / 86_400
    // A clock that was set back counts into the newest day.
    let passed = counts.uses.isEmpty ? Int64(countedDays) : max(0, today - counts.day)
    let gone = Int(min(passed, Int64(countedDays)))
    guard gone > 0 else { return }
    let kept = counts.uses.prefix(countedDays - gone)
    counts.uses = Array(repeating: 0, count: gone) + kept
    counts.day = today
  }
}
