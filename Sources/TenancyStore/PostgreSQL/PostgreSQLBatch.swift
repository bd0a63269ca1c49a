internal import Tenancy
import TenancyDatabase

/// One write transaction on one connection.
struct PostgreSQLBatch {
  let connection: PostgreSQLConnection
  let configuration: PostgreSQLConfiguration

  static let statements =
    StateStatement.allPrepared + [lock, advance, notify, auditEnd]

  static let lock = PreparedStatement(
    name: "lock", sql: "SELECT \(RevisionRow.columns) FROM tenancy_revision FOR UPDATE")
  static let advance = PreparedStatement(
    name: "advance", sql: "UPDATE tenancy_revision SET revision = $1")
  static let notify = PreparedStatement(name: "notify", sql: "SELECT pg_notify($1, $2)")
  static let begin = "BEGIN ISOLATION LEVEL READ COMMITTED"

  /// - Returns: the revision that the entries follow.
  static func record(
    _ entries: [LogEntry], in recorder: inout StatementRecorder
  ) throws(StoreError) -> Int64 {
    guard let first = entries.first?.revision, let revision = Int64(exactly: first), revision > 0
    else { throw StoreError(.conflict, "the first revision is none") }
    try StateWriter(json: JSONCoding()).write(entries, after: revision - 1, to: &recorder)
    return revision - 1
  }

  /// Everything is sent at once and judged when it has been run: whether revisions follow, too. Only then
  /// the commit is sent, so that every failure before it leaves nothing.
  /// - Parameters:
  ///   - revision: the one that must be stored.
  ///   - check: whether it is the right store.
  func write(
    _ steps: [StatementRecorder.Step], after revision: Int64, to last: Int64,
    check: (RevisionRow) throws(StoreError) -> Void
  ) throws(StoreError) {
    let results = try asStoreError { () throws(PostgreSQLError) in
      try connection.pipeline(until: deadline) { () throws(PostgreSQLError) in
        try connection.queue(Self.begin)
        try connection.queue(Self.lock, [])
        for step in steps { try connection.queue(step.statement.prepared, step.values) }
        try connection.queue(Self.advance, [.integer(last)])
        try connection.queue(Self.notify, [.text(configuration.channel), .text("\(last)")])
      }
    }
    try commit { () throws(StoreError) in
      let row = try lockedRow(results)
      try check(row)
      // Whatever failed after that failed because of it.
      guard row.revision == revision else {
        throw StoreError(
          .conflict, "revision \(revision + 1) does not follow \(row.revision)")
      }
      for (step, result) in zip(steps, results.dropFirst(2)) {
        try asStoreError { () throws(PostgreSQLError) in
          try result.check(step.statement.prepared.sql)
        }
        if let refusal = step.refusal, result.changedRows != 1 {
          throw StoreError(step.statement.refusalCode, refusal)
        }
      }
      for result in results.suffix(2) {
        try asStoreError { () throws(PostgreSQLError) in try result.check(Self.advance.sql) }
      }
    }
  }

  /// Removes the log's begin, up to a revision or the last.
  func compact(
    through revision: Int64, check: (RevisionRow) throws(StoreError) -> Void
  ) throws(StoreError) {
    let locked = try pipeline { () throws(PostgreSQLError) in
      try connection.queue(Self.begin)
      try connection.queue(Self.lock, [])
    }
    try commit { () throws(StoreError) in
      let row = try lockedRow(locked)
      try check(row)
      var recorder = StatementRecorder()
      try StateWriter(json: JSONCoding()).compact(
        through: min(revision, row.revision), with: &recorder)
      let results = try pipeline { () throws(PostgreSQLError) in
        for step in recorder.steps {
          try connection.queue(step.statement.prepared, step.values)
        }
      }
      for (step, result) in zip(recorder.steps, results) {
        try asStoreError { () throws(PostgreSQLError) in
          try result.check(step.statement.prepared.sql)
        }
      }
    }
  }

