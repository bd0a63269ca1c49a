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

  /// `user:password@host`, behind a scheme or not, or `user/password@host`. Passwords are written without
  /// the encoding that their characters need: only what can't be one is taken for something else.
  private static func hasSecretInAuthority(_ text: String) -> Bool {
    let scheme = text.firstRange(of: "://")
    let start = scheme?.upperBound ?? text.startIndex
    guard let at = text[start...].lastIndex(of: "@") else { return false }
    let before = text[start..<at]
    guard before.contains(":") else {
      return scheme == nil && before.contains("/") && !before.contains("=")
    }
    return !isQuery(before)
  }

  /// Whether text ends in a query's setting, behind a host, its port if any, and a path.
  private static func isQuery(_ text: Substring) -> Bool {
    let authority = text.prefix { !"/?#".contains($0) }
    let rest = text[authority.endIndex...]
    guard rest.hasPrefix("/"), let query = rest.firstIndex(of: "?"), rest[query...].contains("=")
    else { return false }
    if authority.hasSuffix("]") { return true }
    guard let colon = authority.lastIndex(of: ":") else { return true }
    return authority[authority.index(after: colon)...].allSatisfy(\.isNumber)
  }

  /// Without percent-encoding, which drivers undo in keys as well.
  static func decoded(_ text: String) -> String {
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
