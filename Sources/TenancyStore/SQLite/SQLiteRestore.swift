internal import Glibc
public import Tenancy
internal import TenancyCrypto
import TenancyDatabase

/// Puts a backup in a store's place.
///
/// Nothing that came after the backup may be taken for what comes after the restore: the store begins a new
/// incarnation, its next revision is above every one that was given out, and all versions and epochs, of
/// which etags are made and by which what was issued is void, are raised to it. The log holds the restore as
/// one entry; what is between it and the backup's last is missing there, and `incarnations` says so.
public struct SQLiteRestore {
  /// How a store is called while it waits for its place. With one, a server does not start: the store beside
  /// it may be half of what it was.
  static let waiting = ".restored"

  private let backup: String
  private let store: String
  private let replaces: Bool
  private let accepts: Bool

  /// What has been done.
  public struct Report: Encodable, Sendable {
    public let backup: BackupFile
    public let store: String
    public let incarnation: StoreIncarnation
    /// Where the former store is.
    public let replaced: String?
  }

  /// - Parameters:
  ///   - store: the database of the store, in a directory that exists.
  ///   - replaces: a store that is there; it is renamed. Else that is an error (`.conflict`).
  ///   - accepts: whether a server may serve it at once, without a word more from the operator.
  public init(from backup: String, to store: String, replaces: Bool, accepts: Bool) {
    self.backup = backup
    self.store = store
    self.replaces = replaces
    self.accepts = accepts
  }

  /// When it returns, the store is in its place, on the disk, and known to be sound. Until then, the former one
  /// is; only if the process ends between two of the last renames, no server starts until it is run again.
  /// - Throws: `.unavailable` also while a server has the store.
  public func run() throws(StoreError) -> Report {
    guard access(FileSystem.parent(of: store), W_OK) == 0 else {
      throw StoreError(
        .unavailable, "cannot write to \(FileSystem.parent(of: store)): \(errorText(errno))")
    }
    let lock = try LockFile(path: store + ".lock")
    defer { withExtendedLifetime(lock) {} }
    let exists = ["", "-wal"].contains { access(store + $0, F_OK) == 0 }
    guard replaces || !exists else { throw StoreError(.conflict, "\(store) exists") }
    let file = try PrivateFile(beside: store, "restoring")
    let source = try FileBytes(backup)
    try source.forEach(upTo: source.size) { (bytes) throws(StoreError) in try file.append(bytes) }
    // Of what was copied, so that nobody can have changed it in between.
    let copied = try BackupFile.verify(file.path)
    try file.truncate(to: copied.manifest.databaseBytes)
    let incarnation = try begin(file, copied.manifest, exists ? Former(store) : nil)
    try prove(file, incarnation)
    try file.giveToDirectoryOwner()
    try giveLockToDirectoryOwner()
    try file.rename(to: store + Self.waiting, replaces: true)
    let replaced = exists ? try setAside(incarnation) : nil
    guard rename(store + Self.waiting, store) == 0 else {
      throw StoreError(.unavailable, "cannot rename to \(store): \(errorText(errno))")
    }
    try FileSystem.syncDirectory(of: store)
    return Report(
      backup: BackupFile(path: backup, manifest: copied.manifest, sha256: copied.sha256),
      store: store, incarnation: incarnation, replaced: replaced)
  }

  // MARK: The new incarnation

  /// What is known of the store that is replaced: nothing, if it can't be read.
  private struct Former {
    var id: String?
    var revision: UInt64?

    init(_ path: String) {
      // Whatever it fails with: then it is not known, and `first` keeps a distance.
      try? StillStore.read(path) { (connection) throws(StoreError) in
        try Migrations.check(connection)
        let last = try asStoreError { () throws(SQLiteError) in
          try connection.integer(LogEnd.sql(connection))
        }
        id = try Incarnations.newest(connection)?.id
        revision = UInt64(exactly: last)
      }
    }
  }

  /// Revisions that a store can have given out in a second, at most: many times what was ever measured.
  static let revisionsPerSecond: UInt64 = 100_000
  static let leastDistance: UInt64 = 1_000_000

