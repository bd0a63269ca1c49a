internal import NIOCore
import Synchronization
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// How a connection's calls are run.
extension ServerConnectionHandler {
  func serveReady() {
    while !lifetime.isClosing, hasTurn,
      let stream = mayBegin ? engine.nextReady() : engine.nextAtOnce()
    {
      countInTurn()
      guard stream.awaitsResponse else { continue }
      switch stream.refusal {
      case .status(let status): fail(stream, status)
      case .http(let status): engine.fail(stream, http: status)
      case nil where isLate(stream): fail(stream, Self.deadlineExceeded)
      case nil: serve(stream)
      }
    }
  }

  /// Nobody waits for the call any more: it has come in slowly, or has waited long for its turn.
  @inline(__always)
  private func isLate(_ stream: Engine.Stream) -> Bool {
    guard let expiry = stream.expiry else { return false }
    return expiry <= loop.timers.turnTime
  }

  /// The deadline of a call holds while its request comes in, and while it waits for its turn.
  func watchDeadline(_ stream: Engine.Stream) {
    guard let expiry = stream.expiry, !stream.isScheduled else { return }
    stream.owner = self
    loop.timers.schedule(stream, at: expiry)
  }

  private static var deadlineExceeded: RPCStatus {
    RPCStatus(.deadlineExceeded, "the deadline has passed")
  }

  /// A handler has been started. Only so many are before the first has had time to answer: what
  /// they answer must fit into memory, and nobody knows how much it is.
  private func countInBurst() {
    burstCalls += 1
    guard !burstTimer.isScheduled else { return }
    loop.timers.schedule(
      burstTimer, in: burstLimit == 1 ? Self.burstTimeOfLargeMessages : Self.burstTime)
  }

  /// Bytes of a message that is large.
  private static var largeMessage: Int { 64 * 1024 }

  /// Large messages go one by one, small ones soon many at a time.
  private func noteResponse(_ count: Int) {
    burstLimit =
      count > Self.largeMessage ? 1 : min(burstLimit + 1, core.limits.maximumCallBurst)
  }

  /// Whether a call may be served now.
  @inline(__always)
  var hasTurn: Bool { turns.calls < core.limits.maximumCallsPerTurn }

  /// Whether an asynchronous handler may begin now: its call is held back if not, and others go before it.
  @inline(__always)
  var mayBegin: Bool {
    (gatedCalls == nil || hasPassedGate())
      && (burstCalls == 0
        || burstCalls < burstLimit && !core.memory.replies.isExhausted)
  }

  /// Whether there is a call that may be served now.
  var hasServable: Bool { hasTurn && (mayBegin ? engine.hasReady : engine.hasAtOnce) }

  /// Whether calls that come now would wait for nothing else. Otherwise they stay where they are: in the socket.
  var mayServeMore: Bool {
    if hasTurn, mayBegin || engine.mayHoldMore && !engine.hasAtOnce { return true }
    return !engine.hasReady
  }

  /// Handlers that were started have had their time.
  func endBurst() {
    loop.timers.beginTurn()
    resumeTurn()
    burstCalls = 0
    serveReady()
    flush()
  }

  private static var burstTime: TimeAmount { .milliseconds(1) }
  private static var burstTimeOfLargeMessages: TimeAmount { .milliseconds(10) }

  private func serve(_ stream: Engine.Stream) {
    observed.start(stream)
    do throws(RPCStatus) {
      // An engine refuses such a call itself; nothing is served in its place.
      guard let method = embedderLoop._withUnsafeGuaranteedRef({ $0.method(stream.method) }) else {
        throw RPCStatus(.unimplemented, "unknown method")
      }
      switch method._withUnsafeGuaranteedRef({ $0.manner }) {
      case .inline(let canWait):
        if stream.isPutOff { return try goOn(stream, method) }
        if stream.mayBePacked { try unpack(stream) }
        let message = try stream.message()
        try embedder.begin(stream)
        defer { call.end() }
        if let refusal = method._withUnsafeGuaranteedRef({ $0.answer(message) }) { throw refusal }
        if call.isPutOff { return try putOff(stream, message, canWait ? method : nil) }
        if message.count > MemoryBudget.allowance { engine.handOver(stream) }
        engine.succeed(stream)
        countBytes(message.count + call.replyBytes)
      case .async:
        try admit()
        if stream.mayBePacked { try unpack(stream) }
        let message = try stream.message()
        try begin(stream) { () throws(RPCStatus) in try start(method, stream, message) }
      case .streaming(let executor):
        try admitStream()
        let message =
          core.methods.clientStreams(stream.method) ? nil : try stream.framedMessage()
        try begin(stream) { start(method, on: executor, stream, message) }
      }
    } catch {
      fail(stream, core.status(of: error, embedder.connection))
    }
  }

  /// Starts a call's handler, which then knows by whom the call is made.
  private func begin(
    _ stream: Engine.Stream, _ start: () throws(RPCStatus) -> Void
  ) throws(RPCStatus) {
    try embedder.begin(stream)
    defer { call.end() }
    try start()
  }

