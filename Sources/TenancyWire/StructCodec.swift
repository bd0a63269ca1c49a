public import Tenancy
public import TenancyRPC

/// Encodes and decodes `google.protobuf.Struct` and `Value`, with a limit on its nesting.
///
/// libprotobuf-c would follow any nesting that a message claims until the stack ends.
public enum StructCodec {
  /// Bytes of an encoding that is decoded: several times those of settings as large as they may be.
  public static let maximumBytes = 256 * 1024
  /// How deep objects and arrays may nest, the Struct itself included.
  public static let maximumDepth = 32

  /// Decodes a Struct that came as the field `field`, which violations name.
  public static func decode(
    _ bytes: UnsafeRawBufferPointer, field: StaticString
  ) throws(FieldViolation) -> [String: JSONValue] {
    do throws(FieldViolation) {
      guard bytes.count <= maximumBytes else {
        throw FieldViolation(field: "", description: "is longer than \(maximumBytes) bytes")
      }
      return try object(bytes, depth: 1)
    } catch {
      throw error.inside(field)
    }
  }

  /// The same of a Value.
  public static func decode(
    value bytes: UnsafeRawBufferPointer, field: StaticString
  ) throws(FieldViolation) -> JSONValue {
    do throws(FieldViolation) {
      guard bytes.count <= maximumBytes else {
        throw FieldViolation(field: "", description: "is longer than \(maximumBytes) bytes")
      }
      return try value(bytes, depth: 0)
    } catch {
      throw error.inside(field)
    }
  }

  /// Field numbers of struct.proto.
  enum Number {
    static let structFields: UInt32 = 1
    static let listValues: UInt32 = 1
    static let entryKey: UInt32 = 1
    static let entryValue: UInt32 = 2
    static let null: UInt32 = 1
    static let number: UInt32 = 2
    static let string: UInt32 = 3
    static let bool: UInt32 = 4
    static let object: UInt32 = 5
    static let array: UInt32 = 6
  }
}

// MARK: - Decoding

extension StructCodec {
  private static func object(
    _ bytes: UnsafeRawBufferPointer, depth: Int
  ) throws(FieldViolation) -> [String: JSONValue] {
    try checkDepth(depth)
    var object: [String: JSONValue] = [:]
    var cursor = WireCursor(bytes)
    while let (number, content) = try cursor.next() {
      guard number == Number.structFields else { continue }
      let (key, value) = try entry(try message(content), depth: depth)
      if let at = object.index(forKey: key),
        !object.keys[at].utf8.elementsEqual(key.utf8)
      {
        // They would be one key to us, and two to others.
        throw FieldViolation(
          field: "", description: "has two keys that differ only in how a letter is encoded")
      }
      object[key] = value
    }
    return object
  }

  private static func array(
    _ bytes: UnsafeRawBufferPointer, depth: Int
  ) throws(FieldViolation) -> [JSONValue] {
    try checkDepth(depth)
    var array: [JSONValue] = []
    var cursor = WireCursor(bytes)
    while let (number, content) = try cursor.next() {
      guard number == Number.listValues else { continue }
      do {
        array.append(try value(try message(content), depth: depth))
      } catch {
        throw error.inside("", index: array.count)
      }
    }
    return array
  }

  private static func entry(
    _ bytes: UnsafeRawBufferPointer, depth: Int
  ) throws(FieldViolation) -> (key: String, value: JSONValue) {
    var keyBytes = UnsafeRawBufferPointer(start: nil, count: 0)
    var valueBytes = keyBytes
    var cursor = WireCursor(bytes)
    while let (number, content) = try cursor.next() {
      switch number {
      case Number.entryKey: keyBytes = try message(content)
      case Number.entryValue: valueBytes = try message(content)
      default: continue
      }
    }
    let key = try text(keyBytes)
    do {
      return (key, try value(valueBytes, depth: depth))
    } catch {
      throw error.inside("", key: key)
    }
  }

  /// A Value inside a container that is `depth` deep. Of several kinds, the last one counts.
  private static func value(
    _ bytes: UnsafeRawBufferPointer, depth: Int
  ) throws(FieldViolation) -> JSONValue {
    var value: JSONValue?
    var cursor = WireCursor(bytes)
    while let (number, content) = try cursor.next() {
      switch (number, content) {
      case (Number.null, .varint): value = .null
      case (Number.bool, .varint(let bits)): value = .bool(bits != 0)
      case (Number.number, .fixed64(let bits)): value = try finite(Double(bitPattern: bits))
      case (Number.string, .bytes(let bytes)): value = .string(try text(bytes))
      case (Number.object, .bytes(let bytes)): value = .object(try object(bytes, depth: depth + 1))
      case (Number.array, .bytes(let bytes)): value = .array(try array(bytes, depth: depth + 1))
      case (Number.null...Number.array, _): throw WireCursor.malformed
      default: continue
      }
    }
    guard let value else { throw FieldViolation(field: "", description: "has no value") }
    return value
  }

  private static func message(
    _ content: WireCursor.Content
  ) throws(FieldViolation) -> UnsafeRawBufferPointer {
    guard case .bytes(let bytes) = content else { throw WireCursor.malformed }
    return bytes
  }

  private static func text(_ bytes: UnsafeRawBufferPointer) throws(FieldViolation) -> String {
    if let problem = WireText.problem(in: bytes) {
      throw FieldViolation(field: "", description: problem.description)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func finite(_ number: Double) throws(FieldViolation) -> JSONValue {
    if number.isFinite { return .number(number) }
    throw FieldViolation(field: "", description: "is not a finite number")
  }

  private static func checkDepth(_ depth: Int) throws(FieldViolation) {
    if depth > maximumDepth {
      throw FieldViolation(field: "", description: "is nested more than \(maximumDepth) deep")
    }
  }
}
