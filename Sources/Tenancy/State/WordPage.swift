/// Some entries of a `WordTable` in one piece of memory: a hash table with open addressing.
///
/// First how many there are, and how many slots. Then the slots, of four words each: the entry's word; what says which
/// key it has (`Mark`); the key, where it has no more than 16 bytes. Then the longer keys.
struct WordPage: Sendable {
  /// Entries of a page before it becomes a branch.
  static var capacity: Int { 512 }

  /// A part of the hash (16 bits), how long the key is (16), and where a long one begins among the bytes of all long
  /// keys (32).
  private struct Mark {
    var bits: UInt64

    static let none = Mark(bits: 0)
    /// Of a slot whose entry was taken out.
    static let removed = Mark(bits: 1 << 48)

    /// What all marks of keys of this hash and length have in their higher half. Not that of `none` or `removed`.
    @inline(__always)
    static func begin(_ hash: UInt, _ length: Int) -> UInt64 {
      // Not of the highest bits, which entries close to each other have in common.
      (UInt64(hash) >> 32 & 0x7fff | 0x8000) << 48 | UInt64(length) << 32
    }

    var length: Int { Int(bits >> 32 & 0xffff) }
    var start: Int { Int(bits & 0xffff_ffff) }
    var isEntry: Bool { bits >> 63 == 1 }
  }

  private var words: [UInt64] = []

  private static var head: Int { 2 }
  private static var slotWords: Int { 4 }
  private static var inlineBytes: Int { 16 }
  /// Of an entry's key.
  private static var maximumLength: Int { 0xffff }

  // MARK: Where things are

  private static func count(_ summary: UInt64) -> Int { Int(summary & 0xffff_ffff) }
  private static func removed(_ summary: UInt64) -> Int { Int(summary >> 32) }

  var count: Int { words.isEmpty ? 0 : Self.count(words[0]) }
  private var slots: Int { words.isEmpty ? 0 : Int(words[1]) }

  /// The slot to begin with.
  @inline(__always)
  private static func slot(_ hash: UInt, _ slots: Int) -> Int {
    Int(truncatingIfNeeded: (UInt64(hash) >> 32) &* UInt64(slots) >> 32)
  }

  @inline(__always)
  private static func place(_ slot: Int) -> Int { head + slotWords * slot }

  /// Where the first byte of a key is.
  @inline(__always)
  private static func start(_ mark: Mark, _ place: Int, _ slots: Int) -> Int {
    mark.length <= inlineBytes ? 8 * (place + 2) : 8 * Self.place(slots) + mark.start
  }

  @inline(__always)
  func find(_ hash: UInt, _ key: RawSpan) -> UInt64? {
    unsafe words.withUnsafeBufferPointer { words in
      unsafe Self.place(of: key, hash, words).map { unsafe words[$0] }
    }
  }

  /// Where the slot of a key is.
  @inline(__always)
  private static func place(
    of key: RawSpan, _ hash: UInt, _ words: UnsafeBufferPointer<UInt64>
  ) -> Int? {
    guard words.count > head, key.byteCount <= maximumLength else { return nil }
    let slots = unsafe Int(words[1])
    let mark = Mark.begin(hash, key.byteCount) >> 32
    var slot = slot(hash, slots)
    // In range: a page has as many slots and keys as it says. It ends: some slots are free.
    while true {
      let place = place(slot)
      let found = unsafe Mark(bits: words[place + 1])
      if found.bits >> 32 == mark {
        let start = start(found, place, slots)
        let text = unsafe UnsafeRawBufferPointer(
          rebasing: UnsafeRawBufferPointer(words)[start..<start + key.byteCount])
        if unsafe key.withUnsafeBytes({ unsafe text.holdsSame(as: $0) }) { return place }
      }
      if found.bits == Mark.none.bits { return nil }
      slot = slot + 1 == slots ? 0 : slot + 1
    }
  }

  // MARK: Changes

  /// - Precondition: a key has less than 64 KiB. Subjects and permissions have some hundred bytes.
  mutating func set(_ key: RawSpan, _ hash: UInt, _ word: UInt64?) {
    precondition(key.byteCount <= Self.maximumLength, "keys are short")
    let place = unsafe words.withUnsafeBufferPointer { unsafe Self.place(of: key, hash, $0) }
    switch (place, word) {
    case (let place?, let word?): words[place] = word
    case (let place?, nil): remove(place)
    case (nil, let word?):
      makeRoom()
      insert(key, hash, word)
    case (nil, nil): break
    }
  }

  /// A quarter of the slots is free, at least.
  private mutating func makeRoom() {
    let used = words.isEmpty ? 0 : Self.count(words[0]) + Self.removed(words[0])
    guard 4 * (used + 1) > 3 * slots else { return }
    var larger = WordPage()
    // What was taken out goes. As many may come before there is no room again as would fill the quarter.
    larger.begin(slots: max(4, (count + 1) * 7 / 4))
    forEach { key, word in larger.insert(key, ByteHash.hash(key), word) }
    self = larger
  }

  private mutating func begin(slots: Int) {
    words = [UInt64](repeating: 0, count: Self.place(slots))
    words[1] = UInt64(slots)
  }

  /// Puts in what is not there, where there is room.
  private mutating func insert(_ key: RawSpan, _ hash: UInt, _ word: UInt64) {
    let slots = slots
    var slot = Self.slot(hash, slots)
    while words[Self.place(slot) + 1] != Mark.none.bits {
      slot = slot + 1 == slots ? 0 : slot + 1
    }
    let place = Self.place(slot)
    words[place] = word
    words[place + 1] = Mark.begin(hash, key.byteCount)
    if key.byteCount > Self.inlineBytes {
      words[place + 1] |= UInt64(8 * (words.count - Self.place(slots)))
    }
    for (part, start) in stride(from: 0, to: key.byteCount, by: 8).enumerated() {
      let text = Self.text(key, from: start)
      if key.byteCount > Self.inlineBytes {
        words.append(text)
      } else {
        words[place + 2 + part] = text
      }
    }
    words[0] += 1
  }

  /// Eight bytes of a key, or as many as there are.
  private static func text(_ key: RawSpan, from start: Int) -> UInt64 {
    var text: UInt64 = 0
    for offset in start..<min(start + 8, key.byteCount) {
      // In range: below the number of bytes.
      let byte = unsafe key.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
      text |= UInt64(byte) << UInt64(8 * (offset - start))
    }
    return text.littleEndian
  }

  private mutating func remove(_ place: Int) {
    if count == 1 {
      words = []
      return
    }
    words[place + 1] = Mark.removed.bits
    words[0] = UInt64(count - 1) | UInt64(Self.removed(words[0]) + 1) << 32
  }

  func forEach(_ body: (RawSpan, UInt64) -> Void) {
    let slots = slots
    let bytes = unsafe words.span.bytes
    for slot in 0..<slots {
      let place = Self.place(slot)
      let mark = Mark(bits: words[place + 1])
      guard mark.isEntry else { continue }
      let start = Self.start(mark, place, slots)
      body(bytes.extracting(start..<start + mark.length), words[place])
    }
  }

  var bytes: Int { 8 * words.capacity }

  func isSame(as other: Self) -> Bool { words.isSame(as: other.words) }
}
