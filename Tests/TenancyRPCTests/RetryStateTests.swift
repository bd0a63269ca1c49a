import Testing

@testable import TenancyRPCClient
@testable import TenancyRPCCore

@Suite("Whether a call is made again")
struct RetryStateTests {
  static let unavailable = StreamEnd(status: RPCStatus(.unavailable, "x"))

  static func policy(attempts: Int = 4, tokens: Double = 100) -> RPCRetryPolicy {
    var policy = RPCRetryPolicy()
    policy.maximumAttempts = attempts
    policy.maximumTokens = tokens
    return policy
  }

  static func end(
    _ code: RPCStatus.Code = .unavailable, _ reach: StreamEnd.Reach = .processed,
    pushback: String? = nil, details: [UInt8] = []
  ) -> StreamEnd {
    var trailers = RPCMetadata()
    if let pushback { trailers.add(RetryPushback.name, pushback) }
    return StreamEnd(
      status: RPCStatus(code, "x", details: details), trailers: trailers, reach: reach)
  }

  /// The delays of a call whose attempts end as given.
  static func delays(
    _ ends: [StreamEnd], policy: RPCRetryPolicy = policy(), isIdempotent: Bool = true,
    isCommitted: Bool = false, random: Double = 0.5
  ) -> [Duration] {
    var state = RetryState(policy, isIdempotent: isIdempotent)
    let budget = RetryBudget(policy)
    var delays: [Duration] = []
    for end in ends {
      let decision = state.decide(
        end, isCommitted: isCommitted, budget: budget, random: random)
      guard case .again(let delay) = decision else { break }
      delays.append(delay)
    }
    return delays
  }

  @Test func backsOffExponentiallyUpToTheMostAttempts() {
    let failures = [StreamEnd](repeating: Self.unavailable, count: 10)
    let expected = [100, 200, 400].map { Duration.milliseconds($0) }
    #expect(Self.delays(failures) == expected)
    #expect(Self.delays(failures, policy: Self.policy(attempts: 2)).count == 1)
    #expect(Self.delays(failures, policy: .never).isEmpty)
    // Five at most, whatever is asked for.
    #expect(Self.delays(failures, policy: Self.policy(attempts: 50)).count == 4)
  }

  @Test func delaysAreSpreadAndBounded() {
    for (random, expected) in [(0.0, 80), (1.0, 120)] {
      let delay = Self.delays([Self.unavailable], random: random).first ?? .zero
      #expect(BackoffTests.isClose(delay, .milliseconds(expected)))
    }
    var policy = Self.policy(attempts: 5)
    policy.initialBackoff = .seconds(3)
    let failures = [StreamEnd](repeating: Self.unavailable, count: 3)
    #expect(Self.delays(failures, policy: policy) == [.seconds(3), .seconds(5), .seconds(5)])
  }

