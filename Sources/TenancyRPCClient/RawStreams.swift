public import TenancyRPCCore
internal import TenancyRPCFraming

/// Sends the request messages of one call, as bytes. Thread-safe; must not be used after the closure
/// that it was given to.
public struct RawRequestWriter: Sendable {
  /// What `send` throws when the server ended the call well and wants no more requests.
  public static let notWanted = RPCStatus(.cancelled, "the server has ended the call")

  let mailbox: CallMailbox
  let packs: Bool
  let limit: Int

  /// Sends a message, waiting while the server does not take what was sent before. Cancelling a task
  /// that waits cancels the call.
  ///
  /// - Throws: the status that the call has ended with; `notWanted` if that is OK; RESOURCE_EXHAUSTED
  ///   for a message over `ClientLimits.maximumRequestMessageBytes`, which does not end the call.
  public func send(_ message: [UInt8]) async throws(RPCStatus) {
    try await mailbox.send(try Self.outbound(message, packs: packs, limit: limit))
  }

  /// No more messages follow. Also done when the closure that sends returns.
  public func finish() { mailbox.finish() }

  static func outbound(
    _ message: [UInt8], packs: Bool, limit: Int
  ) throws(RPCStatus) -> OutboundMessage {
    guard message.count <= limit else {
      throw RPCStatus(.resourceExhausted, "the request message is larger than \(limit) bytes")
    }
    // A message that packing makes larger goes as it is, which the protocol allows.
    guard packs, let packed = Gzip.compress(message), packed.count < message.count else {
      return OutboundMessage(bytes: message)
    }
    return OutboundMessage(bytes: packed, isCompressed: true)
  }
}

/// The response messages of one call, as bytes: a sequence to be read once. Ends when the call ends
/// well, throws its `RPCStatus` when it does not. Thread-safe; must not be used after the closure that
/// it was given to.
///
/// Messages that are not read hold the server up. Cancelling a task that waits cancels the call.
public struct RawResponseMessages: AsyncSequence, Sendable {
  let mailbox: CallMailbox
  let limit: Int

  /// What the server sent before the messages; waits for it.
  ///
  /// - Throws: the call's status, if it ended before.
  public var initialMetadata: RPCMetadata {
    get async throws(RPCStatus) { try await mailbox.headers() }
  }

  /// What the server sent after the last message; empty until the call is over.
  public var trailingMetadata: RPCMetadata { mailbox.metadata.trailing }

  public func makeAsyncIterator() -> Iterator { Iterator(messages: self) }

  /// The next message; nil at the end.
  public func next() async throws(RPCStatus) -> [UInt8]? {
    guard let message = try await mailbox.next() else { return nil }
    return try Self.unpacked(message, limit: limit)
  }

  static func unpacked(_ message: InboundMessage, limit: Int) throws(RPCStatus) -> [UInt8] {
    guard message.isCompressed else { return message.bytes }
    let unpacked = message.bytes.withUnsafeBytes { bytes -> Result<[UInt8], RPCStatus> in
      Result { () throws(RPCStatus) in try MessageReader.unpack(bytes, limit: limit) }
    }
    return try unpacked.get()
  }

  /// For one task; all iterators of a call share its messages.
  public struct Iterator: AsyncIteratorProtocol {
    let messages: RawResponseMessages

    public mutating func next() async throws(RPCStatus) -> [UInt8]? { try await messages.next() }

    public mutating func next(
      isolation actor: isolated (any Actor)?
    ) async throws(RPCStatus) -> [UInt8]? { try await messages.next() }
  }
}
