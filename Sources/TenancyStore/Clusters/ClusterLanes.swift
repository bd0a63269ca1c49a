internal import Synchronization
internal import Tenancy
import TenancyDatabase

/// The connections to a cluster: one for each of those that are at work on it at once. Thread-safe.
final class ClusterLanes: Sendable {
  private struct Lane {
    var connector: PostgreSQLConnector
    var connection: PostgreSQLConnection?
    /// What all tenants need of the cluster was made, or found to be there.
    var isPrepared = false

    init(_ configuration: PostgreSQLConfiguration) {
      connector = PostgreSQLConnector(configuration)
    }

    mutating func use<Result: Sendable>(
      _ prepare: (PostgreSQLConnection) throws -> Void,
      _ body: (PostgreSQLConnection) throws -> Result
    ) throws -> Result {
      let used = try connection ?? connector.connect()
      // One that is in the middle of something is of no use to the next.
      defer { connection = used.isIdle ? used : nil }
      if !isPrepared {
        try prepare(used)
        isPrepared = true
      }
      return try body(used)
    }
  }

  private final class Holder: Sendable {
    let lane: Mutex<Lane>
    init(_ configuration: PostgreSQLConfiguration) { lane = Mutex(Lane(configuration)) }
  }

  private let configuration: PostgreSQLConfiguration
  private let lanes: [Holder]
  private let next = Atomic<UInt>(0)

  init(_ configuration: PostgreSQLConfiguration, count: Int) {
    self.configuration = configuration
    lanes = (0..<max(1, count)).map { _ in Holder(configuration) }
  }

  /// Lends a connection to the cluster's database. Blocks while all are in use. What fails on a connection that was lost
  /// since it was last used runs once more: so it must be possible to do it twice.
  /// - Parameter prepare: run before anything else, on each connection's first use.
  func use<Result: Sendable>(
    preparing prepare: (PostgreSQLConnection) throws -> Void,
    _ body: (PostgreSQLConnection) throws -> Result
  ) throws -> Result {
    // As many are at work as there are lanes, or fewer: one is free, but for who takes it first.
    for holder in lanes {
      let result = try holder.lane.withLockIfAvailable { (held: inout Lane) throws -> Result in
        try Self.use(&held, prepare, body)
      }
      if let result { return result }
    }
    let number = next.wrappingAdd(1, ordering: .relaxed).oldValue
    // In range: a remainder of their count.
    return try lanes[Int(number % UInt(lanes.count))].lane.withLock {
      (held: inout Lane) throws -> Result in try Self.use(&held, prepare, body)
    }
  }

  private static func use<Result: Sendable>(
    _ held: inout Lane, _ prepare: (PostgreSQLConnection) throws -> Void,
    _ body: (PostgreSQLConnection) throws -> Result
  ) throws -> Result {
    var lane = held
    defer { held = lane }
    let isKept = lane.connection != nil
    do {
      return try lane.use(prepare, body)
    } catch {
      guard isKept, lane.connection == nil else { throw error }
    }
    return try lane.use(prepare, body)
  }

  /// Lends a connection to another database of the cluster, which ends with it.
  func use<Result>(
    database: String, _ body: (PostgreSQLConnection) throws -> Result
  ) throws -> Result {
    var configuration = configuration
    configuration.database = database
    var connector = PostgreSQLConnector(configuration)
    return try body(try connector.connect())
  }
}
