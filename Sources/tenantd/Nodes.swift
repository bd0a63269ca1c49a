import Logging
import TenancyRPCServices
import Tenancy
import TenancyServer
import TenancyStore

/// The configuration's `nodes`: how nodes on one store get on with each other.
struct NodeSettings: Sendable {
  /// For how long a node answers from its state when it can't see its database.
  var maximumStaleness = Duration.seconds(300)
  /// For how long a node that gives no sign of life keeps others from its work.
  var leaseDuration = Duration.seconds(15)
  /// Between two lines of the log that say how the node gets on.
  var statusInterval = Duration.seconds(60)

  init() {}

  init(_ settings: inout SettingsReader) throws {
    maximumStaleness =
      try settings.integer("maximum_staleness_seconds", in: 1...86_400).map { .seconds($0) }
      ?? maximumStaleness
    leaseDuration =
      try settings.integer("lease_seconds", in: 1...3600).map { .seconds($0) } ?? leaseDuration
    statusInterval =
      try settings.integer("status_seconds", in: 1...86_400).map { .seconds($0) } ?? statusInterval
  }
}

/// What a node does because there may be others on its store; nothing where the store is a file.
struct Nodes: Sendable {
  private let settings: NodeSettings
  private let isShared: Bool

  init(_ settings: NodeSettings, on store: StoreSettings) {
    self.settings = settings
    isShared = store.isShared
  }

  var maximumStaleness: Duration? { isShared ? settings.maximumStaleness : nil }

  /// Says how the node gets on, until cancelled; nothing where it has a store for itself.
  func report(
    _ plane: ControlPlane, _ follower: LogFollower?, as terms: Provisioner.Terms, _ logger: Logger
  ) async {
    guard let follower else { return }
    await NodeReport(plane: plane, follower: follower, holder: terms.holder, logger: logger)
      .run(every: settings.statusInterval)
  }

  /// Tenants' data is in the node's own directory.
  func dataPlane(_ directory: String) throws -> SQLiteDataPlane {
    try SQLiteDataPlane(directory: directory, isOneOfSeveral: isShared)
  }

  /// Of a store in a file nobody else has the leases: what an earlier life left is gone on with at once.
  var terms: Provisioner.Terms {
    guard isShared else { return Provisioner.Terms() }
    var random = SystemRandomNumberGenerator()
    let life = String(random.next(), radix: 16) + String(random.next(), radix: 16)
    return Provisioner.Terms(holder: "node \(life)", leaseDuration: settings.leaseDuration)
  }

  /// Follows what other nodes write, until it is stopped.
  func follow(
    _ store: any ControlStore, _ plane: ControlPlane, _ logger: Logger
  ) throws -> LogFollower? {
    guard let store = store as? PostgreSQLStore else { return nil }
    return try LogFollower(plane, on: store) { failure in
      logger.warning(
        "the connection for notifications has failed", metadata: ["reason": "\(failure)"])
    }
  }
}
