import Synchronization

/// The identity of a tenant: a UUIDv7 (RFC 9562 §5.7). Never changes and is never reused; ids made by
/// one process sort in the order in which they were made.
public struct TenantID: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// Milliseconds since 1970 (48 bits), the version (4) and 12 random bits.
  public let high: UInt64
  /// The variant (2 bits) and 62 random bits.
  public let low: UInt64

  /// Checks neither version nor variant: for what was a `TenantID` before.
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Parses the canonical form: 36 characters, lower-case hex, hyphens, version 7, RFC variant.
  /// Returns nil for anything else.
  public init?(parsing text: String) {
    unsafe self.init(parsing: text.utf8Span.span.bytes)
  }

  /// The same of the bytes of a text.
  public init?(parsing text: RawSpan) {
    guard let (high, low) = UUIDText.parse(text) else { return nil }
    guard (high >> 12) & 0xF == 7, low >> 62 == 0b10 else { return nil }
    self.init(high: high, low: low)
  }

  public var description: String { UUIDText.format(high: high, low: low) }

  /// Whether `text` is a UUID of any version, in lower case.
  public static func isUUID(_ text: String) -> Bool {
    unsafe UUIDText.parse(text.utf8Span.span.bytes) != nil
  }

  public static func < (a: Self, b: Self) -> Bool { (a.high, a.low) < (b.high, b.low) }

  /// A new id for a moment in milliseconds since 1970. Thread-safe; later ids are greater even within
  /// one millisecond or when the clock steps back (RFC 9562 §6.2, method 2), and by a random number each, so that
  /// they can't be guessed where it was far ahead for a moment.
  public static func generate(atMilliseconds now: UInt64) -> TenantID {
    let random = UInt64.random(in: 0...(.max >> 2))
    return lastIssued.withLock { last in
      let candidate = TenantID(
        high: (now << 16) | 0x7000 | UInt64.random(in: 0...0xFFF), low: (0b10 << 62) | random)
      if candidate > last {
        last = candidate
        return last
      }
      let low = (last.low & (.max >> 2)) + 1 + random & maximumStep
      if low > .max >> 2 {
        last = TenantID(high: ((last.high >> 16) + 1) << 16 | 0x7000, low: (0b10 << 62) | random)
      } else {
        last = TenantID(high: last.high, low: (0b10 << 62) | low)
      }
      return last
    }
  }

  /// Less one. Of 62 bits it leaves room for as many steps again.
  private static let maximumStep: UInt64 = 1 << 32 - 1
  private static let lastIssued = Mutex(TenantID(high: 0, low: 0))
}

/// The 8-4-4-4-12 text form of a UUID.
enum UUIDText {
  static let length = 36

  static func parse(_ text: RawSpan) -> (high: UInt64, low: UInt64)? {
    guard text.byteCount == length else { return nil }
    return unsafe text.withUnsafeBytes { text in
      // In range: the places of the hyphens and of the words' digits are below the length.
      guard unsafe text[8] == hyphen, unsafe text[13] == hyphen, unsafe text[18] == hyphen,
        unsafe text[23] == hyphen,
        let a = unsafe word(text, 0..<8), let b = unsafe word(text, 9..<13),
        let c = unsafe word(text, 14..<18),
        let d = unsafe word(text, 19..<23), let e = unsafe word(text, 24..<36)
      else { return nil }
      return (a << 32 | b << 16 | c, d << 48 | e)
    }
  }

  private static let hyphen = UInt8(ascii: "-")

  /// Hex digits in lower case, 16 at most.
  @inline(__always)
  private static func word(_ text: UnsafeRawBufferPointer, _ range: Range<Int>) -> UInt64? {
    var word: UInt64 = 0
    var isHex = true
    // All of them, without a branch for each.
    for at in range {
      let byte = unsafe text[at]
      let (digit, letter) = (byte &- UInt8(ascii: "0"), byte &- UInt8(ascii: "a"))
      isHex = isHex && (digit < 10 || letter < 6)
      word = word << 4 | UInt64(digit < 10 ? digit : letter &+ 10)
    }
    return isHex ? word : nil
  }

  static func format(high: UInt64, low: UInt64) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return unsafe String(unsafeUninitializedCapacity: length) { buffer in
      var at = 0
      for nibble in 0..<32 {
        if nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20 {
          unsafe buffer[at] = UInt8(ascii: "-")
          at += 1
        }
        let word = nibble < 16 ? high : low
        unsafe buffer[at] = digits[Int((word >> (60 - UInt64(nibble % 16) * 4)) & 0xF)]
        at += 1
      }
      return at
    }
  }
}
