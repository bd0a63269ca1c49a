import Glibc
import NIOCore
import NIOEmbedded
import NIOPosix
import Synchronization
import Testing

@testable import TenancyLoop
@testable import TenancyRPCServer

@Suite("Turns of the connections of an event loop")
struct LoopTurnsTests {
  private final class Taker: TurnTaker {
    private let action: () -> Void
    init(_ action: @escaping () -> Void) { self.action = action }
    func takeTurn() { action() }
  }

  private final class Log {
    var turns: [Int] = []
    var now = NIODeadline.uptimeNanoseconds(0)
  }

  @Test func peersHaveTheirTurnsOneAfterTheOther() {
    let loop = EmbeddedEventLoop()
    let log = Log()
    let turns = LoopTurns(TimerQueue(loop: loop)) { log.now }
    for (number, peer) in [(1, 1), (2, 1), (3, 1), (4, 2), (5, 3)] {
      turns.enter(Taker { log.turns.append(number) }, of: .user(UInt32(peer)))
    }
    #expect(log.turns.isEmpty && !turns.isEmpty)
    loop.run()
    #expect(log.turns == [1, 4, 5, 2, 3] && turns.isEmpty)
  }

  /// The loop looks for input between.
  @Test func allOfThemTogetherDoSoMuchAndNoMore() {
    let log = Log()
    let turns = LoopTurns(TimerQueue(loop: EmbeddedEventLoop())) { log.now }
    for number in 1...5 {
      let taker = Taker {
        log.turns.append(number)
        log.now = log.now + .nanoseconds(LoopTurns.budget.nanoseconds / 2)
      }
      turns.enter(taker, of: .user(1))
    }
    turns.run()
    #expect(log.turns == [1, 2])
    turns.run()
    #expect(log.turns == [1, 2, 3, 4])
    turns.run()
    #expect(log.turns == [1, 2, 3, 4, 5] && turns.isEmpty)
  }

  /// However many are in the line, the loop goes on with what else there is to do.
  @Test(.timeLimit(.minutes(1)))
  func theLoopLooksForInputBetween() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop = group.next()
    let accepted = loop.makePromise(of: Void.self)
    let listener = try await ServerBootstrap(group: group)
      .childChannelInitializer { channel in
        accepted.succeed()
        return channel.close()
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let line = try await loop.submit {
      NIOLoopBound(EndlessLine(loop), eventLoop: loop)
    }.get()
    let address = try #require(listener.localAddress)
    let client = try await ClientBootstrap(group: NIOSingletons.posixEventLoopGroup)
      .connect(to: address).get()
    try await accepted.futureResult.get()
    try await loop.submit { line.value.end() }.get()
    client.close(promise: nil)
    try await listener.close()
    try await group.shutdownGracefully()
  }

  /// One that always has more to do.
  private final class EndlessLine: TurnTaker {
    private let turns: LoopTurns
    private let timers: TimerQueue
    private var isOver = false

    init(_ loop: any EventLoop) {
      timers = TimerQueue(loop: loop)
      turns = LoopTurns(timers) { loop.now }
      turns.enter(self, of: .user(1))
    }

    func takeTurn() { if !isOver { turns.enter(self, of: .user(1)) } }
    func end() { isOver = true }
  }

  /// Connections of one loop, whose calls are counted as they are served.
  private final class Shared {
    /// In order: what the first byte of each request says.
    private final class Served: Sendable {
      let calls = Mutex<[Int]>([])
    }

    private let served = Served()
    let loop = EmbeddedEventLoop()
    private let core: ServerCore
    private let state: LoopState

    init() {
      let methods = [1000, 100_000].map { [served] size in
        TestMethod.inline(path: "/test.Turns/Answer\(size)") { call, message in
          served.calls.withLock { $0.append(Int(message.first ?? 0)) }
          call.reply(count: size) { memset($0, 0, size) }
        }
      }
      core = ServerCore(methods: methods, limits: ServerLimits(), delegate: PlainDelegate())
      state = LoopState(loop, embedder: core.embedder.makeLoop())
    }

    var turns: [Int] { served.calls.withLock { $0 } }

    func connect(_ peer: UInt32) throws -> EmbeddedChannel {
      let channel = EmbeddedChannel(loop: loop)
      let handler = try ServerConnectionHandler<TTRPCServerSession>(
        core: core, peer: .user(peer), loop: state)
      try channel.pipeline.syncOperations.addHandler(handler)
      try channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).wait()
      return channel
    }

    /// All in one read, and nothing that it makes due.
    func send(_ channel: EmbeddedChannel, _ number: UInt8, _ calls: Range<UInt32>, size: Int) throws
    {
      let frames = calls.flatMap { call in
        TTRPCTestFrame.request(2 * call + 1, "/test.Turns/Answer\(size)", [number]).bytes
      }
      channel.pipeline.fireChannelRead(ByteBuffer(bytes: frames))
      channel.pipeline.fireChannelReadComplete()
    }

    func close(_ channels: EmbeddedChannel...) throws {
      for channel in channels { _ = try channel.finish(acceptAlreadyClosed: true) }
      try loop.syncShutdownGracefully()
    }
  }

  @Test func whoAsksForLargeAnswersHasShortTurns() throws {
    let shared = Shared()
    let (many, few) = (try shared.connect(1), try shared.connect(2))
    try shared.send(many, 1, 0..<20, size: 100_000)
    try shared.send(few, 2, 0..<3, size: 1000)
    #expect(shared.turns == [1, 2, 2, 2])
    shared.loop.run()
    #expect(shared.turns.count == 23)
    try shared.close(many, few)
  }

  /// What has just come in has no turn before those that wait, if it is of one that always has much.
  @Test func whoHadMuchGoesToTheEndOfTheLine() throws {
    let shared = Shared()
    let (first, second) = (try shared.connect(1), try shared.connect(2))
    try shared.send(first, 1, 0..<2, size: 100_000)
    #expect(shared.turns == [1])
    shared.loop.run()
    #expect(shared.turns == [1, 1])
    // It has had much, and nobody waits: its turn begins at once, and lasts for one.
    try shared.send(first, 1, 2..<4, size: 100_000)
    #expect(shared.turns == [1, 1, 1])
    shared.loop.run()
    try shared.send(first, 1, 4..<5, size: 100_000)
    try shared.send(second, 2, 0..<2, size: 100_000)
    try shared.send(first, 1, 5..<6, size: 1000)
    #expect(shared.turns == [1, 1, 1, 1, 1, 2])
    shared.loop.run()
    #expect(shared.turns.count == 8)
    try shared.close(first, second)
  }

  /// A connection that goes while it waits is not served any more.
  @Test func whoGoesHasNoTurn() throws {
    let shared = Shared()
    let channel = try shared.connect(1)
    try shared.send(channel, 1, 0..<5, size: 100_000)
    #expect(shared.turns == [1])
    channel.close(promise: nil)
    shared.loop.run()
    #expect(shared.turns == [1])
    try shared.close()
  }
}
