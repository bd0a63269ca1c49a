import Synchronization
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// The messages of one streaming call, between its handler's task and the connection that carries it.
/// Thread-safe. Bounded both ways: the connection does not let the peer send more than its windows while
/// the handler does not read, and `send` waits while the peer does not take.
///
/// The connection is told of changes through its mailbox, and then calls `transfer`.
final class CallPipe: Sendable {
  /// Response bytes that may wait before `send` waits too; it goes on at half of that.
  static let maximumWaitingBytes = 32 * 1024
  /// What a message costs besides its bytes, about.
  static let messageOverhead = 64
  /// Bytes of requests that the handler takes before the peer may hear of it.
  private static let windowStep = 32 * 1024

  /// A response message as the connection takes it.
  struct Outgoing: Sendable {
    let bytes: [UInt8]
    let isCompressed: Bool
    /// Held until the connection counts the message.
    var inFlight: ReplyInFlight?
  }

  /// What there is to do for the connection.
  struct Transfer {
    var messages: [Outgoing]
    /// Set once, when the handler has returned: nothing follows.
    var end: RPCStatus?
    var isEnded: Bool
    /// The requests can't be read on: what the call ends with.
    var refusal: RPCStatus?
  }

  private typealias Reader = CheckedContinuation<Result<FramedMessage?, RPCStatus>, Never>
  private typealias Writer = CheckedContinuation<Void, Never>

  private struct State {
    // Requests.
    var received: [FramedMessage] = []
    var receivedHead = 0
    /// Bytes of the messages that wait for the handler, framing included.
    var heldBytes = 0
    /// Bytes that the handler has taken since the connection was last told.
    var takenBytes = 0
    var requestEnded = false
    var reader: Reader?
    /// For the message that the handler has.
    var grip: MemoryGrip?
    /// Why that was the last.
    var refusal: RPCStatus?
    // Responses.
    var outgoing: [Outgoing] = []
    /// Cost of `outgoing`.
    var outgoingBytes = 0
    /// Bytes that the protocol engine has taken and the peer has not.
    var unsentBytes = 0
    var writers: [Writer] = []
    var headersRequested = false
    var handlerReturned = false
    var result: RPCStatus?
    var resultTaken = false
    /// Set when the call is over for reasons of the other side.
    var failure: RPCStatus?
    /// The connection knows that there is something to do.
    var isPosted = false
  }

  private let state = Mutex(State())
  private let mailbox: ConnectionMailbox
  private let key: StreamKey
  let control: ResponseControl
  private let memory: ConnectionMemory
  /// Whether the client takes packed messages.
  let clientTakesGzip: Bool

  init(
    mailbox: ConnectionMailbox, key: StreamKey, control: ResponseControl, clientTakesGzip: Bool,
    memory: ConnectionMemory
  ) {
    self.memory = memory
    self.mailbox = mailbox
    self.key = key
    self.control = control
    self.clientTakesGzip = clientTakesGzip
  }

  // MARK: The connection's side

  /// What a message counts for in `heldBytes`.
  @inline(__always)
  static func weight(_ message: FramedMessage) -> Int {
    message.bytes.count + MessageReader.prefixLength
  }

  /// Request messages have come in.
  func deliver(_ messages: [FramedMessage]) {
    let waiting = state.withLock { state -> (Reader, FramedMessage)? in
      guard state.failure == nil, !state.handlerReturned else { return nil }
      for message in messages {
        state.received.append(message)
        state.heldBytes += Self.weight(message)
      }
      guard let reader = state.reader, let message = Self.take(&state) else { return nil }
      state.reader = nil
      // Handed on at once: the connection, which looks at `held` next, need not be told.
      state.takenBytes = 0
      return (reader, message)
    }
    if let (reader, message) = waiting { reader.resume(returning: .success(message)) }
  }

  /// No request message follows.
  func endRequests() {
    let reader = state.withLock { state -> Reader? in
      state.requestEnded = true
      defer { state.reader = nil }
      return state.reader
    }
    reader?.resume(returning: .success(nil))
  }

  /// The call is over: whoever reads or sends gets `status`.
  func fail(_ status: RPCStatus) {
    let (reader, writers) = state.withLock { state -> (Reader?, [Writer]) in
      guard state.failure == nil else { return (nil, []) }
      state.failure = status
      state.received = []
      state.receivedHead = 0
      state.heldBytes = 0
      state.outgoing = []
      defer {
        state.reader = nil
        state.writers = []
      }
      return (state.reader, state.writers)
    }
    reader?.resume(returning: .failure(status))
    for writer in writers { writer.resume() }
  }

