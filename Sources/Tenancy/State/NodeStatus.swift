/// How a node gets on whose store others write to as well: for its log, and for metrics.
public struct NodeStatus: Sendable {
  /// Reads with consistency tokens, since the start.
  public struct Waits: Hashable, Sendable {
    /// Now.
    public let waiting: Int
    /// The state came to have the revision.
    public let reached: UInt64
    /// The store did not have the revision.
    public let unknown: UInt64
    /// By their deadlines, or by who asked.
    public let ended: UInt64
    /// As too many waited.
    public let refused: UInt64
    /// Into the store, for all who waited.
    public let looks: UInt64
  }

  /// Of the state that is answered from.
  public let revision: UInt64
  /// Since the state was last proven to be current.
  public let age: Duration
  /// Whether it is so old that nothing is answered from it.
  public let isStale: Bool
  /// Whether the store works.
  public let isHealthy: Bool
  /// What reads have waited for.
  public let waits: Waits
}

/// Leases by who holds them.
public struct LeaseCounts: Hashable, Sendable {
  /// Held by this node.
  public var own = 0
  /// Held by other nodes.
  public var others = 0
  /// What nobody has taken over yet.
  public var expired = 0
}

extension ControlPlane {
  /// Leases that are counted, at most.
  static let maximumCountedLeases = 1024

  /// How this node gets on. Takes short locks.
  public var nodeStatus: NodeStatus {
    let totals = readers.totals
    return NodeStatus(
      revision: revision, age: staleness.age, isStale: isStale(at: now), isHealthy: isHealthy,
      waits: NodeStatus.Waits(
        waiting: readers.waiting, reached: totals.reached, unknown: totals.unknown,
        ended: totals.cancelled, refused: totals.refused, looks: totals.looks))
  }

  /// Who holds leases, of the 1,024 that expire first.
  /// - Parameter holder: this node.
  /// - Throws: UNAVAILABLE when the store fails.
  public func leaseCounts(of holder: String) async throws(TenancyError) -> LeaseCounts {
    let leases = try await leases(limit: Self.maximumCountedLeases)
    var counts = LeaseCounts()
    for lease in leases {
      if lease.hasExpired {
        counts.expired += 1
      } else if lease.holder == holder {
        counts.own += 1
      } else {
        counts.others += 1
      }
    }
    return counts
  }
}
