internal import NIOCore
internal import TenancyCrypto
internal import TenancyLoop
internal import TenancyRPCCore

/// Drives a protocol engine from a channel: one handler per connection, no channel per call. Handlers of
/// in-memory methods run here, on the event loop, before the read cycle ends; what they answer is gathered
/// and flushed once. How calls are run is in `ServerConnectionHandler+Calls.swift`.
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
  var judge: ConnectionJudge
  /// Unary handlers that were started a moment ago and have not answered.
  @exclusivity(unchecked) var freshCalls = 0
  /// How many there may be.
  @exclusivity(unchecked) var freshWindow = 2
  /// Those that wait until there is room for what they answer, if any did.
  @exclusivity(unchecked) var gatedCalls: GatedCalls?
  @exclusivity(unchecked) var turns = TurnCount()
  /// The rest waits for its turn.
  @exclusivity(unchecked) var isInLine = false
  private(set) lazy var freshTimer = ActionTimer { [unowned self] in endFresh() }
  private(set) lazy var watchTimer = ActionTimer { [unowned self] in look() }
  /// Ends what is left of a connection that was told to go.
  private(set) lazy var graceTimer = ActionTimer { [unowned self] in closeNow() }
  /// Nothing was under way at the supervisor's last look, and nothing has happened since.
  var isUnwatched = false
  private var isReading = false
  private var hasFailed = false
  /// A read was held back until the peer takes what is written.
  private(set) var isReadHeld = false
  /// The server has told the peer to go, and those who wait for it.
  private var isToldToGo = false
  /// For the handlers of asynchronous calls; nil until there is one.
  private var signal: DrainSignal?
  private lazy var drainTimer = ActionTimer { [unowned self] in goAway() }
  /// Set when our side is closed: input is discarded until the peer closes, or this runs out.
  private lazy var lingerTimer = ActionTimer { [unowned self] in closeNow() }
  private(set) var isLingering = false
  private let credential: PeerCredential?
  /// Until the peer has said what its protocol begins with; nil where it had proven more before.
  private var newcomer: Newcomer?
  private lazy var credentialTimer = ActionTimer { [unowned self] in watchCredential() }
  /// Set when the connection ends, calls in flight or not.
  private lazy var cutTimer = ActionTimer { [unowned self] in closeNow() }

  /// How long a peer is waited for that does not answer a drain's PING.
  private static var drainPatience: TimeAmount { .seconds(1) }
  private static var lingerTime: TimeAmount { .seconds(1) }
  /// How long calls in flight may take when the peer sends no more.
  private static var halfCloseGrace: TimeAmount { .seconds(30) }

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
    judge = ConnectionJudge(
      core.limits, now: loop.eventLoop.now, jitter: .random(in: -1...1), canPing: Engine.canPing)
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    mailbox.open(self)
    observed.connectionBegan()
    core.connections.add(self, credential, on: context.eventLoop)
    beginSupervision()
    // One that was being set up while the drain began.
    if core.connections.isDraining { drain() } else { flush() }
    watchCredential()
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    loop.timers.cancel(drainTimer)
    loop.timers.cancel(lingerTimer)
    loop.timers.cancel(credentialTimer)
    loop.timers.cancel(cutTimer)
    endSupervision()
    abandonCalls()
    observed.connectionEnded()
    self.context = nil
    core.connections.remove(self)
  }

  func channelInactive(context: ChannelHandlerContext) {
    abandonCalls()
    context.fireChannelInactive()
  }

  private func abandonCalls() {
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
    if isLingering { return }
    isReading = true
    watch()
    beginTurn()
    let buffer = unwrapInboundIn(data)
    let outcome = buffer.withUnsafeReadableBytes { engine.receive($0) }
    serveReady()
    engine.inputEnded { watchDeadline($0) }
    if newcomer != nil, engine.hasOpened { settle() }
    if case .failed(let reason) = outcome { fail(reason) }
  }

  private func settle() {
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

  /// Nor is one whose calls wait for their turn: it has said enough.
  private func mayRead(_ context: ChannelHandlerContext) -> Bool {
    context.channel.isWritable && engine.takesInput && (mayStart || !engine.hasReady)
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

  /// TLS peers may say that they send no more, and still read the answers to what they have sent.
  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case ChannelEvent.inputClosed = event else {
      return context.fireUserInboundEventTriggered(event)
    }
    if engine.openCalls == 0 { closeNow() } else { leave(within: Self.halfCloseGrace) }
  }

  // MARK: Output

  func flush() {
    guard !isReading, let context, !isLingering else { return }
    watch()
    while context.channel.isWritable {
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
      guard engine.hasReady, mayStart else { break }
      loop.timers.beginTurn()
      serveReady()
    }
    noteSocket(context)
    if engine.drainAcknowledged, drainTimer.isScheduled { goAway() }
    if engine.wantsToClose { endConnection(context) } else { resumeReading(context) }
  }

  /// What the peer does not read counts.
  private func noteSocket(_ context: ChannelHandlerContext) {
    if context.channel.isWritable {
      if engine.socketBytes > 0 { engine.socketHolds(0) }
      return
    }
    // Sockets have this option: without it, such bytes do not count.
    let buffered = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    engine.socketHolds(Int(buffered))
  }

  private func fail(_ reason: String) {
    guard let context, !hasFailed else { return }
    hasFailed = true
    core.log(.protocolError, embedder.connection.label, reason)
    var last = context.channel.allocator.buffer(capacity: 64)
    // What can't be produced now is not worth more: the connection is lost.
    _ = engine.produce(into: &last)
    if last.readableBytes > 0 { context.writeAndFlush(wrapOutboundOut(last), promise: nil) }
    linger(context)
  }

  /// Nothing is left to read or to write.
  private func endConnection(_ context: ChannelHandlerContext) {
    if let error = engine.sentError, !isLingering {
      core.log(.protocolError, embedder.connection.label, "ended with GOAWAY \(error)")
    }
    linger(context)
  }

  /// Closes in the order that loses nothing: to close with input unread would reset the connection, and
  /// the peer might never read the GOAWAY and the answers before it.
  private func linger(_ context: ChannelHandlerContext) {
    guard !isLingering else { return }
    isLingering = true
    loop.timers.schedule(lingerTimer, in: Self.lingerTime)
    context.close(mode: .output, promise: nil)
  }
}

