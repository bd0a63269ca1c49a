internal import CTenancyPostgreSQL
internal import Glibc
import TenancyDatabase

/// Owns one connection to a server. Every wait has a deadline: a server that is stopped, paused or cut
/// off makes an error, never a hang. After `isUsable` has become false only letting go is left.
/// Not thread-safe.
final class PostgreSQLConnection {
  private let handle: PostgreSQLHandle
  /// Set when the server did not answer in time: what it sends later would be taken for other answers.
  private var isAbandoned = false
  private(set) var hasTimedOut = false
  /// Who works for it in the server.
  var backend: PostgreSQLBackend?
  /// The statements of the pipeline that is being made.
  private var queued: [String] = []

  /// Connects.
  /// - Parameter parameters: keywords of libpq and their values.
  init(
    _ parameters: [(keyword: String, value: String)], until deadline: Deadline
  ) throws(PostgreSQLError) {
    handle = try PostgreSQLHandle(parameters)
    while let readiness = try handle.connect() {
      // The descriptor is another one when the next address is tried.
      guard deadline.wait(for: [(handle.descriptor, readiness.events)])[0] else {
        throw PostgreSQLError(.timeout, "no connection in time")
      }
    }
  }

  var isUsable: Bool { !isAbandoned && handle.isOpen }
  /// Whether it has ended, as opposed to not answering.
  var isLost: Bool { !hasTimedOut && !isUsable }
  /// Usable, and not within a transaction.
  var isIdle: Bool { isUsable && handle.transaction == .none }
  /// For waiting until the server sends something by itself.
  var descriptor: Int32 { handle.descriptor }
  /// Which server it is, as `HOST:PORT`.
  var place: String { handle.place }

  // MARK: Statements

  /// Runs one statement.
  @discardableResult
  func run(
    _ sql: String, _ values: [SQLValue] = [], until deadline: Deadline
  ) throws(PostgreSQLError) -> PostgreSQLResult {
    try send(sql, values)
    let results = try collect(sql, until: deadline)
    guard let result = results.first else { throw lost(sql) }
    try result.check(sql)
    return result
  }

  /// Runs statements without parameters, of which the server makes one transaction unless one is open.
  func runScript(_ sql: String, until deadline: Deadline) throws(PostgreSQLError) {
    guard handle.send(script: sql) else { throw lost(sql) }
    for result in try collect(sql, until: deadline) { try result.check(sql) }
  }

  /// Runs COMMIT.
  /// - Returns: what makes it doubtful that the transaction is durable: a warning, such as 01000 for a
  ///   cancelled wait for the standby. Nil when nothing does.
  /// - Throws: with the kind `.server` and `isIdle` when the transaction was surely rolled back.
  func commit(until deadline: Deadline) throws(PostgreSQLError) -> PostgreSQLError? {
    let result = try run("COMMIT", until: deadline)
    // Of a transaction that has failed, COMMIT makes a rollback, and calls that a success.
    guard result.commandTag == "COMMIT" else {
      throw PostgreSQLError(.server, "it answered \(result.commandTag)", statement: "COMMIT")
    }
    return handle.firstWarning
  }

  /// What the server keeps of a password, so that statements and logs need not have the password itself (RFC 5803).
  func scramVerifier(of password: String, for role: String) throws(PostgreSQLError) -> String {
    try handle.scramVerifier(of: password, for: role)
  }

  // MARK: Pipelines

  /// Runs the statements that `body` queues, without waiting for one before the next is sent. After a
  /// failure the rest is not run.
  /// - Returns: the results, one for each; they are to be checked.
  func pipeline(
    until deadline: Deadline, _ body: () throws(PostgreSQLError) -> Void
  ) throws(PostgreSQLError) -> [PostgreSQLResult] {
    guard handle.enterPipeline() else { throw lost("") }
    queued = []
    do throws(PostgreSQLError) {
      try body()
      guard handle.syncPipeline() else { throw lost("") }
      return try collectPipeline(until: deadline)
    } catch {
      // It is in the middle of something.
      isAbandoned = true
      throw error
    }
  }

  /// Adds a statement that was prepared to the pipeline.
  func queue(_ statement: PreparedStatement, _ values: [SQLValue]) throws(PostgreSQLError) {
    guard handle.send(prepared: statement.name, Self.strings(values)) else {
      throw lost(statement.sql)
    }
    queued.append(statement.sql)
  }

