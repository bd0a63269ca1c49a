/// Text that equals only what has the same bytes. Swift's own `==` takes canonically equivalent text for
/// the same (`K` and the Kelvin sign), which RFC 7519 §2 and RFC 8725 §2.8 do not.
package struct ExactText: Hashable, Sendable, Comparable, CustomStringConvertible,
  ExpressibleByStringLiteral
{
  package let text: String

  package init(_ text: String) { self.text = text }
  package init(stringLiteral text: String) { self.text = text }

  package var description: String { text }

  package static func == (first: Self, second: Self) -> Bool {
    // Spans: iterators of a string's bytes take several times as long.
    let one = first.text.utf8.span
    let other = second.text.utf8.span
    guard one.count == other.count else { return false }
    for at in one.indices where one[at] != other[at] { return false }
    return true
  }

  package func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
    hasher.combine(text.utf8.count)
  }

  /// In the order of the bytes.
  package static func < (first: Self, second: Self) -> Bool {
    let one = first.text.utf8.span
    let other = second.text.utf8.span
    for at in 0..<min(one.count, other.count) where one[at] != other[at] {
      return one[at] < other[at]
    }
    return one.count < other.count
  }
}
