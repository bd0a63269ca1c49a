internal import Tenancy
import TenancyDatabase

extension SQLValue {
  static func id(_ id: TenantID) -> SQLValue { .text(id.description) }
  static func time(_ time: Timestamp) -> SQLValue { .integer(time.nanoseconds) }
  static func counter(_ value: UInt64) -> SQLValue { .integer(Int64(bitPattern: value)) }
  static func optionalTime(_ time: Timestamp?) -> SQLValue { time.map(SQLValue.time) ?? .null }
}

/// A row of a query's result; columns are counted from 0.
protocol TableRow {
  func isNull(_ column: Int32) -> Bool
  /// Nil unless the column is an integer.
  func integer(_ column: Int32) -> Int64?
  /// Nil unless the column is text in valid UTF-8.
  func text(_ column: Int32) -> String?
  /// Lends the bytes of a text, valid UTF-8 or not, for what is made of them without a string.
  /// - Returns: nil unless the column is text, else what `body` returns.
  func withText<Result>(_ column: Int32, _ body: (RawSpan) -> Result?) -> Result?
  /// Nil unless the column is a blob.
  func bytes(_ column: Int32) -> [UInt8]?
}

/// Where rows are read from: a connection to either database.
protocol RowSource {
  associatedtype Row: TableRow

  /// Calls `body` with each row of a query, in the query's order, while it returns true. A row lasts as long
  /// as the call.
  func readRows(
    _ sql: String, while body: (Row) throws(StoreError) -> Bool
  ) throws(StoreError)
}

extension RowSource {
  func readRows(
    _ sql: String, _ body: (Row) throws(StoreError) -> Void
  ) throws(StoreError) {
    try readRows(
      sql,
      while: { (row) throws(StoreError) -> Bool in
        try body(row)
        return true
      })
  }
}

/// Runs the statements of changes, inside the transaction of whoever made it.
protocol StatementRunner {
  /// Runs a statement, at once or later, but in the order of the calls.
  /// - Parameter refusal: why it is a conflict when the statement changes no row; nil when it may.
  mutating func run(
    _ statement: StateStatement, _ values: [SQLValue], refusal: String?
  ) throws(StoreError)
}
