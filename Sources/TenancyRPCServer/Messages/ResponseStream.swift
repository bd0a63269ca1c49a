public import TenancyRPCCore

/// Sends the messages of a streaming response, encoded. Thread-safe; messages of one task keep their
/// order.
public struct ResponseStream<Message: WireMessage>: Sendable {
  private let writer: ResponseWriter
  private let coder = MessageCoder()

  /// Shares `writer`: messages go out in the order in which they are sent.
  public init(_ writer: ResponseWriter) { self.writer = writer }

  /// Sends a message; waits while too much is under way that the client has not taken.
  ///
  /// - Parameter compress: packs it, if `ResponseControl.enableCompression` was called and the client
  ///   takes that.
  /// - Throws: why the call is over: CANCELLED when the client went away, DEADLINE_EXCEEDED.
  public nonisolated(nonsending) func send(
    _ message: Message, compress: Bool = false
  ) async throws(RPCStatus) {
    try await writer.send(coder.encode(message), compress: compress)
  }

  /// Sends the initial metadata now, before there is a message.
  public func sendHeaders(_ metadata: RPCMetadata = RPCMetadata()) { writer.sendHeaders(metadata) }

  /// Adds to the trailing metadata.
  public func addTrailers(_ metadata: RPCMetadata) { writer.addTrailers(metadata) }
}
