internal import CTenancyPostgreSQL

/// Owns one connection to a server, and waits for nothing: whoever uses it waits for its descriptor. Not thread-safe.
package final class PostgreSQLHandle {
  private let handle: OpaquePointer
  /// The C library calls back into it as long as `handle` lives.
  private let notices = NoticeLog()
  private var connecting = PGRES_POLLING_WRITING
  private var isFirstWait = true

  /// What the descriptor has to be ready for before it goes on.
  package struct Readiness: Equatable, Sendable {
    /// For reading.
    package var reads: Bool
    /// For writing.
    package var writes: Bool

    package init(reads: Bool, writes: Bool) {
      self.reads = reads
      self.writes = writes
    }
  }

  /// Of the session, as the server said last.
  package enum Transaction: Equatable, Sendable {
    /// None is open.
    case none
    case open
    /// One that can only be rolled back.
    case failed
    /// A statement is being run, or nothing is known.
    case unknown
  }

  /// Begins to connect: `connect` goes on. The names of hosts are looked up meanwhile, which blocks.
  /// - Parameter parameters: keywords of libpq and their values.
  package init(_ parameters: [(keyword: String, value: String)]) throws(PostgreSQLError) {
    let keywords = CStrings(parameters.map(\.keyword))
    let values = CStrings(parameters.map(\.value))
    let started = keywords.withPointers { keywords in
      // Without expanding the database's name, which could be a connection string.
      values.withPointers { PQconnectStartParams(keywords, $0, 0) }
    }
    guard let started else { throw PostgreSQLError(.connection, "out of memory") }
    handle = started
    notices.attach(to: started)
  }

  deinit {
    // Says goodbye when there is room for it, and does not wait.
    PQfinish(handle)
  }

  // MARK: What it is like

  package var isOpen: Bool { PQstatus(handle) == CONNECTION_OK }
  /// Another one when the next address is tried.
  package var descriptor: Int32 { PQsocket(handle) }

  package var transaction: Transaction {
    switch PQtransactionStatus(handle) {
    case PQTRANS_IDLE: .none
    case PQTRANS_INTRANS: .open
    case PQTRANS_INERROR: .failed
    default: .unknown
    }
  }

  /// Which server it is, as `HOST:PORT`.
  package var place: String {
    let host = PQhost(handle).map { String(cString: $0) } ?? ""
    let port = PQport(handle).map { String(cString: $0) } ?? ""
    return "\(host):\(port)"
  }

  /// Why it has failed.
  package var message: String {
    let text = PQerrorMessage(handle).map { String(cString: $0).trimmed } ?? ""
    return text.isEmpty ? "the connection was lost" : text
  }

  /// What the server says of itself or of the session, such as `server_version`.
  package func parameter(_ name: String) -> String? {
    PQparameterStatus(handle, name).map { String(cString: $0) }
  }

  /// The first warning since something was sent.
  package var firstWarning: PostgreSQLError? { notices.firstWarning }

  // MARK: Connecting

  /// Goes on with connecting.
  /// - Returns: what to wait for before it is called again; nil: it is done.
  package func connect() throws(PostgreSQLError) -> Readiness? {
    if isFirstWait {
      guard PQstatus(handle) != CONNECTION_BAD else { throw PostgreSQLError(.connection, message) }
      isFirstWait = false
    } else {
      connecting = PQconnectPoll(handle)
    }
    switch connecting {
    case PGRES_POLLING_OK:
      // Sending never waits by itself.
      PQsetnonblocking(handle, 1)
      return nil
    case PGRES_POLLING_FAILED: throw PostgreSQLError(.connection, message)
    case PGRES_POLLING_READING: return Readiness(reads: true, writes: false)
    default: return Readiness(reads: false, writes: true)
    }
  }

  // MARK: Sending

  /// Sends one statement.
  /// - Parameters:
  ///   - strings: its parameters.
  ///   - binaryResults: whether values come in binary form.
  /// - Returns: whether it could be sent; so do the others.
  package func send(_ sql: String, _ strings: CStrings, binaryResults: Bool = true) -> Bool {
    notices.forget()
    return strings.withPointers { pointers in
      PQsendQueryParams(
        handle, sql, Int32(strings.count), nil, pointers, nil, nil, binaryResults ? 1 : 0)
    } == 1
  }

  /// Sends statements without parameters.
  package func send(script: String) -> Bool {
    notices.forget()
    return PQsendQuery(handle, script) == 1
  }

  /// Sends what is to be known by a name.
  package func send(preparing sql: String, as name: String) -> Bool {
    PQsendPrepare(handle, name, sql, 0, nil) == 1
  }

  /// Sends parameters of what is known by a name.
  package func send(prepared name: String, _ strings: CStrings) -> Bool {
    strings.withPointers { pointers in
      PQsendQueryPrepared(handle, name, Int32(strings.count), pointers, nil, nil, 1)
    } == 1
  }

  /// Has the rows of what was just sent come one by one.
  package func takeRowsSingly() -> Bool { PQsetSingleRowMode(handle) == 1 }

  /// - Returns: whether all is sent; nil: it has failed.
  package func flush() -> Bool? {
    switch PQflush(handle) {
    case 0: true
    case 1: false
    default: nil
    }
  }

  package func enterPipeline() -> Bool {
    notices.forget()
    return PQenterPipelineMode(handle) == 1
  }

  package func syncPipeline() -> Bool { PQpipelineSync(handle) == 1 }
  package func exitPipeline() -> Bool { PQexitPipelineMode(handle) == 1 }

  // MARK: Receiving

  /// Whether `nextResult` would have to wait.
  package var isBusy: Bool { PQisBusy(handle) != 0 }

  /// Takes in what has come.
  package func consumeInput() -> Bool { PQconsumeInput(handle) == 1 }

  /// None at the end of a statement. Not while it is busy.
  package func nextResult() -> PostgreSQLResult? {
    PQgetResult(handle).map(PostgreSQLResult.init(owning:))
  }

  /// The payloads of the notifications that have come, of any channel.
  package func notifications() -> [String] {
    var payloads: [String] = []
    while let notification = PQnotifies(handle) {
      payloads.append(String(cString: notification.pointee.extra))
      PQfreemem(notification)
    }
    return payloads
  }

  // MARK: Besides

  /// What the server keeps of a password, so that statements and logs need not have the password itself (RFC 5803).
  package func scramVerifier(
    of password: String, for role: String
  ) throws(PostgreSQLError) -> String {
    guard let text = PQencryptPasswordConn(handle, password, role, "scram-sha-256") else {
      throw PostgreSQLError(.server, "the password can't be encoded")
    }
    defer { PQfreemem(text) }
    return String(cString: text)
  }

  /// What ends statements of this connection from elsewhere.
  package func canceller() -> PostgreSQLCanceller? {
    PQgetCancel(handle).map(PostgreSQLCanceller.init(owning:))
  }
}

/// Owns what it takes to end a statement of a connection.
package final class PostgreSQLCanceller: Sendable {
  // The library only reads it until it is freed, which is when nobody has this any more.
  private nonisolated(unsafe) let handle: OpaquePointer

  fileprivate init(owning handle: OpaquePointer) { self.handle = handle }

  deinit { PQfreeCancel(handle) }

  /// Asks the server to end what it is at for the connection. Blocks: it connects anew.
  /// - Returns: whether the server has taken the request.
  package func cancel() -> Bool {
    var message = [CChar](repeating: 0, count: 256)
    return PQcancel(handle, &message, Int32(message.count)) == 1
  }
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
