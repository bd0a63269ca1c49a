import Dispatch
import Synchronization
internal import NIOCore

/// Drives an `HTTP2ServerSession` from a channel: one handler per connection, no channel per stream.
/// Handlers of in-memory methods run here, on the event loop, before the read cycle ends; what they
/// answer is gathered and flushed once.
final class HTTP2ServerHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = Never
  typealias OutboundOut = ByteBuffer

  private let core: ServerCore
  private let session: HTTP2ServerSession
  private let call: InlineCall
  private let asyncContext: any AnyObject & Sendable
  private var context: ChannelHandlerContext?
  private var isReading = false
  private var closeWhenFlushed = false
  /// A read was held back until the peer takes what is written.
  private var isReadHeld = false
  private var drainTimer: Scheduled<Void>?
  /// Set when our side is closed: input is discarded until the peer closes, or this runs out.
  private var lingerTimer: Scheduled<Void>?
  private static let lingerTime = TimeAmount.seconds(1)

  init(core: ServerCore, connection: Connection, context: any AnyObject & Sendable, loop: LoopState)
  {
    self.core = core
    asyncContext = context
    session = HTTP2ServerSession(methods: core.methods, limits: core.limits)
    call = InlineCall(
      connection: connection, context: context, loopState: loop.embedder, arena: loop.arena)
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    core.connections.add(self, on: context.eventLoop)
    // One that was being set up while the drain began.
    if core.connections.isDraining { drain() } else { flush() }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    drainTimer?.cancel()
    lingerTimer?.cancel()
    self.context = nil
    core.connections.remove(self)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if lingerTimer != nil { return }
    isReading = true
    let buffer = unwrapInboundIn(data)
    let outcome = buffer.withUnsafeReadableBytes { session.receive($0) }
    serveReady()
    if case .failed(let reason) = outcome { fail(reason) }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    flush()
  }

  /// A peer that does not read is not read from: whatever it sends can make us queue something.
  func read(context: ChannelHandlerContext) {
    if context.channel.isWritable { context.read() } else { isReadHeld = true }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { flush() }
    if isReadHeld, context.channel.isWritable {
      isReadHeld = false
      context.read()
    }
    context.fireChannelWritabilityChanged()
  }

  func channelInactive(context: ChannelHandlerContext) {
    for task in session.takeEndedTasks() { task.cancel() }
    session.cancelTasks()
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A reset or a broken pipe is the peer's business; the channel goes down with it.
    context.close(promise: nil)
  }

  // MARK: Serving

  private func serveReady() {
    while let stream = session.nextReady() {
      guard stream.awaitsResponse else { continue }
      switch stream.refusal {
      case .status(let status): fail(stream, status)
      case .http(let status): session.fail(stream, http: status)
      case nil: serve(stream)
      }
    }
    for task in session.takeEndedTasks() { task.cancel() }
  }

  private func serve(_ stream: HTTP2Stream) {
    do throws(RPCStatus) {
      let message = try stream.message()
      switch core.methods.methods[Int(stream.method)].handler {
      case .inline(let handler):
        call.arena.reset()
        call.stream = stream
        defer { call.stream = nil }
        try handler(call, message)
        session.succeed(stream)
      case .async(let handler):
        start(handler, stream, Array(message))
      }
    } catch {
      fail(stream, error)
    }
  }

  private func start(
    _ handler: @escaping ServiceMethod.AsyncHandler, _ stream: HTTP2Stream, _ message: [UInt8]
  ) {
    guard let context else { return }
    let loop = context.eventLoop
    let handle = NIOLoopBound(CallHandle(handler: self, stream: stream), eventLoop: loop)
    let deadline = stream.timeout.map {
      ContinuousClock.now.advanced(by: .nanoseconds(Int64(min($0, UInt64(Int64.max)))))
    }
    let asyncCall = AsyncCall(
      connection: call.connection, context: asyncContext, metadata: stream.metadata(),
      deadline: deadline)
    let core = core
    let label = call.connection.label
    core.runningTasks.add(1, ordering: .acquiringAndReleasing)
    stream.task = Task {
      defer { core.runningTasks.subtract(1, ordering: .acquiringAndReleasing) }
      let result: Result<[UInt8], RPCStatus>
      do {
        result = .success(try await handler(asyncCall, message))
      } catch let status as RPCStatus {
        result = .failure(status)
      } catch is CancellationError {
        result = .failure(RPCStatus(.cancelled, "the call was cancelled"))
      } catch {
        core.log(.internalError, label, "\(error)")
        result = .failure(RPCStatus(.internalError, "internal error"))
      }
      loop.execute { handle.value.finish(result) }
    }
    if let timeout = stream.timeout {
      let nanoseconds = Int64(min(timeout, UInt64(Int64.max / 2)))
      stream.timer = loop.scheduleTask(in: .nanoseconds(nanoseconds)) {
        handle.value.finish(.failure(RPCStatus(.deadlineExceeded, "the deadline has passed")))
      }
    }
  }

  fileprivate func finish(_ stream: HTTP2Stream, _ result: Result<[UInt8], RPCStatus>) {
    guard stream.awaitsResponse else { return }
    switch result {
    case .success(let message):
      let target = stream.beginReply(count: message.count)
      message.withUnsafeBytes { bytes in
        if let base = bytes.baseAddress { target.copyMemory(from: base, byteCount: bytes.count) }
      }
      session.succeed(stream)
    case .failure(let status):
      if status.code == .deadlineExceeded { stream.task?.cancel() }
      fail(stream, status)
    }
    stream.task = nil
    stream.timer?.cancel()
    stream.timer = nil
    if !isReading { flush() }
  }

  private func fail(_ stream: HTTP2Stream, _ status: RPCStatus) {
    session.fail(stream, status.details.isEmpty ? core.delegate.describe(status) : status)
  }

  // MARK: Output

  private func flush() {
    guard let context, lingerTimer == nil else { return }
    while context.channel.isWritable {
      var buffer = context.channel.allocator.buffer(capacity: 4096)
      let outcome = session.produce(into: &buffer)
      let full = buffer.readableBytes >= session.limits.maximumOutputBytes
      if buffer.readableBytes > 0 {
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
      }
      if case .failed(let reason) = outcome { return fail(reason) }
      if full { continue }
      // What was sent may have made room for the answers of calls that wait.
      guard session.hasReady else { break }
      serveReady()
    }
    advanceDrain()
    if session.wantsToClose { endConnection(context) }
  }

  private func fail(_ reason: String) {
    guard let context, !closeWhenFlushed else { return }
    closeWhenFlushed = true
    core.log(.protocolError, call.connection.label, reason)
    var last = context.channel.allocator.buffer(capacity: 64)
    // What can't be produced now is not worth more: the connection is lost.
    _ = session.produce(into: &last)
    if last.readableBytes > 0 { context.writeAndFlush(wrapOutboundOut(last), promise: nil) }
    linger(context)
  }

  /// Nothing is left to read or to write.
  private func endConnection(_ context: ChannelHandlerContext) {
    if let error = session.sentError, lingerTimer == nil {
      core.log(.protocolError, call.connection.label, "ended with GOAWAY \(error)")
    }
    linger(context)
  }

  /// Closes in the order that loses nothing: to close with input unread would reset the connection, and
  /// the peer might never read the GOAWAY and the answers before it.
  private func linger(_ context: ChannelHandlerContext) {
    guard lingerTimer == nil else { return }
    let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
    lingerTimer = context.eventLoop.scheduleTask(in: Self.lingerTime) { handler.value.closeNow() }
    context.close(mode: .output, promise: nil)
  }

  // MARK: Draining

  /// Tells the peer to go, lets calls in flight finish, then closes.
  func drain() {
    guard let context, !session.isDraining else { return }
    session.beginDrain()
    // The peer that does not answer the PING is not waited for.
    let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
    drainTimer = context.eventLoop.scheduleTask(in: .seconds(1)) { handler.value.goAway() }
    flush()
  }

  private func advanceDrain() {
    if session.drainPingAcknowledged, drainTimer != nil { goAway() }
  }

  private func goAway() {
    guard drainTimer != nil else { return }
    drainTimer?.cancel()
    drainTimer = nil
    session.finishDrain()
    flush()
  }

  func closeNow() {
    context?.close(mode: .all, promise: nil)
  }
}

/// A call whose answer comes later: confined to its event loop.
private struct CallHandle {
  let handler: HTTP2ServerHandler
  let stream: HTTP2Stream
  let generation: UInt64

  init(handler: HTTP2ServerHandler, stream: HTTP2Stream) {
    self.handler = handler
    self.stream = stream
    generation = stream.generation
  }

  func finish(_ result: Result<[UInt8], RPCStatus>) {
    if stream.generation == generation { handler.finish(stream, result) }
  }
}
