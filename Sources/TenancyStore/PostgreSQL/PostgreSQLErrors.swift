internal import Tenancy
import TenancyDatabase

extension PostgreSQLError {
  /// What a failure means for the caller, by the class of its SQLSTATE. Codes that say the program and
  /// the schema do not fit together, such as a missing table, count as corruption.
  var storeCode: StoreError.Code {
    guard kind == .server else { return .unavailable }
    switch (sqlState.prefix(2), sqlState) {
    case (_, "42501"): return .unavailable  // Privileges can be given.
    case ("23", _), ("40", _): return .conflict
    case ("22", _), ("42", _), ("3F", _), (_, "XX001"), (_, "XX002"): return .corrupt
    default: return .unavailable
    }
  }
}

extension StoreError {
  init(_ error: PostgreSQLError) { self.init(error.storeCode, error.description) }
}

/// Runs something on PostgreSQL with its failure as the store's.
func asStoreError<Result>(
  _ body: () throws(PostgreSQLError) -> Result
) throws(StoreError) -> Result {
  do {
    return try body()
  } catch {
    throw StoreError(error)
  }
}
