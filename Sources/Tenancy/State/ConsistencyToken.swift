/// Names a moment of one store's history: whoever gives it to a read gets that moment or a later one.
///
/// As text it is 33 characters: `1`, then 16 hexadecimal digits for the store, in one of its lives, and 16 for
/// the revision. Clients pass it on as it is: other forms may come. It is no secret and grants nothing.
public struct ConsistencyToken: Hashable, Sendable {
  /// Of which store it is: another one's revisions say nothing.
  public let store: UInt64
  /// A read that carries the token sees at least this.
  public let revision: UInt64

  /// - Parameter store: of which store the revision is.
  public init(store: UInt64, revision: UInt64) {
    self.store = store
    self.revision = revision
  }

  /// - Parameter incarnation: tells the store's life from those of all others.
  init(incarnation: String, revision: UInt64) {
    // FNV-1a: tokens are not forged to any advantage.
    store = incarnation.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    self.revision = revision
  }

  /// Nil unless it is the text of a token.
  public init?(parsing text: String) {
    let digits = text.utf8.dropFirst()
    guard text.utf8.first == Self.form, digits.count == 32 else { return nil }
    guard let store = Self.number(digits.prefix(16)), let revision = Self.number(digits.suffix(16))
    else { return nil }
    self.init(store: store, revision: revision)
  }

  /// For clients; `init(parsing:)` takes it.
  public var text: String { "1" + Self.text(store) + Self.text(revision) }

  private static let form = UInt8(ascii: "1")

  private static func number(_ digits: Substring.UTF8View.SubSequence) -> UInt64? {
    digits.reduce(into: UInt64?.some(0)) { number, digit in
      guard let value = value(digit) else { return number = nil }
      number = number.map { $0 << 4 | value }
    }
  }

  private static func value(_ digit: UInt8) -> UInt64? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(digit - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(digit - UInt8(ascii: "a") + 10)
    default: nil
    }
  }

  private static func text(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
  }
}
