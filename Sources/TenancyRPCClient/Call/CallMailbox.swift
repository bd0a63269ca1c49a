import Synchronization
internal import TenancyRPCCore

/// What a caller's task and the event loop that carries its call exchange. Thread-safe.
///
/// Both queues are bounded: a writer waits at `sendLimit`, and the server's flow-control window opens
/// again only as messages are taken. Neither side waits for the other's thread to take or leave a
/// message.
final class CallMailbox: Sendable {
  /// What the loop finds of the caller's wishes.
  struct Wishes {
    var messages: [OutboundMessage] = []
    var isFinished = false
    var consumedBytes = 0
    var isCancelled = false
  }

  private enum Side { case reading, writing }
  private typealias Waiter = CheckedContinuation<Void, Never>

  private struct State {
    var wishes = Wishes()
    var finishedBefore = false
    /// The cost of messages that no server has taken.
    var outstandingCost = 0
    /// The loop will look at `wishes` soon.
    var isWoken = false
    var wake: (@Sendable () -> Void)?
    var responses = FIFO<InboundMessage>()
    var headers: RPCMetadata?
    var end: StreamEnd?
    var readers: [Waiter] = []
    var writers: [Waiter] = []
  }

  private let state = Mutex(State())
  private let sendLimit: Int
  /// Taken response bytes that are worth telling the loop of.
  private let reportBytes: Int
  /// Whether the loop is told, too, when nothing is left to take.
  private let reportsAll: Bool

  /// - Parameters:
  ///   - reportsAll: what was taken counts for all calls of a connection, and not for this one alone.
  ///   - message: the only one of a request that is not a stream.
  init(_ limits: ClientLimits, reportsAll: Bool = false, only message: OutboundMessage? = nil) {
    self.reportsAll = reportsAll
    sendLimit = limits.maximumSendBufferBytes
    // With nghttp2 holding back up to half a window, a quarter is left to the server.
    reportBytes = limits.streamWindowBytes / 4
    guard let message else { return }
    state.withLock { state in
      state.outstandingCost = message.cost
      state.wishes = Wishes(messages: [message], isFinished: true)
      state.finishedBefore = true
    }
  }

  // MARK: The caller's side

  /// Queues a message, waiting for room.
  ///
  /// - Throws: how the call ended, if it has.
  func send(_ message: OutboundMessage) async throws(RPCStatus) {
    while true {
      let (isQueued, wake) = try state.withLock { state throws(RPCStatus) in
        // First: it is the caller's mistake, however the call has gone meanwhile.
        if state.finishedBefore {
          throw RPCStatus(.internalError, "a message was sent after the last one")
        }
        if let end = state.end { throw Self.failure(end) }
        guard state.outstandingCost < sendLimit else { return (false, nil) as (Bool, Wake?) }
        state.outstandingCost += message.cost
        state.wishes.messages.append(message)
        return (true, Self.toWake(&state))
      }
      wake?()
      if isQueued { return }
      await waitForChange(.writing) { [sendLimit] state in
        state.end != nil || state.outstandingCost < sendLimit
      }
    }
  }

  /// No more messages will be sent. Does nothing the second time.
  func finish() {
    let wake = state.withLock { state -> Wake? in
      guard !state.finishedBefore, state.end == nil else { return nil }
      state.finishedBefore = true
      state.wishes.isFinished = true
      return Self.toWake(&state)
    }
    wake?()
  }

  /// Gives the call up. Does nothing when it is over.
  func cancel() {
    let wake = state.withLock { state -> Wake? in
      guard state.end == nil else { return nil }
      state.wishes.isCancelled = true
      return Self.toWake(&state)
    }
    wake?()
  }

