/// One call on a client's ttrpc connection.
final class TTRPCClientStream: ClientStream {
  let head: RequestHead
  /// Nanoseconds.
  let timeout: UInt64?
  /// Its place among the calls of the connection.
  let order: Int
  /// 0 until its request has been written: numbers must grow on the wire.
  var id: UInt32 = 0
  /// In the connection's list of streams that have something to write.
  var isQueued = false
  /// The server knows that no more messages follow.
  var isClosed = false
  /// Bytes of messages that the caller has not taken.
  var heldBytes = 0
  /// A message has come in.
  var hasBegun = false

  init(_ head: RequestHead, timeout: UInt64?, order: Int) {
    self.head = head
    self.timeout = timeout
    self.order = order
    super.init(head.kind)
  }

  /// Whether there is something to write now.
  var canWrite: Bool {
    if end != nil { return false }
    if id == 0 { return kind.clientStreams || outbound.first != nil }
    return outbound.first != nil || requestsFinished && !isClosed
  }
}
