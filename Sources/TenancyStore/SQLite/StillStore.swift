internal import FoundationEssentials
internal import Glibc
internal import Tenancy
import TenancyDatabase

/// Reads a store that is another process', or nobody's at the moment, without a trace in its directory.
enum StillStore {
  /// A store that is opened or closed at the very moment is looked at again, so often at most.
  private static let maximumAttempts = 5

  /// Runs `body` on a connection that can only read.
  /// - Throws: `StoreError`, and what `body` throws.
  static func read<Result>(
    _ path: String, _ body: (SQLiteConnection) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    for _ in 0..<maximumAttempts {
      guard let before = Traces(path) else {
        throw StoreError(.unavailable, "there is no store: \(path): \(errorText(errno))")
      }
      if before.hasLog, !before.hasIndex {
        return try withCopy(of: path) { (copy) throws(StoreError) in try body(open(copy, false)) }
      }
      // With a log, SQLite's own locks keep what is read together. Without one, the file stays as it is until
      // someone opens the store; SQLite would make a log and an index to read it, unless it is told so.
      if before.hasLog { return try body(open(path, false)) }
      let result = Swift.Result { () throws(StoreError) in try body(open(path, true)) }
      if Traces(path) == before { return try result.get() }
    }
    throw StoreError(.unavailable, "\(path) is opened and closed all the time")
  }

  private static func open(
    _ path: String, _ isStill: Bool
  ) throws(StoreError) -> SQLiteConnection {
    try asStoreError { () throws(SQLiteError) in
      let connection = try SQLiteConnection(reading: path, isStill: isStill)
      // A server that closes the store, or recovers it, holds it for a moment.
      try connection.execute("PRAGMA busy_timeout = 5000")
      return connection
    }
  }

  /// What is left of a store whose index is lost has to be recovered before it can be read, for which SQLite
  /// makes an index: beside a copy.
  private static func withCopy<Result>(
    of path: String, _ body: (String) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    let files = FileManager.default
    let directory = files.temporaryDirectory.appending(path: "tenancy-\(UUID().uuidString)").path
    defer {
      // Nothing but a copy, for its owner only.
      try? files.removeItem(atPath: directory)
    }
    do {
      try files.createDirectory(
        atPath: directory, withIntermediateDirectories: false,
        attributes: [.posixPermissions: 0o700])
      for suffix in ["", "-wal"] {
        try files.copyItem(atPath: path + suffix, toPath: "\(directory)/store\(suffix)")
      }
    } catch {
      throw StoreError(.unavailable, "cannot copy \(path) to read it: \(error)")
    }
    return try body("\(directory)/store")
  }

  /// What tells whether somebody has opened a store meanwhile.
  private struct Traces: Equatable {
    let hasLog, hasIndex: Bool
    private let device: dev_t
    private let inode: ino_t
    private let size: off_t
    private let seconds, nanoseconds: Int

    /// Nil when there is no such file.
    init?(_ path: String) {
      var info = stat()
      guard stat(path, &info) == 0 else { return nil }
      device = info.st_dev
      inode = info.st_ino
      size = info.st_size
      seconds = info.st_mtim.tv_sec
      nanoseconds = info.st_mtim.tv_nsec
      hasLog = access(path + "-wal", F_OK) == 0
      hasIndex = access(path + "-shm", F_OK) == 0
    }
  }
}
