import Synchronization

/// Messages to bytes and back, with memory that is used again for the next one. Thread-safe.
package final class MessageCoder: Sendable {
  package init() {}

  /// Made for the first message: many calls wait for one. Most messages are small.
  private let arena = Mutex<Arena?>(nil)

  private static let firstBlock = 1024

  /// - Throws: INVALID_ARGUMENT, or RESOURCE_EXHAUSTED for what describes more than an arena holds.
  package func decode<Message: WireMessage>(
    _: Message.Type, _ bytes: [UInt8]
  ) throws(RPCStatus) -> Message {
    try arena.withLock { kept throws(RPCStatus) in
      let arena = Self.ready(&kept)
      // What a large message took is not kept while its handler works.
      defer { arena.reset() }
      return try bytes.span.bytes.withUnsafeBytes { bytes throws(RPCStatus) in
        do throws(WireError) {
          return try Message(decoding: bytes, arena: arena)
        } catch {
          throw error.status
        }
      }
    }
  }

  package func encode(_ message: some WireMessage) -> [UInt8] {
    arena.withLock { kept in
      let arena = Self.ready(&kept)
      defer { arena.reset() }
      return message.encode(arena: arena)
    }
  }

  private static func ready(_ kept: inout Arena?) -> Arena {
    let arena = kept ?? Arena(firstBlock: firstBlock)
    kept = arena
    return arena
  }
}

extension WireError {
  /// What a client is told whose request can't be read.
  public var status: RPCStatus {
    switch self {
    case .malformed: RPCStatus(.invalidArgument, "not an encoding of the request message")
    case .tooLarge:
      RPCStatus(.resourceExhausted, "the request describes more than the server will hold")
    case .violation(let violation):
      RPCStatus(.invalidArgument, "\(violation.field): \(violation.description)")
    }
  }
}