  /// What the handler has not taken yet: bytes as they came in, and what they cost here.
  var held: (bytes: Int, cost: Int) {
    state.withLock { state in
      let count = state.received.count - state.receivedHead
      return (state.heldBytes, state.heldBytes + count * Self.messageOverhead)
    }
  }

  /// Takes what there is to send.
  func transfer() -> Transfer {
    state.withLock { state in
      state.isPosted = false
      state.takenBytes = 0
      let messages = state.outgoing
      state.outgoing = []
      state.unsentBytes += state.outgoingBytes
      state.outgoingBytes = 0
      let isEnded = state.handlerReturned && !state.resultTaken
      if isEnded { state.resultTaken = true }
      return Transfer(
        messages: messages, end: state.result, isEnded: isEnded, refusal: state.refusal)
    }
  }

  /// Whether the handler wants the initial metadata sent before any message.
  var headersRequested: Bool { state.withLock { $0.headersRequested } }

  /// The peer's protocol engine has `waiting` bytes of this call that it could not send yet.
  func sent(stillWaiting waiting: Int) {
    let writers = state.withLock { state -> [Writer] in
      state.unsentBytes = waiting
      guard state.unsentBytes + state.outgoingBytes <= Self.maximumWaitingBytes / 2 else {
        return []
      }
      defer { state.writers = [] }
      return state.writers
    }
    for writer in writers { writer.resume() }
  }

  // MARK: The handler's side

  nonisolated(nonsending) func next() async throws(RPCStatus) -> ReceivedMessage? {
    var ready = takeNext()
    if ready == nil { ready = await waitForNext() }
    guard let framed = try ready?.get() else { return nil }
    guard framed.isPacked || framed.bytes.count > MemoryBudget.allowance else {
      return ReceivedMessage(bytes: framed.bytes)
    }
    do throws(RPCStatus) {
      let intake = RequestIntake(memory: memory, mailbox: mailbox, key: key)
      let opened = try intake.open(framed)
      state.withLock { $0.grip = opened.grip }
      return opened.message
    } catch {
      refuse(error)
      throw error
    }
  }

  /// A message can't be read: the connection ends the call.
  private func refuse(_ status: RPCStatus) {
    let post = state.withLock { state in
      state.refusal = state.refusal ?? status
      return Self.shouldPost(&state, force: true)
    }
    if post { mailbox.post(key) }
  }

  /// The next message or the end; nil: not known yet.
  private func takeNext() -> Result<FramedMessage?, RPCStatus>? {
    let (now, post, grip) = state.withLock { state in
      // The handler is done with the message before.
      let grip = state.grip.take()
      return (Self.poll(&state), Self.shouldPost(&state), grip)
    }
    withExtendedLifetime(grip) {}  // Given up outside of the lock.
    if post { mailbox.post(key) }
    return now
  }

  private func waitForNext() async -> Result<FramedMessage?, RPCStatus> {
    await withTaskCancellationHandler {
      await withCheckedContinuation { (reader: Reader) in
        let ready = state.withLock { state -> Result<FramedMessage?, RPCStatus>? in
          if let ready = Self.poll(&state) { return ready }
          if Task.isCancelled { return .failure(Self.cancelled) }
          guard state.reader == nil else {
            return .failure(RPCStatus(.internalError, "the requests of a call have one reader"))
          }
          state.reader = reader
          return nil
        }
        if let ready { reader.resume(returning: ready) }
      }
    } onCancel: {
      let reader = state.withLock { state -> Reader? in
        defer { state.reader = nil }
        return state.reader
      }
      reader?.resume(returning: .failure(Self.cancelled))
    }
  }

  /// - Throws: why the call is over, or INTERNAL when its handler has returned.
  nonisolated(nonsending) func send(
    _ message: [UInt8], compress: Bool
  ) async throws(RPCStatus) {
    if try enqueue(message, compress: compress) { try await waitForRoom() }
  }

