/// The limits of an adapter.
public struct DataConfiguration: Hashable, Sendable {
  /// Connections in total. Those that are not in use make room for other tenants'.
  public var maximumConnections = 100
  /// Of one tenant.
  public var maximumConnectionsPerTenant = 10
  /// Who may wait for a connection at once, of one tenant: others are refused.
  public var maximumWaiting = 1000
  /// How long it is waited for a connection that others have.
  public var acquireTimeout = Duration.seconds(5)
  /// After which a connection that nobody uses is closed.
  public var idleTimeout = Duration.seconds(60)
  /// To connect to one host.
  public var connectTimeout = Duration.seconds(3)
  /// How long a statement takes, where it is not said otherwise.
  public var statementTimeout = Duration.seconds(30)
  /// How long a transaction may be left alone, before the database ends it.
  public var idleInTransactionTimeout = Duration.seconds(60)
  /// For how long a place is taken to be as it was answered, where nothing is heard of it.
  public var placeLifetime = Duration.seconds(300)
  /// Places remembered.
  public var maximumPlaces = 100_000
  /// What a result that is not read as a stream takes in memory, about, in bytes.
  public var maximumResultBytes = 64 << 20
  /// What servers get to see of who is connected.
  public var applicationName = "tenancy"

  /// The defaults.
  public init() {}

  /// With what makes no sense made the least that does.
  var sound: DataConfiguration {
    var sound = self
    sound.maximumConnections = max(1, maximumConnections)
    sound.maximumConnectionsPerTenant = max(1, maximumConnectionsPerTenant)
    sound.maximumWaiting = max(0, maximumWaiting)
    return sound
  }
}

/// How one statement is run.
public struct QueryOptions: Hashable, Sendable {
  /// How long it may take, with the wait for a connection; nil: as `DataConfiguration` says.
  public var timeout: Duration?

  /// - Parameter timeout: nil: as `DataConfiguration` says.
  public init(timeout: Duration? = nil) { self.timeout = timeout }
}

/// How a transaction is run.
public struct TransactionOptions: Hashable, Sendable {
  /// What transactions see of each other. SQLite's are always serializable.
  public enum Isolation: Hashable, Sendable {
    /// Each statement sees what was committed before it.
    case readCommitted
    /// All statements see what was committed before the first.
    case repeatableRead
    /// As if one ran after the other, or else there is a serialization failure.
    case serializable
  }

  /// What it sees of others.
  public var isolation: Isolation
  /// Whether it only reads.
  public var isReadOnly: Bool
  /// How often `withTransaction` begins anew after a serialization failure.
  public var retries: Int
  /// How long each statement may take, and the wait for a connection; nil: as `DataConfiguration` says.
  public var timeout: Duration?

  /// - Parameters:
  ///   - isolation: what it sees of others.
  ///   - retries: what `withTransaction` does is to be possible to do again.
  public init(
    isolation: Isolation = .readCommitted, isReadOnly: Bool = false, retries: Int = 0,
    timeout: Duration? = nil
  ) {
    self.isolation = isolation
    self.isReadOnly = isReadOnly
    self.retries = retries
    self.timeout = timeout
  }
}
