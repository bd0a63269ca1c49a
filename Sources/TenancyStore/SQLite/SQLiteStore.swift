internal import CTenancySQLite
internal import Synchronization
public import Tenancy

/// The control plane in one SQLite file, in WAL mode.
///
/// How it keeps the promises of `ControlStore`: a batch is one transaction, and with
/// `synchronous=FULL` SQLite syncs the write-ahead log before a commit returns. Opening recovers what
/// the log holds, and syncs it before anything is read: a commit cut short by a crash may be in the
/// page cache only, and must not be seen and then vanish.
public final class SQLiteStore: AuditedStore {
  private let path: String
  private let json = JSONCoding()
  private let state: Mutex<State>
  /// Made when it is first needed. Locked inside of `state`, where both are.
  private let auditReader = Mutex(AuditConnection())

  /// Taken behind `state` or alone. What ends connections counts them, so that nobody opens one who has looked at the
  /// store before.
  private struct AuditConnection {
    var reader: SQLiteAuditReader?
    var generation = 0

    mutating func end() {
      reader = nil
      generation += 1
    }
  }
  /// The life of the store in which it was opened.
  public let incarnation: StoreIncarnation

  /// What is released at the end. The database is absent after a commit of unknown outcome.
  private struct State {
    var lock: LockFile?
    var database: Database?
    /// As `AuditConnection` has it, but for the moment in which that changes.
    var generation = 0
  }

  private let isAudited: Bool
  private let sealer: (any SecretSealer)?

  public var incarnationID: String { incarnation.id }
  /// That of its first life.
  public let identity: String

  /// Opens a store, creating the file where there is none. Its directory must exist.
  /// - Parameter sealer: takes in the store's data keys, and seals what earlier versions stored in the clear.
  /// - Throws: `.unavailable` also if there are secrets, in the clear or sealed, and no sealer or not the one
  ///   that they were sealed by.
  public convenience init(path: String, sealer: (any SecretSealer)? = nil) throws(StoreError) {
    try self.init(path: path, sealer: sealer, isAudited: true)
  }

