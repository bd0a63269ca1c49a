/// A tenant's mutable name: a lower-case DNS label (RFC 1123 §2.1: letters, digits and hyphens,
/// 1 to 63 characters, no hyphen at either end). Text in the form of a UUID is refused, so that a
/// slug never reads as another tenant's id.
public struct Slug: Hashable, Sendable, CustomStringConvertible {
  /// Characters of a DNS label.
  public static let maximumLength = 63

  /// The canonical form.
  public let text: String
  public var description: String { text }

  /// Returns nil when `text` is not a slug in canonical form.
  public init?(parsing text: String) {
    guard (1...Self.maximumLength).contains(text.utf8.count),
      text.utf8.allSatisfy({ Self.isAllowed($0) }),
      text.utf8.first != Self.hyphen, text.utf8.last != Self.hyphen,
      unsafe UUIDText.parse(text.utf8Span.span.bytes) == nil
    else { return nil }
    self.text = text
  }

  /// A slug made from a display name: letters and digits kept in lower case, everything else a hyphen.
  /// Returns nil when nothing usable is left.
  public init?(deriving displayName: String) {
    var out: [UInt8] = []
    for byte in displayName.lowercased().utf8 {
      if Self.isAllowed(byte), byte != Self.hyphen {
        out.append(byte)
      } else if let last = out.last, last != Self.hyphen {
        out.append(Self.hyphen)
      }
    }
    out = Array(out.prefix(Self.maximumLength))
    while out.last == Self.hyphen { out.removeLast() }
    self.init(parsing: String(decoding: out, as: UTF8.self))
  }

  private static let hyphen = UInt8(ascii: "-")

  static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), hyphen: true
    default: false
    }
  }
}
