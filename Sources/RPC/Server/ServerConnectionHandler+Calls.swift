import Synchronization
internal import NIOCore

/// How a connection's calls are run.
extension ServerConnectionHandler {
  func serveReady() {
    while !isLingering, mayStart, let stream = engine.nextReady() {
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
  private func countFresh() {
    freshCalls += 1
    guard !freshTimer.isScheduled else { return }
    loop.timers.schedule(
      freshTimer, in: freshWindow == 1 ? Self.freshTimeOfLargeMessages : Self.freshTime)
  }

  /// Large messages go one by one, small ones soon many at a time.
  private func noteResponse(_ count: Int) {
    freshWindow =
      count > MemoryShare.allowance ? 1 : min(freshWindow + 1, core.limits.maximumFreshCalls)
  }

  /// Whether the next call may be served now.
  var mayStart: Bool {
    callsInTurn < core.limits.maximumCallsPerTurn
      && (freshCalls == 0
        || freshCalls < freshWindow && !core.memory.replies.isExhausted)
  }

  /// One that has many calls does not keep the others of its event loop waiting.
  private func countInTurn() {
    callsInTurn += 1
    if callsInTurn == core.limits.maximumCallsPerTurn { loop.timers.schedule(turnTimer, in: .zero) }
  }

  /// Input, or the next turn of the event loop.
  func beginTurn() {
    if !turnTimer.isScheduled { callsInTurn = 0 }
  }

  func endTurn() {
    loop.timers.beginTurn()
    callsInTurn = 0
    serveReady()
    flush()
  }

  /// Handlers that were started have had their time.
  func endFresh() {
    loop.timers.beginTurn()
    freshCalls = 0
    serveReady()
    flush()
  }

  private static var freshTime: TimeAmount { .milliseconds(1) }
  private static var freshTimeOfLargeMessages: TimeAmount { .milliseconds(10) }

  private func serve(_ stream: Engine.Stream) {
    do throws(RPCStatus) {
      switch core.methods.handler(stream.method) {
      case .inline(let handler):
        let message = try stream.message()
        call.arena.reset()
        call.stream = stream
        defer { call.stream = nil }
        try handler(call, message)
        engine.succeed(stream)
      case .async(let handler):
        try admit()
        start(handler, stream, Array(try stream.message()))
      case .streaming(let handler, let executor):
        try admit()
        let message =
          core.methods.clientStreams(stream.method)
          ? nil
          : ReceivedMessage(
            bytes: Array(try stream.message()), wasCompressed: stream.requestWasCompressed)
        start(handler, on: executor, stream, message)
      // An engine refuses such a call itself; nothing is served in its place.
      case nil: throw RPCStatus(.unimplemented, "unknown method")
      }
    } catch {
      fail(stream, error)
    }
  }

  /// Ends a call that no handler answers, or not in time.
  private func fail(_ stream: Engine.Stream, _ status: RPCStatus) {
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
    let limits = core.limits
    guard core.runningTasks.load(ordering: .relaxed) >= limits.maximumPendingCalls,
      engine.progress.openCalls > limits.guaranteedCalls
    else { return }
    throw RPCStatus(
      .resourceExhausted, "the server has too many calls at work", retryAfter: limits.retryDelay)
  }

  private func start(
    _ handler: @escaping ServiceMethod.AsyncHandler, _ stream: Engine.Stream, _ message: [UInt8]
  ) {
    if message.count > MemoryShare.allowance { freshWindow = 1 }
    countFresh()
    let call = prepare(stream)
    let (core, mailbox, key) = (core, mailbox, stream.key)
    core.runningTasks.add(1, ordering: .acquiringAndReleasing)
    stream.task = Task(executorPreference: core.pool) {
      defer { core.runningTasks.subtract(1, ordering: .acquiringAndReleasing) }
      do {
        mailbox.post(key, .success(try await handler(call, message)))
      } catch {
        mailbox.post(key, .failure(core.status(of: error, call.connection)))
      }
    }
  }

  private func start(
    _ handler: @escaping ServiceMethod.StreamingHandler, on executor: HandlerExecutor,
    _ stream: Engine.Stream, _ message: ReceivedMessage?
  ) {
    let call = prepare(stream)
    let pipe = CallPipe(
      mailbox: mailbox, key: stream.key, control: call.response,
      clientTakesGzip: engine.takesGzip(stream), memory: core.memory.replies)
    stream.pipe = pipe
    if let message {
      pipe.deliver([message])
      pipe.endRequests()
    } else {
      engine.connect(stream, to: pipe)
    }
    let core = core
    core.runningTasks.add(1, ordering: .acquiringAndReleasing)
    let body: @Sendable () async -> Void = {
      defer { core.runningTasks.subtract(1, ordering: .acquiringAndReleasing) }
      do {
        try await handler(call, RequestMessages(pipe: pipe), ResponseWriter(pipe))
        pipe.finish(nil)
      } catch {
        pipe.finish(core.described(core.status(of: error, call.connection)))
      }
    }
    switch executor {
    case .eventLoop: stream.task = .immediate(executorPreference: loop.executor, operation: body)
    case .concurrentPool:
      stream.task = Task(executorPreference: core.pool, operation: body)
    }
  }

  /// What an asynchronous handler gets. It is cancelled when the deadline passes.
  private func prepare(_ stream: Engine.Stream) -> AsyncCall {
    let control = ResponseControl()
    stream.control = control
    stream.owner = self
    watchDeadline(stream)
    let deadline = stream.expiry.map {
      ContinuousClock.now.advanced(by: .nanoseconds(($0 - loop.timers.turnTime).nanoseconds))
    }
    return AsyncCall(
      connection: call.connection, context: asyncContext, metadata: stream.metadata(),
      deadline: deadline, requestWasCompressed: stream.requestWasCompressed, response: control)
  }

  /// Acts upon what tasks have posted.
  func handleMail() {
    let mail = mailbox.take()
    for key in mail.keys {
      if let stream = engine.stream(key) { engine.transfer(stream) }
    }
    for (key, result) in mail.results {
      if let stream = engine.stream(key), stream.awaitsResponse { finish(stream, result) }
    }
  }

  private func finish(_ stream: Engine.Stream, _ result: Result<[UInt8], RPCStatus>) {
    stream.task = nil
    freshCalls = max(0, freshCalls - 1)
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