  /// Adds a statement to the pipeline.
  func queue(_ sql: String, _ values: [SQLValue] = []) throws(PostgreSQLError) {
    try send(sql, values)
    queued.append(sql)
  }

  /// Prepares statements, each by its name, for as long as the connection lasts.
  func prepare(
    _ statements: [PreparedStatement], until deadline: Deadline
  ) throws(PostgreSQLError) {
    let results = try pipeline(until: deadline) { () throws(PostgreSQLError) in
      for statement in statements {
        guard handle.send(preparing: statement.sql, as: statement.name) else {
          throw lost(statement.sql)
        }
        queued.append(statement.sql)
      }
    }
    for (statement, result) in zip(statements, results) { try result.check(statement.sql) }
  }

  // MARK: Notifications

  /// The payloads of the notifications that have come, of any channel.
  func notifications() throws(PostgreSQLError) -> [String] {
    guard handle.consumeInput() else { throw lost("") }
    return handle.notifications()
  }

  // MARK: The protocol

  private func send(_ sql: String, _ values: [SQLValue]) throws(PostgreSQLError) {
    guard handle.send(sql, Self.strings(values)) else { throw lost(sql) }
  }

  /// All results of what was sent outside of a pipeline.
  private func collect(
    _ sql: String, until deadline: Deadline
  ) throws(PostgreSQLError) -> [PostgreSQLResult] {
    var results: [PostgreSQLResult] = []
    while let result = try next(sql, until: deadline) { results.append(result) }
    return results
  }

  private func collectPipeline(
    until deadline: Deadline
  ) throws(PostgreSQLError) -> [PostgreSQLResult] {
    var results: [PostgreSQLResult] = []
    for sql in queued {
      guard let result = try next(sql, until: deadline) else { throw lost(sql) }
      results.append(result)
      // Each statement's results have an end of their own.
      guard try next(sql, until: deadline) == nil else { throw lost(sql) }
    }
    guard try next("", until: deadline)?.status == PGRES_PIPELINE_SYNC,
      handle.exitPipeline()
    else { throw lost("") }
    return results
  }

  /// The next result, or none at the end of a statement.
  private func next(
    _ sql: String, until deadline: Deadline
  ) throws(PostgreSQLError) -> PostgreSQLResult? {
    while true {
      guard let isSent = handle.flush() else { throw lost(sql) }
      if !handle.isBusy {
        let result = handle.nextResult()
        // The library makes results of its own when the connection is lost, without end in a pipeline.
        guard isUsable else { throw lost(sql, result) }
        return result
      }
      let events = isSent ? POLLIN : POLLIN | POLLOUT
      guard deadline.wait(for: [(handle.descriptor, events)])[0] else {
        (isAbandoned, hasTimedOut) = (true, true)
        throw PostgreSQLError(.timeout, "no answer from \(place) in time", statement: sql)
      }
      // What was sent last, such as why the server ends the connection, is a result still.
      guard handle.consumeInput() || !handle.isBusy else { throw lost(sql) }
    }
  }

  private func lost(_ sql: String, _ result: PostgreSQLResult? = nil) -> PostgreSQLError {
    isAbandoned = true
    do throws(PostgreSQLError) {
      try result?.check(sql)
    } catch {
      return PostgreSQLError(
        .connection, error.message, sqlState: error.sqlState, statement: sql)
    }
    return PostgreSQLError(.connection, handle.message, statement: sql)
  }

  private static func strings(_ values: [SQLValue]) -> CStrings {
    var strings = CStrings()
    for value in values {
      switch value {
      case .null: strings.append(nil)
      case .integer(let integer): strings.append("\(integer)")
      case .real(let number): strings.append("\(number)")
      case .text(let text): strings.append(NULFreeText.encode(text))
      case .blob(let bytes): strings.append(hexadecimal(bytes))
      }
    }
    return strings
  }

  /// As BYTEA is written.
  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    let text = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    return "\\x" + String(decoding: text, as: UTF8.self)
  }
}

extension PostgreSQLHandle.Readiness {
  /// As poll(2) takes it.
  var events: Int32 { (reads ? POLLIN : 0) | (writes ? POLLOUT : 0) }
}

/// A process of a server: its number may be another's later.
struct PostgreSQLBackend {
  let number: Int64
  let start: String
}

/// A statement that a connection knows by name.
struct PreparedStatement {
  let name: String
  let sql: String
}
