internal import Tenancy
import TenancyDatabase

/// Runs the statements of changes on one connection, at once. Keeps them compiled.
final class SQLiteStateRunner: StatementRunner {
  private let connection: SQLiteConnection
  private let statements: [SQLiteStatement]
  private let lastRevision: SQLiteStatement
  private let auditEnd: SQLiteStatement

  init(_ connection: SQLiteConnection) throws(SQLiteError) {
    self.connection = connection
    var statements: [SQLiteStatement] = []
    for statement in StateStatement.allCases {
      statements.append(try connection.prepare(statement.sql(.sqlite)))
    }
    self.statements = statements
    lastRevision = try connection.prepare(
      "SELECT max(coalesce((SELECT max(revision) FROM log), 0), (SELECT revision FROM log_floor))")
    auditEnd = try connection.prepare(AuditQuery.end(.sqlite))
  }

  func auditEnds(of chains: Set<AuditChain>) throws(StoreError) -> AuditEnds {
    var ends = AuditEnds()
    for chain in chains {
      try auditEnd.read([.text(chain.description)]) { row throws(StoreError) in
        try ends.add(row, of: chain)
      }
    }
    return ends
  }

  func storedRevision() throws(StoreError) -> Int64 {
    let revision = try asStoreError { () throws(SQLiteError) in
      defer { lastRevision.reset() }
      // There is always a row; it is 0 in a new store.
      return try lastRevision.step() ? lastRevision.integer(0) ?? 0 : 0
    }
    guard revision >= 0 else {
      throw StoreError(.corrupt, "table log, row \(revision): not a revision")
    }
    return revision
  }

  func run(
    _ statement: StateStatement, _ values: [SQLValue], refusal: String?
  ) throws(StoreError) {
    try asStoreError { () throws(SQLiteError) in
      try statements[statement.rawValue].run(values)
    }
    if let refusal, connection.changedRows != 1 {
      throw StoreError(statement.refusalCode, refusal)
    }
  }
}

extension SQLiteConnection: RowSource {
  func readRows(
    _ sql: String, while body: (SQLiteStatement) throws(StoreError) -> Bool
  ) throws(StoreError) {
    let statement = try asStoreError { () throws(SQLiteError) in try prepare(sql) }
    defer { statement.reset() }
    while try asStoreError({ () throws(SQLiteError) in try statement.step() }) {
      guard try body(statement) else { return }
    }
  }
}
