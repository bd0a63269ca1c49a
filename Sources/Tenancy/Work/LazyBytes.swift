import Synchronization

/// Bytes that are made at their first use, and kept. Thread-safe.
///
/// They are lent, where an `AtomicLazyReference` would count a reference for each use: on the way of every resolution,
/// that is felt.
struct LazyBytes: ~Copyable, Sendable {
  /// Address of the bytes, behind an `Int` that says how many there are; 0: not made yet.
  private let address = Atomic<UInt>(0)
  private static let headerBytes = MemoryLayout<Int>.size

  deinit { unsafe Self.block(address.load(ordering: .acquiring))?.deallocate() }

  /// - Parameter make: gives the same whoever asks. Of two that are made at once one stays.
  @inline(__always)
  borrowing func withBytes<Result>(made make: () -> [UInt8], _ body: (RawSpan) -> Result) -> Result
  {
    let found = address.load(ordering: .acquiring)
    let block = unsafe Self.block(found) ?? keep(make())
    let count = unsafe block.load(as: Int.self)
    // Nobody changes or frees them before `deinit`.
    return unsafe body(RawSpan(_unsafeStart: block + Self.headerBytes, byteCount: count))
  }

  private borrowing func keep(_ bytes: [UInt8]) -> UnsafeMutableRawPointer {
    let block = UnsafeMutableRawPointer.allocate(
      byteCount: Self.headerBytes + bytes.count, alignment: MemoryLayout<Int>.alignment)
    unsafe block.storeBytes(of: bytes.count, as: Int.self)
    unsafe UnsafeMutableRawBufferPointer(start: block + Self.headerBytes, count: bytes.count)
      .copyBytes(from: bytes)
    let (isFirst, other) = address.compareExchange(
      expected: 0, desired: UInt(bitPattern: block), ordering: .acquiringAndReleasing)
    guard !isFirst, let earlier = unsafe Self.block(other) else { return unsafe block }
    unsafe block.deallocate()
    return unsafe earlier
  }

  @inline(__always)
  private static func block(_ address: UInt) -> UnsafeMutableRawPointer? {
    unsafe UnsafeMutableRawPointer(bitPattern: address)
  }
}
