internal import CTenancyPostgreSQL
internal import Glibc

/// Owns one connection to a server. Every wait has a deadline: a server that is stopped, paused or cut
/// off makes an error, never a hang. After `isUsable` has become false only letting go is left.
/// Not thread-safe.
final class PostgreSQLConnection {
  private let handle: OpaquePointer
  /// The C library calls back into it as long as `handle` lives.
  private let notices: NoticeLog
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
    notices = NoticeLog()
    handle = try Self.connect(parameters, notices, until: deadline)
    // Sending never waits by itself: it is `wait` that does.
    PQsetnonblocking(handle, 1)
  }

  deinit {
    // Says goodbye when there is room for it, and does not wait.
    PQfinish(handle)
  }

  var isUsable: Bool { !isAbandoned && PQstatus(handle) == CONNECTION_OK }
  /// Whether it has ended, as opposed to not answering.
  var isLost: Bool { !hasTimedOut && !isUsable }
  /// Usable, and not within a transaction.
  var isIdle: Bool { isUsable && PQtransactionStatus(handle) == PQTRANS_IDLE }
  /// For waiting until the server sends something by itself.
  var descriptor: Int32 { PQsocket(handle) }
  /// Which server it is, as `HOST:PORT`.
  var place: String {
    let host = PQhost(handle).map { String(cString: $0) } ?? ""
    let port = PQport(handle).map { String(cString: $0) } ?? ""
    return "\(host):\(port)"
  }

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
    notices.forget()
    guard PQsendQuery(handle, sql) == 1 else { throw lost(sql) }
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
    return notices.firstWarning
  }

  /// What the server keeps of a password, so that statements and logs need not have the password itself (RFC 5803).
  func scramVerifier(of password: String, for role: String) throws(PostgreSQLError) -> String {
    guard let text = PQencryptPasswordConn(handle, password, role, "scram-sha-256") else {
      throw PostgreSQLError(.server, "the password can't be encoded")
    }
    defer { PQfreemem(text) }
    return String(cString: text)
  }

  // MARK: Pipelines

  /// Runs the statements that `body` queues, without waiting for one before the next is sent. After a
  /// failure the rest is not run.
  /// - Returns: the results, one for each; they are to be checked.
  func pipeline(
    until deadline: Deadline, _ body: () throws(PostgreSQLError) -> Void
  ) throws(PostgreSQLError) -> [PostgreSQLResult] {
    guard PQenterPipelineMode(handle) == 1 else { throw lost("") }
    queued = []
    notices.forget()
    do throws(PostgreSQLError) {
      try body()
      guard PQpipelineSync(handle) == 1 else { throw lost("") }
      return try collectPipeline(until: deadline)
    } catch {
      // It is in the middle of something.
      isAbandoned = true
      throw error
    }
  }

  /// Adds a statement that was prepared to the pipeline.
  func queue(_ statement: PreparedStatement, _ values: [SQLValue]) throws(PostgreSQLError) {
    let strings = Self.strings(values)
    let sent = strings.withPointers { pointers in
      PQsendQueryPrepared(handle, statement.name, Int32(strings.count), pointers, nil, nil, 1)
    }
    guard sent == 1 else { throw lost(statement.sql) }
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
        guard PQsendPrepare(handle, statement.name, statement.sql, 0, nil) == 1 else {
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
    guard PQconsumeInput(handle) == 1 else { throw lost("") }
    var payloads: [String] = []
    while let notification = PQnotifies(handle) {
      payloads.append(String(cString: notification.pointee.extra))
      PQfreemem(notification)
    }
    return payloads
  }

  // MARK: The protocol

  private func send(_ sql: String, _ values: [SQLValue]) throws(PostgreSQLError) {
    notices.forget()
    let strings = Self.strings(values)
    let sent = strings.withPointers { pointers in
      PQsendQueryParams(handle, sql, Int32(strings.count), nil, pointers, nil, nil, 1)
    }
    guard sent == 1 else { throw lost(sql) }
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
      PQexitPipelineMode(handle) == 1
    else { throw lost("") }
    return results
  }

  /// The next result, or none at the end of a statement.
  private func next(
    _ sql: String, until deadline: Deadline
  ) throws(PostgreSQLError) -> PostgreSQLResult? {
    while true {
      let unsent = PQflush(handle)
      guard unsent >= 0 else { throw lost(sql) }
      if PQisBusy(handle) == 0 {
        let result = PQgetResult(handle).map(PostgreSQLResult.init(owning:))
        // The library makes results of its own when the connection is lost, without end in a pipeline.
        guard isUsable else { throw lost(sql, result) }
        return result
      }
      let events = unsent == 1 ? POLLIN | POLLOUT : POLLIN
      guard deadline.wait(for: [(descriptor, events)])[0] else {
        (isAbandoned, hasTimedOut) = (true, true)
        throw PostgreSQLError(.timeout, "no answer from \(place) in time", statement: sql)
      }
      // What was sent last, such as why the server ends the connection, is a result still.
      guard PQconsumeInput(handle) == 1 || PQisBusy(handle) == 0 else { throw lost(sql) }
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
    return PostgreSQLError(.connection, Self.message(handle), statement: sql)
  }

  private static func message(_ handle: OpaquePointer) -> String {
    let text = PQerrorMessage(handle).map { String(cString: $0).trimmed } ?? ""
    return text.isEmpty ? "the connection was lost" : text
  }

  private static func strings(_ values: [SQLValue]) -> CStrings {
    var strings = CStrings()
    for value in values {
      switch value {
      case .null: strings.append(nil)
      case .integer(let integer): strings.append("\(integer)")
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

  private static func connect(
    _ parameters: [(keyword: String, value: String)], _ notices: NoticeLog,
    until deadline: Deadline
  ) throws(PostgreSQLError) -> OpaquePointer {
    let keywords = CStrings(parameters.map(\.keyword))
    let values = CStrings(parameters.map(\.value))
    let started = keywords.withPointers { keywords in
      // Without expanding the database's name, which could be a connection string.
      values.withPointers { PQconnectStartParams(keywords, $0, 0) }
    }
    guard let started else { throw PostgreSQLError(.connection, "out of memory") }
    notices.attach(to: started)
    do throws(PostgreSQLError) {
      try finishConnecting(started, until: deadline)
      return started
    } catch {
      PQfinish(started)
      throw error
    }
  }

  private static func finishConnecting(
    _ handle: OpaquePointer, until deadline: Deadline
  ) throws(PostgreSQLError) {
    guard PQstatus(handle) != CONNECTION_BAD else {
      throw PostgreSQLError(.connection, message(handle))
    }
    var state = PGRES_POLLING_WRITING
    while state != PGRES_POLLING_OK {
      guard state != PGRES_POLLING_FAILED else {
        throw PostgreSQLError(.connection, message(handle))
      }
      // The descriptor is another one when the next address is tried.
      let events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT
      guard deadline.wait(for: [(PQsocket(handle), events)])[0] else {
        throw PostgreSQLError(.timeout, "no connection in time")
      }
      state = PQconnectPoll(handle)
    }
  }
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

/// What the server says besides its answers. Confined to its connection, whose calls it is called from.
private final class NoticeLog {
  /// Warnings of one statement, at most: the first is what counts.
  private static let limit = 16
  private var warnings: [PostgreSQLError] = []

  var firstWarning: PostgreSQLError? { warnings.first }

  func forget() { warnings = [] }

  func attach(to handle: OpaquePointer) {
    let receive: PQnoticeReceiver = { context, result in
      guard let context, let result else { return }
      Unmanaged<NoticeLog>.fromOpaque(context).takeUnretainedValue().record(result)
    }
    PQsetNoticeReceiver(handle, receive, Unmanaged.passUnretained(self).toOpaque())
  }

  private func record(_ result: OpaquePointer) {
    func field(_ field: ResultField) -> String { field.text(of: result) }
    // Not in the server's language.
    guard field(.severity) == "WARNING", warnings.count < Self.limit else {
      return
    }
    warnings.append(
      PostgreSQLError(
        .server, field(.message), sqlState: field(.sqlState)))
  }
}