  /// The first revision of the new incarnation: above those of the former store where they are known. Else
  /// above all that it can have given out since the backup was made.
  static func first(after revision: UInt64, former: UInt64?, secondsSince: UInt64) -> UInt64 {
    if let former { return max(revision, former) + 1 }
    let (many, overflow) = secondsSince.multipliedReportingOverflow(by: revisionsPerSecond)
    return revision + 1 + leastDistance + (overflow ? 0 : min(many, UInt64(Int32.max) << 20))
  }

  private func begin(
    _ file: PrivateFile, _ manifest: BackupManifest, _ former: Former?
  ) throws(StoreError) -> StoreIncarnation {
    let now = BackupFile.seconds()
    let first = Self.first(
      after: manifest.revision, former: former?.revision,
      secondsSince: UInt64(max(0, now - (BackupFile.seconds(of: manifest.time) ?? 0))))
    let connection = try asStoreError { () throws(SQLiteError) in
      let connection = try SQLiteConnection(path: file.path)
      // What is cut short is thrown away: it needs no journal. It is synced when it is whole.
      try connection.execute(
        """
        PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA secure_delete = ON;
        \(Incarnations.table)
        """)
      let revision = SQLValue.counter(first)
      try Incarnations.set(.current, connection)
      try connection.prepare(
        """
        INSERT INTO incarnations
        SELECT max(number) + 1, lower(hex(randomblob(16))), ?1, ?2, ?3, ?4, ?5, ?6
        FROM incarnations
        """
      ).run([
        .text(accepts ? "current" : "restored"), .counter(manifest.revision), revision,
        former?.id.map(SQLValue.text) ?? .null,
        former?.revision.map(SQLValue.counter) ?? .null, .integer(now * 1_000_000_000),
      ])
      try connection.prepare(
        """
        INSERT INTO log (revision, time, actor, action, tenant_id, changes)
        VALUES (?1, ?2, ?3, 'store.restore', NULL, '[]')
        """
      ).run([revision, .integer(now * 1_000_000_000), .text("uid:\(getuid())")])
      try connection.execute(Migrations.auditRecords)
      try connection.prepare("UPDATE tenants SET version = ?1, epoch = ?1").run([revision])
      try connection.prepare("UPDATE roles SET version = ?1").run([revision])
      if manifest.schemaVersion >= Migrations.firstWithSettings {
        try Self.moveHorizons(connection, to: now * 1_000_000_000, revision)
      }
      let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'log_floor'"
      if try connection.integer(sql) > 0 {
        // Whoever follows the log can't go on over the gap.
        try connection.prepare("UPDATE log_floor SET revision = ?1").run([revision])
      }
      return connection
    }
    guard let incarnation = try Incarnations.newest(connection) else {
      throw StoreError(.corrupt, "table incarnations: it is empty")
    }
    try record(incarnation, from: manifest, connection)
    return incarnation
  }

  /// Tokens of other issuers know of no epochs: those that were issued by now are void, as what was revoked since the
  /// backup is forgotten. Older stores have nobody who issues such.
  static func moveHorizons(
    _ connection: SQLiteConnection, to time: Int64, _ version: SQLValue
  ) throws(SQLiteError) {
    try connection.prepare(
      """
      UPDATE tenants SET token_keys = CASE
        WHEN token_keys IS NULL THEN json_object('horizon', ?1)
        WHEN json_type(token_keys) = 'array'
          THEN json_object('horizon', ?1, 'keys', json(token_keys))
        ELSE json_replace(
          json_set(token_keys, '$.horizon', ?1), '$.authentication.version', ?2)
      END
      """
    ).run([.integer(time), version])
    // Clusters are not as they were when the backup was made: logins are opened or closed anew.
    try connection.prepare(
      """
      UPDATE tenants SET token_keys = json_set(token_keys, '$.dataLogin.standing', 'CHANGING')
      WHERE json_extract(token_keys, '$.dataLogin') IS NOT NULL
      """
    ).run([])
  }

