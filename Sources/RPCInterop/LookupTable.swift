#if canImport(Glibc)
  import Glibc
#endif

/// Entries found by the bytes of their key, without a copy or an allocation. Filled once, then only read.
final class LookupTable: @unchecked Sendable {  // Nothing changes after `init`.
  /// Texts that the table owns.
  struct Entry {
    let key: UnsafeRawBufferPointer
    let name: UnsafeRawBufferPointer
    let value: UnsafeRawBufferPointer
    let revision: UInt64
  }

  private let slots: UnsafeMutableBufferPointer<Entry?>
  private let mask: Int

  /// `key-00000` and on.
  init(count: Int) {
    var size = 16
    while size < count * 2 { size *= 2 }
    mask = size - 1
    slots = .allocate(capacity: size)
    slots.initialize(repeating: nil)
    for number in 0..<count {
      let digits = String(number)
      let text = String(repeating: "0", count: max(0, 5 - digits.count)) + digits
      insert(
        Entry(
          key: Self.copy("key-\(text)"), name: Self.copy("entries/\(text)"),
          value: Self.copy("value of entry \(text)"), revision: UInt64(number) + 1))
    }
  }

  deinit {
    for entry in slots {
      entry?.key.deallocate()
      entry?.name.deallocate()
      entry?.value.deallocate()
    }
    slots.deallocate()
  }

  /// What is found is valid as long as the table.
  func find(_ key: UnsafeRawBufferPointer) -> Entry? {
    var at = Self.hash(key) & mask
    while let entry = slots[at] {
      if entry.key.count == key.count, let mine = entry.key.baseAddress,
        let other = key.baseAddress, memcmp(mine, other, key.count) == 0
      {
        return entry
      }
      at = (at + 1) & mask
    }
    return nil
  }

  private func insert(_ entry: Entry) {
    var at = Self.hash(entry.key) & mask
    while slots[at] != nil { at = (at + 1) & mask }
    slots[at] = entry
  }

  /// FNV-1a.
  private static func hash(_ key: UnsafeRawBufferPointer) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in key { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return Int(truncatingIfNeeded: (hash ^ hash >> 32) & 0x7fff_ffff)
  }

  private static func copy(_ text: String) -> UnsafeRawBufferPointer {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
    bytes.copyBytes(from: text.utf8)
    return UnsafeRawBufferPointer(bytes)
  }
}
