/// PostgreSQL's text can't hold U+0000. It is written as U+0010 (data link escape) and `0`, and U+0010
/// itself twice; all other text is stored as it is.
enum NULFreeText {
  private static let escape: UInt8 = 0x10
  private static let zero = UInt8(ascii: "0")

  static func encode(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 == 0 || $0 == escape }) else { return text }
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case 0: bytes += [escape, zero]
      case escape: bytes += [escape, escape]
      default: bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Nil when the text is none that `encode` makes.
  static func decode(_ text: String) -> String? {
    guard text.utf8.contains(escape) else { return text }
    var bytes: [UInt8] = []
    var rest = text.utf8.makeIterator()
    while let byte = rest.next() {
      guard byte == escape else {
        bytes.append(byte)
        continue
      }
      switch rest.next() {
      case zero: bytes.append(0)
      case escape: bytes.append(escape)
      default: return nil
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
