import Foundation
import NIOCore
import TenancyTestSupport
import Testing

@testable import TenancyRPCClient
@testable import TenancyRPCCore

@Suite("Calls that end early, and connections that come and go", .timeLimit(.minutes(1)))
struct ChannelEndingTests {
  static let wait = "/test.Gate/Wait"
  static let echo = "/test.Echo/Inline"

  @Test func deadlineEndsCallAndHandler() async throws {
    let gate = Gate()
    try await withEcho([gate.method]) { channel async throws in
      // Connected first: the deadline is to pass in the handler.
      #expect(try await channel.ask(Self.echo, [1]) == [1])
      let options = RPCCallOptions(timeout: .seconds(2))
      let found = await channel.refusal(Self.wait, [], options)
      #expect(found?.code == .deadlineExceeded)
      #expect(await gate.next(2) == [.started, .cancelled])
    }
  }

  @Test func deadlineThatHasPassedIsNotSent() async throws {
    try await withEcho { channel async throws in
      for timeout in [Duration.zero, .seconds(-1)] {
        let found = await channel.refusal(Self.echo, [], RPCCallOptions(timeout: timeout))
        #expect(found?.code == .deadlineExceeded)
      }
    }
  }

  @Test func endlessTimeoutsAreAccepted() async throws {
    try await withEcho { channel async throws in
      for timeout in [nil, Duration.seconds(Int64.max)] {
        let options = RPCCallOptions(timeout: timeout)
        for path in [Self.echo, "/test.Echo/Async"] {
          #expect(try await channel.ask(path, [3], options) == [3])
        }
      }
    }
  }

  @Test func cancellationReachesHandler() async throws {
    let gate = Gate()
    try await withEcho([gate.method]) { channel async throws in
      let call = Task { try await channel.ask(Self.wait) }
      #expect(await gate.next(1) == [.started])
      call.cancel()
      let found = await call.result
      #expect(throws: RPCStatus(.cancelled, "the caller cancelled the call")) { try found.get() }
      #expect(await gate.next(1) == [.cancelled])
    }
  }

  @Test func cancelledTaskDoesNotCall() async throws {
    try await withEcho { channel async throws in
      let call = Task {
        while !Task.isCancelled { await Task.yield() }
        return await channel.refusal(Self.echo)
      }
      call.cancel()
      #expect(await call.value?.code == .cancelled)
    }
  }

  @Test func closingChannelEndsCalls() async throws {
    let gate = Gate()
    try await withEcho([gate.method]) { channel async throws in
      let call = Task {
        await channel.refusal(Self.wait)
      }
      #expect(await gate.next(1) == [.started])
      await channel.close()
      #expect(await call.value?.code == .cancelled)
      #expect(await gate.next(1) == [.cancelled])
      let late = await channel.refusal(Self.echo)
      #expect(late?.code == .unavailable)
    }
  }

  /// A client that vanishes says nothing: the end of its connection is all there is.
  @Test func lostConnectionCancelsHandler() async throws {
    let gate = Gate()
    let server = try await TestServer.start([gate.method])
    let client = HTTP2ClientSession(scheme: "http", authority: "a", limits: ClientLimits())
    _ = try SessionCall(client, [1], path: Self.wait)
    let socket = try RawSocket(server.path)
    try socket.send(client.output())
    #expect(await gate.next(1) == [.started])
    socket.close()
    #expect(await gate.next(1) == [.cancelled])
    try await server.stop()
  }

