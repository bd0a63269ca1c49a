/// What a ttrpc frame is for (ttrpc PROTOCOL.md, "Message Types"). Others are ignored by who receives
/// them: they are kept for extensions.
struct TTRPCFrameType: Hashable, Sendable {
  let rawValue: UInt8

  /// Opens a stream.
  static let request = TTRPCFrameType(rawValue: 1)
  /// Ends a stream.
  static let response = TTRPCFrameType(rawValue: 2)
  /// A message of an open stream.
  static let data = TTRPCFrameType(rawValue: 3)
}

/// Flags of a request or data frame. Bits that are not listed are ignored.
struct TTRPCFlags: OptionSet, Hashable, Sendable {
  let rawValue: UInt8

  /// No message follows in this direction.
  static let remoteClosed = TTRPCFlags(rawValue: 1)
  /// Of a request: messages follow.
  static let remoteOpen = TTRPCFlags(rawValue: 2)
  /// Of a data frame: it carries no message. Without it, an empty payload is an empty message.
  static let noData = TTRPCFlags(rawValue: 4)
}

/// The ten bytes before a frame's payload: its length and the stream, big-endian, type and flags.
struct TTRPCFrameHeader: Hashable, Sendable {
  static let length = 10
  /// Bytes of a payload (PROTOCOL.md, "Message Frame"). Longer ones are skipped, and their stream ended.
  static let maximumPayload = 4 * 1024 * 1024
  /// Above this it is not ttrpc: the first byte of a frame is zero.
  static let maximumLength = 1 << 24 - 1

  /// Bytes of payload.
  var payloadCount: Int
  var stream: UInt32
  var type: TTRPCFrameType
  var flags: TTRPCFlags

  init(payloadCount: Int, stream: UInt32, type: TTRPCFrameType, flags: TTRPCFlags = []) {
    self.payloadCount = payloadCount
    self.stream = stream
    self.type = type
    self.flags = flags
  }

  /// - Parameter bytes: `length` bytes, at any alignment.
  @inline(__always)
  init(reading bytes: UnsafeRawPointer) {
    payloadCount = Int(UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
    stream = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    type = TTRPCFrameType(rawValue: bytes.load(fromByteOffset: 8, as: UInt8.self))
    flags = TTRPCFlags(rawValue: bytes.load(fromByteOffset: 9, as: UInt8.self))
  }

  /// Fills `length` bytes.
  @inline(__always)
  func write(to bytes: UnsafeMutableRawPointer) {
    bytes.storeBytes(of: UInt32(truncatingIfNeeded: payloadCount).bigEndian, as: UInt32.self)
    bytes.storeBytes(of: stream.bigEndian, toByteOffset: 4, as: UInt32.self)
    bytes.storeBytes(of: type.rawValue, toByteOffset: 8, as: UInt8.self)
    bytes.storeBytes(of: flags.rawValue, toByteOffset: 9, as: UInt8.self)
  }

  /// Appends the header to `output`, and returns where the payload belongs, all of which the caller
  /// writes before anything else is appended.
  ///
  /// - Precondition: the payload is no longer than a frame may say.
  @inline(__always)
  func open(in output: inout ByteStore) -> UnsafeMutableRawPointer {
    // In range: who writes a frame has refused longer messages.
    precondition(payloadCount <= Self.maximumLength, "frames this long do not exist")
    let start = output.extend(by: Self.length + payloadCount)
    write(to: start)
    return start + Self.length
  }
}
