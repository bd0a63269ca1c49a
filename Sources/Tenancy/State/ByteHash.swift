/// SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF") of short texts, with a key of the process.
/// The standard library's `Hasher` is the same function, and takes several times as long for keys of some bytes.
struct ByteHash: Sendable {
  private var v0, v1, v2, v3: UInt64

  private static let key = (
    UInt64.random(in: 0 ... .max), UInt64.random(in: 0 ... .max)
  )

  /// With the key of this process.
  @inline(__always)
  static func hash(_ text: RawSpan) -> UInt {
    let key = key
    return UInt(truncatingIfNeeded: hash(text, key: key, rounds: (1, 3)))
  }

  /// - Parameter rounds: for each word of the text, and at the end. (2, 4) is for tests: its results are published.
  @inline(__always)
  static func hash(
    _ text: RawSpan, key: (UInt64, UInt64), rounds: (compression: Int, finish: Int)
  ) -> UInt64 {
    var state = ByteHash(key)
    let count = text.byteCount
    var offset = 0
    while offset + 8 <= count {
      // In range: eight bytes are left.
      let word = unsafe text.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
      state.compress(UInt64(littleEndian: word), rounds.compression)
      offset += 8
    }
    var last = UInt64(truncatingIfNeeded: count) << 56
    var shift: UInt64 = 0
    while offset < count {
      // In range: below the number of bytes.
      last |= unsafe UInt64(text.unsafeLoad(fromByteOffset: offset, as: UInt8.self)) << shift
      (offset, shift) = (offset + 1, shift + 8)
    }
    state.compress(last, rounds.compression)
    return state.finish(rounds.finish)
  }

  @inline(__always)
  private init(_ key: (UInt64, UInt64)) {
    v0 = key.0 ^ 0x736f_6d65_7073_6575
    v1 = key.1 ^ 0x646f_7261_6e64_6f6d
    v2 = key.0 ^ 0x6c79_6765_6e65_7261
    v3 = key.1 ^ 0x7465_6462_7974_6573
  }

  @inline(__always)
  private mutating func compress(_ word: UInt64, _ rounds: Int) {
    v3 ^= word
    for _ in 0..<rounds { round() }
    v0 ^= word
  }

  @inline(__always)
  private mutating func finish(_ rounds: Int) -> UInt64 {
    v2 ^= 0xff
    for _ in 0..<rounds { round() }
    return v0 ^ v1 ^ v2 ^ v3
  }

  @inline(__always)
  private mutating func round() {
    v0 = v0 &+ v1
    v1 = Self.rotated(v1, 13) ^ v0
    v0 = Self.rotated(v0, 32)
    v2 = v2 &+ v3
    v3 = Self.rotated(v3, 16) ^ v2
    v0 = v0 &+ v3
    v3 = Self.rotated(v3, 21) ^ v0
    v2 = v2 &+ v1
    v1 = Self.rotated(v1, 17) ^ v2
    v2 = Self.rotated(v2, 32)
  }

  @inline(__always)
  private static func rotated(_ word: UInt64, _ bits: UInt64) -> UInt64 {
    word << bits | word >> (64 - bits)
  }
}
