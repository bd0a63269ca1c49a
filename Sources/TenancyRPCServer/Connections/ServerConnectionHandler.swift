internal import NIOCore
internal import TenancyCrypto
internal import TenancyLoop
internal import TenancyRPCCore

/// Drives a protocol engine from a channel: one handler per connection, no channel per call. Handlers of
/// in-memory methods run here, on the event loop, before the read cycle ends; what they answer is gathered
/// and flushed once. How calls are run is in `ServerConnectionHandler+Calls.swift`, how the connection ends
/// in `ServerConnectionHandler+Lifetime.swift`.
final class ServerConnectionHandler<Engine: ServerEngine>: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = Never
  typealias OutboundOut = ByteBuffer

  let core: ServerCore
  let engine: Engine
  let observed: ObservedCalls
  let loop: LoopState
  let mailbox: ConnectionMailbox
  let embedder: EmbedderConnection
  /// The loop's. Lent, not retained, for each call: `loop` keeps it.
  let embedderLoop: Unmanaged<EmbedderLoop>
  let call: InlineCallState
  private(set) var context: ChannelHandlerContext?
  /// Bytes given to the channel so far.
  private(set) var writtenBytes: UInt64 = 0
  /// Unary handlers that were started in a burst, a moment ago, and have not answered.
  @exclusivity(unchecked) var burstCalls = 0
  /// How many there may be.
  @exclusivity(unchecked) var burstLimit = 2
  /// Those that wait until there is room for what they answer, if any did.
  @exclusivity(unchecked) var gatedCalls: GatedCalls?
  @exclusivity(unchecked) var turns = TurnCount()
  /// The rest waits for its turn.
  @exclusivity(unchecked) var isInLine = false
  private(set) lazy var burstTimer = ActionTimer { [unowned self] in endBurst() }
  @exclusivity(unchecked) var lifetime: ConnectionLifetime
  /// Set to the lifetime's deadline, or to an earlier one.
  private(set) lazy var lifetimeTimer = ActionTimer { [unowned self] in runDue() }
  private var isReading = false
  /// A read was held back until the peer takes what is written.
  private(set) var isReadHeld = false
  /// For the handlers of asynchronous calls; nil until there is one.
  var signal: DrainSignal?
  let credential: PeerCredential?
  /// Until the peer has said what its protocol begins with; nil where it had proven more before.
  private var newcomer: Newcomer?

  /// - Parameters:
  ///   - credential: what a TLS peer has proven to be; nil for others.
  ///   - newcomer: to be told when the peer has begun as its protocol wants it; nil: not needed.
  init(
    core: ServerCore, embedder: EmbedderConnection, peer: PeerKey, credential: PeerCredential?,
    newcomer: Newcomer? = nil, loop: LoopState
  ) {
    self.newcomer = newcomer
    self.core = core
    self.credential = credential
    self.loop = loop
    self.embedder = embedder
    embedderLoop = .passUnretained(loop.embedder)
    call = loop.embedder.call
    let mailbox = ConnectionMailbox(loop: loop.eventLoop)
    let memory = ConnectionMemory(core.memory, peer: peer, limits: core.limits) { kind, bytes in
      mailbox.post(giveUp: kind, bytes)
    }
    self.mailbox = mailbox
    engine = Engine(
      methods: core.methods, limits: core.limits, timers: loop.timers, memory: memory)
    let observation = loop.observer.map {
      CallObservation($0, loop.timers, Engine.wire, embedder.connection.peer, identity: embedder)
    }
    engine.observe(observation)
    observed = ObservedCalls(observation)
    lifetime = ConnectionLifetime(
      core.limits, now: loop.eventLoop.now, jitter: .random(in: -1...1), canPing: Engine.canPing,
      hasCredential: credential != nil)
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    mailbox.open(self)
    observed.connectionBegan()
    core.connections.add(self, credential, on: context.eventLoop)
    // One that was being set up while the drain began.
    if core.connections.isDraining { drain() } else { flush() }
    runDue()
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    abandonCalls()
    loop.timers.cancel(burstTimer)
    loop.timers.cancel(lifetimeTimer)
    observed.connectionEnded()
    self.context = nil
    core.connections.remove(self)
  }

  func channelInactive(context: ChannelHandlerContext) {
    abandonCalls()
    context.fireChannelInactive()
  }

  private func abandonCalls() {
    lifetime.close()
    mailbox.close()
    engine.abandonCalls()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A reset or a broken pipe is the peer's business; the channel goes down with it.
    if let error = error as? TLSError {
      core.log(.protocolError, embedder.connection.label, error.logText)
    }
    context.close(promise: nil)
  }

  // MARK: Input

  @specialized(where Engine == HTTP2ServerSession)
  @specialized(where Engine == TTRPCServerSession)
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if lifetime.isClosing { return }
    isReading = true
    noteActivity()
    beginTurn()
    let buffer = unwrapInboundIn(data)
    let outcome = buffer.withUnsafeReadableBytes { engine.receive($0) }
    serveReady()
    engine.inputEnded { watchDeadline($0) }
    if lifetime.awaitsOpening, engine.hasOpened { noteOpening() }
    if case .failed(let reason) = outcome { fail(reason) }
  }

  private func noteOpening() {
    lifetime.opened()
    newcomer?.proven()
    newcomer = nil
  }

  @specialized(where Engine == HTTP2ServerSession)
  @specialized(where Engine == TTRPCServerSession)
  func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    handleMail()
    flush()
  }

  /// A peer that does not read is not read from: whatever it sends can make us queue something.
  func read(context: ChannelHandlerContext) {
    if mayRead(context) { context.read() } else { isReadHeld = true }
  }

  /// Nor is one whose calls wait for their turn, or of which so much is held back that those who are answered at once
  /// wait, too: it has said enough.
  private func mayRead(_ context: ChannelHandlerContext) -> Bool {
    context.channel.isWritable && engine.takesInput && mayServeMore
  }

  private func resumeReading(_ context: ChannelHandlerContext) {
    guard isReadHeld, mayRead(context) else { return }
    isReadHeld = false
    context.read()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { flush() }
    resumeReading(context)
    context.fireChannelWritabilityChanged()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case ChannelEvent.inputClosed: inputClosed()
    case ChannelEvent.outputClosed: outputClosed()
    default: context.fireUserInboundEventTriggered(event)
    }
  }

  // MARK: Output

  func flush() {
    guard !isReading, let context, !lifetime.isClosing else { return }
    noteActivity()
    // A write may find out that the peer has gone, and close the channel: then nothing is served any more.
    while !lifetime.isClosing, context.channel.isWritable {
      var buffer = context.channel.allocator.buffer(capacity: 4096)
      let outcome = engine.produce(into: &buffer)
      let full = buffer.readableBytes >= core.limits.maximumOutputBytes
      if buffer.readableBytes > 0 {
        writtenBytes &+= UInt64(buffer.readableBytes)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
      }
      if case .failed(let reason) = outcome { return fail(reason) }
      if full { continue }
      // What was sent may have made room for the answers of calls that wait.
      guard hasServable else { break }
      loop.timers.beginTurn()
      serveReady()
    }
    if lifetime.isClosing { return }
    noteSocket(context)
    if lifetime.awaitsAcknowledgement, engine.drainAcknowledged { drainAcknowledged() }
    if engine.wantsToClose { endConnection(context) } else { resumeReading(context) }
  }

  /// What the peer does not read counts.
  private func noteSocket(_ context: ChannelHandlerContext) {
    if context.channel.isWritable {
      if engine.socketBytes > 0 { engine.socketHolds(0) }
      return
    }
    engine.socketHolds(bufferedBytes)
  }

  /// Bytes in the socket's queue. Sockets have this option: without it, what peers do not read is known by their
  /// windows alone.
  var bufferedBytes: Int {
    (try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
  }

  private func fail(_ reason: String) {
    guard let context, lifetime.closeOutput(buffered: bufferedBytes, at: loop.eventLoop.now) else {
      return
    }
    core.log(.protocolError, embedder.connection.label, reason)
    var last = context.channel.allocator.buffer(capacity: 64)
    // What can't be produced now is not worth more: the connection is lost.
    _ = engine.produce(into: &last)
    if last.readableBytes > 0 { context.writeAndFlush(wrapOutboundOut(last), promise: nil) }
    lifetime.lastWasWritten(buffered: bufferedBytes)
    closeOutput(context)
  }

  /// Nothing is left to read or to write.
  private func endConnection(_ context: ChannelHandlerContext) {
    guard lifetime.closeOutput(buffered: bufferedBytes, at: loop.eventLoop.now) else { return }
    if let error = engine.sentError {
      core.log(.protocolError, embedder.connection.label, "ended with GOAWAY \(error)")
    }
    closeOutput(context)
  }

  private func closeOutput(_ context: ChannelHandlerContext) {
    setLifetimeTimer()
    context.close(mode: .output, promise: nil)
  }
}
