internal import CTenancyZlib

/// The gzip format (RFC 1952), as `grpc-encoding: gzip` names it. Each message is a stream of its own.
public enum Gzip {
  /// 15 bits of window, and 16 to say that the format is gzip's and nothing else.
  private static let windowBits: Int32 = 15 + 16
  /// Speed over size: what is sent is small, and CPU is what calls cost.
  private static let level: Int32 = 1
  /// Of the shortest stream: header, an empty block, checksum and size.
  private static let leastBytes = 20
  /// Times its size that anything can unpack to (258 bytes for two bits, in the best of cases).
  private static let greatestRatio = 1032
  /// Blocks of the format are told of in such numbers.
  private static let blocksAtOnce = 64
  /// Blocks without any byte that may lie in what zlib has read ahead.
  private static let blocksReadAhead = 8

  public enum Failure: Error {
    /// Not gzip, cut short, followed by other bytes, or of another size than it says.
    case malformed
    /// It would unpack to more than the limit.
    case tooLarge
    /// It takes more work than it may.
    case refused
  }

  /// What a message says that it unpacks to: known before any work, and held to by `unpack`.
  public static func size(of packed: UnsafeRawBufferPointer, limit: Int) throws(Failure) -> Int {
    guard packed.count >= leastBytes else { throw .malformed }
    let stored = packed.loadUnaligned(fromByteOffset: packed.count - 4, as: UInt32.self)
    let size = Int(UInt32(littleEndian: stored))
    guard size <= limit else { throw .tooLarge }
    guard size <= packed.count * greatestRatio else { throw .malformed }
    return size
  }

  /// Unpacks a message that is whole in `packed`.
  ///
  /// - Parameters:
  ///   - target: for one byte more than `size` has said, which tells what is larger.
  ///   - mayGoOn: asked again and again, with the number of blocks that came since and that no output
  ///     pays for: each costs work, and may be empty.
  public static func unpack(
    _ packed: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer,
    mayGoOn: (_ blocks: Int) -> Bool = { _ in true }
  ) throws(Failure) {
    var stream = z_stream()
    guard tenancy_inflate_init(&stream, windowBits) == Z_OK else { throw .malformed }
    defer { inflateEnd(&stream) }
    // zlib declares its input mutable, and reads it only.
    stream.next_in = UnsafeMutablePointer(
      mutating: packed.baseAddress?.assumingMemoryBound(to: UInt8.self))
    stream.avail_in = UInt32(clamping: packed.count)
    stream.next_out = target.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.avail_out = UInt32(clamping: target.count)
    var (steps, idle) = (0, 0)
    while true {
      let left = (stream.avail_in, stream.avail_out)
      // Stops behind the header and behind each block.
      let result = inflate(&stream, Z_BLOCK)
      if result == Z_STREAM_END {
        guard stream.avail_in == 0, stream.avail_out == 1 else { throw .malformed }
        return
      }
      guard result == Z_OK || result == Z_BUF_ERROR, stream.avail_out > 0 else {
        throw .malformed
      }
      idle = (stream.avail_in, stream.avail_out) == left ? idle + 1 : 0
      // No progress: the input ends before the stream does.
      guard idle <= blocksReadAhead else { throw .malformed }
      steps += 1
      if steps % blocksAtOnce == 0, !mayGoOn(blocksAtOnce) { throw .refused }
    }
  }

  /// Unpacks a message to at most `limit` bytes.
  static func decompress(
    _ packed: UnsafeRawBufferPointer, limit: Int
  ) throws(Failure) -> [UInt8] {
    try decompress(packed, size: try size(of: packed, limit: limit))
  }

  /// - Parameter size: what `size(of:limit:)` has said.
  static func decompress(
    _ packed: UnsafeRawBufferPointer, size: Int, mayGoOn: (_ blocks: Int) -> Bool = { _ in true }
  ) throws(Failure) -> [UInt8] {
    var failure: Failure?
    let unpacked = [UInt8](unsafeUninitializedCapacity: size + 1) { buffer, count in
      do throws(Failure) {
        let target = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: size + 1)
        try unpack(packed, into: target, mayGoOn: mayGoOn)
        count = size
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return unpacked
  }

  /// Packs a message; nil when zlib can't.
  public static func compress(_ bytes: [UInt8]) -> [UInt8]? {
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
