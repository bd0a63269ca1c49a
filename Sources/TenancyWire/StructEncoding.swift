public import Tenancy
import TenancyRPC

extension StructCodec {
  /// Encodes a Struct, its keys in order: equal objects have equal encodings.
  ///
  /// One nested deeper than `maximumDepth` is cut off one level below it, where every `decode`
  /// refuses it. NaN and infinity, which JSON does not have, become null.
  public static func encode(_ object: [String: JSONValue]) -> [UInt8] {
    let room = StructWriter.room(for: .object(object))
    return [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
      var writer = StructWriter(buffer)
      writer.write(object, depth: 1)
      count = writer.moveToFront()
    }
  }

  /// The same of a Value.
  public static func encode(value: JSONValue) -> [UInt8] {
    let room = StructWriter.room(for: value)
    return [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
      var writer = StructWriter(buffer)
      writer.write(value, depth: 0)
      count = writer.moveToFront()
    }
  }
}

/// Writes from the end to the beginning, so that a length is known when it is its turn. Each byte is
/// written once, however deep it is.
private struct StructWriter {
  private typealias Number = StructCodec.Number

  private enum WireType {
    static let varint: UInt32 = 0
    static let fixed64: UInt32 = 1
    static let bytes: UInt32 = 2
  }

  private let buffer: UnsafeMutableBufferPointer<UInt8>
  /// Where the first byte is that has been written.
  private var start: Int

  init(_ buffer: UnsafeMutableBufferPointer<UInt8>) {
    self.buffer = buffer
    start = buffer.count
  }

  /// No less than `value` takes: for each of a member's parts a tag and a length, six bytes at most.
  static func room(for value: JSONValue, depth: Int = 1) -> Int {
    let overhead = 32
    guard depth <= StructCodec.maximumDepth + 1 else { return overhead }
    switch value {
    case .null, .bool, .number: return overhead
    case .string(let text): return overhead + text.utf8.count
    case .array(let items):
      return items.reduce(overhead) { $0 + room(for: $1, depth: depth + 1) }
    case .object(let members):
      return members.reduce(overhead) {
        $0 + $1.key.utf8.count + room(for: $1.value, depth: depth + 1)
      }
    }
  }

  /// Ends the writing; returns the number of bytes, which are the buffer's first then.
  func moveToFront() -> Int {
    let count = buffer.count - start
    if let base = buffer.baseAddress { base.update(from: base + start, count: count) }
    return count
  }

  mutating func write(_ object: [String: JSONValue], depth: Int) {
    if depth > StructCodec.maximumDepth { return }
    for (key, value) in ByteOrder.sorted(object).reversed() {
      let end = start
      let valueEnd = start
      write(value, depth: depth)
      close(Number.entryValue, valueEnd)
      write(key, as: Number.entryKey)
      close(Number.structFields, end)
    }
  }

  private mutating func write(_ array: [JSONValue], depth: Int) {
    if depth > StructCodec.maximumDepth { return }
    for value in array.reversed() {
      let end = start
      write(value, depth: depth)
      close(Number.listValues, end)
    }
  }

  mutating func write(_ value: JSONValue, depth: Int) {
    let end = start
    switch value {
    case .number(let number) where number.isFinite:
      let bits = number.bitPattern
      for byte in 0..<8 { prepend(UInt8(truncatingIfNeeded: bits >> (56 - 8 * UInt64(byte)))) }
      tag(Number.number, WireType.fixed64)
    case .null, .number:
      prepend(0)
      tag(Number.null, WireType.varint)
    case .bool(let value):
      prepend(value ? 1 : 0)
      tag(Number.bool, WireType.varint)
    case .string(let text): write(text, as: Number.string)
    case .array(let array):
      write(array, depth: depth + 1)
      close(Number.array, end)
    case .object(let object):
      write(object, depth: depth + 1)
      close(Number.object, end)
    }
  }

  private mutating func write(_ text: String, as number: UInt32) {
    let end = start
    let bytes = text.utf8
    start -= bytes.count
    _ = UnsafeMutableBufferPointer(rebasing: buffer[start..<end]).update(fromContentsOf: bytes)
    close(number, end)
  }

  /// What was written since `end` is the content of a field: its length and its tag come before it.
  private mutating func close(_ number: UInt32, _ end: Int) {
    varint(UInt64(end - start))
    tag(number, WireType.bytes)
  }

  private mutating func tag(_ number: UInt32, _ type: UInt32) { prepend(UInt8(number << 3 | type)) }

  private mutating func varint(_ value: UInt64) {
    let groups = max(1, (64 - value.leadingZeroBitCount + 6) / 7)
    for group in (0..<groups).reversed() {
      let isLast = group == groups - 1
      prepend(UInt8(truncatingIfNeeded: value >> (7 * UInt64(group))) & 0x7F | (isLast ? 0 : 0x80))
    }
  }

  private mutating func prepend(_ byte: UInt8) {
    start -= 1
    buffer[start] = byte
  }
}
