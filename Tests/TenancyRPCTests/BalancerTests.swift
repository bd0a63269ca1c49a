import NIOCore
import Testing

@testable import TenancyRPCClient
@testable import TenancyRPCCore

@Suite("Calls over several addresses")
struct BalancerTests {
  @Test func takesTurnsOverWhatIsReady() throws {
    let network = FakeNetwork()
    let balancer = network.balancer(3)
    let first = try network.call(balancer)
    // All are connected to; the call goes to the first that is there.
    #expect(network.attempts.map(\.name) == ["0", "1", "2"])
    try network.server(1)?.accept()
    try network.server(1)?.answer()
    #expect(first.code == .ok)
    try network.server(0)?.accept()
    try network.server(2)?.accept()
    let calls = try (0..<6).map { _ in try network.call(balancer) }
    #expect((0..<3).map { network.server($0)?.paths().count } == [2, 3, 2])
    for index in 0..<3 {
      let server = try #require(network.server(index))
      for stream in server.streams.suffix(2) { try server.answer(stream) }
    }
    #expect(calls.allSatisfy { $0.code == .ok })
    #expect(network.attempts.count == 3)
  }

  @Test func addressThatRefusesIsLeftAloneForAWhile() throws {
    let network = FakeNetwork()
    let balancer = network.balancer(2)
    let first = try network.call(balancer)
    network.server(0)?.refuse()
    #expect(first.end == nil)
    try network.server(1)?.accept()
    try network.server(1)?.answer()
    #expect(first.code == .ok)
    for _ in 0..<3 {
      _ = try network.call(balancer)
      try network.server(1)?.answer()
    }
    #expect(network.attempts(at: 0) == 1)
    network.advance(.milliseconds(100))
    _ = try network.call(balancer)
    #expect(network.attempts(at: 0) == 2)
    try network.server(0)?.accept()
    try network.server(1)?.answer()
    _ = try network.call(balancer)
    #expect(network.server(0)?.paths().count == 1)
  }

  @Test func failsAtOnceWhileNothingCanBeReached() throws {
    let network = FakeNetwork()
    let balancer = network.balancer(2)
    let first = try network.call(balancer)
    network.server(0)?.refuse()
    network.server(1)?.refuse()
    #expect(first.code == .unavailable)
    #expect(first.end?.status.message.contains("refused") == true)
    let second = try network.call(balancer)
    #expect(second.code == .unavailable)
    #expect(network.attempts.count == 2)
    // The pause grows from 100 ms to 160 ms.
    network.advance(.milliseconds(100))
    let third = try network.call(balancer)
    #expect(third.end == nil)
    #expect(network.attempts.count == 4)
    network.server(0)?.refuse()
    network.server(1)?.refuse()
    network.advance(.milliseconds(159))
    #expect(try network.call(balancer).code == .unavailable)
    network.advance(.milliseconds(1))
    #expect(try network.call(balancer).end == nil)
    #expect(network.attempts.count == 6)
  }

  @Test func waitsForReadyAcrossFailures() throws {
    let network = FakeNetwork()
    let balancer = network.balancer(1)
    let patient = try network.call(balancer, waits: true)
    let hasty = try network.call(balancer)
    let late = try network.call(balancer, waits: true, timeout: .milliseconds(150))
    network.server(0)?.refuse()
    #expect(hasty.code == .unavailable)
    for number in 2..<5 {
      // Nobody calls: a timer brings the next attempt.
      network.advance(.seconds(1))
      #expect(network.attempts.count == number)
      #expect(patient.end == nil)
      network.server(0)?.refuse()
    }
    #expect(late.code == .deadlineExceeded)
    network.advance(.seconds(1))
    try network.server(0)?.accept()
    try network.server(0)?.answer()
    #expect(patient.code == .ok)
    #expect(network.server(0)?.paths().count == 1)
  }

  @Test func lostConnectionIsReplaced() throws {
    let network = FakeNetwork()
    let balancer = network.balancer(1)
    let call = try network.call(balancer)
    try network.server(0)?.accept()
    network.server(0)?.drop()
    #expect(call.code == .unavailable)
    let next = try network.call(balancer)
    #expect(network.attempts.count == 2)
    try network.server(0)?.accept()
    try network.server(0)?.answer()
    #expect(next.code == .ok)
  }

