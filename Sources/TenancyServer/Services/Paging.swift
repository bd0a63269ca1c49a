import Tenancy

/// Page sizes and tokens (AIP-158). A token is where the page after begins and for which question; it
/// is checked, but no secret: it never reaches what the caller may not list anyway.
struct Page {
  static let defaultSize = 50
  static let maximumSize = 1000
  /// Characters of a token.
  static let maximumTokenLength = 2048

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
    guard let text = Hex.decode(token, maximumLength: Self.maximumTokenLength) else {
      throw Self.badToken
    }
    let parts = text.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "1", let digest = UInt64(parts[1], radix: 16),
      digest == Self.digest(question, parts[2])
    else { throw Self.badToken }
    after = String(parts[2])
  }

  /// The token for the page that begins after `key`.
  func token(after key: String) -> String {
    Hex.encode("1 \(String(Self.digest(question, key[...]), radix: 16)) \(key)")
  }

  static let badToken = TenancyError.invalid(
    "page_token", "not one that this list gave out for the same question")

  /// FNV-1a: finds mistakes, not forgers.
  private static func digest(_ question: String, _ key: Substring) -> UInt64 {
    func add(_ digest: UInt64, _ byte: UInt8) -> UInt64 {
      (digest ^ UInt64(byte)) &* 0x100_0000_01B3
    }
    return key.utf8.reduce(add(question.utf8.reduce(0xCBF2_9CE4_8422_2325, add), 1), add)
  }
}

extension Page {
  /// A page of `list`, with the token of the page after it, or an empty one at the end.
  ///
  /// It ends with the page's size, with the budget for the answer, and with that for looking: then it
  /// may have few elements or none, and its token goes on behind the last that was looked at.
  /// - Parameters:
  ///   - key: what an element is called in tokens.
  ///   - isWanted: whether it is in the answer; what that costs beyond the look at it is charged there.
  ///   - message: an element as the answer has it, and its bytes, roughly.
  func collect<Element, Message>(
    _ list: some ListCursor<Element>, _ budget: inout WorkBudget, key: (Element) -> String,
    where isWanted: (Element, inout WorkBudget) -> Bool = { _, _ in true },
    _ message: (Element) -> (Message, bytes: Int)
  ) -> (found: [Message], nextPageToken: String) {
    var list = list
    var found: [Message] = []
    var last: Element?
    if list.isAtEnd { return ([], "") }
    while let element = list.next(&budget) {
      if isWanted(element, &budget) {
        if found.count == size || budget.isFull { break }
        let (content, bytes) = message(element)
        budget.answer(bytes: bytes + WorkBudget.elementBytes)
        found.append(content)
      }
      last = element
      if list.isAtEnd { return (found, "") }
    }
    return (found, token(after: last.map(key) ?? after ?? ""))
  }
}

enum Hex {
  static func encode(_ text: String) -> String {
    String(unsafeUninitializedCapacity: 2 * text.utf8.count) { buffer in
      var end = 0
      for byte in text.utf8 {
        buffer[end] = digit(byte >> 4)
        buffer[end + 1] = digit(byte & 15)
        end += 2
      }
      return end
    }
  }

  private static func digit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
  }

  /// Nil for what is not hex of UTF-8, and what is longer.
  static func decode(_ text: String, maximumLength: Int) -> String? {
    guard text.utf8.count.isMultiple(of: 2), text.utf8.count <= maximumLength else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count / 2)
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
    return String(validating: bytes, as: UTF8.self)
  }
}
