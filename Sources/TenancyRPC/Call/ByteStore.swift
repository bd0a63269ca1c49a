/// A growable byte buffer that keeps its memory when cleared. Unlike `Array` it can be written to
/// uninitialised, and reusing it costs nothing.
struct ByteStore: ~Copyable {
  private(set) var base: UnsafeMutableRawPointer
  private(set) var capacity: Int
  private(set) var count = 0

  init(capacity: Int) {
    base = .allocate(byteCount: max(capacity, 1), alignment: 16)
    self.capacity = max(capacity, 1)
  }

  deinit { base.deallocate() }

  /// The bytes held, valid until the next change.
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

  /// Forgets the bytes; gives memory above `keeping` bytes back.
  mutating func clear(keeping limit: Int = 4096) {
    count = 0
    if capacity > limit {
      base.deallocate()
      base = .allocate(byteCount: limit, alignment: 16)
      capacity = limit
    }
  }

  @inline(__always)
  mutating func append(_ source: UnsafeRawPointer, count added: Int) {
    extend(by: added).copyMemory(from: source, byteCount: added)
  }

  /// Adds `added` uninitialised bytes and returns where they start.
  @inline(__always)
  mutating func extend(by added: Int) -> UnsafeMutableRawPointer {
    if count + added > capacity { grow(to: count + added) }
    let start = base + count
    count += added
    return start
  }

  /// Forgets the first bytes; those behind move up.
  mutating func removeFirst(_ removed: Int) {
    base.copyMemory(from: base + removed, byteCount: count - removed)
    count -= removed
  }

  /// Forgets the last bytes.
  @inline(__always)
  mutating func removeLast(_ removed: Int) { count -= removed }

  private mutating func grow(to needed: Int) {
    let larger = max(needed, capacity * 2)
    let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
    moved.copyMemory(from: base, byteCount: count)
    base.deallocate()
    base = moved
    capacity = larger
  }
}
