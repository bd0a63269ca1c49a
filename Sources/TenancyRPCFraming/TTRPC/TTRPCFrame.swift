public import TenancyLoop

/// What a ttrpc frame is for (ttrpc PROTOCOL.md, "Message Types"). Others are ignored by who receives
/// them: they are kept for extensions.
public struct TTRPCFrameType: Hashable, Sendable {
  public let rawValue: UInt8

  /// Opens a stream.
  public static var request: TTRPCFrameType { TTRPCFrameType(rawValue: 1) }
  /// Ends a stream.
  public static var response: TTRPCFrameType { TTRPCFrameType(rawValue: 2) }
  /// A message of an open stream.
  public static var data: TTRPCFrameType { TTRPCFrameType(rawValue: 3) }
}

/// Flags of a request or data frame. Bits that are not listed are ignored.
public struct TTRPCFlags: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// No message follows in this direction.
  public static var remoteClosed: TTRPCFlags { TTRPCFlags(rawValue: 1) }
  /// Of a request: messages follow.
  public static var remoteOpen: TTRPCFlags { TTRPCFlags(rawValue: 2) }
  /// Of a data frame: it carries no message. Without it, an empty payload is an empty message.
  public static var noData: TTRPCFlags { TTRPCFlags(rawValue: 4) }
}

/// The ten bytes before a frame's payload: its length and the stream, big-endian, type and flags.
public struct TTRPCFrameHeader: Hashable, Sendable {
  public static var length: Int { 10 }
  /// Bytes of a payload (PROTOCOL.md, "Message Frame"). Longer ones are skipped, and their stream ended.
  public static var maximumPayload: Int { 4 * 1024 * 1024 }
  /// Above this it is not ttrpc: the first byte of a frame is zero.
  public static var maximumLength: Int { 1 << 24 - 1 }

  /// Bytes of payload.
  public var payloadCount: Int
  public var stream: UInt32
  public var type: TTRPCFrameType
  public var flags: TTRPCFlags

  public init(payloadCount: Int, stream: UInt32, type: TTRPCFrameType, flags: TTRPCFlags = []) {
    self.payloadCount = payloadCount
    self.stream = stream
    self.type = type
    self.flags = flags
  }

  /// - Parameter bytes: `length` bytes, at any alignment.
  @inline(__always)
  public init(reading bytes: UnsafeRawPointer) {
    payloadCount = Int(UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
    stream = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    type = TTRPCFrameType(rawValue: bytes.load(fromByteOffset: 8, as: UInt8.self))
    flags = TTRPCFlags(rawValue: bytes.load(fromByteOffset: 9, as: UInt8.self))
  }

  /// Fills `length` bytes.
  @inline(__always)
  public func write(to bytes: UnsafeMutableRawPointer) {
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
  public func open(in output: inout ByteStore) -> UnsafeMutableRawPointer {
    // In range: who writes a frame has refused longer messages.
    precondition(payloadCount <= Self.maximumLength, "frames this long do not exist")
    let start = output.extend(by: Self.length + payloadCount)
    write(to: start)
    return start + Self.length
  }
}
