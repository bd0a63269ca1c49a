internal import CZlib

/// The gzip format (RFC 1952), as `grpc-encoding: gzip` names it. Each message is a stream of its own.
enum Gzip {
  /// 15 bits of window, and 16 to say that the format is gzip's and nothing else.
  private static let windowBits: Int32 = 15 + 16
  /// Speed over size: what is sent is small, and CPU is what calls cost.
  private static let level: Int32 = 1
  private static let chunk = 16 * 1024

  enum Failure: Error {
    /// Not gzip, cut short, or followed by other bytes.
    case malformed
    /// It would unpack to more than the limit.
    case tooLarge
  }

  /// Unpacks a message that is whole in `bytes`, to at most `limit` bytes: memory grows with what comes
  /// out, never with what the input announces.
  static func decompress(
    _ bytes: UnsafeRawBufferPointer, limit: Int
  ) throws(Failure) -> [UInt8] {
    var stream = z_stream()
    guard tenancy_inflate_init(&stream, windowBits) == Z_OK else { throw .malformed }
    defer { inflateEnd(&stream) }
    // zlib declares its input mutable, and reads it only.
    stream.next_in = UnsafeMutablePointer(
      mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
    stream.avail_in = UInt32(clamping: bytes.count)
    var out: [UInt8] = []
    while true {
      // One byte more than allowed tells "too large" from "just fits".
      let room = min(max(chunk, out.count), limit + 1 - out.count)
      guard room > 0 else { throw .tooLarge }
      var result = Z_OK
      let part = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
        stream.next_out = buffer.baseAddress
        stream.avail_out = UInt32(clamping: room)
        result = inflate(&stream, Z_NO_FLUSH)
        count = room - Int(stream.avail_out)
      }
      out += part
      if out.count > limit { throw .tooLarge }
      if result == Z_STREAM_END {
        guard stream.avail_in == 0 else { throw .malformed }
        return out
      }
      // No progress with room left: the input ends before the stream does.
      guard result == Z_OK, stream.avail_out == 0 || stream.avail_in > 0 else { throw .malformed }
    }
  }

  /// Packs a message; nil when zlib can't.
  static func compress(_ bytes: [UInt8]) -> [UInt8]? {
    var stream = z_stream()
    guard tenancy_deflate_init(&stream, level, windowBits) == Z_OK else { return nil }
    defer { deflateEnd(&stream) }
    let bound = Int(deflateBound(&stream, UInt(bytes.count)))
    var result = Z_OK
    let packed = bytes.withUnsafeBufferPointer { input in
      [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
        stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)  // As above.
        stream.avail_in = UInt32(clamping: input.count)
        stream.next_out = buffer.baseAddress
        stream.avail_out = UInt32(clamping: bound)
        result = deflate(&stream, Z_FINISH)
        count = bound - Int(stream.avail_out)
      }
    }
    return result == Z_STREAM_END ? packed : nil
  }
}
