public import TenancyRPCCore

/// The messages of a streaming request, decoded, in order. One task reads them.
public struct RequestStream<Message: WireMessage>: AsyncSequence, Sendable {
  public typealias Element = Message
  public typealias Failure = RPCStatus

  /// A message, and how it came in.
  public struct Received: Sendable {
    /// Decoded and checked.
    public let message: Message
    /// Whether the client had packed it.
    public let wasCompressed: Bool
  }

  private let messages: RequestMessages
  private let coder = MessageCoder()

  init(_ messages: RequestMessages) { self.messages = messages }

  /// The next message; nil once the client has sent all.
  ///
  /// - Throws: as `RequestMessages.next`; INVALID_ARGUMENT for bytes that are not the message.
  public nonisolated(nonsending) func next() async throws(RPCStatus) -> Message? {
    try await nextReceived()?.message
  }

  /// The same, with how the message came in.
  public nonisolated(nonsending) func nextReceived() async throws(RPCStatus) -> Received? {
    guard let received = try await messages.next() else { return nil }
    return Received(
      message: try coder.decode(Message.self, received.bytes),
      wasCompressed: received.wasCompressed)
  }

  public func makeAsyncIterator() -> Iterator { Iterator(stream: self) }

  /// For one task; all iterators of a call share its messages.
  public struct Iterator: AsyncIteratorProtocol {
    let stream: RequestStream

    public func next() async throws(RPCStatus) -> Message? { try await stream.next() }

    public func next(
      isolation actor: isolated (any Actor)?
    ) async throws(RPCStatus) -> Message? {
      try await stream.next()
    }
  }
}
