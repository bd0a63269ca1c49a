internal import NIOCore

/// Sizes the buffers that a connection is read into by what came last, as NIO's own does, but keeps small
/// ones only: a channel keeps its buffer for as long as it lives, and most connections that once had much
/// to say are silent later.
struct ReadAllocator: RecvByteBufferAllocator {
  /// Bytes of a buffer that is kept.
  static let maximumKept = 4096

  private var adaptive = AdaptiveRecvByteBufferAllocator(
    minimum: 64, initial: 2048, maximum: 64 * 1024)

  private var size: Int { adaptive.nextBufferSize() ?? 0 }

  func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
    adaptive.buffer(allocator: allocator)
  }

  /// nil: the buffer is made anew, and not kept.
  func nextBufferSize() -> Int? { size <= Self.maximumKept ? size : nil }

  mutating func record(actualReadBytes: Int) -> Bool {
    // What is kept is too small for a read that is not for what is kept.
    adaptive.record(actualReadBytes: actualReadBytes) || size > Self.maximumKept
  }
}
