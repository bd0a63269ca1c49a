import TenancyRPC

/// Requests of the services that any server has. They ask for things by name; one that is larger than
/// such a request can be is refused before anything in it is looked at, since that would happen on the
/// event loop, for whoever may connect.
enum SmallRequests {
  /// Bytes of a request message. Over it: INVALID_ARGUMENT.
  static let maximumBytes = 4 * 1024
  /// What decoding takes at first, for messages that small.
  private static let arenaBytes = 1024

  static func decode<Message: WireMessage>(
    _: Message.Type, _ bytes: UnsafeRawBufferPointer, _ arena: Arena
  ) throws(RPCStatus) -> Message {
    guard bytes.count <= maximumBytes else {
      throw RPCStatus(.invalidArgument, "request: is longer than \(maximumBytes) bytes")
    }
    do throws(WireError) {
      return try Message(decoding: bytes, arena: arena)
    } catch {
      throw error.status
    }
  }

  /// The next message of a stream; nil once the client has sent all.
  static func next<Message: WireMessage>(
    _: Message.Type, of requests: RequestMessages
  ) async throws(RPCStatus) -> Message? {
    guard let received = try await requests.next() else { return nil }
    return try received.bytes.span.bytes.withUnsafeBytes { bytes throws(RPCStatus) in
      try decode(Message.self, bytes, Arena(firstBlock: arenaBytes))
    }
  }
}

extension InlineCallState {
  func reply(_ message: some WireMessage) {
    let bytes = message.encode(arena: arena)
    reply(count: bytes.count) { target in
      bytes.withUnsafeBytes { bytes in
        if let base = bytes.baseAddress { target.copyMemory(from: base, byteCount: bytes.count) }
      }
    }
  }
}

extension ResponseWriter {
  func send(_ message: some WireMessage) async throws(RPCStatus) {
    try await send(message.encode(arena: Arena()))
  }
}
