internal import CTenancyPostgreSQL
import TenancyDatabase

extension PostgreSQLResult {
  func row(_ index: Int32) -> PostgreSQLRow { PostgreSQLRow(result: self, index: index) }
}

/// One row of a result, which it keeps alive.
struct PostgreSQLRow: TableRow {
  fileprivate let result: PostgreSQLResult
  fileprivate let index: Int32

  func isNull(_ column: Int32) -> Bool { result.isNull(index, column) }

  /// Nil unless the column is an integer.
  func integer(_ column: Int32) -> Int64? {
    guard !isNull(column) else { return nil }
    let type = result.type(column)
    guard type == TypeID.int8 || type == TypeID.int4 else { return nil }
    return result.withBytes(index, column) { bytes in
      // Big-endian, of the type's size.
      let value = bytes.reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
      return type == TypeID.int8
        ? Int64(bitPattern: value) : Int64(Int32(truncatingIfNeeded: value))
    }
  }

  /// Nil unless the column is text.
  func text(_ column: Int32) -> String? {
    guard !isNull(column), result.type(column) == TypeID.text else { return nil }
    return result.withBytes(index, column) { bytes in
      String(validating: bytes, as: UTF8.self).flatMap(NULFreeText.decode)
    }
  }

  /// Text with NUL is stored in another form: it is lent as it was.
  func withText<Result>(_ column: Int32, _ body: (RawSpan) -> Result?) -> Result? {
    text(column).flatMap { body($0.utf8Span.span.bytes) }
  }

  /// Nil unless the column is BYTEA.
  func bytes(_ column: Int32) -> [UInt8]? {
    guard !isNull(column), result.type(column) == TypeID.bytea else { return nil }
    return result.withBytes(index, column) { Array($0) }
  }
}

/// The object identifiers of built-in types, which never change.
private enum TypeID {
  static let bytea: Oid = 17
  static let int8: Oid = 20
  static let int4: Oid = 23
  static let text: Oid = 25
}
