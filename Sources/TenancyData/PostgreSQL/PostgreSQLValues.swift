internal import TenancyDatabase

/// How values are in PostgreSQL's text form.
enum PostgreSQLValues {
  static func strings(_ values: [DataValue]) throws(DataError) -> CStrings {
    guard values.count <= maximumParameters else {
      throw DataError(.invalidParameter, "a statement has at most \(maximumParameters) parameters")
    }
    var strings = CStrings()
    for value in values {
      switch value {
      case .null: strings.append(nil)
      case .bool(let bool): strings.append(bool ? "t" : "f")
      case .integer(let integer): strings.append("\(integer)")
      case .real(let number): strings.append("\(number)")
      case .text(let text):
        guard !text.utf8.contains(0) else {
          throw DataError(.invalidParameter, "PostgreSQL has no texts with U+0000")
        }
        strings.append(text)
      case .bytes(let bytes): strings.append(hexadecimal(bytes))
      }
    }
    return strings
  }

  /// The protocol counts them in 16 bits.
  static let maximumParameters = 65_535

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = [UInt8(ascii: "\\"), UInt8(ascii: "x")]
    text.reserveCapacity(2 + 2 * bytes.count)
    for byte in bytes {
      // In range: of a byte's halves each is below 16.
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  static func columns(of result: PostgreSQLResult) -> DataColumns {
    DataColumns((0..<result.columnCount).map(result.columnName))
  }

  static func values(_ result: PostgreSQLResult, row: Int32) throws(DataError) -> [DataValue] {
    var values: [DataValue] = []
    values.reserveCapacity(Int(result.columnCount))
    for column in 0..<result.columnCount { values.append(try value(result, row, column)) }
    return values
  }

  private static func value(
    _ result: PostgreSQLResult, _ row: Int32, _ column: Int32
  ) throws(DataError) -> DataValue {
    if result.isNull(row, column) { return .null }
    let type = result.type(column)
    let text = result.withBytes(row, column) { String(decoding: $0, as: UTF8.self) }
    let value: DataValue?
    switch type {
    case TypeID.bool: value = ["t": true, "f": false][text].map(DataValue.bool)
    case TypeID.int2, TypeID.int4, TypeID.int8, TypeID.oid:
      value = Int64(text).map(DataValue.integer)
    case TypeID.float4, TypeID.float8: value = Double(text).map(DataValue.real)
    case TypeID.bytea: value = bytes(text).map(DataValue.bytes)
    default: value = .text(text)
    }
    guard let value else {
      throw DataError(.decoding, "a value of type \(type) is not as it should be")
    }
    return value
  }

  private static func bytes(_ text: String) -> [UInt8]? {
    let digits = Array(text.utf8)
    // In the other form only where the session was told so.
    guard digits.count % 2 == 0, digits.starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "x")]) else {
      return nil
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(digits.count / 2)
    for at in stride(from: 2, to: digits.count, by: 2) {
      // In range: their number is even.
      guard let high = half(digits[at]), let low = half(digits[at + 1]) else { return nil }
      bytes.append(high << 4 | low)
    }
    return bytes
  }

  private static func half(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    default: nil
    }
  }

  /// The object identifiers of built-in types, which never change.
  private enum TypeID {
    static let bool: UInt32 = 16
    static let bytea: UInt32 = 17
    static let int8: UInt32 = 20
    static let int2: UInt32 = 21
    static let int4: UInt32 = 23
    static let oid: UInt32 = 26
    static let float4: UInt32 = 700
    static let float8: UInt32 = 701
  }
}

extension DataError {
  /// Of what the server has refused.
  init(_ result: PostgreSQLResult) {
    let state = result.field(.sqlState)
    let message = result.field(.message)
    let code: Code =
      switch (state.prefix(2), state) {
      case (_, "42501"): .denied
      case (_, "40001"), (_, "40P01"): .serialization
      case (_, "57014"): .cancelled
      case (_, "57P01"), (_, "57P02"), (_, "57P03"), (_, "25P03"), ("08", _), (_, ""): .connection
      case (_, "25P02"): .transactionEnded
      case ("23", _): .constraint
      // More than one command in a prepared statement.
      case (_, "42601") where message.contains("multiple commands"): .notOneStatement
      default: .statement
      }
    self.init(code, message.isEmpty ? "the connection was lost" : message, sqlState: state)
  }

  init(_ error: PostgreSQLError) {
    let code: Code =
      switch error.kind {
      case .timeout: .deadlineExceeded
      case .connection: .connection
      case .server: .statement
      }
    self.init(code, error.message, sqlState: error.sqlState)
  }
}
