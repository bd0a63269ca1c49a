internal import CTenancySQLite
internal import Glibc

/// What ends statements of SQLite before they are at their end, and bounds them. Confined to its session.
final class SQLiteLimits {
  private let interruption: Interruption
  /// When the statement that is run is to end.
  var deadline = ContinuousClock.Instant.now

  init(_ interruption: Interruption) { self.interruption = interruption }

  /// Why what is run is to end; nil: it is not.
  var reason: Interruption.Reason? {
    if let reason = interruption.reason { return reason }
    return deadline <= .now ? .deadline : nil
  }

  /// Has the connection ask this one, from now on. It must not outlive it.
  func attach(to connection: OpaquePointer) {
    let context = Unmanaged.passUnretained(self).toOpaque()
    sqlite3_progress_handler(
      connection, Self.instructions,
      { context in
        guard let context else { return 1 }
        let limits = Unmanaged<SQLiteLimits>.fromOpaque(context).takeUnretainedValue()
        return limits.reason == nil ? 0 : 1
      }, context)
    sqlite3_busy_handler(
      connection,
      { context, count in
        guard let context else { return 0 }
        let limits = Unmanaged<SQLiteLimits>.fromOpaque(context).takeUnretainedValue()
        guard limits.reason == nil else { return 0 }
        // Longer, the longer it takes.
        usleep(useconds_t(min(20_000, 200 * (Int(count) + 1))))
        return 1
      }, context)
    for (limit, value) in Self.values { sqlite3_limit(connection, limit, value) }
    for (option, value) in Self.options { tenancy_sqlite3_configure(connection, option, value) }
  }

  /// Of SQLite's machine, before it asks again: some 10 microseconds.
  private static let instructions: Int32 = 1000
  private static let values: [(Int32, Int32)] = [
    (SQLITE_LIMIT_ATTACHED, 0), (SQLITE_LIMIT_LENGTH, 64 << 20), (SQLITE_LIMIT_SQL_LENGTH, 1 << 20),
    (SQLITE_LIMIT_EXPR_DEPTH, 200), (SQLITE_LIMIT_COMPOUND_SELECT, 100),
    (SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000), (SQLITE_LIMIT_TRIGGER_DEPTH, 32),
    (SQLITE_LIMIT_WORKER_THREADS, 0),
  ]
  private static let options: [(Int32, Int32)] = [
    (SQLITE_DBCONFIG_DEFENSIVE, 1), (SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
    (SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0), (SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0),
    (SQLITE_DBCONFIG_DQS_DML, 0), (SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0),
  ]
}
