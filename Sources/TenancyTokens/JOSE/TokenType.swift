/// What kind a token says it is, in `typ` (RFC 7515 §4.1.9, RFC 8725 §3.11).
package struct TokenType: Hashable, Sendable {
  /// Without `application/`.
  package let name: String

  /// An access token (RFC 9068 §2.1).
  package static let accessToken = TokenType(name: "at+jwt")
  /// What says no more than that it is a JWT (RFC 7519 §5.1).
  package static let jwt = TokenType(name: "JWT")

  /// - Parameter name: a media type, with or without `application/`; its case doesn't matter.
  package init(name: String) {
    guard name.utf8.contains(UInt8(ascii: "/")) else {
      self.name = name
      return
    }
    let prefix = Array("application/".utf8)
    let bytes = Array(name.utf8)
    let rest = bytes.dropFirst(prefix.count)
    // It may be left out only where no other slash is.
    let isLong = Self.folded(bytes).starts(with: prefix) && !rest.contains(UInt8(ascii: "/"))
    self.name = isLong ? String(decoding: rest, as: UTF8.self) : name
  }

  package static func == (first: Self, second: Self) -> Bool {
    first.name.utf8.elementsEqual(second.name.utf8) { folded($0) == folded($1) }
  }

  package func hash(into hasher: inout Hasher) { hasher.combine(Self.folded(Array(name.utf8))) }

  /// In lower case, other letters left as they are: names of media types are ASCII.
  private static func folded(_ bytes: [UInt8]) -> [UInt8] {
    bytes.map { folded($0) }
  }

  private static func folded(_ byte: UInt8) -> UInt8 {
    (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
  }
}
