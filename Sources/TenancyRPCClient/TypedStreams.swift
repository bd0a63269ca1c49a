public import TenancyRPCCore

/// Sends the request messages of one call. Thread-safe; must not be used after the closure that it was
/// given to.
public struct RequestWriter<Message: WireMessage>: Sendable {
  private let raw: RawRequestWriter
  private let coder = MessageCoder()

  init(_ raw: RawRequestWriter) { self.raw = raw }

  /// Sends a message, waiting while the server does not take what was sent before. Cancelling a task
  /// that waits cancels the call.
  ///
  /// - Throws: as `RawRequestWriter.send`.
  public func send(_ message: Message) async throws(RPCStatus) {
    try await raw.send(coder.encode(message))
  }

  /// No more messages follow. Also done when the closure that sends returns.
  public func finish() { raw.finish() }
}

/// The response messages of one call: a sequence to be read once. Ends when the call ends well, throws
/// its `RPCStatus` when it does not. Thread-safe; must not be used after the closure that it was given
/// to.
///
/// Messages that are not read hold the server up. Cancelling a task that waits cancels the call.
public struct ResponseMessages<Message: WireMessage>: AsyncSequence, Sendable {
  public typealias Element = Message
  public typealias Failure = RPCStatus

  private let raw: RawResponseMessages
  private let coder = MessageCoder()

  init(_ raw: RawResponseMessages) { self.raw = raw }

  /// What the server sent before the messages; waits for it.
  ///
  /// - Throws: the call's status, if it ended before.
  public var initialMetadata: RPCMetadata {
    get async throws(RPCStatus) { try await raw.initialMetadata }
  }

  /// What the server sent after the last message; empty until the call is over.
  public var trailingMetadata: RPCMetadata { raw.trailingMetadata }

  /// The next message; nil at the end.
  ///
  /// - Throws: how the call ended; INTERNAL for bytes that are not the message.
  public func next() async throws(RPCStatus) -> Message? {
    guard let bytes = try await raw.next() else { return nil }
    return try coder.decodeResponse(Message.self, bytes)
  }

  public func makeAsyncIterator() -> Iterator { Iterator(messages: self) }

  /// For one task; all iterators of a call share its messages.
  public struct Iterator: AsyncIteratorProtocol {
    let messages: ResponseMessages

    public mutating func next() async throws(RPCStatus) -> Message? { try await messages.next() }

    public mutating func next(
      isolation actor: isolated (any Actor)?
    ) async throws(RPCStatus) -> Message? { try await messages.next() }
  }
}

extension MessageCoder {
  /// What can't be read is the server's fault.
  func decodeResponse<Message: WireMessage>(
    _ type: Message.Type, _ bytes: [UInt8]
  ) throws(RPCStatus) -> Message {
    do throws(RPCStatus) {
      return try decode(type, bytes)
    } catch {
      throw RPCStatus(.internalError, "the server's response can't be read: \(error.message)")
    }
  }
}