  /// - Parameter isAudited: whether loading refuses rows that no command can have made. The promises of
  ///   `ControlStore` hold for all others as well.
  init(
    path: String, sealer: (any SecretSealer)? = nil, isAudited: Bool
  ) throws(StoreError) {
    self.isAudited = isAudited
    self.sealer = sealer
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw StoreError(.unavailable, "not a path: \(path.debugDescription)")
    }
    self.path = path
    // First of all: another process' database is not to be touched.
    let lock = try LockFile(path: path + ".lock")
    try Self.refuseHalfRestored(path)
    try FileSystem.createPrivateFile(path: path)
    let database = try Database(path: path, sealer: sealer)
    incarnation = try database.incarnation(path)
    identity = try database.firstIncarnation() ?? incarnation.id
    // SQLite syncs the directory for the log's sake only, and only when it first syncs the log.
    try FileSystem.syncDirectory(of: path)
    state = Mutex(State(lock: lock, database: database))
  }

  public func load() throws(StoreError) -> StoredState {
    try state.withLock { (state: inout State) throws(StoreError) -> StoredState in
      try open(&state).load(audited: isAudited)
    }
  }

  public func append(_ entries: [LogEntry]) throws(StoreError) {
    try write { (database) throws(StoreError) in try database.append(entries) }
  }

  public func entries(after revision: UInt64, limit: Int) throws(StoreError) -> [LogEntry] {
    let rows = try state.withLock { (state: inout State) throws(StoreError) in
      try open(&state).entries(after: revision, limit: limit)
    }
    return try rows.entries(json)
  }

  public func pastEntries(
    of tenant: TenantID?, after revision: UInt64, through last: UInt64, limit: Int
  ) throws(StoreError) -> LogPart {
    let (rows, end) = try withAuditReader { (reader) throws(StoreError) in
      try reader.atOnce { () throws(StoreError) in
        try reader.log(json).part(of: tenant, after: revision, through: last, limit: limit)
      }
    }
    return LogPart(entries: try rows.entries(json), end: end)
  }

  public func tenantEntry(_ query: TenantLogQuery) throws(StoreError) -> LogEntry? {
    let row = try withAuditReader { (reader) throws(StoreError) in
      try reader.atOnce { () throws(StoreError) in try reader.log(json).tenantEntry(query) }
    }
    return try row?.entry(json)
  }

  public func oldestEntries(limit: Int) throws(StoreError) -> [LogMark] {
    try state.withLock { (state: inout State) throws(StoreError) in
      try open(&state).oldestEntries(limit: limit)
    }
  }

  public func secret(
    _ purpose: SecretPurpose, of tenant: TenantID
  ) throws(StoreError) -> StoredSecret? {
    try state.withLock { (state: inout State) throws(StoreError) -> StoredSecret? in
      try open(&state).secret(at: SecretPlace(tenant: tenant, purpose: purpose))
    }
  }

  public func operations(
    of tenant: TenantID
  ) throws(StoreError) -> [TenantOperation] {
    try withAuditReader { (reader) throws(StoreError) in
      try reader.operations(of: tenant)
    }
  }

  public func dataKeys() throws(StoreError) -> [WrappedDataKey] {
    try state.withLock { (state: inout State) throws(StoreError) -> [WrappedDataKey] in
      try open(&state).dataKeys()
    }
  }

  public func compact(through revision: UInt64) throws(StoreError) {
    try write { (database) throws(StoreError) in try database.compact(through: revision) }
  }

  public func leases(limit: Int) throws(StoreError) -> [StoredLease] {
    try state.withLock { (state: inout State) throws(StoreError) in
      try open(&state).leases(limit: limit)
    }
  }

  public func renew(_ lease: Lease, lasting duration: Duration) throws(StoreError) {
    try write { (database) throws(StoreError) in try database.renew(lease, lasting: duration) }
  }

  public func append(_ entries: [LogEntry], audit: AuditBatch) throws(StoreError) {
    try write { (database) throws(StoreError) in try database.append(entries, audit: audit) }
  }

  public func auditRecords(
    of chain: AuditChain, after sequence: UInt64, limit: Int
  ) throws(StoreError) -> [StoredAuditRecord] {
    try withAuditReader { (reader) throws(StoreError) in
      try reader.auditRecords(of: chain, after: sequence, limit: limit)
    }
  }

  public func auditHead(of chain: AuditChain) throws(StoreError) -> AuditHead? {
    try withAuditReader { (reader) throws(StoreError) in try reader.auditHead(of: chain) }
  }

  public func dueAuditBegins(
    before moment: Timestamp?, longerThan length: AuditLength?, limit: Int
  ) throws(StoreError) -> [AuditBegin] {
    try withAuditReader { (reader) throws(StoreError) in
      try reader.dueAuditBegins(before: moment, longerThan: length, limit: limit)
    }
  }

  public func auditEnds(
    after chain: AuditChain?, limit: Int
  ) throws(StoreError) -> [AuditEnd] {
    try withAuditReader { (reader) throws(StoreError) in
      try reader.auditEnds(after: chain, limit: limit)
    }
  }

  public func configurationHistory(
    of owner: ConfigurationOwner, before place: UInt64?, limit: Int
  ) throws(StoreError) -> [RecordedEdit] {
    try withAuditReader { (reader) throws(StoreError) in
      try reader.configurationHistory(of: owner, before: place, limit: limit)
    }
  }

  public func configurationHistoryBegin() throws(StoreError) -> UInt64 {
    try withAuditReader { (reader) throws(StoreError) in try reader.configurationHistoryBegin() }
  }

  public func trimAudit(_ trims: [AuditTrim], _ hold: LeaseHold?) throws(StoreError) {
    try write { (database) throws(StoreError) in try database.trimAudit(trims, hold) }
  }

  /// By a connection of its own: neither the writer nor who follows the log waits for it.
  func withAuditReader<Result: Sendable>(
    _ body: (SQLiteAuditReader) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    while true {
      // After an unknown outcome nothing is read that was not recovered, and after the end nothing is opened. Who reads
      // is not waited for here: the writer would wait as well.
      let generation = try state.withLock { (state: inout State) throws(StoreError) -> Int in
        _ = try open(&state)
        return state.generation
      }
      let result = try auditReader.withLock {
        (held: inout AuditConnection) throws(StoreError) -> Result? in
        guard held.generation == generation else { return nil }
        let reader: SQLiteAuditReader
        if let known = held.reader {
          reader = known
        } else {
          reader = try SQLiteAuditReader(path: path)
        }
        held.reader = reader
        do throws(StoreError) {
          return try body(reader)
        } catch {
          // That somebody asks for what is compacted says nothing of the connection.
          if case .compacted = error.code { throw error }
          held.reader = nil
          throw error
        }
      }
      if let result { return result }
    }
  }

  public func checkWritable() throws(StoreError) {
    try write { (database) throws(StoreError) in try database.checkWritable() }
  }

  func read(_ body: (Database) throws(StoreError) -> Void) throws(StoreError) {
    try state.withLock { (state: inout State) throws(StoreError) in try body(open(&state)) }
  }

  func write(_ body: (Database) throws(StoreError) -> Void) throws(StoreError) {
    try state.withLock { (state: inout State) throws(StoreError) in
      do throws(StoreError) {
        try body(open(&state))
      } catch {
        // Whether the batch is in the log is decided by recovery, as after a crash: by opening anew, when
        // nobody else has it open.
        if error.code == .unknownOutcome {
          endReads(&state)
          state.database = nil
        }
        throw error
      }
    }
  }

  public func close() {
    state.withLock { state in
      // In this order: the last connection empties the log, and the lock outlasts the database.
      endReads(&state)
      state.database = nil
      state.lock = nil
    }
  }

  private func endReads(_ state: inout State) {
    auditReader.withLock { held in
      held.end()
      state.generation = held.generation
    }
  }

  private func open(_ state: inout State) throws(StoreError) -> Database {
    guard state.lock != nil else { throw StoreError(.unavailable, "the store is closed") }
    if let database = state.database { return database }
    let database = try Database(path: path, sealer: sealer)
    state.database = database
    return database
  }
}
