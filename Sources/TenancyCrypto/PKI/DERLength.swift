/// How long DER values are (X.690 §8.1.3).
package enum DERLength {
  /// Bytes of the first value, which is a sequence; nil where none is whole.
  package static func first(_ bytes: ArraySlice<UInt8>) -> Int? {
    guard bytes.count >= 2, bytes.first == 0x30 else { return nil }
    let first = Int(bytes[bytes.startIndex + 1])
    let count = first < 0x80 ? 0 : first & 0x7F
    guard count <= 3, bytes.count >= 2 + count else { return nil }
    let content =
      first < 0x80 ? first : bytes.dropFirst(2).prefix(count).reduce(0) { $0 << 8 | Int($1) }
    let length = 2 + count + content
    return length <= bytes.count ? length : nil
  }
}
