internal import NIOCore

/// Runs a `TLSEngine` in a channel: ciphertext on the outside, plain text on the inside. Handlers for
/// the plain text are added when the handshake is done, by `onHandshake`.
final class TLSHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// Builds the rest of the pipeline, or returns false to refuse the peer.
  typealias HandshakeCallback = (
    Result<TLSEngine.Session, TLSError>, ChannelPipeline.SynchronousOperations
  ) -> Bool

  private let engine: TLSEngine
  private let onHandshake: HandshakeCallback
  private var isEstablished = false
  private var isClosed = false
  /// The peer has sent close_notify.
  private var isInputClosed = false
  private var timer: Scheduled<Void>?

  init(_ engine: TLSEngine, onHandshake: @escaping HandshakeCallback) {
    self.engine = engine
    self.onHandshake = onHandshake
  }

  func handlerAdded(context: ChannelHandlerContext) {
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    let timeout = TimeAmount.bounded(engine.snapshot.configuration.limits.handshakeTimeout)
    timer = context.eventLoop.scheduleTask(in: timeout) {
      let (handler, context) = bound.value
      handler.end(context, TLSError("handshake timed out"))
    }
    if context.channel.isActive { advance(context) }
  }

  func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

  func channelActive(context: ChannelHandlerContext) {
    advance(context)
    context.fireChannelActive()
  }

  func channelInactive(context: ChannelHandlerContext) {
    if !isEstablished { end(context, TLSError("the peer closed during the handshake")) }
    isClosed = true
    timer?.cancel()
    context.fireChannelInactive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isClosed, !isInputClosed else { return }
    unwrapInboundIn(data).withUnsafeReadableBytes { engine.receive($0) }
    if !isEstablished { advance(context) }
    if isEstablished { deliver(context) }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    context.fireChannelReadComplete()
    sendPending(context)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    do {
      try unwrapOutboundIn(data).withUnsafeReadableBytes { bytes throws(TLSError) in
        try engine.write(bytes)
      }
      var buffer = context.channel.allocator.buffer(capacity: 0)
      engine.takeOutput(into: &buffer)
      context.write(wrapOutboundOut(buffer), promise: promise)
    } catch {
      promise?.fail(error)
      context.close(promise: nil)
    }
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    if isEstablished, !isClosed {
      isClosed = true
      engine.close()
      sendPending(context)
    }
    context.close(mode: mode, promise: promise)
  }

  private func advance(_ context: ChannelHandlerContext) {
    do throws(TLSError) {
      guard case .done(let session) = try engine.handshake() else { return sendPending(context) }
      isEstablished = true
      timer?.cancel()
      // What the handlers send first goes out with the last of the handshake.
      let isWelcome = onHandshake(.success(session), context.pipeline.syncOperations)
      sendPending(context)
      if !isWelcome { context.close(promise: nil) }
    } catch {
      sendPending(context)  // The alert.
      end(context, error)
    }
  }

  private func deliver(_ context: ChannelHandlerContext) {
    var plain = context.channel.allocator.buffer(capacity: 16 * 1024)
    do throws(TLSError) {
      let result = try engine.read(into: &plain)
      if plain.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(plain)) }
      guard case .closed = result else { return }
      // It may still read the answers to what it has asked; whoever has them closes.
      isInputClosed = true
      if engine.side == .client { return context.close(promise: nil) }
      context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    } catch {
      sendPending(context)
      // A TLS 1.3 server refuses a client's certificate only now.
      context.fireErrorCaught(error)
      context.close(promise: nil)
    }
  }

  private func sendPending(_ context: ChannelHandlerContext) {
    guard engine.hasOutput else { return }
    var buffer = context.channel.allocator.buffer(capacity: 0)
    engine.takeOutput(into: &buffer)
    context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
  }

  private func end(_ context: ChannelHandlerContext, _ error: TLSError) {
    guard !isEstablished, !isClosed else { return }
    isClosed = true
    timer?.cancel()
    _ = onHandshake(.failure(error), context.pipeline.syncOperations)
    context.close(promise: nil)
  }
}
