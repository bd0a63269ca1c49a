#if canImport(Glibc)
  import Glibc
#endif

/// Entries found by the bytes of their key, without a copy or an allocation. Filled once, then only read.
///
/// An entry is one cache line, and the table beside it is small: a look-up misses the caches twice.
final class LookupTable: @unchecked Sendable {  // Nothing changes after `init`.
  /// An entry where it is: valid as long as the table.
  struct Entry {
    static let size = 64
    static let keyLength = "key-00000".utf8.count
    static let nameLength = "entries/00000".utf8.count
    static let valueLength = "value of entry 00000".utf8.count

    fileprivate static let nameOffset = 16
    fileprivate static let valueOffset = 32
    fileprivate static let revisionOffset = 56

    fileprivate let base: UnsafeMutableRawPointer

    var key: UnsafeRawBufferPointer { .init(start: base, count: Self.keyLength) }
    var name: UnsafeMutableRawBufferPointer {
      .init(start: base + Self.nameOffset, count: Self.nameLength)
    }
    var value: UnsafeMutableRawBufferPointer {
      .init(start: base + Self.valueOffset, count: Self.valueLength)
    }
    var revision: UInt64 { base.load(fromByteOffset: Self.revisionOffset, as: UInt64.self) }
  }

  /// As many as five digits can number.
  static let maximumCount = 100_000

  private let entries: UnsafeMutableRawPointer
  /// Numbers of entries, or -1.
  private let slots: UnsafeMutablePointer<Int32>
  private let mask: Int

  /// `key-00000` and on.
  ///
  /// - Precondition: `count` is at most `maximumCount`.
  init(count: Int) {
    precondition(count <= Self.maximumCount)
    var size = 16
    while size < count * 2 { size *= 2 }
    mask = size - 1
    slots = .allocate(capacity: size)
    slots.initialize(repeating: -1, count: size)
    entries = .allocate(byteCount: max(count, 1) * Entry.size, alignment: Entry.size)
    for number in 0..<count { insert(number) }
  }

  deinit {
    slots.deallocate()
    entries.deallocate()
  }

  func find(_ key: UnsafeRawBufferPointer) -> Entry? {
    guard key.count == Entry.keyLength, let wanted = key.baseAddress else { return nil }
    var at = Self.hash(key) & mask
    while slots[at] >= 0 {
      let entry = entry(Int(slots[at]))
      if memcmp(entry.base, wanted, Entry.keyLength) == 0 { return entry }
      at = (at + 1) & mask
    }
    return nil
  }

  private func entry(_ number: Int) -> Entry { Entry(base: entries + number * Entry.size) }

  private func insert(_ number: Int) {
    let entry = entry(number)
    let digits = String(number)
    let text = String(repeating: "0", count: 5 - digits.count) + digits
    for (offset, text) in [
      (0, "key-\(text)"), (Entry.nameOffset, "entries/\(text)"),
      (Entry.valueOffset, "value of entry \(text)"),
    ] {
      let target = UnsafeMutableRawBufferPointer(
        start: entry.base + offset, count: text.utf8.count)
      target.copyBytes(from: text.utf8)
    }
    entry.base.storeBytes(
      of: UInt64(number) + 1, toByteOffset: Entry.revisionOffset, as: UInt64.self)
    var at = Self.hash(entry.key) & mask
    while slots[at] >= 0 { at = (at + 1) & mask }
    slots[at] = Int32(number)
  }

  /// FNV-1a.
  private static func hash(_ key: UnsafeRawBufferPointer) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in key { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return Int(truncatingIfNeeded: (hash ^ hash >> 32) & 0x7fff_ffff)
  }
}
