/// The names of a result's columns, once for all of its rows.
final class DataColumns: Sendable {
  let names: [String]
  private let places: [String: Int]

  init(_ names: [String]) {
    self.names = names
    // Of columns of one name the first counts.
    places = Dictionary(names.enumerated().map { ($1, $0) }) { first, _ in first }
  }

  func place(of name: String) -> Int? { places[name] }
}

/// A row of a result.
public struct DataRow: Sendable {
  let names: DataColumns
  /// One for each column.
  public let values: [DataValue]

  init(_ names: DataColumns, _ values: [DataValue]) {
    self.names = names
    self.values = values
  }

  /// In the order of `values`.
  public var columns: [String] { names.names }

  /// The value of a column; nil: there is none of that name.
  public subscript(_ name: String) -> DataValue? { names.place(of: name).map { values[$0] } }

  /// What it is as `type`, whose coding keys are the names of columns, or which is the value of the only column.
  /// - Throws: with `decoding`.
  public func decode<Row: Decodable>(as type: Row.Type = Row.self) throws(DataError) -> Row {
    do {
      return try RowDecoder(self).decode(type)
    } catch let error as DataError {
      throw error
    } catch let error as DecodingError {
      throw DataError(.decoding, RowDecoder.explanation(of: error))
    } catch {
      throw DataError(.decoding, "\(error)")
    }
  }

  /// What it takes in memory, about.
  var size: Int { values.reduce(48) { $0 + $1.size } }
}

/// What a statement gave.
public struct DataResult: Sendable {
  /// None where the statement gives none.
  public internal(set) var rows: [DataRow]
  /// The names of the rows' columns.
  public internal(set) var columns: [String]
  /// How many rows were inserted, updated or deleted.
  public internal(set) var changedRows: Int

  /// The first row; nil where there is none.
  public var first: DataRow? { rows.first }

  /// The rows as `type`: see `DataRow.decode`.
  public func decode<Row: Decodable>(as type: Row.Type = Row.self) throws(DataError) -> [Row] {
    var decoded: [Row] = []
    decoded.reserveCapacity(rows.count)
    for row in rows { decoded.append(try row.decode(as: type)) }
    return decoded
  }
}
