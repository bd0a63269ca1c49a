/// Base64 (RFC 4648 §4), in which gRPC sends values of `-bin` names.
extension GRPCCoding {
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  /// What each byte stands for; over 63: nothing.
  private static let values: [UInt8] = {
    var values = [UInt8](repeating: 0xFF, count: 256)
    for (value, symbol) in alphabet.enumerated() {
      values[Int(symbol)] = UInt8(clamping: value)  // In range: there is one for each byte.
    }
    return values
  }()

  /// Without padding.
  package static func base64Encode(_ bytes: [UInt8]) -> [UInt8] {
    let symbols = alphabet
    var out: [UInt8] = []
    out.reserveCapacity((bytes.count * 4 + 2) / 3)
    var at = 0
    while at + 3 <= bytes.count {
      let bits = Int(bytes[at]) << 16 | Int(bytes[at + 1]) << 8 | Int(bytes[at + 2])
      out.append(symbols[bits >> 18])
      out.append(symbols[bits >> 12 & 63])
      out.append(symbols[bits >> 6 & 63])
      out.append(symbols[bits & 63])
      at += 3
    }
    let left = bytes.count - at
    guard left > 0 else { return out }
    let bits = Int(bytes[at]) << 16 | (left > 1 ? Int(bytes[at + 1]) << 8 : 0)
    out.append(symbols[bits >> 18])
    out.append(symbols[bits >> 12 & 63])
    if left > 1 { out.append(symbols[bits >> 6 & 63]) }
    return out
  }

  /// With or without padding; nil if malformed.
  package static func base64Decode(_ text: some Collection<UInt8>) -> [UInt8]? {
    Array(text).withUnsafeBytes { base64Decode($0) }
  }

  package static func base64Decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
    var count = text.count
    while count > 0, text[count - 1] == UInt8(ascii: "=") { count -= 1 }
    if text.isEmpty { return [] }
    let padding = text.count - count
    guard padding <= 2, padding == 0 || text.count % 4 == 0, count % 4 != 1 else { return nil }
    let values = values
    var out: [UInt8] = []
    out.reserveCapacity(count / 4 * 3 + 2)
    var bits = 0
    var isMalformed = false
    for at in 0..<count {
      let value = values[Int(text[at])]  // In range: there is one for each byte.
      isMalformed = isMalformed || value > 63
      bits = bits << 6 | Int(value & 63)
      guard at & 3 == 3 else { continue }
      out.append(UInt8(truncatingIfNeeded: bits >> 16))
      out.append(UInt8(truncatingIfNeeded: bits >> 8))
      out.append(UInt8(truncatingIfNeeded: bits))
      bits = 0
    }
    if isMalformed { return nil }
    if count & 3 > 1 { out.append(UInt8(truncatingIfNeeded: bits >> (count & 3 == 2 ? 4 : 10))) }
    if count & 3 == 3 { out.append(UInt8(truncatingIfNeeded: bits >> 2)) }
    return out
  }

  /// Decodes the values between commas, without regard to spaces; those that are malformed are left out.
  /// `values` does not grow beyond `limit`.
  static func decodeList(
    _ text: UnsafeRawBufferPointer, into values: inout [[UInt8]], limit: Int
  ) {
    var start = 0
    while start <= text.count, values.count < limit {
      var end = start
      while end < text.count, text[end] != UInt8(ascii: ",") { end += 1 }
      let part = UnsafeRawBufferPointer(rebasing: text[start..<end])
      let space = UInt8(ascii: " ")
      let value =
        part.contains(space) ? base64Decode(part.filter { $0 != space }) : base64Decode(part)
      if let value { values.append(value) }
      start = end + 1
    }
  }
}
