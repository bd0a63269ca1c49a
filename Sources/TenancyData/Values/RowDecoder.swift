/// Reads a row as a type: a column for each of its keys, or the only column as the value itself.
struct RowDecoder: Decoder {
  private let row: DataRow
  var codingPath: [any CodingKey] { [] }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  init(_ row: DataRow) { self.row = row }

  func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
    try ValueDecoder.special(type, row.values.count == 1 ? row.values[0] : nil)
      ?? type.init(from: self)
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
    KeyedDecodingContainer(ColumnsContainer<Key>(row: row))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer { try value().unkeyedContainer() }

  func singleValueContainer() throws -> any SingleValueDecodingContainer { try value() }

  private func value() throws -> ValueDecoder {
    guard row.values.count == 1, let value = row.values.first else {
      throw DataError(.decoding, "a value can be read of one column, not of \(row.values.count)")
    }
    return ValueDecoder(value, [])
  }

  static func explanation(of error: DecodingError) -> String {
    switch error {
    case .typeMismatch(_, let context), .dataCorrupted(let context):
      "\(context.codingPath.map(\.stringValue).joined(separator: ".")): \(context.debugDescription)"
    case .valueNotFound(let type, let context):
      "\(context.codingPath.map(\.stringValue).joined(separator: ".")): NULL is no \(type)"
    case .keyNotFound(let key, _): "there is no column \(key.stringValue)"
    @unknown default: "\(error)"
    }
  }
}

private struct ColumnsContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let row: DataRow
  var codingPath: [any CodingKey] { [] }
  var allKeys: [Key] { row.columns.compactMap(Key.init(stringValue:)) }

  func contains(_ key: Key) -> Bool { row[key.stringValue] != nil }

  private func value(_ key: Key) throws -> ValueDecoder {
    guard let value = row[key.stringValue] else {
      throw DecodingError.keyNotFound(key, .init(codingPath: [], debugDescription: ""))
    }
    return ValueDecoder(value, [key])
  }

  func decodeNil(forKey key: Key) throws -> Bool { try value(key).decodeNil() }
  func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try value(key).decode(type) }
  func decode(_ type: String.Type, forKey key: Key) throws -> String { try value(key).decode(type) }
  func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try value(key).decode(type) }
  func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try value(key).decode(type) }
  func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try value(key).decode(type) }
  func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try value(key).decode(type) }
  func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try value(key).decode(type) }
  func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try value(key).decode(type) }
  func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try value(key).decode(type) }
  func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try value(key).decode(type) }
  func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try value(key).decode(type) }
  func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try value(key).decode(type) }
  func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try value(key).decode(type) }
  func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try value(key).decode(type) }
  func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
    try value(key).decode(type)
  }

  func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type, forKey key: Key
  ) throws -> KeyedDecodingContainer<Nested> { try value(key).container(keyedBy: type) }

  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    try value(key).unkeyedContainer()
  }

  func superDecoder() -> any Decoder { RowDecoder(row) }
  func superDecoder(forKey key: Key) throws -> any Decoder { try value(key) }
}
