/// Base64 for URLs without padding (RFC 7515 §2), of which every value has exactly one text.
package enum Base64URL {
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
  /// What each byte stands for; over 63: nothing.
  private static let values: [UInt8] = {
    var values = [UInt8](repeating: 0xFF, count: 256)
    for (value, symbol) in alphabet.enumerated() {
      values[Int(symbol)] = UInt8(clamping: value)  // In range: there is one for each byte.
    }
    return values
  }()

  package static func encode(_ bytes: [UInt8]) -> [UInt8] {
    let symbols = alphabet
    var out: [UInt8] = []
    out.reserveCapacity((bytes.count * 4 + 2) / 3)
    var (bits, waiting) = (0, 0)
    for byte in bytes {
      bits = (bits & 0xFF) << 8 | Int(byte)
      waiting += 8
      while waiting >= 6 {
        waiting -= 6
        out.append(symbols[bits >> waiting & 63])
      }
    }
    if waiting > 0 { out.append(symbols[bits << (6 - waiting) & 63]) }
    return out
  }

  package static func text(_ bytes: [UInt8]) -> ExactText {
    ExactText(String(decoding: encode(bytes), as: UTF8.self))
  }

  /// - Returns: nil for padding, white space, any other symbol, a length that nothing has, and unused bits
  ///   that are not zero.
  package static func decode(_ text: [UInt8]) -> [UInt8]? { decode(text.span) }

  /// The same.
  package static func decode(_ text: Span<UInt8>) -> [UInt8]? {
    guard text.count % 4 != 1 else { return nil }
    let values = values
    var out: [UInt8] = []
    out.reserveCapacity(text.count / 4 * 3 + 2)
    var (bits, waiting) = (0, 0)
    // Of what stands for nothing all bits are set, so one look at the end is enough.
    var seen: UInt8 = 0
    for at in text.indices {
      let value = values[Int(text[at])]  // In range: there is one for each byte.
      seen |= value
      bits = bits << 6 | Int(value & 63)
      waiting += 6
      if waiting >= 8 {
        waiting -= 8
        out.append(UInt8(truncatingIfNeeded: bits >> waiting))
        bits &= 0x3F
      }
    }
    return seen < 64 && bits & (1 << waiting - 1) == 0 ? out : nil
  }
}
