package import NIOCore
package import TenancyLoop

/// Runs a `TLSEngine` in a channel: ciphertext on the outside, plain text on the inside. Handlers for
/// the plain text are added when the handshake is done, by `onHandshake`.
package final class TLSHandler: ChannelDuplexHandler {
  package typealias InboundIn = ByteBuffer
  package typealias InboundOut = ByteBuffer
  package typealias OutboundIn = ByteBuffer
  package typealias OutboundOut = ByteBuffer

  /// Builds the rest of the pipeline, or returns false to refuse the peer.
  package typealias HandshakeCallback = (
    Result<TLSEngine.Session, TLSError>, ChannelPipeline.SynchronousOperations
  ) -> Bool

  private let engine: TLSEngine
  /// Let go of when it was called.
  private var onAnswer: (() -> Void)?
  /// Let go of when it was called.
  private var onHandshake: HandshakeCallback?
  private var isEstablished = false
  private var isClosed = false
  private var isReading = false
  /// The peer has sent close_notify.
  private var isInputClosed = false
  private let timers: TimerQueue?
  private var timer: ActionTimer?
  /// How long a record may be unfinished.
  private let recordTimeout: TimeAmount?
  /// Looks whether a record that was unfinished still is.
  private var recordTimer: ActionTimer?
  private var unfinishedRecord: UInt64 = 0

  /// - Parameters:
  ///   - timers: for the time that a handshake may take; nil: whoever adds the handler watches it.
  ///   - recordTimeout: after the handshake; nil: without end.
  ///   - onAnswer: called when our first part of a server's handshake is sent.
  package init(
    _ engine: TLSEngine, timers: TimerQueue? = nil, recordTimeout: TimeAmount? = nil,
    onAnswer: (() -> Void)? = nil, onHandshake: @escaping HandshakeCallback
  ) {
    self.recordTimeout = recordTimeout
    self.onAnswer = onAnswer
    self.engine = engine
    self.timers = timers
    self.onHandshake = onHandshake
  }

  package func handlerAdded(context: ChannelHandlerContext) {
    if let timers {
      let timer = ActionTimer { [unowned self] in end(context, TLSError("handshake timed out")) }
      timers.schedule(
        timer, in: .bounded(engine.snapshot.configuration.limits.handshakeTimeout))
      self.timer = timer
    }
    if context.channel.isActive { advance(context) }
  }

  package func handlerRemoved(context: ChannelHandlerContext) {
    cancelTimer()
    if let recordTimer { timers?.cancel(recordTimer) }
    // It knows the context, which knows this.
    recordTimer = nil
  }

  // MARK: Unfinished records

  /// Large records are often unfinished after a read: a timer that is set is left, and looks then whether
  /// it is still the same record.
  private func watchRecord(_ context: ChannelHandlerContext) {
    guard let timers, let recordTimeout, isEstablished, !isClosed else { return }
    let timer = recordTimer ?? ActionTimer { [unowned self] in judgeRecord(context) }
    recordTimer = timer
    guard !timer.isScheduled else { return }
    unfinishedRecord = engine.recordsRead
    timers.schedule(timer, in: recordTimeout)
  }

  private func judgeRecord(_ context: ChannelHandlerContext) {
    guard !engine.releaseBuffers() else { return }
    guard engine.recordsRead == unfinishedRecord else { return watchRecord(context) }
    context.fireErrorCaught(TLSError("a record was begun and not finished"))
    context.close(promise: nil)
  }

  private func cancelTimer() {
    guard let timer else { return }
    timers?.cancel(timer)
    self.timer = nil
  }

  package func channelActive(context: ChannelHandlerContext) {
    advance(context)
    context.fireChannelActive()
  }

  package func channelInactive(context: ChannelHandlerContext) {
    if !isEstablished { end(context, TLSError("the peer closed during the handshake")) }
    isClosed = true
    cancelTimer()
    context.fireChannelInactive()
  }

  package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isClosed, !isInputClosed else { return }
    isReading = true
    engine.receive(unwrapInboundIn(data))
    if !isEstablished { advance(context) }
    if isEstablished { deliver(context) }
  }

  package func channelReadComplete(context: ChannelHandlerContext) {
    context.fireChannelReadComplete()
    sendPending(context)
    isReading = false
    if !engine.releaseBuffers() { watchRecord(context) }
  }

  package func flush(context: ChannelHandlerContext) {
    context.flush()
    if !isReading { engine.releaseBuffers() }
  }

  package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?)
  {
    do {
      try unwrapOutboundIn(data).withUnsafeReadableBytes { bytes throws(TLSError) in
        try engine.write(bytes)
      }
      context.write(wrapOutboundOut(engine.takeOutput() ?? ByteBuffer()), promise: promise)
    } catch {
      promise?.fail(error)
      context.close(promise: nil)
    }
  }

  package func close(
    context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?
  ) {
    if isEstablished, !isClosed {
      isClosed = true
      engine.close()
      sendPending(context)
    }
    context.close(mode: mode, promise: promise)
  }

  private func advance(_ context: ChannelHandlerContext) {
    do throws(TLSError) {
      guard case .done(let session) = try engine.handshake() else {
        if engine.hasOutput { noteAnswer() }
        return sendPending(context)
      }
      isEstablished = true
      cancelTimer()
      // What the handlers send first goes out with the last of the handshake.
      let isWelcome = report(.success(session), context)
      sendPending(context)
      if !isWelcome { context.close(promise: nil) }
    } catch {
      sendPending(context)  // The alert.
      end(context, error)
    }
  }

  private func noteAnswer() {
    onAnswer?()
    onAnswer = nil
  }

  private func report(
    _ outcome: Result<TLSEngine.Session, TLSError>, _ context: ChannelHandlerContext
  ) -> Bool {
    guard let onHandshake else { return false }
    self.onHandshake = nil
    return onHandshake(outcome, context.pipeline.syncOperations)
  }

  private func deliver(_ context: ChannelHandlerContext) {
    var plain = ByteBuffer()
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
    guard let output = engine.takeOutput() else { return }
    context.writeAndFlush(wrapOutboundOut(output), promise: nil)
  }

  private func end(_ context: ChannelHandlerContext, _ error: TLSError) {
    guard !isEstablished, !isClosed else { return }
    isClosed = true
    cancelTimer()
    _ = report(.failure(error), context)
    context.close(promise: nil)
  }
}
