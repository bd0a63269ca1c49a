internal import NIOCore
internal import TenancyLoop
internal import TenancyRPCCore

/// Where a call gets its connections from. Called on the event loop.
protocol CallPlacer: AnyObject {
  /// Finds a connection and gives it to the call by `submit`, now or later, or ends the attempt by
  /// `attemptFailed`.
  func place(_ call: ClientCall)
}

/// One call of a channel, over all its attempts. Confined to the channel's event loop.
final class ClientCall: ClientStreamObserver {
  struct Plan: Sendable {
    let head: RequestHead
    let deadline: NIODeadline?
    let waitsForReady: Bool
    let isIdempotent: Bool
    let providers: [any MetadataProvider]
  }

  /// What the calls of a channel share.
  final class Shared {
    let loop: any EventLoop
    /// Nearly every call sets a deadline and cancels it.
    let timers: TimerQueue
    let limits: ClientLimits
    let policy: RPCRetryPolicy
    let budget: RetryBudget
    /// From 0 to 1.
    let random: () -> Double

    init(
      loop: any EventLoop, limits: ClientLimits, policy: RPCRetryPolicy,
      random: @escaping () -> Double = { Double.random(in: 0...1) }
    ) {
      self.loop = loop
      timers = TimerQueue(loop: loop)
      self.limits = limits
      self.policy = policy
      budget = RetryBudget(policy)
      self.random = random
    }
  }

  let plan: Plan
  private let mailbox: CallMailbox
  private let shared: Shared
  private weak var placer: (any CallPlacer)?
  private var head: RequestHead
  private var replay: ReplayBuffer
  private var retry: RetryState
  private var carrier: (connection: ClientConnection, stream: ClientStream)?
  /// The cost of the messages that servers have taken, in the attempt that got furthest.
  private var releasedCost = 0
  private var deadlineTimer: ActionTimer?
  private var retryTimer: ActionTimer?
  private var credentials: Task<Void, Never>?
  private var onEnd: (() -> Void)?
  private(set) var isDone = false
  private var wasSubmitted = false

  init(_ plan: Plan, mailbox: CallMailbox, shared: Shared) {
    self.plan = plan
    self.mailbox = mailbox
    self.shared = shared
    head = plan.head
    replay = ReplayBuffer(limit: shared.limits.maximumReplayBytes)
    retry = RetryState(shared.policy, isIdempotent: plan.isIdempotent)
  }

  // MARK: Beginning

  /// Starts the deadline's clock and the first attempt. `onEnd` is called once.
  ///
  /// - Parameter refusal: why it is not to be made at all.
  func begin(_ placer: any CallPlacer, refusal: RPCStatus?, onEnd: @escaping () -> Void) {
    self.placer = placer
    self.onEnd = onEnd
    if let refusal { return end(refusal) }
    let bound = NIOLoopBound(self, eventLoop: shared.loop)
    let loop = shared.loop
    mailbox.attach { loop.execute { bound.value.readWishes() } }
    if let deadline = plan.deadline {
      guard deadline > loop.now else { return end(Self.tooLate) }
      deadlineTimer = schedule(at: deadline) { [self] in
        end(wasSubmitted ? Self.passed : Self.tooLate)
      }
    }
    readWishes()
    beginAttempt()
  }

  private static let tooLate = RPCStatus(
    .deadlineExceeded, "the deadline passed before the call could be sent")
  private static let passed = RPCStatus(.deadlineExceeded, "the deadline has passed")
  static let cancelled = RPCStatus(.cancelled, "the caller cancelled the call")

  private func beginAttempt() {
    guard !isDone else { return }
    replay.rewind()
    guard !plan.providers.isEmpty else {
      placer?.place(self)
      return
    }
    fetchCredentials()
  }

  /// Credentials are asked for at each attempt: an earlier one's may have expired.
  private func fetchCredentials() {
    let ready = plan.providers.compactMap { $0.current(for: plan.head.path) }
    if ready.count == plan.providers.count { return use(.success(ready)) }
    let bound = NIOLoopBound(self, eventLoop: shared.loop)
    let loop = shared.loop
    let (providers, path) = (plan.providers, plan.head.path)
    credentials = Task {
      let result = await CredentialsFailure.catching {
        var found: [RPCMetadata] = []
        for provider in providers { found.append(try await provider.metadata(for: path)) }
        return found
      }
      loop.execute { bound.value.use(result) }
    }
  }

