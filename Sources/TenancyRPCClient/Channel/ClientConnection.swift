internal import NIOCore
internal import TenancyRPCCore

/// What a connection tells whoever made it. Called on the event loop.
protocol ClientConnectionOwner: AnyObject {
  /// The server speaks the protocol: calls may be opened.
  func connectionReady(_ connection: ClientConnection)
  /// It takes no more calls; those that are open go on.
  func connectionLeaving(_ connection: ClientConnection)
  /// The connection is gone; its calls have ended.
  func connectionClosed(_ connection: ClientConnection, reason: String)
}

/// Drives a `ClientEngine` from a channel: one handler per connection, no channel per stream. Writes
/// once for each read cycle, and once for all calls of an event-loop tick.
final class ClientConnection: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = Never
  typealias OutboundOut = ByteBuffer

  private let engine: any ClientEngine
  private weak var owner: (any ClientConnectionOwner)?
  private var context: ChannelHandlerContext?
  private var keepalive: Keepalive?
  private var isReading = false
  private var isFlushScheduled = false
  private var wasEstablished = false
  private var wasLeaving = false
  /// A read was held back until callers take what is there.
  private var isReadHeld = false
  /// Why the connection ends, if that is known before it does.
  private var failure: String?

  init(
    _ engine: any ClientEngine, keepalive: KeepaliveOptions?, owner: any ClientConnectionOwner
  ) {
    self.engine = engine
    self.owner = owner
    self.keepalive = keepalive.map { options in
      Keepalive(options) { [weak self] action in self?.keepaliveActs(action) }
    }
  }

  var acceptsCalls: Bool { context != nil && engine.acceptsCalls }

  // MARK: Calls

  /// - Precondition: `acceptsCalls`. What is noted of the stream comes by `settleSoon`.
  func open(
    _ head: RequestHead, timeout: UInt64?, observer: any ClientStreamObserver
  ) -> ClientStream {
    let stream = engine.open(head, timeout: timeout)
    stream.observer = observer
    updateKeepalive()
    return stream
  }

  func send(_ message: OutboundMessage, on stream: ClientStream) {
    engine.send(message, on: stream)
  }

  func finishRequests(of stream: ClientStream) { engine.finishRequests(of: stream) }

  func consumed(_ bytes: Int, of stream: ClientStream) {
    engine.consumed(bytes, of: stream)
  }

  func cancel(_ stream: ClientStream, _ status: RPCStatus) {
    engine.cancel(stream, status)
    settleSoon()
  }

  /// Callers run to completion, so what they start now is written together.
  func settleSoon() {
    guard !isReading, !isFlushScheduled, let context else { return }
    isFlushScheduled = true
    context.eventLoop.assumeIsolated().execute { [self] in
      isFlushScheduled = false
      flush()
    }
  }

  /// Ends all calls with `status`, tells the server, and closes.
  func close(_ status: RPCStatus) {
    guard let context else { return }
    engine.endAll(status)
    settle()
    engine.goAway()
    flush()
    context.close(promise: nil)
  }

  /// Takes no more calls, and closes when the last one is over.
  func retire() {
    engine.goAway()
    settleSoon()
  }

  // MARK: Channel

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    if context.channel.isActive { begin() }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    keepalive?.stop()
    self.context = nil
  }

  func channelActive(context: ChannelHandlerContext) {
    begin()
    context.fireChannelActive()
  }

  private func begin() {
    flush()
    noteEstablished()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    isReading = true
    keepalive?.heard(at: context.eventLoop.now)
    let buffer = unwrapInboundIn(data)
    let outcome = buffer.withUnsafeReadableBytes { engine.receive($0) }
    noteEstablished()
    settle()
    noteLeaving()
    if case .failed(let reason) = outcome { fail("the server broke the protocol: \(reason)") }
  }

  private func noteEstablished() {
    guard engine.isEstablished, !wasEstablished else { return }
    wasEstablished = true
    owner?.connectionReady(self)
  }

  private func noteLeaving() {
    guard engine.isGoingAway, !wasLeaving else { return }
    wasLeaving = true
    owner?.connectionLeaving(self)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    flush()
    context.fireChannelReadComplete()
  }

  func read(context: ChannelHandlerContext) {
    if engine.isInputPaused { isReadHeld = true } else { context.read() }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { flush() }
    context.fireChannelWritabilityChanged()
  }

  func channelInactive(context: ChannelHandlerContext) {
    self.context = nil
    keepalive?.stop()
    let reason = failure ?? "the server closed the connection"
    engine.endAll(RPCStatus(.unavailable, reason))
    settle()
    owner?.connectionClosed(self, reason: reason)
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    fail("the connection failed: \(error)")
  }

  // MARK: Output

  private func flush() {
    settle()
    while let context, context.channel.isWritable {
      var buffer = context.channel.allocator.buffer(capacity: 4096)
      let outcome = engine.produce(into: &buffer)
      let isFull = buffer.readableBytes >= engine.maximumOutputBytes
      if buffer.readableBytes > 0 {
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
      }
      if case .failed(let reason) = outcome { return fail("cannot write: \(reason)") }
      settle()
      if !isFull { break }
    }
    guard let context else { return }
    updateKeepalive()
    if engine.wantsToClose {
      if failure == nil, engine.isGoingAway { failure = "the server is going away" }
      context.close(promise: nil)
    }
  }

  /// Tells observers. They may open, cancel and so on, which is settled in turn: each round needs an
  /// event, so there is an end.
  private func settle() {
    while true {
      let changed = engine.settle()
      if changed.isEmpty { break }
      for stream in changed { stream.observer?.streamChanged(stream) }
    }
    if isReadHeld, !engine.isInputPaused, let context {
      isReadHeld = false
      context.read()
    }
  }

  private func fail(_ reason: String) {
    guard let context else { return }
    if failure == nil { failure = reason }
    context.close(promise: nil)
  }

  // MARK: Keepalive

  private func updateKeepalive() {
    guard let context else { return }
    keepalive?.update(hasCalls: engine.openStreams > 0, on: context.eventLoop)
  }

  private func keepaliveActs(_ action: Keepalive.Action) {
    switch action {
    case .ping:
      if engine.ping() { flush() } else { keepalive?.stop() }
    case .giveUp(let silence):
      fail("the server has not answered a ping within \(silence)")
    }
  }
}