  /// A far deadline must not keep a call's connection in memory after both are over.
  @Test func deadlineDoesNotOutliveCall() async throws {
    let delegate = PlainDelegate()
    let server = try await TestServer.start(delegate: delegate)
    let channel = server.channel()
    let options = RPCCallOptions(timeout: .seconds(3600))
    #expect(try await channel.ask("/test.Echo/Async", [1], options) == [1])
    #expect(delegate.liveConnections == 1)
    await channel.close()
    for _ in 0..<500 where delegate.liveConnections > 0 {
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(delegate.liveConnections == 0)
    try await server.stop()
  }

  @Test func stoppingServerFinishesCallInFlight() async throws {
    let gate = Gate()
    let server = try await TestServer.start([gate.method])
    let channel = server.channel()
    async let answer = channel.ask(Self.wait, [9])
    #expect(await gate.next(1) == [.started])
    async let stopped: Void = server.stop(within: .seconds(10))
    try await Task.sleep(for: .milliseconds(100))
    gate.open()
    #expect(try await answer == [9])
    try await stopped
    await channel.close()
  }

  @Test func stoppingServerCutsCallThatTakesTooLong() async throws {
    let gate = Gate()
    let server = try await TestServer.start([gate.method])
    let channel = server.channel()
    let call = Task {
      await channel.refusal(Self.wait)
    }
    #expect(await gate.next(1) == [.started])
    try await server.stop(within: .milliseconds(100))
    #expect(await call.value?.code == .unavailable)
    #expect(await gate.next(1) == [.cancelled])
    await channel.close()
  }

  @Test func stoppingServerWaitsForCancelledHandler() async throws {
    let (started, report) = AsyncStream<Void>.makeStream()
    let (ended, ending) = AsyncStream<Void>.makeStream()
    let slow = TestMethod.async(path: Self.wait) { _, message in
      report.finish()
      for await _ in AsyncStream<Void>.makeStream().stream {}  // Until cancelled.
      try await Task { try await Task.sleep(for: .milliseconds(200)) }.value  // Not cancelled.
      ending.yield()
      return message
    }
    // Longer than a busy machine may take.
    let server = try await TestServer.start([slow], patience: .seconds(300))
    let channel = server.channel()
    let call = Task { await channel.refusal(Self.wait) }
    for await _ in started {}
    try await server.stop(within: .zero)
    ending.finish()
    var count = 0
    for await _ in ended { count += 1 }
    #expect(count == 1)
    #expect(await call.value?.code == .unavailable)
    await channel.close()
  }

  @Test func reconnectsAfterServerRestart() async throws {
    let first = try await TestServer.start()
    let channel = first.channel()
    #expect(try await channel.ask(Self.echo, [1]) == [1])
    try await first.stop(keepingDirectory: true)

    // Nothing listens: the error says so, and calls made at once fail with the same words.
    let refused = await channel.refusal(Self.echo, [2])
    #expect(refused?.code == .unavailable)
    #expect(refused?.message.contains("No such file") == true)
    let again = await channel.refusal(Self.echo, [2])
    #expect(again == refused)

    let second = try await TestServer.start(at: first.directory)
    // A slow machine makes more than one attempt fail before, which lengthens the wait.
    var last = refused
    for _ in 0..<500 where last != nil {
      try await Task.sleep(for: .milliseconds(10))
      last = await channel.refusal(Self.echo, [3])
    }
    #expect(last == nil)
    await channel.close()
    try await second.stop()
  }

  /// A server that accepts but never speaks.
  @Test func deadlineHoldsWhileConnecting() async throws {
    let path = freePath()
    let silent = try RawSocket(listeningOn: path)
    var configuration = RPCChannel.Configuration()
    configuration.limits.connectTimeout = .milliseconds(300)
    let channel = RPCChannel(.unix(path: path), configuration: configuration)
    let early = await channel.refusal(Self.echo, [], RPCCallOptions(timeout: .milliseconds(50)))
    #expect(early?.code == .deadlineExceeded)
    let late = await channel.refusal(Self.echo)
    #expect(late?.code == .unavailable)
    #expect(late?.message.contains("no answer within") == true)
    await channel.close()
    silent.close()
    unlink(path)
  }

  @Test func tcpNeedsTLS() async {
    let channel = RPCChannel(.tcp(host: "127.0.0.1", port: 1), tls: nil)
    let found = await channel.refusal(Self.echo)
    #expect(found?.code == .unavailable)
    await channel.close()
  }
}