  /// In the platform's chain; `AuditEncoding` tells what is in it.
  private func record(
    _ incarnation: StoreIncarnation, from manifest: BackupManifest, _ connection: SQLiteConnection
  ) throws(StoreError) {
    let time = Timestamp(seconds: BackupFile.seconds(), subsecondNanoseconds: 0)
    let backup = manifest.incarnation?.id ?? "unknown"
    let event = AuditEvent(
      origin: AuditOrigin(
        subject: "uid:\(getuid())", credential: .unixUser,
        source: "backup of \(backup) at revision \(manifest.revision), made \(manifest.time)"),
      action: AuditLives.restoreAction, named: incarnation.id, decision: .allowed,
      revision: incarnation.firstRevision, firstTime: time, time: time)
    var head: AuditHead?
    try asStoreError({ () throws(SQLiteError) in
      try connection.prepare(AuditQuery.head(.sqlite))
    }).read([.text(AuditChain.platform.description)]) { row throws(StoreError) in
      head = try AuditQuery.head(row, of: .platform)
      return false
    }
    let batch = AuditBatch(
      [AuditNote(event: event, chains: [.platform])], time: time, hash: SHA256Digest.bytes)
    let records = batch.records(after: head.map { [AuditChain.platform: $0] } ?? [:])
    try asStoreError { () throws(SQLiteError) in
      for record in records {
        try connection.prepare(Table.auditRecords.insert(.sqlite)).run([
          .text(record.chain.description), .counter(record.sequence), .blob(record.bytes),
          .blob(record.hash),
        ])
      }
      // As every write does, where the migration will not do it.
      guard let last = records.last, last.sequence > 1,
        try connection.integer("PRAGMA user_version") >= Migrations.firstWithAuditBegins
      else { return }
      try connection.prepare(Table.noteAuditChain(.sqlite)).run([
        .text(last.chain.description), .integer(0), .blob(AuditHead.start.hash), .integer(0),
        .counter(last.sequence),
      ])
    }
  }

  /// A trial: everything is read and judged as a server does it.
  private func prove(
    _ file: PrivateFile, _ incarnation: StoreIncarnation
  ) throws(StoreError) {
    let report = try StoreCheck.run(path: file.path)
    guard report.findings.isEmpty, report.revision == incarnation.firstRevision else {
      throw StoreError(
        .corrupt,
        "what was restored is not sound: "
          + report.findings.prefix(100).map(\.description).joined(separator: "\n"))
    }
  }

  // MARK: Places

  /// Under a name of its own, with its log.
  private func setAside(_ incarnation: StoreIncarnation) throws(StoreError) -> String {
    let aside = "\(store).replaced-\(incarnation.id.prefix(8))"
    for suffix in ["", "-wal", "-shm"] where access(store + suffix, F_OK) == 0 {
      guard rename(store + suffix, aside + suffix) == 0 else {
        throw StoreError(.unavailable, "cannot rename \(store + suffix): \(errorText(errno))")
      }
    }
    try FileSystem.syncDirectory(of: store)
    return aside
  }

  private func giveLockToDirectoryOwner() throws(StoreError) {
    var info = stat()
    guard geteuid() == 0 else { return }
    guard stat(FileSystem.parent(of: store), &info) == 0,
      lchown(store + ".lock", info.st_uid, info.st_gid) == 0
    else {
      throw StoreError(
        .unavailable, "cannot change the owner of \(store).lock: \(errorText(errno))")
    }
  }
}

extension SQLiteStore {
  /// The operator's word that a restored store may be served, though what was acknowledged later is not in it.
  /// A store that was not restored is left as it is.
  /// - Throws: `StoreError`; `.unavailable` also while another process has the store.
  public static func acceptRestored(path: String) throws(StoreError) {
    guard access(path, F_OK) == 0 else { return }
    let lock = try LockFile(path: path + ".lock")
    defer { withExtendedLifetime(lock) {} }
    let connection = try asStoreError { () throws(SQLiteError) in
      try SQLiteConnection(path: path)
    }
    try Migrations.check(connection)
    guard try Incarnations.newest(connection)?.state == .restored else { return }
    try asStoreError { () throws(SQLiteError) in
      try connection.execute("PRAGMA synchronous = FULL")
      try Incarnations.set(.current, connection)
    }
  }

  /// Refuses a store beside which a restore was cut short.
  static func refuseHalfRestored(_ path: String) throws(StoreError) {
    guard access(path + SQLiteRestore.waiting, F_OK) != 0 else {
      throw StoreError(
        .unavailable,
        "a restore of \(path) was cut short: run `tenantctl restore --replace` again")
    }
  }
}