  /// Not in `send`, which would keep all of it while it waits. Returns whether it must.
  private func enqueue(_ message: [UInt8], compress: Bool) throws(RPCStatus) -> Bool {
    guard UInt32(exactly: message.count) != nil else {
      throw RPCStatus(.internalError, "the response message is larger than 4 GiB")
    }
    var outgoing = Outgoing(bytes: message, isCompressed: false)
    if compress, clientTakesGzip, control.snapshot().compresses, let packed = Gzip.compress(message)
    {
      outgoing = Outgoing(bytes: packed, isCompressed: true)
    }
    outgoing.inFlight = .note(outgoing.bytes.count, memory)
    let (failure, post, isFull) = state.withLock { state -> (RPCStatus?, Bool, Bool) in
      if let failure = Self.ending(state) { return (failure, false, false) }
      state.outgoing.append(outgoing)
      state.outgoingBytes += outgoing.bytes.count + Self.messageOverhead
      return (nil, Self.shouldPost(&state, force: true), self.isFull(state))
    }
    if let failure { throw failure }
    if post { mailbox.post(key) }
    return isFull
  }

  private func waitForRoom() async throws(RPCStatus) {
    await withTaskCancellationHandler {
      await withCheckedContinuation { (writer: Writer) in
        let goesOn = state.withLock { state -> Bool in
          if Self.ending(state) != nil || Task.isCancelled || !self.isFull(state) { return true }
          state.writers.append(writer)
          return false
        }
        if goesOn { writer.resume() }
      }
    } onCancel: {
      // All of them look again; those that were not meant wait at their next message.
      let writers = state.withLock { state -> [Writer] in
        defer { state.writers = [] }
        return state.writers
      }
      for writer in writers { writer.resume() }
    }
    if let failure = state.withLock({ Self.ending($0) }) { throw failure }
    if Task.isCancelled { throw Self.cancelled }
  }

  func sendHeaders() {
    let post = state.withLock { state -> Bool in
      guard Self.ending(state) == nil, !state.headersRequested else { return false }
      state.headersRequested = true
      return Self.shouldPost(&state, force: true)
    }
    if post { mailbox.post(key) }
  }

  /// The handler has returned. Whoever else reads or sends for the call, or will, gets an error: nobody
  /// takes their messages any more.
  ///
  /// - Parameter status: nil for OK.
  func finish(_ status: RPCStatus?) {
    let (post, reader, writers) = state.withLock { state -> (Bool, Reader?, [Writer]) in
      state.handlerReturned = true
      state.grip = nil
      state.result = status
      state.received = []
      state.receivedHead = 0
      state.heldBytes = 0
      defer {
        state.reader = nil
        state.writers = []
      }
      return (Self.shouldPost(&state, force: true), state.reader, state.writers)
    }
    if post { mailbox.post(key) }
    reader?.resume(returning: .failure(Self.returned))
    for writer in writers { writer.resume() }
  }

  // MARK: Under the lock

  private static let cancelled = RPCStatus(.cancelled, "the call was cancelled")
  private static let returned = RPCStatus(.internalError, "the call's handler has returned")

  /// Why nothing can be read or sent any more, if so.
  private static func ending(_ state: State) -> RPCStatus? {
    state.failure ?? (state.handlerReturned ? returned : nil)
  }

  /// The next message or the end, if known.
  private static func poll(_ state: inout State) -> Result<FramedMessage?, RPCStatus>? {
    if let failure = ending(state) ?? state.refusal { return .failure(failure) }
    if let message = take(&state) { return .success(message) }
    return state.requestEnded ? .success(nil) : nil
  }

  private static func take(_ state: inout State) -> FramedMessage? {
    guard state.receivedHead < state.received.count else { return nil }
    let message = state.received[state.receivedHead]
    state.receivedHead += 1
    if state.receivedHead == state.received.count {
      state.received.removeAll(keepingCapacity: true)
      state.receivedHead = 0
    }
    state.heldBytes -= weight(message)
    state.takenBytes += weight(message)
    return message
  }

  /// When the memory for responses is used up, a call has one message at a time.
  private func isFull(_ state: State) -> Bool {
    let waiting = state.unsentBytes + state.outgoingBytes
    return waiting > Self.maximumWaitingBytes || waiting > 0 && memory.server.replies.isExhausted
  }

  /// Whether the connection must be told: of requests taken, only when none is left or they were many,
  /// which is when the peer's window matters.
  private static func shouldPost(_ state: inout State, force: Bool = false) -> Bool {
    guard !state.isPosted,
      force || state.takenBytes > 0 && (state.received.isEmpty || state.takenBytes >= windowStep)
    else { return false }
    state.isPosted = true
    return true
  }
}
