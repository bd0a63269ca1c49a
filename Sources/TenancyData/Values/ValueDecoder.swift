/// Reads one value.
struct ValueDecoder: Decoder, SingleValueDecodingContainer {
  private let value: DataValue
  let codingPath: [any CodingKey]
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  init(_ value: DataValue, _ path: [any CodingKey]) {
    self.value = value
    codingPath = path
  }

  /// What is read as it is, without a container; nil: `type` is no such type.
  static func special<Value>(_ type: Value.Type, _ value: DataValue?) throws -> Value? {
    guard let value else { return nil }
    if type == DataValue.self { return value as? Value }
    guard type == [UInt8].self else { return nil }
    switch value {
    case .bytes(let bytes): return bytes as? Value
    case .text(let text): return Array(text.utf8) as? Value
    default: return nil
    }
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    throw mismatch("an object")
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard case .bytes(let bytes) = value else { throw mismatch("a list") }
    return BytesContainer(bytes: bytes, codingPath: codingPath)
  }

  func singleValueContainer() -> any SingleValueDecodingContainer { self }

  func decodeNil() -> Bool { value.isNull }

  func decode(_ type: Bool.Type) throws -> Bool {
    switch value {
    case .bool(let bool): return bool
    // As SQLite has them.
    case .integer(0): return false
    case .integer(1): return true
    default: throw mismatch("a truth value")
    }
  }

  func decode(_ type: String.Type) throws -> String {
    guard case .text(let text) = value else { throw mismatch("a text") }
    return text
  }

  func decode(_ type: Double.Type) throws -> Double {
    switch value {
    case .real(let number): return number
    case .integer(let integer):
      guard let number = Double(exactly: integer) else { throw mismatch("a number that exact") }
      return number
    default: throw mismatch("a number")
    }
  }

  func decode(_ type: Float.Type) throws -> Float { Float(try decode(Double.self)) }

  private func integer<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number {
    switch value {
    case .integer(let integer):
      guard let number = Number(exactly: integer) else { throw mismatch("a \(type)") }
      return number
    // One of more than 63 bits, of a decimal column.
    case .text(let text):
      guard let number = Number(text) else { throw mismatch("a \(type)") }
      return number
    default: throw mismatch("a whole number")
    }
  }

  func decode(_ type: Int.Type) throws -> Int { try integer(type) }
  func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
  func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
  func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
  func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
  func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
  func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type) }
  func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
  func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
  func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }

  func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
    try Self.special(type, value) ?? type.init(from: self)
  }

  private func mismatch(_ wanted: String) -> DecodingError {
    let found =
      switch value {
      case .null: "NULL"
      case .bool: "a truth value"
      case .integer: "a whole number"
      case .real: "a number"
      case .text: "a text"
      case .bytes: "bytes"
      }
    let context = DecodingError.Context(
      codingPath: codingPath, debugDescription: "\(found) is not \(wanted)")
    return value.isNull ? .valueNotFound(Any.self, context) : .dataCorrupted(context)
  }
}

/// The bytes of a value, one by one, for types that are lists of them.
private struct BytesContainer: UnkeyedDecodingContainer {
  let bytes: [UInt8]
  let codingPath: [any CodingKey]
  private(set) var currentIndex = 0
  var count: Int? { bytes.count }
  var isAtEnd: Bool { currentIndex == bytes.count }

  init(bytes: [UInt8], codingPath: [any CodingKey]) {
    self.bytes = bytes
    self.codingPath = codingPath
  }

  mutating func decodeNil() -> Bool { false }

  mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
    guard !isAtEnd else {
      throw DecodingError.valueNotFound(
        type, .init(codingPath: codingPath, debugDescription: "there are no more bytes"))
    }
    // In range: it is not at the end.
    let byte = bytes[currentIndex]
    currentIndex += 1
    return try type.init(from: ValueDecoder(.integer(Int64(byte)), codingPath))
  }

  func nestedContainer<Key: CodingKey>(
    keyedBy type: Key.Type
  ) throws -> KeyedDecodingContainer<Key> {
    throw DataError(.decoding, "bytes have no parts")
  }

  func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
    throw DataError(.decoding, "bytes have no parts")
  }

  func superDecoder() -> any Decoder { ValueDecoder(.bytes(bytes), codingPath) }
}
