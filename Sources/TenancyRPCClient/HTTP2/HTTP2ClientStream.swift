internal import CTenancyNghttp2
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// One call on a client's HTTP/2 connection.
final class HTTP2ClientStream: ClientStream {
  /// 0 until nghttp2 has given it one.
  var id: Int32 = 0
  /// Its HEADERS went out: the server may know of the call.
  var isSent = false
  /// nghttp2 waits for more of the request.
  var isDeferred = false
  var response: ResponseReader
  /// Bytes of DATA that came in, and of those the ones that the server may send again.
  var receivedBytes = 0
  var creditedBytes = 0
  /// Bytes of whole messages that the caller has not taken.
  var heldBytes = 0

  init(_ kind: CallKind, limits: ClientLimits) {
    response = ResponseReader(limits)
    super.init(kind)
  }

  /// What flow control may give back to the server now. What belongs to an unfinished message is in
  /// there: otherwise one larger than the window would never end.
  func takeCredit() -> Int {
    let credit = receivedBytes - heldBytes - creditedBytes
    creditedBytes += credit
    return credit
  }

  /// Copies the next part of the request, as gRPC frames it: a byte of flags, the length, the message.
  /// Returns the number of bytes, or `NGHTTP2_ERR_DEFERRED`.
  func fill(_ target: UnsafeMutablePointer<UInt8>, _ room: Int, isLast: inout Bool) -> Int {
    var filled = 0
    while filled < room, let message = outbound.first {
      filled += copy(message, to: target + filled, room - filled)
      guard outboundOffset == MessageReader.prefixLength + message.bytes.count else { break }
      outbound.popFirst()
      outboundOffset = 0
      sentCost += message.cost
    }
    isLast = outbound.isEmpty && requestsFinished
    isDeferred = filled == 0 && !isLast
    return isDeferred ? Int(NGHTTP2_ERR_DEFERRED.rawValue) : filled
  }

  private func copy(
    _ message: OutboundMessage, to target: UnsafeMutablePointer<UInt8>, _ room: Int
  ) -> Int {
    var copied = 0
    while copied < room, outboundOffset < MessageReader.prefixLength {
      target[copied] = prefixByte(outboundOffset, message)
      outboundOffset += 1
      copied += 1
    }
    let start = outboundOffset - MessageReader.prefixLength
    let count = min(room - copied, message.bytes.count - start)
    guard copied < room, count > 0 else { return copied }
    message.bytes.withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return }
      (target + copied).update(from: base + start, count: count)
    }
    outboundOffset += count
    return copied + count
  }

  private func prefixByte(_ index: Int, _ message: OutboundMessage) -> UInt8 {
    if index == 0 { return message.isCompressed ? 1 : 0 }
    return UInt8(truncatingIfNeeded: message.bytes.count >> (8 * (4 - index)))
  }
}
