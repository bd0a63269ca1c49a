import NIOEmbedded
import Testing

@testable import TenancyLoop
@testable import TenancyRPCClient
@testable import TenancyRPCCore
@testable import TenancyRPCServer

/// Messages of a stream that the peer's windows keep back when the call is ended.
@Suite("Messages that were not sent when a call ends", .timeLimit(.minutes(1)))
struct UnsentMessagesTests {
  private static let path = "/test.End/Stream"
  /// What the client takes before it says more.
  private static let window = 65_535

  private let client = HTTP2ClientSession(
    scheme: "http", authority: "localhost", limits: Self.limits())
  private let server = HTTP2ServerSession(
    methods: MethodTable(serving: [
      TestMethod.streaming(path: path, kind: .serverStreaming) { _, _, _ in }
    ]),
    limits: ServerLimits(), timers: TimerQueue(loop: EmbeddedEventLoop()),
    memory: ConnectionMemory(ServerLimits()))

  private static func limits() -> ClientLimits {
    var limits = ClientLimits()
    limits.streamWindowBytes = window
    return limits
  }

  /// Sends messages of `size` bytes, fails the call, and has the client take what it is sent.
  /// - Parameter opens: whether the client says that it takes more.
  private func received(
    of count: Int, size: Int, opens: Bool = true
  ) async throws -> SessionCall {
    let call = try SessionCall(client, kind: .serverStreaming, path: Self.path)
    _ = client.output().withUnsafeBytes { server.receive($0) }
    let stream = try #require(server.nextReady())
    let mailbox = ConnectionMailbox(loop: EmbeddedEventLoop())
    let pipe = CallPipe(
      mailbox: mailbox, key: stream.key, control: ResponseControl(), clientTakesGzip: false,
      memory: server.memory)
    stream.pipe = pipe
    stream.control = pipe.control
    var sent: [UInt8] = []
    for number in 0..<count {
      // By hand, since this waits for a peer that takes nothing.
      async let sending: Void = pipe.send(Self.message(number, size), compress: false)
      while stream.tally.responseMessages == number {
        await Task.yield()
        server.transfer(stream)
      }
      sent += server.output()
      pipe.sent(stillWaiting: 0)
      try await sending
    }
    server.fail(stream, RPCStatus(.permissionDenied, "not any more"))
    sent += server.output()
    #expect(stream.reply.capacity <= size + HTTP2Stream.prefixLength)
    client.feed(sent)
    guard opens else { return call }
    var taken = 0
    let asked = try #require(call.stream)
    for _ in 0..<10 {
      for message in call.messages[taken...] {
        client.consumed(message.count + HTTP2Stream.prefixLength, of: asked)
      }
      taken = call.messages.count
      client.tellObservers()
      _ = client.output().withUnsafeBytes { server.receive($0) }
      client.feed(server.output())
    }
    return call
  }

  private static func message(_ number: Int, _ size: Int) -> [UInt8] {
    [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size)
  }

  /// Of the last that has begun to be sent the rest follows, and of those behind it nothing.
  @Test(arguments: [1_000, 15_000, 21_840, 65_530, 65_531])
  func areForgottenButForTheOneThatHasBegun(size: Int) async throws {
    let framed = size + HTTP2Stream.prefixLength
    let begun = (Self.window + framed - 1) / framed
    let call = try await received(of: begun + 3, size: size)
    #expect(call.messages.compactMap(\.first) == (0..<begun).map { UInt8($0) })
    #expect(call.messages.allSatisfy { $0.count == size })
    #expect(call.ends.map(\.status.code) == [.permissionDenied])
  }

  /// The end needs no room.
  @Test func theEndComesThoughTheWindowIsShut() async throws {
    let call = try await received(
      of: 4, size: Self.window - HTTP2Stream.prefixLength, opens: false)
    #expect(call.messages.count == 1)
    #expect(call.ends.map(\.status.code) == [.permissionDenied])
  }

  @Test func allThatFitIsThere() async throws {
    let call = try await received(of: 3, size: 10)
    #expect(call.messages.count == 3)
    #expect(call.ends.map(\.status.code) == [.permissionDenied])
  }
}