  /// Those that the server did not look at are made again; those that it works on come to their end.
  @Test func goAwayLosesNoCall() throws {
    let network = FakeNetwork()
    let balancer = network.balancer(1)
    let seen = try network.call(balancer)
    try network.server(0)?.accept()
    let unseen = try network.call(balancer)
    let old = try #require(network.server(0))
    #expect(old.streams == [1, 3])
    try old.send(Frame.goAway(last: 1))
    network.advance(.zero)
    #expect(network.attempts.count == 2)
    try network.server(0)?.accept()
    #expect(network.server(0)?.paths().count == 1)
    try network.server(0)?.answer()
    #expect(unseen.code == .ok)
    #expect(seen.end == nil)
    try old.answer(1)
    #expect(seen.code == .ok)
    #expect(!old.isOpen)
  }

  @Test func refusedStreamGoesToAnotherServer() throws {
    let network = FakeNetwork()
    let balancer = network.balancer(2)
    let call = try network.call(balancer, [7])
    try network.server(0)?.accept()
    try network.server(1)?.accept()
    try network.server(0)?.send(Frame.reset(7))
    network.advance(.zero)
    let other = try #require(network.server(1))
    #expect(other.paths() == ["/a/b"])
    #expect(other.headers[1]?["grpc-previous-rpc-attempts"] == nil)
    #expect(other.frames().contains { $0.payload == ClientStreamSessionTests.message([7]) })
    // Once, for a call that is not idempotent.
    try other.send(Frame.reset(7))
    network.advance(.zero)
    #expect(call.code == .unavailable)
  }

  @Test func callsPastLimitAreRefused() throws {
    let network = FakeNetwork()
    network.limits.maximumCalls = 2
    let balancer = network.balancer(1)
    let first = try network.call(balancer)
    _ = try network.call(balancer)
    #expect(try network.call(balancer).code == .resourceExhausted)
    try network.server(0)?.accept()
    try network.server(0)?.answer(1)
    #expect(first.code == .ok)
    #expect(try network.call(balancer).end == nil)
  }

  @Test func addressesPastLimitAreNotUsed() throws {
    let network = FakeNetwork()
    network.limits.maximumAddresses = 2
    _ = try network.call(network.balancer(3))
    #expect(network.attempts.map(\.name) == ["0", "1"])
  }

  /// Wherever they are: waiting, in flight, between attempts.
  @Test func closingEndsAllCalls() throws {
    let network = FakeNetwork()
    let balancer = network.balancer(1)
    let between = try network.call(balancer, isIdempotent: true)
    let flying = try network.call(balancer)
    try network.server(0)?.accept()
    try network.server(0)?.fail(14, 1)
    try network.server(0)?.send(Frame.goAway(last: 3))
    let waiting = try network.call(balancer)
    #expect([between, flying, waiting].allSatisfy { $0.end == nil })
    var isClosed = false
    balancer.close { isClosed = true }
    network.loop.run()
    #expect([between, flying, waiting].allSatisfy { $0.code == .cancelled })
    #expect(isClosed)
    #expect(network.attempts.last?.isAbandoned == true)
    #expect(try network.call(balancer).code == .unavailable)
    network.advance(.seconds(60))
    #expect(network.attempts.count == 2)
  }
}

@Suite("Calls that are made again")
struct ChannelRetryTests {
  /// A call on one server that is connected.
  static func begin(
    _ network: FakeNetwork, _ message: [UInt8]? = [1], kind: CallKind = .unary,
    isIdempotent: Bool = true, timeout: TimeAmount? = nil
  ) throws -> (CallMailbox, FakeServer) {
    let call = try network.call(
      network.balancer(1), message, kind: kind, isIdempotent: isIdempotent, timeout: timeout)
    let server = try #require(network.server(0))
    try server.accept()
    return (call, server)
  }

  @Test func idempotentCallIsMadeAgainAndSaysSo() throws {
    let network = FakeNetwork()
    let (call, server) = try Self.begin(network)
    try server.fail(14)
    network.advance(.milliseconds(99))
    #expect(server.paths().count == 1)
    network.advance(.milliseconds(1))
    #expect(server.paths().count == 2)
    #expect(server.headers[3]?["grpc-previous-rpc-attempts"] == "1")
    try server.fail(14)
    network.advance(.milliseconds(200))
    #expect(server.headers[5]?["grpc-previous-rpc-attempts"] == "2")
    try server.answer()
    #expect(call.code == .ok)
  }

  @Test func othersAreNot() throws {
    let network = FakeNetwork()
    let (call, server) = try Self.begin(network, isIdempotent: false)
    try server.fail(14)
    #expect(call.code == .unavailable)
  }

