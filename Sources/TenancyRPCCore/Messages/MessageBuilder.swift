/// A field of a message, for `MessageBuilder`: generated for the messages of hot methods.
///
/// `Value` is what the field holds: `Bool`, `UInt64`, `String`, an enum or a message.
public struct MessageField<Message: WireMessage, Value>: Sendable {
  /// As in the proto, 1 to 536,870,911.
  @usableFromInline let number: UInt32

  /// - Parameter number: as in the proto, of a field of this type.
  @inlinable
  public init(_ number: UInt32) { self.number = number }
}

/// One message's encoding. Valid as long as what the arena that it is in hands out.
public struct EncodedMessage<Message: WireMessage> {
  /// For `write(_:encoded:)` or for a reply. Not to be kept beyond the call.
  public let bytes: UnsafeRawBufferPointer

  @usableFromInline
  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// - Parameter target: has room for all of `bytes`.
  @inlinable
  public func copy(to target: UnsafeMutableRawPointer) {
    if let source = bytes.baseAddress { target.copyMemory(from: source, byteCount: bytes.count) }
  }
}

/// Writes a message's encoding field by field, without the message: for hot methods. Confined to one call.
///
/// As libprotobuf-c does, it leaves out fields with their default value. Whoever writes the fields in the order of
/// their numbers, each once, gets what `WireMessage.encode` gives.
public struct MessageBuilder<Message: WireMessage>: ~Copyable {
  @usableFromInline var buffer: MessageBuffer

  /// - Parameter capacity: bytes that most such messages take; they may take more.
  @inlinable
  public init(in arena: Arena, capacity: Int = 256) {
    buffer = MessageBuffer(arena, capacity: capacity)
  }

  @inlinable
  init(_ buffer: MessageBuffer) { self.buffer = buffer }

  /// Writes it unless it is false.
  @inlinable
  public mutating func write(_ field: MessageField<Message, Bool>, _ value: Bool) {
    if value { buffer.varint(field.number, 1) }
  }

  /// Writes it as a varint unless it is 0: for `uint64`, not for `fixed64`.
  @inlinable
  public mutating func write(_ field: MessageField<Message, UInt64>, _ value: UInt64) {
    if value != 0 { buffer.varint(field.number, value) }
  }

  /// Writes its number unless that is 0.
  @inlinable
  public mutating func write<Value: WireEnum>(
    _ field: MessageField<Message, Value>, _ value: Value
  ) {
    // Negative numbers have the 64 bits of their Int64 (protobuf encoding, "Signed integers").
    if value.rawValue != 0 {
      buffer.varint(field.number, UInt64(bitPattern: Int64(value.rawValue)))
    }
  }

  /// Writes its UTF-8 bytes unless it is empty.
  @inlinable
  public mutating func write(_ field: MessageField<Message, String>, _ value: String) {
    if !value.isEmpty {
      value.utf8Span.span.bytes.withUnsafeBytes { buffer.bytes(field.number, $0) }
    }
  }

  /// A message whose encoding is known.
  @inlinable
  public mutating func write<Value: WireMessage>(
    _ field: MessageField<Message, Value>, encoded: UnsafeRawBufferPointer
  ) {
    buffer.bytes(field.number, encoded)
  }

  /// A message, an element of a list maybe, that `body` writes. Where it throws, nothing is written.
  @inlinable
  public mutating func write<Value: WireMessage, Failure: Error>(
    _ field: MessageField<Message, Value>,
    _ body: (inout MessageBuilder<Value>) throws(Failure) -> Void
  ) throws(Failure) {
    var grown = buffer
    let start = grown.open(field.number)
    var inner = MessageBuilder<Value>(grown)
    try body(&inner)
    buffer = inner.buffer
    buffer.close(from: start)
  }

  /// All of a message that libprotobuf-c encodes, in place of field by field.
  public mutating func write(_ message: Message) {
    let c = UnsafePointer(message.write(into: buffer.arena))
    let size = Message.encodedSize(c)
    Message.pack(c, into: buffer.room(size))
  }

  /// All of a message whose encoding is known, in place of field by field.
  public mutating func write(encoded: [UInt8]) {
    encoded.withUnsafeBytes { bytes in
      guard let source = bytes.baseAddress else { return }
      buffer.room(bytes.count).copyMemory(from: source, byteCount: bytes.count)
    }
  }

  /// Makes room for this many more bytes, for those who know that there will be many.
  public mutating func reserve(_ bytes: Int) { buffer.reserve(bytes) }

  /// The encoding, which stays where it is, in the arena.
  @inlinable
  public consuming func finish() -> EncodedMessage<Message> { EncodedMessage(buffer.written) }
}

/// Bytes that grow, in an arena.
@usableFromInline
struct MessageBuffer {
  @usableFromInline let arena: Arena
  @usableFromInline var start: UnsafeMutableRawPointer
  @usableFromInline var count = 0
  @usableFromInline var capacity: Int

  /// Bytes that the key of a field, or a length, takes at most: of 64 bits seven to a byte.
  @usableFromInline static let longestNumber = 10

  @inlinable
  init(_ arena: Arena, capacity: Int) {
    self.arena = arena
    self.capacity = max(capacity, 2 * Self.longestNumber)
    start = arena.allocate(self.capacity)
  }

  @inlinable package var written: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: start, count: count)
  }

  @inline(__always)
  @inlinable
  mutating func reserve(_ more: Int) {
    if capacity - count < more { grow(more) }
  }

  /// Room behind what is written, which counts as written.
  mutating func room(_ bytes: Int) -> UnsafeMutableRawPointer {
    reserve(bytes)
    defer { count += bytes }
    return start + count
  }

  @usableFromInline
  mutating func grow(_ more: Int) {
    capacity = max(2 * capacity, count + more)
    let larger = arena.allocate(capacity)
    larger.copyMemory(from: start, byteCount: count)
    start = larger
  }

  /// A number of seven bits to a byte, the lowest first. There is room for it.
  @inline(__always)
  @inlinable
  mutating func append(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      start.storeBytes(
        of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: count, as: UInt8.self)
      count += 1
      rest >>= 7
    }
    start.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: count, as: UInt8.self)
    count += 1
  }

  @inlinable
  mutating func varint(_ number: UInt32, _ value: UInt64) {
    reserve(2 * Self.longestNumber)
    append(UInt64(number) << 3)
    append(value)
  }

  @inlinable
  mutating func bytes(_ number: UInt32, _ bytes: UnsafeRawBufferPointer) {
    reserve(2 * Self.longestNumber + bytes.count)
    append(UInt64(number) << 3 | 2)
    append(UInt64(bytes.count))
    if let source = bytes.baseAddress, !bytes.isEmpty {
      (start + count).copyMemory(from: source, byteCount: bytes.count)
      count += bytes.count
    }
  }

  /// Begins what has a length, with room for that of a short one. Returns where its content begins.
  @inlinable
  mutating func open(_ number: UInt32) -> Int {
    reserve(2 * Self.longestNumber)
    append(UInt64(number) << 3 | 2)
    count += 1
    return count
  }

  /// Ends what begins at `content`.
  @inlinable
  mutating func close(from content: Int) {
    let length = count - content
    var more = 0
    while length >> (7 * (more + 1)) != 0 { more += 1 }
    if more > 0 {
      reserve(more)
      // `memmove`: they overlap.
      (start + content + more).copyMemory(from: start + content, byteCount: length)
    }
    count = content - 1
    append(UInt64(length))
    count += length
  }
}