  /// An inline handler found that its call must wait.
  private func putOff(
    _ stream: Engine.Stream, _ message: UnsafeRawBufferPointer,
    _ method: Unmanaged<BoundMethod>?
  ) throws(RPCStatus) {
    // An engine may have no place for a call that it takes to be answered at once.
    guard let method, stream.mayWait else {
      throw RPCStatus(.internalError, "nothing answers the call")
    }
    guard mayBegin else {
      stream.isPutOff = true
      watchDeadline(stream)
      return engine.hold(stream)
    }
    try admit()
    try start(method, stream, message)
  }

  /// A call that was put off, and held back then.
  private func goOn(
    _ stream: Engine.Stream, _ method: Unmanaged<BoundMethod>
  ) throws(RPCStatus) {
    try admit()
    try begin(stream) { () throws(RPCStatus) in try start(method, stream, stream.message()) }
  }

  private func start(
    _ method: Unmanaged<BoundMethod>, _ stream: Engine.Stream,
    _ message: UnsafeRawBufferPointer
  ) throws(RPCStatus) {
    let message = Array(message)
    engine.handOver(stream)
    start(method, stream, message, try grip(message.count, stream))
  }

  /// Unpacking takes time: then others have their turn.
  private func unpack(_ stream: Engine.Stream) throws(RPCStatus) {
    defer { endOwnTurn() }
    try engine.unpack(stream)
  }

  private func grip(_ count: Int, _ stream: Engine.Stream) throws(RPCStatus) -> MemoryGrip? {
    guard count > MemoryBudget.allowance else { return nil }
    return try RequestIntake(memory: engine.memory, mailbox: mailbox, key: stream.key).grip(count)
  }

  /// Ends a call that no handler answers, or not in time.
  func fail(_ stream: Engine.Stream, _ status: RPCStatus) {
    let described = core.described(status)
    if let task = stream.task {
      stream.task = nil
      stream.pipe?.fail(described)
      task.cancel()
    }
    engine.fail(stream, described)
  }

  // MARK: Asynchronous handlers

  /// Before the request is looked at: a server that has more to do than it can says so cheaply. A
  /// connection with few calls is served all the same, or one peer could keep all others out.
  private func admit() throws(RPCStatus) {
    guard core.pendingCalls.load(ordering: .relaxed) >= core.limits.maximumPendingCalls else {
      return
    }
    try insistOnGuarantee("the server has too many calls at work")
  }

  /// Apart from the others: who keeps streams open keeps nobody from calling.
  private func admitStream() throws(RPCStatus) {
    guard core.pendingStreams.load(ordering: .relaxed) >= core.limits.maximumPendingStreams else {
      return
    }
    try insistOnGuarantee("the server has too many streams")
  }

  private func insistOnGuarantee(_ reason: String) throws(RPCStatus) {
    guard engine.progress.openCalls > core.limits.guaranteedCalls else { return }
    throw RPCStatus(.resourceExhausted, reason, retryAfter: core.limits.retryDelay)
  }

  private func start(
    _ method: Unmanaged<BoundMethod>, _ stream: Engine.Stream, _ message: [UInt8],
    _ grip: MemoryGrip?
  ) {
    if message.count > Self.largeMessage { burstLimit = 1 }
    countInBurst()
    let call = prepare(stream)
    let handler = method._withUnsafeGuaranteedRef { $0.unary(call) }
    let connection = embedder.connection
    let (core, mailbox, memory, key) = (core, mailbox, engine.memory, stream.key)
    let (gate, gated) = (core.memory.replyGate, enterGate())
    core.pendingCalls.add(1, ordering: .acquiringAndReleasing)
    stream.task = Task(executorPreference: core.pool) {
      defer {
        core.pendingCalls.subtract(1, ordering: .acquiringAndReleasing)
        withExtendedLifetime(grip) {}
      }
      do {
        // What was started before it may have closed the gate by now.
        let passage =
          if let gated { try await gated.pass(key) } else {
            gate.isClosed ? try await gate.wait(memory) : nil as ReplyGate.Passage?
          }
        defer { withExtendedLifetime(passage) {} }
        let answer = try await handler(message)
        let inFlight = ReplyInFlight.note(answer.count, memory)
        mailbox.post(.init(key: key, result: .success(answer), inFlight: inFlight))
      } catch {
        mailbox.post(.init(key: key, result: .failure(core.status(of: error, connection))))
      }
    }
  }

