import Tenancy

/// Page sizes and tokens (AIP-158). A token is where the page after begins and for which question; it
/// is checked, but no secret: it never reaches what the caller may not list anyway.
struct Page {
  static let defaultSize = 50
  static let maximumSize = 1000
  /// A page ends early rather than grow over this many bytes of messages.
  static let maximumBytes = 2 * 1024 * 1024

  let size: Int
  /// The last key of the page before; nil: from the beginning.
  let after: String?
  private let question: String

  /// - Parameter question: everything that must not change from page to page.
  init(size: Int32, token: String, question: String) throws(TenancyError) {
    guard size >= 0 else { throw .invalid("page_size", "must not be negative") }
    self.size = size == 0 ? Self.defaultSize : min(Int(size), Self.maximumSize)
    self.question = question
    if token.isEmpty {
      after = nil
      return
    }
    guard let text = Hex.decode(token) else { throw Self.badToken }
    let parts = text.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "1", let digest = UInt64(parts[1], radix: 16),
      digest == Self.digest(question + "\u{1}" + parts[2])
    else { throw Self.badToken }
    after = String(parts[2])
  }

  /// The token for the page that begins after `key`.
  func token(after key: String) -> String {
    let digest = Self.digest(question + "\u{1}" + key)
    return Hex.encode("1 \(String(digest, radix: 16)) \(key)")
  }

  private static let badToken = TenancyError.invalid(
    "page_token", "not one that this list gave out for the same question")

  /// FNV-1a: finds mistakes, not forgers.
  private static func digest(_ text: String) -> UInt64 {
    text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }
}

enum Hex {
  static func encode(_ text: String) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: text.utf8.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// Nil for what is not hex of ASCII text.
  static func decode(_ text: String) -> String? {
    guard text.utf8.count.isMultiple(of: 2), text.utf8.count <= 2048 else { return nil }
    var bytes: [UInt8] = []
    var high: UInt8?
    for byte in text.utf8 {
      let value: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = byte - UInt8(ascii: "a") + 10
      default: return nil
      }
      if let first = high {
        bytes.append(first << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
    guard bytes.allSatisfy({ $0 < 0x80 }) else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }
}