  /// Goes on holding a lease. Waits for no write but one that is about the same lease.
  func renew(_ lease: Lease, lasting duration: Duration) throws(StoreError) {
    var recorder = StatementRecorder()
    try StateWriter(json: JSONCoding()).hold(lease, lasting: duration, with: &recorder)
    let steps = recorder.steps
    let results = try pipeline { () throws(PostgreSQLError) in
      try connection.queue(Self.begin)
      for step in steps { try connection.queue(step.statement.prepared.sql, step.values) }
    }
    try commit { () throws(StoreError) in
      for (step, result) in zip(steps, results.dropFirst()) {
        try asStoreError { () throws(PostgreSQLError) in
          try result.check(step.statement.prepared.sql)
        }
        if let refusal = step.refusal, result.changedRows != 1 {
          throw StoreError(step.statement.refusalCode, refusal)
        }
      }
    }
  }

  func pipeline(
    _ body: () throws(PostgreSQLError) -> Void
  ) throws(StoreError) -> [PostgreSQLResult] {
    try asStoreError { () throws(PostgreSQLError) in
      try connection.pipeline(until: deadline, body)
    }
  }

  /// Commits the row with the last revision as it is.
  /// - Parameter check: whether it is the right store.
  /// - Returns: the revision, which is durable.
  func touch(check: (RevisionRow) throws(StoreError) -> Void) throws(StoreError) -> Int64 {
    var revision: Int64 = 0
    let results = try asStoreError { () throws(PostgreSQLError) in
      try connection.pipeline(until: deadline) { () throws(PostgreSQLError) in
        try connection.queue(Self.begin)
        try connection.queue(Self.lock, [])
        try connection.queue("UPDATE tenancy_revision SET revision = revision")
      }
    }
    try commit { () throws(StoreError) in
      let row = try lockedRow(results)
      try check(row)
      try asStoreError { () throws(PostgreSQLError) in try results[2].check("UPDATE") }
      revision = row.revision
    }
    return revision
  }

  /// Makes sure that all that could be read before is durable, on the standby too: commits a record of
  /// nothing, for which no other write is waited for.
  func prove(until end: Deadline? = nil) throws(StoreError) {
    let results = try asStoreError { () throws(PostgreSQLError) in
      try connection.pipeline(until: end ?? deadline) { () throws(PostgreSQLError) in
        try connection.queue(Self.begin)
        try connection.queue(Self.record, [])
      }
    }
    try commit(until: end) { () throws(StoreError) in
      try asStoreError { () throws(PostgreSQLError) in
        for result in results { try result.check(Self.record) }
      }
    }
  }

  private static let record = "SELECT pg_logical_emit_message(true, 'tenancy', '')"

  func lockedRow(_ results: [PostgreSQLResult]) throws(StoreError) -> RevisionRow {
    try asStoreError { () throws(PostgreSQLError) in
      try results[0].check(Self.begin)
      try results[1].check(Self.lock.sql)
    }
    return try RevisionRow(results[1])
  }

  /// - Parameter judge: throws when the transaction is to be rolled back.
  func commit(
    until end: Deadline? = nil, if judge: () throws(StoreError) -> Void
  ) throws(StoreError) {
    let deadline = end ?? deadline
    do throws(StoreError) {
      try judge()
    } catch {
      // Where that fails, the connection is let go, which rolls back as well.
      _ = try? connection.run("ROLLBACK", until: deadline)
      throw error
    }
    do throws(PostgreSQLError) {
      guard let doubt = try connection.commit(until: deadline) else { return }
      throw PostgreSQLError(.connection, doubt.message, sqlState: doubt.sqlState)
    } catch {
      // An error that leaves the connection as it was is one of a transaction that was rolled back.
      guard error.kind == .server, connection.isIdle else {
        throw StoreError(.unknownOutcome, error.description)
      }
      throw StoreError(error)
    }
  }

  private var deadline: Deadline { Deadline(in: configuration.answerTimeout) }
}