  private func start(
    _ method: Unmanaged<BoundMethod>, on executor: HandlerExecutor,
    _ stream: Engine.Stream, _ message: FramedMessage?
  ) {
    if let message { stream.requestWasCompressed = message.isPacked }
    let call = prepare(stream)
    let pipe = CallPipe(
      mailbox: mailbox, key: stream.key, control: call.response,
      clientTakesGzip: engine.takesGzip(stream), memory: engine.memory)
    stream.pipe = pipe
    if let message {
      pipe.deliver([message])
      pipe.endRequests()
      engine.handOver(stream)
    } else {
      engine.connect(stream, to: pipe)
    }
    let handler = method._withUnsafeGuaranteedRef { $0.stream(call) }
    let (core, key, connection) = (core, stream.key, embedder.connection)
    let gated = enterGate()
    core.pendingStreams.add(1, ordering: .acquiringAndReleasing)
    let body: @Sendable () async -> Void = {
      defer { core.pendingStreams.subtract(1, ordering: .acquiringAndReleasing) }
      do {
        let passage = try await gated?.pass(key)
        defer { withExtendedLifetime(passage) {} }
        try await handler(RequestMessages(pipe: pipe), ResponseWriter(pipe))
        pipe.finish(nil)
      } catch {
        pipe.finish(core.described(core.status(of: error, connection)))
      }
    }
    switch executor {
    case .eventLoop: stream.task = .immediate(executorPreference: loop.executor, operation: body)
    case .concurrentPool:
      stream.task = Task(executorPreference: core.pool, operation: body)
    }
  }

  /// Before a handler is started: nil if it need not wait.
  private func enterGate() -> GatedCalls? {
    guard core.memory.replyGate.isClosed else { return nil }
    let calls = gatedCalls ?? GatedCalls(engine.memory, mailbox)
    gatedCalls = calls
    calls.enter()
    return calls
  }

  private func hasPassedGate() -> Bool {
    guard gatedCalls?.isEmpty == true else { return false }
    gatedCalls = nil
    return true
  }

  /// What an asynchronous handler gets. It is cancelled when the deadline passes.
  private func prepare(_ stream: Engine.Stream) -> AsyncCallState {
    stream.owner = self
    watchDeadline(stream)
    let deadline = stream.expiry.map {
      ContinuousClock.now.advanced(by: .nanoseconds(($0 - loop.timers.turnTime).nanoseconds))
    }
    let metadata = stream.metadata()
    let control = ResponseControl(received: metadata)
    stream.control = control
    // What the engine counts for it is for the handler's from now on.
    stream.releaseMetadata()
    return AsyncCallState(
      connection: embedder.connection, metadata: metadata, deadline: deadline,
      requestWasCompressed: stream.requestWasCompressed, response: control,
      handle: CallHandle(mailbox, stream.key), drain: drainSignal)
  }

  /// Acts upon what tasks have posted.
  func handleMail() {
    guard let mail = mailbox.take() else { return }
    // Before anything that their handlers have sent.
    for ending in mail.endings {
      guard let stream = engine.stream(ending.key), stream.awaitsResponse else { continue }
      fail(stream, core.status(of: ending.status, embedder.connection))
    }
    for key in mail.keys {
      if let stream = engine.stream(key) { engine.transfer(stream) }
    }
    for outcome in mail.results {
      guard let stream = engine.stream(outcome.key), stream.awaitsResponse else { continue }
      finish(stream, outcome.result)
    }
    giveUp(mail)
  }

  /// Others need the memory of what is held here.
  private func giveUp(_ mail: ConnectionMailbox.Mail) {
    for key in mail.unaffordable {
      guard let stream = engine.stream(key), stream.awaitsResponse else { continue }
      // Not to be repeated without a thought: its handler has begun.
      let reason = "the server needs the memory of this request"
      fail(stream, RPCStatus(.resourceExhausted, reason))
    }
    var mustClose = false
    if mail.requestBytes > 0 { mustClose = engine.giveUp(.requests, mail.requestBytes) }
    if mail.replyBytes > 0 { mustClose = engine.giveUp(.replies, mail.replyBytes) || mustClose }
    if mustClose {
      core.log(.peerStalled, embedder.connection.label, "others needed the memory of its answers")
      closeNow()
    }
    serveReady()
  }

  private func finish(_ stream: Engine.Stream, _ result: Result<[UInt8], RPCStatus>) {
    stream.task = nil
    burstCalls = max(0, burstCalls - 1)
    switch result {
    case .success(let message):
      noteResponse(message.count)
      guard engine.hasRoom(forReply: message.count) else {
        let status = RPCStatus(
          .resourceExhausted, "too many responses wait for this client",
          retryAfter: core.limits.retryDelay)
        return fail(stream, status)
      }
      let target = stream.beginReply(count: message.count)
      message.withUnsafeBytes { bytes in
        if let base = bytes.baseAddress { target.copyMemory(from: base, byteCount: bytes.count) }
      }
      engine.succeed(stream)
    case .failure(let status):
      fail(stream, status)
    }
  }
}

extension ServerConnectionHandler: MailboxReader {
  func readMail() {
    loop.timers.beginTurn()
    resumeTurn()
    handleMail()
    flush()
  }
}

extension ServerConnectionHandler: ServerStreamOwner {
  func deadlinePassed(_ stream: ServerStream) {
    // A connection's streams are all of its engine's kind.
    guard let stream = engine.stream(stream.key), stream.awaitsResponse else { return }
    fail(stream, Self.deadlineExceeded)
    flush()
  }

  func engineHasNews() { flush() }
}