  private func use(_ result: Result<[RPCMetadata], RPCStatus>) {
    credentials = nil
    guard !isDone else { return }
    do throws(RPCStatus) {
      head = plan.head
      for metadata in try result.get() {
        head = try head.adding(metadata, limits: shared.limits)
      }
      placer?.place(self)
    } catch {
      end(error)
    }
  }

  // MARK: Attempts

  /// - Precondition: the connection accepts calls.
  func submit(to connection: ClientConnection) {
    guard !isDone else { return }
    var timeout: UInt64?
    if let deadline = plan.deadline {
      let left = (deadline - shared.loop.now).nanoseconds
      guard left > 0 else { return end(Self.tooLate) }
      timeout = UInt64(left)
    }
    wasSubmitted = true
    head.previousAttempts = retry.attempts
    let stream = connection.open(head, timeout: timeout, observer: self)
    carrier = (connection, stream)
    sendRequests()
    connection.settleSoon()
  }

  /// No connection, and none to wait for.
  func attemptFailed(_ status: RPCStatus) {
    attemptEnded(StreamEnd(status: status))
  }

  private func sendRequests() {
    guard let carrier, carrier.stream.end == nil else { return }
    let (messages, isFinished) = replay.take()
    for message in messages { carrier.connection.send(message, on: carrier.stream) }
    if isFinished { carrier.connection.finishRequests(of: carrier.stream) }
  }

  func streamChanged(_ stream: ClientStream) {
    guard !isDone, let carrier, carrier.stream === stream else { return }
    if stream.sentCost > releasedCost {
      mailbox.release(stream.sentCost - releasedCost)
      releasedCost = stream.sentCost
    }
    var messages: [InboundMessage] = []
    for event in stream.takeEvents() {
      switch event {
      case .headers(let metadata):
        replay.commit()
        mailbox.post(headers: metadata)
      case .message(let message):
        replay.commit()
        messages.append(message)
      case .ended(let end):
        if !messages.isEmpty { mailbox.post(messages) }
        return attemptEnded(end)
      }
    }
    if !messages.isEmpty { mailbox.post(messages) }
  }

  private func attemptEnded(_ given: StreamEnd) {
    guard !isDone else { return }
    carrier = nil
    var end = given
    if given.status.code == .cancelled, let deadline = plan.deadline, shared.loop.now >= deadline {
      // The server's clock was faster: it resets what is late.
      end = StreamEnd(status: Self.passed, trailers: given.trailers)
    }
    let decision = retry.decide(
      end, isCommitted: replay.isCommitted, budget: shared.budget, random: shared.random())
    switch decision {
    case .end: finish(end)
    case .again(let delay):
      let due = shared.loop.now + .bounded(delay)
      // An attempt that can't be made in time would only hide what went wrong.
      if let deadline = plan.deadline, due >= deadline { return finish(end) }
      // Not from here, even without a delay: the connection that failed is telling all its calls.
      retryTimer = schedule(at: due) { [self] in
        retryTimer = nil
        beginAttempt()
      }
    }
  }

  /// The timer holds the call until it is over.
  private func schedule(at deadline: NIODeadline, _ action: @escaping () -> Void) -> ActionTimer {
    let timer = ActionTimer(action)
    shared.timers.schedule(timer, at: deadline)
    return timer
  }

  // MARK: Ending

  /// What the caller's task asks for.
  private func readWishes() {
    guard !isDone else { return }
    let wishes = mailbox.takeWishes()
    if wishes.isCancelled { return end(Self.cancelled) }
    replay.add(wishes.messages, isFinished: wishes.isFinished)
    guard let carrier else { return }
    sendRequests()
    if wishes.consumedBytes > 0 {
      carrier.connection.consumed(wishes.consumedBytes, of: carrier.stream)
    }
    carrier.connection.settleSoon()
  }

  /// Gives up, and resets the stream if there is one.
  func end(_ status: RPCStatus) {
    guard !isDone else { return }
    let carrier = carrier
    finish(StreamEnd(status: status))
    if let carrier { carrier.connection.cancel(carrier.stream, status) }
  }

  private func finish(_ end: StreamEnd) {
    guard !isDone else { return }
    isDone = true
    for timer in [deadlineTimer, retryTimer] {
      if let timer { shared.timers.cancel(timer) }
    }
    credentials?.cancel()
    (deadlineTimer, retryTimer, credentials, carrier) = (nil, nil, nil, nil)
    onEnd?()
    onEnd = nil
    mailbox.post(end)
  }
}
