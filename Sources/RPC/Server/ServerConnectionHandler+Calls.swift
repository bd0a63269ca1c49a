import Synchronization
internal import NIOCore

/// How a connection's calls are run.
extension ServerConnectionHandler {
  func serveReady() {
    while let stream = engine.nextReady() {
      guard stream.awaitsResponse else { continue }
      switch stream.refusal {
      case .status(let status): fail(stream, status)
      case .http(let status): engine.fail(stream, http: status)
      case nil: serve(stream)
      }
    }
  }

  private func serve(_ stream: Engine.Stream) {
    do throws(RPCStatus) {
      let method = core.methods.methods[Int(stream.method)]
      switch method.handler {
      case .inline(let handler):
        let message = try stream.message()
        call.arena.reset()
        call.stream = stream
        defer { call.stream = nil }
        try handler(call, message)
        engine.succeed(stream)
      case .async(let handler):
        start(handler, stream, Array(try stream.message()))
      case .streaming(let handler, let executor):
        let message =
          method.kind.clientStreams
          ? nil
          : ReceivedMessage(
            bytes: Array(try stream.message()), wasCompressed: stream.requestWasCompressed)
        start(handler, on: executor, stream, message)
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

  private func start(
    _ handler: @escaping ServiceMethod.AsyncHandler, _ stream: Engine.Stream, _ message: [UInt8]
  ) {
    let call = prepare(stream)
    let (core, mailbox, key) = (core, mailbox, stream.key)
    core.runningTasks.add(1, ordering: .acquiringAndReleasing)
    stream.task = Task {
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
      clientTakesGzip: engine.takesGzip(stream))
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
    case .concurrentPool: stream.task = Task(operation: body)
    }
  }

  /// What an asynchronous handler gets; starts the deadline's clock.
  private func prepare(_ stream: Engine.Stream) -> AsyncCall {
    let control = ResponseControl()
    stream.control = control
    stream.owner = self
    var deadline: ContinuousClock.Instant?
    if let timeout = stream.timeout {
      let nanoseconds = Int64(min(timeout, UInt64(Int64.max / 2)))
      deadline = ContinuousClock.now.advanced(by: .nanoseconds(nanoseconds))
      loop.timers.schedule(stream, in: .nanoseconds(nanoseconds))
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
    switch result {
    case .success(let message):
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
    handleMail()
    flush()
  }
}

extension ServerConnectionHandler: ServerStreamOwner {
  func deadlinePassed(_ stream: ServerStream) {
    // A connection's streams are all of its engine's kind.
    guard let stream = engine.stream(stream.key), stream.awaitsResponse else { return }
    fail(stream, RPCStatus(.deadlineExceeded, "the deadline has passed"))
    flush()
  }

  func engineHasNews() { flush() }
}