  /// The next message; nil: the call ended well.
  func next() async throws(RPCStatus) -> InboundMessage? {
    while true {
      let (message, end, wake) = state.withLock { state in
        guard let message = state.responses.popFirst() else {
          return (nil, state.end, nil) as (InboundMessage?, StreamEnd?, Wake?)
        }
        state.wishes.consumedBytes += message.wireBytes
        let isWorthwhile =
          state.wishes.consumedBytes >= reportBytes || reportsAll && state.responses.isEmpty
        return (message, nil, isWorthwhile && state.end == nil ? Self.toWake(&state) : nil)
      }
      wake?()
      if let message { return message }
      if let end {
        guard end.status.code == .ok else { throw end.status }
        return nil
      }
      await waitForChange(.reading) { $0.end != nil || !$0.responses.isEmpty }
    }
  }

  /// The initial metadata, as soon as it is here. Empty for a call that ended without.
  func headers() async throws(RPCStatus) -> RPCMetadata {
    await waitForChange(.reading) { $0.end != nil || $0.headers != nil }
    let (headers, end) = state.withLock { ($0.headers, $0.end) }
    if let headers { return headers }
    if let end, end.status.code != .ok { throw end.status }
    return RPCMetadata()
  }

  /// Waits until the call is over.
  func outcome() async -> StreamEnd {
    while true {
      if let end { return end }
      await waitForChange(.reading) { $0.end != nil }
    }
  }

  var end: StreamEnd? { state.withLock { $0.end } }

  var metadata: ResponseMetadata {
    state.withLock {
      ResponseMetadata(
        initial: $0.headers ?? RPCMetadata(), trailing: $0.end?.trailers ?? RPCMetadata())
    }
  }

  /// Why nothing more can be sent.
  private static func failure(_ end: StreamEnd) -> RPCStatus {
    end.status.code == .ok ? RawRequestWriter.notWanted : end.status
  }

  /// A cancelled task gives the call up: its end is then what everyone waits for.
  private func waitForChange(
    _ side: Side, until isThere: @escaping @Sendable (inout State) -> Bool
  ) async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { (waiter: Waiter) in
        let isReady = state.withLock { state in
          if isThere(&state) { return true }
          switch side {
          case .reading: state.readers.append(waiter)
          case .writing: state.writers.append(waiter)
          }
          return false
        }
        if isReady { waiter.resume() }
      }
    } onCancel: {
      cancel()
    }
  }

  // MARK: The loop's side

  private typealias Wake = @Sendable () -> Void

  private static func toWake(_ state: inout State) -> Wake? {
    guard !state.isWoken else { return nil }
    state.isWoken = true
    return state.wake
  }

  /// From now on `wake` is called, from any thread, when there are new wishes. Those that are there
  /// already are for whoever attaches.
  func attach(_ wake: @escaping @Sendable () -> Void) {
    state.withLock { $0.wake = wake }
  }

  func takeWishes() -> Wishes {
    state.withLock { state in
      state.isWoken = false
      defer { state.wishes = Wishes() }
      return state.wishes
    }
  }

  func post(headers: RPCMetadata) {
    resume { state in
      state.headers = headers
      return true
    }
  }

  func post(_ messages: [InboundMessage]) {
    resume { state in
      for message in messages { state.responses.append(message) }
      return true
    }
  }

  /// The server has taken request messages.
  func release(_ cost: Int) {
    let waiters = state.withLock { [sendLimit] state -> [Waiter] in
      state.outstandingCost -= cost
      guard state.outstandingCost < sendLimit else { return [] }
      defer { state.writers = [] }
      return state.writers
    }
    for waiter in waiters { waiter.resume() }
  }

  /// The call is over.
  func post(_ end: StreamEnd) {
    resume { state in
      guard state.end == nil else { return false }
      state.end = end
      state.wake = nil
      state.readers += state.writers
      state.writers = []
      return true
    }
  }

  private func resume(_ change: (inout State) -> Bool) {
    let waiters = state.withLock { state -> [Waiter] in
      guard change(&state) else { return [] }
      defer { state.readers = [] }
      return state.readers
    }
    for waiter in waiters { waiter.resume() }
  }
}
