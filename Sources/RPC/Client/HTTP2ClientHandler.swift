internal import NIOCore

/// What a connection tells the channel that it serves. Called on the event loop.
protocol ClientConnectionOwner: AnyObject {
  /// The server speaks HTTP/2: calls may be submitted.
  func connectionReady(_ connection: HTTP2ClientHandler)
  /// The connection is gone; its calls have their results.
  func connectionClosed(_ connection: HTTP2ClientHandler, reason: String)
}

/// Drives an `HTTP2ClientSession` from a channel: one handler per connection, no channel per stream.
/// Writes once for each read cycle, and once for all calls of an event-loop tick.
final class HTTP2ClientHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let session: HTTP2ClientSession
  private weak var owner: (any ClientConnectionOwner)?
  private var context: ChannelHandlerContext?
  private var isReading = false
  private var isFlushScheduled = false
  private var wasEstablished = false
  /// Why the connection ends, if that is known before it does.
  private var failure: String?

  init(_ session: HTTP2ClientSession, owner: any ClientConnectionOwner) {
    self.session = session
    self.owner = owner
  }

  var acceptsCalls: Bool { context != nil && session.acceptsCalls }

  // MARK: Calls

  /// - Precondition: `acceptsCalls`.
  func submit(
    _ request: ClientRequest, timeout: UInt64?, completion: @escaping HTTP2ClientStream.Completion
  ) -> HTTP2ClientStream {
    defer { scheduleFlush() }
    return session.submit(request, timeout: timeout, completion: completion)
  }

  func cancel(_ stream: HTTP2ClientStream, _ status: RPCStatus) {
    session.cancel(stream, status)
    completeCalls()
    scheduleFlush()
  }

  /// Ends all calls with `status`, tells the server, and closes.
  func close(_ status: RPCStatus) {
    guard let context else { return }
    session.endAll(status)
    completeCalls()
    session.goAway()
    flush()
    context.close(promise: nil)
  }

  // MARK: Channel

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    if context.channel.isActive { flush() }
  }

  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func channelActive(context: ChannelHandlerContext) {
    flush()
    context.fireChannelActive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    isReading = true
    let buffer = unwrapInboundIn(data)
    let outcome = buffer.withUnsafeReadableBytes { session.receive($0) }
    if session.isEstablished, !wasEstablished {
      wasEstablished = true
      owner?.connectionReady(self)
    }
    completeCalls()
    if case .failed(let reason) = outcome { fail("the server broke HTTP/2: \(reason)") }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    flush()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { flush() }
    context.fireChannelWritabilityChanged()
  }

  func channelInactive(context: ChannelHandlerContext) {
    self.context = nil
    let reason = failure ?? "the server closed the connection"
    session.endAll(RPCStatus(.unavailable, reason))
    completeCalls()
    owner?.connectionClosed(self, reason: reason)
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    fail("the connection failed: \(error)")
  }

  // MARK: Output

  /// Callers run to completion, so what they start now is written together.
  private func scheduleFlush() {
    guard !isReading, !isFlushScheduled, let context else { return }
    isFlushScheduled = true
    context.eventLoop.assumeIsolated().execute { [self] in
      isFlushScheduled = false
      flush()
    }
  }

  private func flush() {
    while let context, context.channel.isWritable {
      var buffer = context.channel.allocator.buffer(capacity: 4096)
      let outcome = session.produce(into: &buffer)
      let full = buffer.readableBytes >= session.limits.maximumOutputBytes
      if buffer.readableBytes > 0 {
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
      }
      if case .failed(let reason) = outcome { return fail("cannot write HTTP/2: \(reason)") }
      if !full { break }
    }
    completeCalls()
    if let context, session.wantsToClose {
      if failure == nil, session.isGoingAway { failure = "the server is going away" }
      context.close(promise: nil)
    }
  }

  private func completeCalls() {
    for stream in session.takeEnded() { stream.complete() }
  }

  private func fail(_ reason: String) {
    guard let context else { return }
    if failure == nil { failure = reason }
    context.close(promise: nil)
  }
}
