/// The messages of a streaming request, in order. One task reads them.
public struct RequestMessages: AsyncSequence, Sendable {
  public typealias Element = ReceivedMessage
  public typealias Failure = RPCStatus
  /// Looks at a message, or puts another in its place.
  public typealias Change = @Sendable (ReceivedMessage) throws(RPCStatus) -> ReceivedMessage

  let pipe: CallPipe
  private var changes: [Change] = []

  init(pipe: CallPipe) { self.pipe = pipe }

  /// The messages as `change` makes them, each when it is read. What it throws, whoever reads throws: the call goes on
  /// if that does.
  public func mapped(_ change: @escaping Change) -> RequestMessages {
    var mapped = self
    mapped.changes.append(change)
    return mapped
  }

  /// The next message; nil once the client has sent all.
  ///
  /// - Throws: CANCELLED when the client went away or the task was cancelled, DEADLINE_EXCEEDED, or what
  ///   is wrong with what the client sent.
  public nonisolated(nonsending) func next() async throws(RPCStatus) -> ReceivedMessage? {
    guard var message = try await pipe.next() else { return nil }
    for change in changes { message = try change(message) }
    return message
  }

  public func makeAsyncIterator() -> Iterator { Iterator(messages: self) }

  public struct Iterator: AsyncIteratorProtocol {
    let messages: RequestMessages

    public func next() async throws(RPCStatus) -> ReceivedMessage? { try await messages.next() }

    public func next(
      isolation actor: isolated (any Actor)?
    ) async throws(RPCStatus) -> ReceivedMessage? {
      try await messages.next()
    }
  }
}

/// Sends the messages of a streaming response. Thread-safe; messages of one task keep their order.
public final class ResponseWriter: Sendable {
  /// Looks at a message, or puts another in its place.
  public typealias Change = @Sendable ([UInt8]) throws(RPCStatus) -> [UInt8]

  private let pipe: CallPipe
  private let changes: [Change]

  init(_ pipe: CallPipe, changes: [Change] = []) {
    self.pipe = pipe
    self.changes = changes
  }

  /// Sends what `change` makes of messages. What it throws, whoever sends throws: the call goes on if that does.
  public func mapped(_ change: @escaping Change) -> ResponseWriter {
    ResponseWriter(pipe, changes: [change] + changes)
  }

  /// What the response carries besides messages.
  public var control: ResponseControl { pipe.control }

  /// Sends a message; waits while too much is under way that the client has not taken.
  ///
  /// - Parameter compress: packs it, if `enableCompression` was called and the client takes that.
  /// - Throws: why the call is over: CANCELLED when the client went away, DEADLINE_EXCEEDED.
  public nonisolated(nonsending) func send(
    _ message: [UInt8], compress: Bool = false
  ) async throws(RPCStatus) {
    var message = message
    for change in changes { message = try change(message) }
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
