public import TenancyRPCCore
public import TenancyRPCFraming

/// The messages of a streaming request, in order. One task reads them.
public struct RequestMessages: AsyncSequence, Sendable {
  public typealias Element = ReceivedMessage
  public typealias Failure = RPCStatus
  /// Looks at a message, or puts another in its place.
  public typealias Change = @Sendable (ReceivedMessage) throws(RPCStatus) -> ReceivedMessage

  let pipe: CallPipe
  /// Nil where messages are as they came.
  private let change: Change?

  init(pipe: CallPipe, change: Change? = nil) {
    self.pipe = pipe
    self.change = change
  }

  /// The messages as `change` makes them, each when it is read. What it throws, whoever reads throws: the call goes on
  /// if that does.
  public func mapped(_ change: @escaping Change) -> RequestMessages {
    guard let first = self.change else { return RequestMessages(pipe: pipe, change: change) }
    return RequestMessages(pipe: pipe) { (message) throws(RPCStatus) in
      try change(try first(message))
    }
  }

  /// The next message; nil once the client has sent all.
  ///
  /// - Throws: CANCELLED when the client went away or the task was cancelled, DEADLINE_EXCEEDED, or what
  ///   is wrong with what the client sent.
  public nonisolated(nonsending) func next() async throws(RPCStatus) -> ReceivedMessage? {
    let message = try await pipe.next()
    guard let change, let message else { return message }
    return try change(message)
  }

  public func makeAsyncIterator() -> Iterator { Iterator(messages: self) }

  /// For one task; all iterators of a call share its messages.
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
  /// Nil where messages are sent as they are.
  private let change: Change?
  private let isPlain: Bool

  init(_ pipe: CallPipe, change: Change? = nil) {
    self.pipe = pipe
    self.change = change
    isPlain = change == nil
  }

  /// Sends what `change` makes of messages. What it throws, whoever sends throws: the call goes on if that does.
  public func mapped(_ change: @escaping Change) -> ResponseWriter {
    guard let last = self.change else { return ResponseWriter(pipe, change: change) }
    return ResponseWriter(pipe) { (message) throws(RPCStatus) in try last(try change(message)) }
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
    // The way of most, on which nothing is counted for the others.
    if isPlain { return try await pipe.send(message, compress: compress) }
    try await sendChanged(message, compress)
  }

  private nonisolated(nonsending) func sendChanged(
    _ message: [UInt8], _ compress: Bool
  ) async throws(RPCStatus) {
    try await pipe.send(try change?(message) ?? message, compress: compress)
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
