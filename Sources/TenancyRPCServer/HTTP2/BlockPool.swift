import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// Blocks of memory of one size that begin on a page, from one reserved range of addresses. A page that
/// its user does not touch costs nothing, which memory from `malloc` seldom achieves: there, others have
/// used it before. Thread-safe.
final class BlockPool: Sendable {
  private struct State {
    /// Blocks given back, the last first: it is the likeliest to be in caches.
    var free: [Int32] = []
    /// Blocks that were never used begin here.
    var next: Int32 = 0
  }

  /// Of each block; whole pages.
  let blockBytes: Int
  private let pageBytes: Int
  /// The first block; 0: nothing could be reserved, and no block is ever given.
  private let base: UInt
  /// All of the range.
  private let length: UInt
  private let state = Mutex(State())

  /// - Parameters:
  ///   - blockBytes: that each block must hold.
  ///   - capacity: blocks in use at most.
  init(blockBytes: Int, capacity: Int) {
    pageBytes = Int(sysconf(Int32(_SC_PAGESIZE)))  // In range: a constant of C.
    self.blockBytes = (blockBytes + pageBytes - 1) / pageBytes * pageBytes
    let length = self.blockBytes * capacity
    let range = mmap(
      nil, length, PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    base = range == MAP_FAILED ? 0 : UInt(bitPattern: range)
    self.length = base == 0 ? 0 : UInt(length)
  }

  deinit {
    if base != 0 { munmap(UnsafeMutableRawPointer(bitPattern: base), Int(length)) }
  }

  /// A block with any content; nil: all are in use.
  func take() -> UnsafeMutableRawPointer? {
    let index = state.withLock { state -> Int32? in
      if let index = state.free.popLast() { return index }
      guard UInt(state.next) < length / UInt(blockBytes) else { return nil }
      defer { state.next += 1 }
      return state.next
    }
    return index.flatMap { UnsafeMutableRawPointer(bitPattern: base + UInt($0) * UInt(blockBytes)) }
  }

  /// Whether `pointer` is to a block of this pool.
  func owns(_ pointer: UnsafeMutableRawPointer) -> Bool {
    UInt(bitPattern: pointer) &- base < length
  }

  /// Takes a block back, and gives the system all of it but a page. Returns whether it is one of ours.
  @discardableResult
  func giveBack(_ block: UnsafeMutableRawPointer) -> Bool {
    guard owns(block) else { return false }
    madvise(block + pageBytes, blockBytes - pageBytes, MADV_DONTNEED)
    // In range: blocks are numbered by `Int32`.
    let index = Int32((UInt(bitPattern: block) - base) / UInt(blockBytes))
    state.withLock { $0.free.append(index) }
    return true
  }
}
