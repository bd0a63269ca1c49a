/// The messages of a streaming request, in order. One task reads them.
public struct RequestMessages: AsyncSequence, Sendable {
  public typealias Element = ReceivedMessage
  public typealias Failure = RPCStatus

  let pipe: CallPipe

  /// The next message; nil once the client has sent all.
  ///
  /// - Throws: CANCELLED when the client went away or the task was cancelled, DEADLINE_EXCEEDED, or what
  ///   is wrong with what the client sent.
  public nonisolated(nonsending) func next() async throws(RPCStatus) -> ReceivedMessage? {
    try await pipe.next()
  }

  public func makeAsyncIterator() -> Iterator { Iterator(pipe: pipe) }

  public struct Iterator: AsyncIteratorProtocol {
    let pipe: CallPipe

    public func next() async throws(RPCStatus) -> ReceivedMessage? { try await pipe.next() }

    public func next(
      isolation actor: isolated (any Actor)?
    ) async throws(RPCStatus) -> ReceivedMessage? {
      try await pipe.next()
    }
  }
}

/// Sends the messages of a streaming response. Thread-safe; messages of one task keep their order.
public final class ResponseWriter: Sendable {
  private let pipe: CallPipe

  init(_ pipe: CallPipe) { self.pipe = pipe }

  /// What the response carries besides messages.
  public var control: ResponseControl { pipe.control }

  /// Sends a message; waits while too much is under way that the client has not taken.
  ///
  /// - Parameter compress: packs it, if `enableCompression` was called and the client takes that.
  /// - Throws: why the call is over: CANCELLED when the client went away, DEADLINE_EXCEEDED.
  public nonisolated(nonsending) func send(
    _ message: [UInt8], compress: Bool = false
  ) async throws(RPCStatus) {
    try await pipe.send(message, compress: compress)
  }

  /// Sends the initial metadata now, before there is a message.
  public func sendHeaders(_ metadata: RPCMetadata = RPCMetadata()) {
    pipe.control.addHeaders(metadata)
    pipe.sendHeaders()
  }

  /// Adds to the trailing metadata.
  public func addTrailers(_ metadata: RPCMetadata) { pipe.control.addTrailers(metadata) }

  /// Whether the client takes packed messages.
  public var clientTakesCompression: Bool { pipe.clientTakesGzip }
}
