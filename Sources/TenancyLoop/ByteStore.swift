/// A growable byte buffer that keeps its memory when cleared. Unlike `Array` it can be written to
/// uninitialised, and reusing it costs nothing.
public struct ByteStore: ~Copyable {
  /// Where the bytes are, valid until the next change.
  @inlinable
  public var base: UnsafeMutableRawPointer { memory }
  /// Bytes held.
  @inlinable
  public var count: Int { used }

  /// Bytes that there is memory for.
  @inlinable
  public var capacity: Int { room }

  @usableFromInline var memory: UnsafeMutableRawPointer
  @usableFromInline var room: Int
  @usableFromInline var used = 0

  public init(capacity: Int) {
    memory = .allocate(byteCount: max(capacity, 1), alignment: 16)
    room = max(capacity, 1)
  }

  deinit { memory.deallocate() }

  /// The bytes held, valid until the next change.
  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory, count: count) }

  /// Forgets the bytes; gives memory above `keeping` bytes back.
  public mutating func clear(keeping limit: Int = 4096) {
    used = 0
    if room > limit {
      memory.deallocate()
      memory = .allocate(byteCount: limit, alignment: 16)
      room = limit
    }
  }

  @inlinable @inline(__always)
  public mutating func append(_ source: UnsafeRawPointer, count added: Int) {
    extend(by: added).copyMemory(from: source, byteCount: added)
  }

  /// Adds `added` uninitialised bytes and returns where they start.
  @inlinable @inline(__always)
  public mutating func extend(by added: Int) -> UnsafeMutableRawPointer {
    if used + added > room { grow(to: used + added) }
    let start = memory + count
    used += added
    return start
  }

  /// Forgets the first bytes; those behind move up.
  public mutating func removeFirst(_ removed: Int) {
    memory.copyMemory(from: memory + removed, byteCount: count - removed)
    used -= removed
  }

  /// Forgets the last bytes.
  @inline(__always)
  public mutating func removeLast(_ removed: Int) { used -= removed }

  @usableFromInline
  mutating func grow(to needed: Int) {
    let larger = max(needed, room * 2)
    let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
    moved.copyMemory(from: memory, byteCount: count)
    memory.deallocate()
    memory = moved
    room = larger
  }
}
