/// Where a claim is in a token: its name, or for one within others a JSON Pointer, such as `/realm_access/roles`
/// (RFC 6901), which leads through objects only.
public enum ClaimPath {
  /// Objects within one another, and the claim.
  public static let maximumDepth = 8

  /// The names on the way, the claim's last.
  /// - Returns: nil for what looks like a pointer and is none, or leads to a claim that is not within another: that has
  ///   a name.
  public static func names(of text: String) -> [String]? {
    guard text.utf8.first == UInt8(ascii: "/") else { return [text] }
    let parts = text.utf8.dropFirst().split(
      separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard (2...maximumDepth).contains(parts.count) else { return nil }
    var names: [String] = []
    for part in parts {
      guard let name = unescaped(part), !name.isEmpty else { return nil }
      names.append(name)
    }
    return names
  }

  private static func unescaped(_ part: Substring.UTF8View) -> String? {
    var out: [UInt8] = []
    var rest = part
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "~") else {
        out.append(byte)
        continue
      }
      switch rest.popFirst() {
      case UInt8(ascii: "0"): out.append(UInt8(ascii: "~"))
      case UInt8(ascii: "1"): out.append(UInt8(ascii: "/"))
      default: return nil
      }
    }
    return String(decoding: out, as: UTF8.self)
  }
}
