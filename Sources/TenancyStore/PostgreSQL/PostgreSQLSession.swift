internal import Synchronization
internal import Tenancy
import TenancyDatabase

/// What a store's connections know of its servers. Thread-safe.
final class PostgreSQLReach: Sendable {
  private let count = Atomic<UInt64>(0)

  /// How many connections were made so far, by all sessions.
  var connects: UInt64 { count.load(ordering: .acquiring) }

  func noteConnect() { count.wrappingAdd(1, ordering: .acquiringAndReleasing) }
}

/// A connection to the store's schema, made anew when it was lost. Not thread-safe.
struct PostgreSQLSession {
  private var connector: PostgreSQLConnector
  private let statements: [PreparedStatement]
  private var connection: PostgreSQLConnection?
  /// Of a connection that got no answer in time: it may wait for a standby still, with the lock on the
  /// last revision, and does not notice that nobody listens any more.
  private var abandoned: PostgreSQLBackend?
  private let reach: PostgreSQLReach
  private var backoff = Backoff()
  /// How many connections the store's sessions had made when this one failed: where there are more, the server
  /// is back, and there is nothing to wait for.
  private var connectsAtFailure: UInt64 = 0
  private var lastFailure: StoreError?
  private var random = SystemRandomNumberGenerator()

  /// - Parameter statements: prepared on each connection.
  init(
    _ configuration: PostgreSQLConfiguration, statements: [PreparedStatement],
    reach: PostgreSQLReach = PostgreSQLReach()
  ) {
    connector = PostgreSQLConnector(configuration)
    self.reach = reach
    self.statements = statements
  }

  /// Lends the connection. One that was lost since it was last used, before a COMMIT was sent, is
  /// replaced, and `body` runs once more.
  /// - Throws: what `body` throws; or `.unavailable` when no server takes writes, without trying when it
  ///   has been tried a moment ago.
  mutating func withConnection<Result>(
    _ body: (PostgreSQLConnection) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    let isKept = connection != nil
    let used = try current()
    do throws(StoreError) {
      defer { keep(used) }
      return try body(used)
    } catch {
      guard isKept, error.code == .unavailable, used.isLost else { throw error }
    }
    let fresh = try current()
    defer { keep(fresh) }
    return try body(fresh)
  }

  /// Has the next use make a connection anew.
  mutating func letGo() { connection = nil }

  private mutating func keep(_ used: PostgreSQLConnection) {
    guard !used.isIdle else { return }
    if used.hasTimedOut { abandoned = used.backend }
    connection = nil
  }

  private mutating func current() throws(StoreError) -> PostgreSQLConnection {
    if let connection { return connection }
    if let wait = backoff.remaining, reach.connects == connectsAtFailure {
      let cause = lastFailure?.description ?? "PostgreSQL has failed"
      throw StoreError(lastFailure?.code ?? .unavailable, "\(cause) (next attempt in \(wait))")
    }
    let connects = reach.connects
    do throws(StoreError) {
      let connection = try open()
      self.connection = connection
      backoff.succeed()
      reach.noteConnect()
      return connection
    } catch {
      backoff.fail(using: &random)
      connectsAtFailure = connects
      lastFailure = error
      throw error
    }
  }

  private mutating func open() throws(StoreError) -> PostgreSQLConnection {
    let connection = try connector.connect()
    let configuration = connector.configuration
    if let abandoned {
      try end(abandoned, connection)
      self.abandoned = nil
    }
    try PostgreSQLMigrations(connection: connection, configuration: configuration).run()
    try asStoreError { () throws(PostgreSQLError) in
      try connection.prepare(statements, until: Deadline(in: configuration.answerTimeout))
    }
    return connection
  }

  /// Ends the transaction of a former connection. It may have been committed by now, or not.
  private func end(
    _ backend: PostgreSQLBackend, _ connection: PostgreSQLConnection
  ) throws(StoreError) {
    try asStoreError { () throws(PostgreSQLError) in
      _ = try connection.run(
        """
        SELECT pg_terminate_backend(pid, 1000) FROM pg_catalog.pg_stat_activity
        WHERE pid = $1 AND backend_start::text = $2
        """, [.integer(backend.number), .text(backend.start)],
        until: Deadline(in: connector.configuration.answerTimeout))
    }
  }
}
