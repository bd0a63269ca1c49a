internal import Tenancy
import TenancyDatabase

/// The statements of a batch, in the order in which they are to be run.
struct StatementRecorder: StatementRunner {
  struct Step {
    let statement: StateStatement
    let values: [SQLValue]
    let refusal: String?
  }
  private(set) var steps: [Step] = []

  mutating func run(_ statement: StateStatement, _ values: [SQLValue], refusal: String?) {
    steps.append(Step(statement: statement, values: values, refusal: refusal))
  }
}

extension StateStatement {
  /// In the order of the raw values.
  static let allPrepared = allCases.map { statement in
    PreparedStatement(name: "state_\(statement.rawValue)", sql: statement.sql(.postgreSQL))
  }

  var prepared: PreparedStatement { Self.allPrepared[rawValue] }
}

/// Reads rows inside a transaction, in pieces, so that a large table is not held twice in memory and no
/// piece comes near the time limit of a statement.
struct PostgreSQLRows: RowSource {
  static let rowsPerFetch = 2000
  /// Of the log, whose rows may be large.
  static let entriesPerFetch = 32

  let connection: PostgreSQLConnection
  let timeout: Duration
  var perFetch = rowsPerFetch

  func readRows(
    _ sql: String, while body: (PostgreSQLRow) throws(StoreError) -> Bool
  ) throws(StoreError) {
    try run("DECLARE piecewise NO SCROLL CURSOR FOR \(sql)")
    fetching: while true {
      let result = try run("FETCH \(perFetch) FROM piecewise")
      for index in 0..<result.rowCount {
        guard try body(result.row(index)) else { break fetching }
      }
      if result.rowCount < perFetch { break }
    }
    try run("CLOSE piecewise")
  }

  @discardableResult
  private func run(_ sql: String) throws(StoreError) -> PostgreSQLResult {
    try asStoreError { () throws(PostgreSQLError) in
      try connection.run(sql, until: Deadline(in: timeout))
    }
  }
}

/// The one row that every write locks: so writes are one after the other, on all nodes, and a revision is
/// visible when all before it are.
struct RevisionRow {
  let revision: Int64
  let schemaVersion: Int64
  /// Tells this store from others.
  let storeID: String

  static let columns = "revision, schema_version, store_id"

  init(_ result: PostgreSQLResult) throws(StoreError) {
    let row = result.row(0)
    guard result.rowCount == 1, let revision = row.integer(0), revision >= 0,
      let version = row.integer(1), let id = row.text(2)
    else { throw StoreError(.corrupt, "table tenancy_revision: its one row does not parse") }
    self.revision = revision
    schemaVersion = version
    storeID = id
  }
}
