internal import CTenancySQLite
internal import Glibc
public import Tenancy
import TenancyDatabase

/// Copies a store, also under a server that runs and writes.
///
/// The copy is of one moment: the last revision acknowledged before it was begun, or a later one. Writers do
/// not wait for it: it reads through SQLite's write-ahead log, which it keeps from beginning anew for as long
/// as it takes, so that the log grows meanwhile by what is written. Blocks.
public struct SQLiteBackup {
  /// Pages copied in one go, and microseconds between two: what else uses the disk and the processor gets its
  /// turn. About 500 MB a second, at most.
  static let portion: Int32 = 256
  static let pause: UInt32 = 2_000

  private let store: String
  private let target: String
  private let replaces: Bool
  /// With pages that are done, and all.
  private let progress: (Int, Int) -> Void

  /// - Parameters:
  ///   - store: the database of the store.
  ///   - target: the file to be made.
  ///   - replaces: a file of this name; else that is an error (`.conflict`).
  public init(
    of store: String, to target: String, replaces: Bool,
    progress: @escaping (Int, Int) -> Void = { _, _ in }
  ) {
    self.store = store
    self.target = target
    self.replaces = replaces
    self.progress = progress
  }

  /// When it returns, the backup is complete, verified, and on the disk under its name. After any failure, and
  /// when the process is killed, there is no new file of this name.
  public func run() throws(StoreError) -> BackupFile {
    try refuseStore()
    guard replaces || access(target, F_OK) != 0 else {
      throw StoreError(.conflict, "\(target) exists")
    }
    let file = try PrivateFile(beside: target, "partial")
    let time = BackupFile.now()
    let snapshot = try StillStore.read(store) { (source) throws(StoreError) in
      try copy(source, to: file)
    }
    try markCopy(file)
    try BackupFile.seal(
      file,
      BackupManifest(
        format: BackupManifest.currentFormat, time: time, schemaVersion: snapshot.schemaVersion,
        revision: snapshot.revision, incarnation: snapshot.incarnation, counts: snapshot.counts,
        databaseBytes: try file.size()))
    try file.sync()
    let made = try BackupFile.verify(file.path)
    try file.rename(to: target, replaces: replaces)
    return BackupFile(path: target, manifest: made.manifest, sha256: made.sha256)
  }

  /// A slip of the hand must not put the backup in the store's place.
  private func refuseStore() throws(StoreError) {
    var (ours, theirs) = (stat(), stat())
    let name = target.split(separator: "/").last ?? ""
    let base = store.split(separator: "/").last ?? ""
    guard stat(FileSystem.parent(of: target), &theirs) == 0 else {
      throw StoreError(
        .unavailable, "cannot open \(FileSystem.parent(of: target)): \(errorText(errno))")
    }
    let isBeside =
      stat(FileSystem.parent(of: store), &ours) == 0 && ours.st_dev == theirs.st_dev
      && ours.st_ino == theirs.st_ino
    guard !(isBeside && name.hasPrefix(base)) else {
      throw StoreError(.unavailable, "\(target) is the store's own")
    }
  }

  private struct Snapshot {
    let schemaVersion: Int64
    let revision: UInt64
    let incarnation: StoreIncarnation?
    let counts: StoreCounts
  }

  /// Within one read transaction, without which the copying would begin anew after each write.
  private func copy(
    _ source: SQLiteConnection, to file: PrivateFile
  ) throws(StoreError) -> Snapshot {
    // From the start, if a store that nobody had open was opened meanwhile.
    try file.truncate(to: 0)
    try asStoreError { () throws(SQLiteError) in try source.execute("BEGIN") }
    defer {
      // Only read: there is nothing that could be lost.
      if source.isInTransaction { try? source.execute("ROLLBACK") }
    }
    try Migrations.check(source)
    let (version, revision) = try asStoreError { () throws(SQLiteError) in
      let version = try source.integer("PRAGMA user_version")
      return (version, version > 0 ? try source.integer(LogEnd.sql(source)) : 0)
    }
    guard version > 0 else {
      throw StoreError(.unavailable, "\(store) is empty: no server has made a store of it yet")
    }
    let snapshot = Snapshot(
      schemaVersion: version, revision: UInt64(max(0, revision)),
      incarnation: try Incarnations.newest(source)?.copied, counts: try StoreCounts(source))
    try asStoreError { () throws(SQLiteError) in
      let copy = try SQLiteConnection(path: file.path)
      // What is cut short is thrown away: it needs no journal. It is synced when it is whole.
      try copy.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
      try pages(from: source, to: copy)
    }
    return snapshot
  }

  private func pages(
    from source: SQLiteConnection, to copy: SQLiteConnection
  ) throws(SQLiteError) {
    guard let backup = sqlite3_backup_init(copy.handle, "main", source.handle, "main") else {
      throw copy.lastError(sql: "")
    }
    var code: Int32
    repeat {
      code = sqlite3_backup_step(backup, Self.portion)
      let all = Int(sqlite3_backup_pagecount(backup))
      progress(all - Int(sqlite3_backup_remaining(backup)), all)
      if code == SQLITE_OK { usleep(Self.pause) }
    } while code == SQLITE_OK
    // Repeats the last step's error.
    sqlite3_backup_finish(backup)
    guard code == SQLITE_DONE else {
      throw SQLiteError(
        code: code, message: "\(String(cString: sqlite3_errstr(code))), while copying", sql: "")
    }
  }

  /// So that no server takes it for a store when it is copied into its place by hand.
  private func markCopy(_ file: PrivateFile) throws(StoreError) {
    // Bytes 18 and 19 of the header: 2 for a database with a write-ahead log, 1 for one without. The copy is
    // one file, and to be read without making others.
    try file.write([1, 1][...], at: 18)
    try asStoreError { () throws(SQLiteError) in
      let copy = try SQLiteConnection(path: file.path)
      try copy.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
      let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'incarnations'"
      if try copy.integer(sql) > 0 { try Incarnations.set(.copy, copy) }
    }
  }
}

/// The last revision of a log, some of which, or all, may have been taken out.
enum LogEnd {
  static func sql(_ connection: SQLiteConnection) throws(SQLiteError) -> String {
    let hasFloor = try connection.integer(
      "SELECT count(*) FROM sqlite_schema WHERE name = 'log_floor'")
    let last = "coalesce((SELECT max(revision) FROM log), 0)"
    return hasFloor > 0
      ? "SELECT max(\(last), (SELECT revision FROM log_floor))" : "SELECT \(last)"
  }
}

extension StoreIncarnation {
  /// As it stands in a backup.
  fileprivate var copied: StoreIncarnation {
    StoreIncarnation(
      number: number, id: id, state: .copy, inheritedRevision: inheritedRevision,
      firstRevision: firstRevision, replacedID: replacedID, replacedRevision: replacedRevision)
  }
}
