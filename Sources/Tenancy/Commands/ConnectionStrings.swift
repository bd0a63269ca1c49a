/// Secrets in connection strings, in the notations of common drivers. A password belongs in a field of its
/// own, which is never shown.
enum ConnectionStrings {
  private static let keys = ["password", "passwd", "pwd", "sslpassword", "secret"]

  static func holdsSecret(_ text: String) -> Bool {
    [text, decoded(text)].contains { namesSecret($0) || hasSecretInAuthority($0) }
  }

  /// `password=…` in keyword, query or semicolon form, in any case, with spaces around the sign or not.
  private static func namesSecret(_ text: String) -> Bool {
    let parts = text.lowercased().split(separator: "=", omittingEmptySubsequences: false).dropLast()
    return parts.contains { part in
      let key = part.reversed().drop(while: \.isWhitespace).prefix { $0.isLetter || $0 == "_" }
      return keys.contains { String(key.reversed()).hasSuffix($0) }
    }
  }

  /// `user:password@host`, behind a scheme or not.
  private static func hasSecretInAuthority(_ text: String) -> Bool {
    let start = text.firstRange(of: "://")?.upperBound ?? text.startIndex
    guard let at = text[start...].lastIndex(of: "@") else { return false }
    let authority = text[start...].prefix { !"/?#".contains($0) }
    // Behind a host and its port, an @ is part of the path or the query.
    if authority.endIndex <= at, let colon = authority.lastIndex(of: ":"),
      authority[authority.index(after: colon)...].allSatisfy(\.isNumber)
    {
      return false
    }
    return text[start..<at].contains(":")
  }

  /// Without percent-encoding, which drivers undo in keys as well.
  private static func decoded(_ text: String) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), rest.count >= 2,
        let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
      {
        bytes.append(value)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
