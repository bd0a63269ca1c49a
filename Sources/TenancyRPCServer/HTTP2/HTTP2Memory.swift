internal import CTenancyNghttp2

#if canImport(Glibc)
  import Glibc
#endif

/// Memory for one nghttp2 session: the small blocks of calls that end are kept for those that begin, which
/// saves 6 % of a call. Confined to the session, which must not outlive it.
///
/// Each session holds a buffer for the largest frame from its beginning to its end, and most need a small
/// part of it: that is a block of a pool, of which untouched pages cost nothing.
///
/// `@exclusivity(unchecked)`: see `HTTP2ServerSession`.
final class HTTP2Memory {
  /// Blocks are of so many bytes, or a multiple.
  private static let granule = 64
  /// Larger ones than `classes * granule` are the system's.
  private static let classes = 8
  /// Blocks kept of each size.
  private static let maximumKept = 64
  /// In front of each block, for its class; keeps the alignment of malloc(3).
  private static let headerSize = 16

  /// What counts as a frame buffer: 16 KiB (RFC 9113 §4.2), and what nghttp2 and we add.
  static let bufferBytes = 16 * 1024...20 * 1024
  /// Sessions whose frame buffers are of the pool. More get theirs from malloc(3).
  private static let maximumPooled = 16 * 1024
  private static let sharedBuffers = BlockPool(
    blockBytes: bufferBytes.upperBound, capacity: maximumPooled)

  private let buffers: BlockPool
  /// The first kept block of each class; each leads to the next.
  private let kept: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  private let counts: UnsafeMutablePointer<Int>

  /// - Parameter buffers: of `bufferBytes.upperBound` each.
  init(buffers: BlockPool = HTTP2Memory.sharedBuffers) {
    self.buffers = buffers
    kept = .allocate(capacity: Self.classes)
    kept.initialize(repeating: nil, count: Self.classes)
    counts = .allocate(capacity: Self.classes)
    counts.initialize(repeating: 0, count: Self.classes)
  }

  deinit {
    trim()
    kept.deallocate()
    counts.deallocate()
  }

  /// Gives up the blocks that are kept.
  func trim() {
    for index in 0..<Self.classes {
      while let block = kept[index] {
        kept[index] = block.load(as: UnsafeMutableRawPointer?.self)
        Glibc.free(block - Self.headerSize)
      }
      counts[index] = 0
    }
  }

  /// What nghttp2 calls. It keeps the pointer to this object, unretained.
  var functions: nghttp2_mem {
    nghttp2_mem(
      mem_user_data: Unmanaged.passUnretained(self).toOpaque(),
      malloc: { size, user in HTTP2Memory.of(user) { $0.allocate(size) } },
      free: { block, user in
        _ = HTTP2Memory.of(user) {
          $0.free(block)
          return nil
        }
      },
      calloc: { count, size, user in
        HTTP2Memory.of(user) { memory in
          let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
          guard !overflow, let block = memory.allocate(bytes) else { return nil }
          return memset(block, 0, bytes)
        }
      },
      realloc: { block, size, user in HTTP2Memory.of(user) { $0.reallocate(block, size) } })
  }

  @inline(__always)
  private static func of(
    _ user: UnsafeMutableRawPointer?, _ body: (HTTP2Memory) -> UnsafeMutableRawPointer?
  ) -> UnsafeMutableRawPointer? {
    guard let user else { return nil }
    // The session's owner holds it while nghttp2 calls.
    return Unmanaged<HTTP2Memory>.fromOpaque(user)._withUnsafeGuaranteedRef(body)
  }

  @inline(__always)
  func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
    let index = (max(size, 1) - 1) / Self.granule
    if index < Self.classes, let block = kept[index] {
      kept[index] = block.load(as: UnsafeMutableRawPointer?.self)
      counts[index] -= 1
      return block
    }
    return allocateAnew(size, index)
  }

  private func allocateAnew(_ size: Int, _ index: Int) -> UnsafeMutableRawPointer? {
    // A large block says its size in place of its class, which is smaller than any such size.
    let isLarge = index >= Self.classes
    let room = Self.headerSize + (isLarge ? size : (index + 1) * Self.granule)
    let buffer = Self.bufferBytes.contains(room) ? buffers.take() : nil
    guard let base = buffer ?? malloc(room) else { return nil }
    base.storeBytes(of: isLarge ? size : index, as: Int.self)
    return base + Self.headerSize
  }

  @inline(__always)
  func free(_ block: UnsafeMutableRawPointer?) {
    guard let block else { return }
    let base = block - Self.headerSize
    let index = base.load(as: Int.self)
    guard index < Self.classes else { return freeLarge(base) }
    guard counts[index] < Self.maximumKept else { return Glibc.free(base) }
    block.storeBytes(of: kept[index], as: UnsafeMutableRawPointer?.self)
    kept[index] = block
    counts[index] += 1
  }

  private func freeLarge(_ base: UnsafeMutableRawPointer) {
    if !buffers.giveBack(base) { Glibc.free(base) }
  }

  func reallocate(
    _ block: UnsafeMutableRawPointer?, _ size: Int
  ) -> UnsafeMutableRawPointer? {
    guard let block else { return allocate(size) }
    let mark = (block - Self.headerSize).load(as: Int.self)
    let room = mark < Self.classes ? (mark + 1) * Self.granule : mark
    guard let moved = allocate(size) else { return nil }
    moved.copyMemory(from: block, byteCount: min(room, size))
    free(block)
    return moved
  }
}
