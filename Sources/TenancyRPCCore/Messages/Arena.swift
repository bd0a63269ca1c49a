public import CTenancyProtobufC

/// Bump allocator for the messages of one call: decoding and encoding take from it, `reset` frees
/// all at once. Confined to one thread (an event loop, or one call's task).
///
/// What it hands out is valid until `reset` or `deinit`; nothing allocated here may outlive the call.
///
/// `@exclusivity(unchecked)`: the checks at run time cost 6 % of a call, and no access spans a call out.
public final class Arena {
  /// Bytes that a block holds unless one request needs more.
  public static let blockSize = 16 * 1024
  @inlinable static var alignment: Int { 16 }

  @exclusivity(unchecked) private var blocks: [UnsafeMutableRawBufferPointer] = []
  @exclusivity(unchecked) @usableFromInline var cursor: UnsafeMutableRawPointer
  @exclusivity(unchecked) @usableFromInline package var left: Int
  @exclusivity(unchecked) private var taken = 0
  /// The C vtable that libprotobuf-c calls; it points back here, unretained.
  @usableFromInline package let allocator: UnsafeMutablePointer<ProtobufCAllocator>

  /// Most bytes that decoding may take between two resets, whatever the message's own size: a small
  /// message can describe a large one. Exceeding it makes decoding fail.
  public let limit: Int

  /// - Parameter firstBlock: bytes that are kept by `reset`.
  public init(limit: Int = 32 * 1024 * 1024, firstBlock: Int = blockSize) {
    self.limit = limit
    let first = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(firstBlock, Self.alignment), alignment: Self.alignment)
    blocks.append(first)
    cursor = first.baseAddress.unsafelyUnwrapped  // `allocate` with a size over 0 gives an address.
    left = first.count
    allocator = .allocate(capacity: 1)
    allocator.initialize(
      to: ProtobufCAllocator(
        alloc: { context, size in
          // `context` is the arena that owns this vtable, alive while libprotobuf-c runs.
          Unmanaged<Arena>.fromOpaque(context.unsafelyUnwrapped)._withUnsafeGuaranteedRef {
            $0.allocateWithinLimit(size)
          }
        },
        free: { _, _ in },
        allocator_data: nil))
    allocator.pointee.allocator_data = Unmanaged.passUnretained(self).toOpaque()
  }

  deinit {
    allocator.deallocate()
    for block in blocks { block.deallocate() }
  }

  /// Gives everything back. Keeps the first block for the next call.
  @inline(__always)
  public func reset() {
    if blocks.count > 1 { dropExtraBlocks() }
    let first = blocks[0]
    cursor = first.baseAddress.unsafelyUnwrapped  // As in `init`.
    left = first.count
    taken = 0
  }

  /// Whether a decode failed because it met `limit`.
  public var isExhausted: Bool { taken > limit }

  /// Uninitialised memory, 16-byte aligned.
  @inline(__always)
  @inlinable
  public func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
    let size = (byteCount + Self.alignment - 1) & ~(Self.alignment - 1)
    if size > left { addBlock(atLeast: size) }
    let start = cursor
    cursor += size
    left -= size
    return start
  }

  /// A zeroed value of a C type.
  @inline(__always)
  @inlinable
  public func zeroed<T: BitwiseCopyable>(_: T.Type) -> UnsafeMutablePointer<T> {
    let size = MemoryLayout<T>.size
    let raw = allocate(size)
    raw.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    return raw.assumingMemoryBound(to: T.self)
  }

  /// A zeroed C array.
  @inlinable
  public func zeroedArray<T: BitwiseCopyable>(_: T.Type, count: Int) -> UnsafeMutablePointer<T> {
    let size = MemoryLayout<T>.stride * count
    let raw = allocate(max(size, 1))
    raw.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    return raw.assumingMemoryBound(to: T.self)
  }

  /// A copy of `text` in UTF-8, as libprotobuf-c's pointer and length.
  @inline(__always)
  public func copy(_ text: String) -> ProtobufCBinaryData {
    let count = text.utf8.count
    guard count > 0 else { return ProtobufCBinaryData() }
    let target = allocate(count)
    Self.write(text, count, to: target)
    return ProtobufCBinaryData(len: count, data: target.assumingMemoryBound(to: UInt8.self))
  }

  /// A copy of two texts, one behind the other.
  public func copy(_ first: String, _ second: String) -> ProtobufCBinaryData {
    let counts = (first: first.utf8.count, second: second.utf8.count)
    let target = allocate(max(counts.first + counts.second, 1))
    Self.write(first, counts.first, to: target)
    Self.write(second, counts.second, to: target + counts.first)
    return ProtobufCBinaryData(
      len: counts.first + counts.second, data: target.assumingMemoryBound(to: UInt8.self))
  }

  /// Writes the `count` bytes of a text.
  @inline(__always)
  private static func write(_ text: String, _ count: Int, to target: UnsafeMutableRawPointer) {
    let isWritten: Void? = text.utf8.withContiguousStorageIfAvailable { bytes in
      if let base = bytes.baseAddress { target.copyMemory(from: base, byteCount: count) }
    }
    // Text that came from elsewhere.
    if isWritten == nil {
      UnsafeMutableRawBufferPointer(start: target, count: count).copyBytes(from: text.utf8)
    }
  }

  /// A copy of `bytes`.
  @inline(__always)
  @inlinable
  public func copy(_ bytes: UnsafeRawBufferPointer) -> ProtobufCBinaryData {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return ProtobufCBinaryData() }
    let target = allocate(bytes.count)
    target.copyMemory(from: source, byteCount: bytes.count)
    return ProtobufCBinaryData(len: bytes.count, data: target.assumingMemoryBound(to: UInt8.self))
  }

  /// Lends the vtable for a call into libprotobuf-c.
  @inline(__always)
  @inlinable
  public func withAllocator<R>(_ body: (UnsafeMutablePointer<ProtobufCAllocator>) -> R) -> R {
    withExtendedLifetime(self) { body(allocator) }
  }

  private func allocateWithinLimit(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    taken += byteCount
    return taken > limit ? nil : allocate(byteCount)
  }

  @usableFromInline
  func addBlock(atLeast size: Int) {
    let block = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(size, Self.blockSize), alignment: Self.alignment)
    blocks.append(block)
    cursor = block.baseAddress.unsafelyUnwrapped  // As in `init`.
    left = block.count
  }

  private func dropExtraBlocks() {
    for block in blocks[1...] { block.deallocate() }
    blocks.removeSubrange(1...)
  }
}