  @Test func onlyIdempotentCallsWithRetryableStatus() {
    #expect(Self.delays([Self.unavailable], isIdempotent: false).isEmpty)
    #expect(Self.delays([Self.unavailable], isCommitted: true).isEmpty)
    for code in [
      RPCStatus.Code.cancelled, .unknown, .deadlineExceeded, .aborted, .internalError,
      .resourceExhausted, .permissionDenied,
    ] { #expect(Self.delays([Self.end(code)]).isEmpty) }
    var policy = Self.policy()
    policy.retryableCodes = [.aborted]
    #expect(Self.delays([Self.end(.aborted)], policy: policy).count == 1)
    #expect(Self.delays([Self.unavailable], policy: policy).isEmpty)
  }

  @Test func whatNoServerSawIsAlwaysMadeAgain() {
    let refused = Self.end(.unavailable, .refused)
    let unsent = Self.end(.unavailable, .neverSent)
    #expect(
      Self.delays([refused], policy: .never, isIdempotent: false) == [.zero])
    // Once: the second time the policy decides.
    #expect(Self.delays([refused, refused], policy: .never, isIdempotent: false) == [.zero])
    #expect(Self.delays([refused, refused]) == [.zero, .milliseconds(100)])
    let many = [StreamEnd](repeating: unsent, count: 100)
    #expect(
      Self.delays(many, policy: .never, isIdempotent: false).count == RetryState.maximumUnsent)
    // Not when the request is gone.
    #expect(Self.delays([refused], isCommitted: true).isEmpty)
  }

  @Test func serversPushbackCounts() {
    let late = Self.end(pushback: "1500")
    let soon = Self.end(pushback: "0")
    #expect(Self.delays([late]) == [.milliseconds(1500)])
    // The nominal delay starts over after it.
    #expect(
      Self.delays([Self.unavailable, soon, Self.unavailable])
        == [.milliseconds(100), .zero, .milliseconds(100)])
    for text in ["-1", "", "x", "99999999999", " 5", "1.5"] {
      #expect(Self.delays([Self.end(pushback: text)]).isEmpty)
    }
    #expect(Self.delays([late], isIdempotent: false).isEmpty)
  }

  /// google.rpc.Status with a RetryInfo of 2.5 s among its details.
  @Test func retryInfoIsTheLeast() {
    let duration: [UInt8] = [8, 2, 16, 0x80, 0xCA, 0xB5, 0xEE, 1]
    let info = [0x0A, UInt8(duration.count)] + duration
    let type = Array("type.googleapis.com/google.rpc.RetryInfo".utf8)
    let any = [0x0A, UInt8(type.count)] + type + [0x12, UInt8(info.count)] + info
    let other: [UInt8] = [0x1A, 3, 0x0A, 1, 65]
    let details = [8, 14] + other + [0x1A, UInt8(any.count)] + any
    let told = Self.end(details: details)
    #expect(Self.delays([told]) == [.milliseconds(2500)])
    // Damaged details are as good as none.
    for count in details.indices.dropFirst() where count != 2 && count != 7 {
      let cut = Self.end(details: Array(details[..<count]))
      #expect(Self.delays([cut]) == [.milliseconds(100)])
    }
  }

  @Test func budgetIsSpentAndEarned() {
    let policy = Self.policy(tokens: 10)
    let budget = RetryBudget(policy)
    func fail() -> Bool {
      var state = RetryState(policy, isIdempotent: true)
      return state.decide(Self.unavailable, isCommitted: false, budget: budget, random: 0.5)
        != .end
    }
    func succeed() {
      var state = RetryState(policy, isIdempotent: true)
      #expect(
        state.decide(
          Self.end(.ok), isCommitted: true, budget: budget, random: 0.5) == .end)
    }
    // More than half must be left.
    #expect((0..<6).map { _ in fail() } == [true, true, true, true, false, false])
    #expect(budget.tokens == 4)
    for _ in 0..<21 { succeed() }
    #expect(fail() == true)
    for _ in 0..<100 { succeed() }
    #expect(budget.tokens == 10)
    // It does not go below zero.
    for _ in 0..<50 { _ = fail() }
    #expect(budget.tokens == 0)
  }

  /// Statuses that no retry would mend cost nothing; a server that asks for no retry does.
  @Test func budgetKnowsWhatCounts() {
    let policy = Self.policy(tokens: 10)
    let budget = RetryBudget(policy)
    for (end, left) in [
      (Self.end(.notFound), 10), (Self.end(.notFound, pushback: "-1"), 9),
      (Self.end(.unavailable, .refused), 9), (Self.unavailable, 8),
    ] as [(StreamEnd, Double)] {
      var state = RetryState(policy, isIdempotent: false)
      _ = state.decide(end, isCommitted: false, budget: budget, random: 0.5)
      #expect(budget.tokens == left)
    }
  }
}

@Suite("What a call keeps of its request")
struct ReplayBufferTests {
  static func message(_ byte: UInt8) -> OutboundMessage { OutboundMessage(bytes: [byte]) }

  @Test func everyAttemptGetsAllOfIt() {
    var buffer = ReplayBuffer(limit: 1000)
    buffer.add([Self.message(1), Self.message(2)], isFinished: false)
    #expect(buffer.take().messages.map(\.bytes) == [[1], [2]])
    buffer.add([Self.message(3)], isFinished: true)
    let rest = buffer.take()
    #expect(rest.messages.map(\.bytes) == [[3]])
    #expect(rest.isFinished)
    buffer.rewind()
    #expect(buffer.take().messages.map(\.bytes) == [[1], [2], [3]])
    #expect(buffer.take().messages.isEmpty)
  }

  @Test func pastItsLimitNothingIsKept() {
    let cost = Self.message(1).cost
    var buffer = ReplayBuffer(limit: 2 * cost)
    buffer.add([Self.message(1), Self.message(2)], isFinished: false)
    _ = buffer.take()
    #expect(!buffer.isCommitted)
    buffer.add([Self.message(3)], isFinished: false)
    #expect(buffer.take().messages.map(\.bytes) == [[3]])
    #expect(buffer.isCommitted)
    buffer.rewind()
    #expect(buffer.take().messages.isEmpty)
  }

  @Test func committedCallsGoOn() {
    var buffer = ReplayBuffer(limit: 1000)
    buffer.add([Self.message(1)], isFinished: false)
    _ = buffer.take()
    buffer.add([Self.message(2)], isFinished: false)
    buffer.commit()
    buffer.add([Self.message(3)], isFinished: true)
    let rest = buffer.take()
    #expect(rest.messages.map(\.bytes) == [[2], [3]])
    #expect(rest.isFinished)
  }
}

@Suite("A queue")
struct FIFOTests {
  @Test func keepsOrder() {
    var queue = FIFO<Int>()
    var next = 0
    var expected = 0
    for round in 0..<500 {
      for _ in 0..<(round % 7) {
        queue.append(next)
        next += 1
      }
      for _ in 0..<(round % 5) where !queue.isEmpty {
        #expect(queue.first == expected)
        #expect(queue.popFirst() == expected)
        expected += 1
      }
      #expect(queue.count == next - expected)
    }
    queue.removeAll()
    #expect(queue.isEmpty)
    #expect(queue.popFirst() == nil)
  }
}
