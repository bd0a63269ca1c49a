extension RPCStatus {
  /// Bytes of a message that are sent, over either protocol: a longer one is cut. Clients take about 8 KiB of
  /// trailers, and nghttp2 does not send a header block over 64 KiB at all: the call would never be answered.
  package static let maximumSentMessage = 1024
  /// Bytes of details that are sent: larger ones are left out.
  package static let maximumSentDetails = 4096
}

extension String {
  /// The longest beginning of whole characters of Unicode that is no longer than `limit` bytes.
  public func clipped(toBytes limit: Int) -> String {
    if utf8.count <= limit { return self }
    var end = utf8.index(utf8.startIndex, offsetBy: limit)
    while end > utf8.startIndex, utf8[end] & 0xC0 == 0x80 { end = utf8.index(before: end) }
    return String(self[..<end])
  }
}
