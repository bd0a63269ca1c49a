/// The right to do what only one node may do, such as making a tenant's resources. It lasts for a while by the
/// store's clock, and longer when it is held again; then others may take it over.
///
/// It is taken, held and released by entries of the log, in the transaction that commits them, so that it
/// costs no commit of its own and nothing is recorded by who has lost it. What is done outside of the store
/// is not fenced: steps must be such that doing them again, or late, does no harm.
public struct Lease: Hashable, Sendable {
  /// Twice as long as any is taken for: one that lasts longer still was taken before the store's clock was set
  /// back, and would keep others from the work until that comes round again.
  public static let longest = Duration.seconds(7200)

  /// Of the work: `kind/subject`.
  public let name: String
  /// The revision of the entry that took it: greater than that of every earlier holder.
  public let fencingNumber: UInt64

  /// For what was taken: see `fencingNumber`.
  public init(name: String, fencingNumber: UInt64) {
    self.name = name
    self.fencingNumber = fencingNumber
  }
}

/// What an entry of the log does to a lease besides its changes. A store commits the entry only if it can.
public enum LeaseAction: Hashable, Sendable {
  /// Takes it, for `lasting` from the commit on, with the entry's revision as the fencing number: if nobody
  /// holds it, or the same holder does, or it has expired (`StoredLease.hasExpired`).
  case take(name: String, holder: String, lasting: Duration)
  /// Goes on holding it, for `lasting` from the commit on: unless it was taken over or released.
  case hold(Lease, lasting: Duration)
  /// Gives it up: unless it was taken over or released.
  case release(Lease)
}

/// A lease as the store has it.
public struct StoredLease: Hashable, Sendable {
  /// Which lease, and by which number its holder is known.
  public let lease: Lease
  /// Who took it: a node, in one of its lives.
  public let holder: String
  /// For how long it lasts by the store's clock. When this is not above zero, or above `Lease.longest`, it has
  /// expired.
  public let remaining: Duration

  /// - Parameter remaining: by the store's clock.
  public init(lease: Lease, holder: String, remaining: Duration) {
    self.lease = lease
    self.holder = holder
    self.remaining = remaining
  }

  /// Whether somebody else may take it over.
  public var hasExpired: Bool { remaining <= .zero || remaining > Lease.longest }
}

extension Duration {
  /// Rounded down.
  public var wholeMilliseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1000 + attoseconds / 1_000_000_000_000_000
  }
}
