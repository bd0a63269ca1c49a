/// Walks over one message's encoding, trusting none of it. For what libprotobuf-c does not decode.
public struct WireCursor {
  /// A field's content, by wire type.
  public enum Content {
    /// Up to 64 bits, as they are: neither zigzag nor sign is undone.
    case varint(UInt64)
    /// Eight bytes, little-endian.
    case fixed64(UInt64)
    /// Four bytes, little-endian.
    case fixed32(UInt32)
    /// With a length before them: text, a message or packed numbers. Valid as long as what the cursor walks over.
    case bytes(UnsafeRawBufferPointer)
  }

  private let bytes: UnsafeRawBufferPointer
  /// Of the first byte that is not read yet.
  private var offset = 0

  /// - Parameter bytes: must stay valid as long as the cursor and what it gave.
  public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  private var remaining: Int { bytes.count - offset }

  /// The next field, or nil at the end.
  public mutating func next() throws(FieldViolation) -> (number: UInt32, content: Content)? {
    if remaining == 0 { return nil }
    guard let key = UInt32(exactly: try varint()), key >> 3 != 0 else { throw Self.malformed }
    return (key >> 3, try content(wireType: key & 7))
  }

  private mutating func content(wireType: UInt32) throws(FieldViolation) -> Content {
    switch wireType {
    case 0: return .varint(try varint())
    case 1: return .fixed64(UInt64(littleEndian: try load(UInt64.self)))
    case 2:
      let length = try varint()
      guard length <= UInt64(remaining) else { throw Self.malformed }
      return .bytes(try take(Int(length)))
    case 5: return .fixed32(UInt32(littleEndian: try load(UInt32.self)))
    // Groups (3 and 4) are not proto3; 6 and 7 do not exist.
    default: throw Self.malformed
    }
  }

  @inline(__always)
  private mutating func varint() throws(FieldViolation) -> UInt64 {
    // Most keys and lengths are of one byte.
    if remaining > 0, bytes[offset] < 0x80 {
      offset += 1
      return UInt64(bytes[offset - 1])
    }
    return try longVarint()
  }

  private mutating func longVarint() throws(FieldViolation) -> UInt64 {
    var value: UInt64 = 0
    // 10 groups of 7 bits are the most that 64 bits take.
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard remaining > 0 else { throw Self.malformed }
      let byte = bytes[offset]
      offset += 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
    }
    throw Self.malformed
  }

  private mutating func load<T: BitwiseCopyable>(_: T.Type) throws(FieldViolation) -> T {
    try take(MemoryLayout<T>.size).loadUnaligned(as: T.self)
  }

  private mutating func take(_ count: Int) throws(FieldViolation) -> UnsafeRawBufferPointer {
    guard count <= remaining else { throw Self.malformed }
    defer { offset += count }
    // In range: so many remain.
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
  }

  /// The path is completed by those who catch it.
  public static var malformed: FieldViolation {
    FieldViolation(field: "", description: "is not a valid encoding")
  }
}
