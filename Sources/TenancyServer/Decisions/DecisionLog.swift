import Synchronization
public import Tenancy

/// What policies have answered of late, in the memory of this node: denials, and samples of what they allowed. Each
/// event loop records by itself. Thread-safe.
public final class DecisionLog: Sendable {
  let pace: DecisionPace
  /// What this node is called.
  let node: String
  /// Since when there is one.
  let start: Timestamp
  /// Of requests that no event loop answers.
  let shared: DecisionShard
  private let shards = Mutex<[DecisionShard]>([])

  /// - Parameters:
  ///   - start: when it begins. What is recorded is numbered from then on, greater than all before it.
  ///   - node: what this node is called.
  public init(_ terms: DecisionTerms, start: Timestamp, node: String) {
    pace = DecisionPace(terms, first: start.milliseconds &* 1_000)
    shared = DecisionShard(pace)
    self.node = node
    self.start = start
    shards.withLock { $0.append(shared) }
    pace.addShard()
  }

  // MARK: Recording

  /// For one event loop.
  func makeShard() -> DecisionShard {
    let shard = DecisionShard(pace, beside: shared)
    shards.withLock { $0.append(shard) }
    pace.addShard()
    return shard
  }

  // MARK: Reading

  /// What there is of one tenant.
  struct Found: Sendable {
    /// In the order of their numbers.
    var decisions: [RecordedDecision] = []
    var leftOut: UInt64 = 0
    var overwritten: UInt64 = 0
    var completeSince: Timestamp
    /// There will be none up to this that are not among these.
    let last: UInt64
  }

  /// What is kept of a tenant, behind a number. Looks at all of it: not for event loops.
  func decisions(of tenant: TenantID, after: UInt64, at now: Timestamp) -> Found {
    let last = pace.lastSequence
    let oldest = pace.oldest(at: now)
    var found = Found(completeSince: max(start, oldest), last: last)
    for shard in shards.withLock(\.self) {
      let kept = shard.kept(of: tenant)
      found.leftOut += kept.leftOut
      found.overwritten += kept.overwritten
      if let time = kept.lastMissed { found.completeSince = max(found.completeSince, time) }
      for case let decision? in kept.decisions
      where decision.sequence > after && decision.sequence <= last && decision.time >= oldest {
        found.decisions.append(decision)
      }
    }
    found.decisions.sort { $0.sequence < $1.sequence }
    return found
  }

  /// Bytes of all that is kept, about.
  var bytes: Int { shards.withLock(\.self).reduce(0) { $0 + $1.bytes } }
}

/// What the parts of a log have in common.
final class DecisionPace: Sendable {
  let terms: DecisionTerms
  private let shards = Atomic(0)
  private let sequence: Atomic<UInt64>

  /// - Parameter first: numbers are greater. Fewer are given than there are microseconds.
  init(_ terms: DecisionTerms, first: UInt64) {
    self.terms = terms
    sequence = Atomic(first)
  }

  /// Whether anything that is not allowed is recorded.
  var recordsDenials: Bool { terms.denialsPerSecond > 0 }

  /// How many allowed decisions later the next is recorded: nobody can tell which.
  func nextSample() -> Int {
    let mean = terms.allowedSample
    return mean > 0 ? Int.random(in: 1...(2 * mean - 1)) : .max
  }

  func nextSequence() -> UInt64 { sequence.wrappingAdd(1, ordering: .relaxed).newValue }

  /// Bytes that one event loop's may take.
  var share: Int { terms.bytes / max(1, shards.load(ordering: .relaxed)) }

  /// What is older is not kept.
  func oldest(at now: Timestamp) -> Timestamp { now + (.zero - terms.retention) }

  /// The last that was given.
  var lastSequence: UInt64 { sequence.load(ordering: .relaxed) }

  func addShard() { shards.wrappingAdd(1, ordering: .relaxed) }
}
