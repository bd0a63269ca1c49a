internal import CTenancySQLite
internal import Tenancy
import TenancyDatabase

extension StoreError {
  init(_ error: SQLiteError) { self.init(error.storeCode, error.description) }
}

extension SQLiteError {
  /// SQLITE_IOERR_CORRUPTFS, a macro that Swift does not import: the file system's own checksum failed,
  /// and waiting does not help.
  private static let fileSystemCorrupt = SQLITE_IOERR | (33 << 8)

  /// What a failure means for the caller. Codes that say the program and the file do not fit
  /// together, such as a missing table, count as corruption.
  var storeCode: StoreError.Code {
    if code == Self.fileSystemCorrupt { return .corrupt }
    switch primaryCode {
    case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_PERM, SQLITE_AUTH,
      SQLITE_NOMEM, SQLITE_IOERR, SQLITE_FULL, SQLITE_PROTOCOL, SQLITE_INTERRUPT, SQLITE_TOOBIG:
      return .unavailable
    case SQLITE_CONSTRAINT:
      return .conflict
    default:
      return .corrupt
    }
  }
}

/// Runs something on SQLite with its failure as the store's.
func asStoreError<Result>(
  _ body: () throws(SQLiteError) -> Result
) throws(StoreError) -> Result {
  do {
    return try body()
  } catch {
    throw StoreError(error)
  }
}
