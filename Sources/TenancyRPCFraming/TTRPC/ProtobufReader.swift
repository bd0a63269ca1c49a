/// Reads the fields of one protobuf message over raw bytes, without copying: for the few envelope
/// messages of the RPC protocol itself. Stricter than it must be: groups, field numbers beyond those that
/// exist, and varints that do not fit 64 bits are refused.
public struct ProtobufReader: ~Copyable {
  /// The bytes are not a message.
  public struct Malformed: Error {}

  public enum Value {
    case varint(UInt64)
    /// A string, bytes, a message, or packed numbers.
    case bytes(UnsafeRawBufferPointer)
    /// Of a type that no envelope has: skipped.
    case fixed
  }

  public struct Field {
    public let number: UInt32
    public let value: Value
  }

  /// 29 bits.
  private static let maximumFieldNumber: UInt64 = 1 << 29 - 1

  private let bytes: UnsafeRawBufferPointer
  private var at = 0

  /// Reads from `bytes`, which the caller keeps valid.
  @inline(__always)
  public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// The next field; nil at the end.
  @inline(__always)
  public mutating func next() throws(Malformed) -> Field? {
    guard at < bytes.count else { return nil }
    let key = try varint()
    let number = key >> 3
    guard number > 0, number <= Self.maximumFieldNumber else { throw Malformed() }
    let value: Value
    switch key & 7 {
    case 0: value = .varint(try varint())
    case 1: value = try skip(8)
    case 2: value = .bytes(try slice(try varint()))
    case 5: value = try skip(4)
    // Groups (3 and 4), which proto3 does not have, and what does not exist.
    default: throw Malformed()
    }
    // In range: at most 29 bits.
    return Field(number: UInt32(number), value: value)
  }

  @inline(__always)
  var isAtEnd: Bool { at >= bytes.count }

  /// If the next field is one of bytes whose key and length take a byte each, as most do: its number and
  /// what it holds. Reads nothing otherwise.
  @inline(__always)
  mutating func nextShort() -> (number: UInt8, value: UnsafeRawBufferPointer)? {
    guard let base = bytes.baseAddress, bytes.count - at >= 2 else { return nil }
    let key = base.load(fromByteOffset: at, as: UInt8.self)
    let count = Int(base.load(fromByteOffset: at + 1, as: UInt8.self))
    guard key & 0x87 == 2, key >= 1 << 3, count < 0x80, count <= bytes.count - at - 2 else {
      return nil
    }
    let start = base + at + 2
    at += 2 + count
    return (key >> 3, UnsafeRawBufferPointer(start: start, count: count))
  }

  @inline(__always)
  private mutating func varint() throws(Malformed) -> UInt64 {
    guard at < bytes.count else { throw Malformed() }
    let first = bytes[at]
    at += 1
    return first < 0x80 ? UInt64(first) : try longVarint(first)
  }

  private mutating func longVarint(_ first: UInt8) throws(Malformed) -> UInt64 {
    var value = UInt64(first & 0x7F)
    var shift: UInt64 = 7
    while at < bytes.count {
      let byte = bytes[at]
      at += 1
      // The tenth byte holds one bit.
      if shift == 63, byte > 1 { throw Malformed() }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    throw Malformed()
  }

  @inline(__always)
  private mutating func slice(_ count: UInt64) throws(Malformed) -> UnsafeRawBufferPointer {
    guard count <= UInt64(bytes.count - at) else { throw Malformed() }
    let end = at + Int(count)
    defer { at = end }
    return UnsafeRawBufferPointer(rebasing: bytes[at..<end])
  }

  private mutating func skip(_ count: Int) throws(Malformed) -> Value {
    guard count <= bytes.count - at else { throw Malformed() }
    at += count
    return .fixed
  }
}

/// Writes fields of a protobuf message whose size was reckoned before.
public enum ProtobufSize {
  /// Bytes of a varint.
  @inline(__always)
  public static func varint(_ value: UInt64) -> Int {
    (64 - (value | 1).leadingZeroBitCount + 6) / 7
  }

  /// Bytes of a field of `count` bytes, whose number is 15 or less.
  @inline(__always)
  public static func field(_ count: Int) -> Int { 1 + varint(UInt64(count)) + count }
}

/// A place in memory that the caller has made large enough.
public struct ProtobufWriter: ~Copyable {
  public private(set) var at: UnsafeMutableRawPointer

  @inline(__always)
  init(_ start: UnsafeMutableRawPointer) { at = start }

  @inline(__always)
  public mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      at.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, as: UInt8.self)
      at += 1
      rest >>= 7
    }
    at.storeBytes(of: UInt8(truncatingIfNeeded: rest), as: UInt8.self)
    at += 1
  }

  /// The key and length of a field of `count` bytes, which follow.
  @inline(__always)
  public mutating func open(_ number: UInt8, count: Int) {
    at.storeBytes(of: number << 3 | 2, as: UInt8.self)
    at += 1
    varint(UInt64(count))
  }

  @inline(__always)
  public mutating func bytes(_ number: UInt8, _ value: UnsafeRawBufferPointer) {
    open(number, count: value.count)
    if let base = value.baseAddress { at.copyMemory(from: base, byteCount: value.count) }
    at += value.count
  }

  mutating func string(_ number: UInt8, _ value: String) {
    open(number, count: value.utf8.count)
    UnsafeMutableRawBufferPointer(start: at, count: value.utf8.count).copyBytes(from: value.utf8)
    at += value.utf8.count
  }

  public mutating func number(_ field: UInt8, _ value: UInt64) {
    at.storeBytes(of: field << 3, as: UInt8.self)
    at += 1
    varint(value)
  }
}