  @Test func lostConnectionIsReasonEnough() throws {
    let network = FakeNetwork()
    let (call, server) = try Self.begin(network)
    server.drop()
    network.advance(.milliseconds(100))
    #expect(network.attempts.count == 2)
    try network.server(0)?.accept()
    try network.server(0)?.answer()
    #expect(call.code == .ok)
  }

  @Test func notOnceTheResponseHasBegun() throws {
    let network = FakeNetwork()
    let (call, server) = try Self.begin(network, kind: .serverStreaming)
    try server.begin()
    try server.end(14)
    #expect(call.code == .unavailable)
  }

  @Test func pushbackIsHeeded() throws {
    let network = FakeNetwork()
    let (call, server) = try Self.begin(network)
    try server.fail(14, trailers: [("grpc-retry-pushback-ms", "3000")])
    network.advance(.milliseconds(2999))
    #expect(server.paths().count == 1)
    network.advance(.milliseconds(1))
    #expect(server.paths().count == 2)
    try server.fail(14, trailers: [("grpc-retry-pushback-ms", "-1")])
    #expect(call.code == .unavailable)
  }

  /// The deadline is for all attempts; what can't be done in time is not waited for.
  @Test func deadlineSpansAttempts() throws {
    let network = FakeNetwork()
    let (call, server) = try Self.begin(network, timeout: .milliseconds(250))
    #expect(server.headers[1]?["grpc-timeout"]?.hasSuffix("u") == true)
    try server.fail(14)
    network.advance(.milliseconds(100))
    #expect(server.paths().count == 2)
    // 200 ms more would be too late.
    try server.fail(14)
    #expect(call.code == .unavailable)
  }

  @Test func deadlineEndsAnAttempt() throws {
    let network = FakeNetwork()
    let (call, server) = try Self.begin(network, timeout: .milliseconds(250))
    network.advance(.milliseconds(250))
    #expect(call.code == .deadlineExceeded)
    #expect(server.frames().contains { $0.type == 3 })
    // A server may reset a call at any time.
    let (second, hasty) = try Self.begin(FakeNetwork(), timeout: .milliseconds(250))
    try hasty.send(Frame.reset(8))
    #expect(second.code == .cancelled)
  }

  @Test func budgetStopsRetries() throws {
    let network = FakeNetwork()
    network.policy.maximumTokens = 4
    network.policy.maximumAttempts = 3
    let (first, server) = try Self.begin(network)
    try server.fail(14)  // 3 tokens are left: again.
    network.advance(.seconds(1))
    #expect(server.paths().count == 2)
    try server.fail(14)  // 2 are half: no more.
    #expect(first.code == .unavailable)
    let second = try network.call(network.balancer(1), isIdempotent: true)
    try server.fail(14)
    #expect(second.code == .unavailable)
    for _ in 0..<30 {
      _ = try network.call(network.balancer(1))
      try server.answer()
    }
    let third = try network.call(network.balancer(1), isIdempotent: true)
    try server.fail(14)
    #expect(third.end == nil)
  }

  /// All messages go out again, then those that come later.
  @Test func streamOfRequestsIsReplayed() async throws {
    let network = FakeNetwork()
    let (call, server) = try Self.begin(network, nil, kind: .clientStreaming)
    for byte in 1...2 as ClosedRange<UInt8> { try await call.send(OutboundMessage(bytes: [byte])) }
    network.loop.run()
    try server.fail(14)
    network.advance(.milliseconds(100))
    try await call.send(OutboundMessage(bytes: [3]))
    call.finish()
    network.loop.run()
    let sent = server.frames().filter { $0.type == 0 && $0.stream == 3 }.flatMap(\.payload)
    #expect(sent == [1, 2, 3].flatMap { ClientStreamSessionTests.message([$0]) })
    try server.answer()
    #expect(call.code == .ok)
  }

  @Test func requestPastReplayLimitIsNotMadeAgain() async throws {
    for (cost, isAgain) in [(1000, true), (1001, false)] {
      let network = FakeNetwork()
      network.limits.maximumReplayBytes = 1000
      let overhead = OutboundMessage(bytes: []).cost
      let message = [UInt8](repeating: 1, count: cost - overhead)
      let (call, server) = try Self.begin(network, message)
      try server.fail(14)
      #expect((call.end == nil) == isAgain)
    }
  }
}
