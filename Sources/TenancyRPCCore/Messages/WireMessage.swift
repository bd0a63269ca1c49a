public import CTenancyProtobufC

/// A proto3 message: a Swift value that libprotobuf-c encodes and decodes through its C struct.
public protocol WireMessage: Sendable {
  /// The generated C struct. It is `BitwiseCopyable`, but must not be declared so: modules that
  /// import this one do not find such conformances of C types.
  associatedtype CMessage

  /// What libprotobuf-c knows of the message.
  static var descriptor: UnsafePointer<ProtobufCMessageDescriptor> { get }

  /// Copies a decoded message, and checks every string in it.
  init(reading c: UnsafePointer<CMessage>) throws(FieldViolation)

  /// Builds the C struct, which is valid as long as what `arena` hands out.
  func write(into arena: Arena) -> UnsafeMutablePointer<CMessage>
}

/// Why bytes are not a message.
public enum WireError: Error, Hashable, Sendable {
  /// They are not an encoding of the message.
  case malformed
  /// What they describe takes more memory than the arena allows.
  case tooLarge
  /// The encoding is right, a field's content is not.
  case violation(FieldViolation)
}

extension WireMessage {
  /// Decodes `bytes`; the message does not depend on `arena` afterwards.
  @inlinable
  public init(decoding bytes: UnsafeRawBufferPointer, arena: Arena) throws(WireError) {
    let c = try Self.decode(bytes, arena: arena)
    do {
      self = try Self(reading: c)
    } catch {
      throw .violation(error)
    }
  }

  /// The message's encoding; equal messages have equal encodings.
  @inlinable
  public func encode(arena: Arena) -> [UInt8] {
    let c = UnsafePointer(write(into: arena))
    let size = Self.encodedSize(c)
    return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      guard let start = buffer.baseAddress else { return }
      count = Self.pack(c, into: start)
    }
  }
}

/// For hot paths, which leave messages in C.
extension WireMessage {
  /// Decodes without copying to Swift. Strings are not checked yet: see `WireText`.
  @inlinable
  public static func decode(
    _ bytes: UnsafeRawBufferPointer, arena: Arena
  ) throws(WireError) -> UnsafePointer<CMessage> {
    let message = arena.withAllocator { allocator in
      protobuf_c_message_unpack(
        descriptor, allocator, bytes.count,
        bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
    }
    guard let message else { throw arena.isExhausted ? .tooLarge : .malformed }
    return UnsafeRawPointer(message).assumingMemoryBound(to: CMessage.self)
  }

  /// How many bytes `pack` writes.
  @inlinable
  public static func encodedSize(_ c: UnsafePointer<CMessage>) -> Int {
    protobuf_c_message_get_packed_size(base(c))
  }

  /// Encodes into `target`, which has room for `encodedSize`. Returns the number of bytes.
  @inlinable
  @discardableResult
  public static func pack(
    _ c: UnsafePointer<CMessage>, into target: UnsafeMutableRawPointer
  ) -> Int {
    protobuf_c_message_pack(base(c), target.assumingMemoryBound(to: UInt8.self))
  }

  /// Every generated struct starts with a `ProtobufCMessage`.
  @inlinable
  package static func base(_ c: UnsafePointer<CMessage>) -> UnsafePointer<ProtobufCMessage> {
    UnsafeRawPointer(c).assumingMemoryBound(to: ProtobufCMessage.self)
  }
}
