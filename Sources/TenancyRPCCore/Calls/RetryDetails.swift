/// For refusals that the embedder does not describe: a `google.rpc.Status` that holds one.
extension RetryInfo {
  private static let typeURL = "type.googleapis.com/google.rpc.RetryInfo"

  package static func details(_ status: RPCStatus, delay: Duration) -> [UInt8] {
    let (seconds, attoseconds) = delay.components
    let duration =
      number(1, UInt64(max(0, seconds))) + number(2, UInt64(max(0, attoseconds / 1_000_000_000)))
    let packed = field(1, Array(typeURL.utf8)) + field(2, field(1, duration))
    return number(1, UInt64(status.code.rawValue)) + field(2, Array(status.message.utf8))
      + field(3, packed)
  }

  /// A length-delimited field.
  private static func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
    [number << 3 | 2] + varint(UInt64(content.count)) + content
  }

  private static func number(_ field: UInt8, _ value: UInt64) -> [UInt8] {
    value == 0 ? [] : [field << 3] + varint(value)
  }

  private static func varint(_ value: UInt64) -> [UInt8] {
    var (bytes, rest): ([UInt8], UInt64) = ([], value)
    while rest > 0x7F {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(truncatingIfNeeded: rest)]
  }
}