// MARK: Draining

extension ServerConnectionHandler: ServerConnection {
  func drain() {
    guard context != nil else { return }
    if !isToldToGo {
      isToldToGo = true
      // Also where the peer has left already, and its calls are only being finished.
      signal?.fire()
    }
    guard !engine.isDraining else { return }
    engine.beginDrain()
    loop.timers.schedule(drainTimer, in: Self.drainPatience)
    flush()
  }

  var drainSignal: DrainSignal {
    if let signal { return signal }
    let signal = DrainSignal()
    if isToldToGo { signal.fire() }
    self.signal = signal
    return signal
  }

  private func goAway() {
    loop.timers.cancel(drainTimer)
    engine.finishDrain()
    flush()
  }

  func closeNow() {
    context?.close(mode: .all, promise: nil)
  }
}

// MARK: Ending

extension ServerConnectionHandler {
  /// Ends the connection when the peer's certificates have ended, or are not trusted any more.
  private func watchCredential() {
    guard let credential, context != nil else { return }
    if let reason = credential.refusalNow() {
      end(because: reason)
    } else {
      if credential.hasEnded { endStreams() }
      loop.timers.schedule(credentialTimer, in: .bounded(credential.timeToNextLook))
    }
  }

  func end(because reason: String) {
    guard context != nil, !cutTimer.isScheduled else { return }
    core.log(.peerRefused, embedder.connection.label, reason)
    endStreams()
    leave(within: .bounded(core.limits.credentialGrace))
  }

  /// They may go on for ever, and what they say is not for this peer any more.
  private func endStreams() {
    for stream in engine.streamingCalls { fail(stream, Self.refused) }
    flush()
  }

  private static var refused: RPCStatus {
    RPCStatus(.unauthenticated, "the certificate is not accepted any more")
  }

  /// Serves what has been asked, and nothing else, for a while at most.
  private func leave(within grace: TimeAmount) {
    guard context != nil else { return }
    if !engine.isDraining { engine.beginDrain() }
    loop.timers.schedule(cutTimer, in: grace)
    goAway()
  }
}
