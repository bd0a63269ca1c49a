import NIOCore
import NIOEmbedded
import Testing

@testable import TenancyRPCCore
@testable import TenancyRPCFraming
@testable import TenancyRPCServer

@Suite("Messages in the hands of handlers, and on their way")
struct HeldMessageTests {
  private static let large = 100_000

  private static func memory(
    _ change: (inout ServerLimits) -> Void = { _ in }
  ) -> ConnectionMemory {
    var limits = ServerLimits()
    limits.maximumTotalBufferedBytes = 1 << 20
    change(&limits)
    return ConnectionMemory(limits)
  }

  private static func pipe(_ memory: ConnectionMemory) -> CallPipe {
    CallPipe(
      mailbox: ConnectionMailbox(loop: EmbeddedEventLoop()),
      key: StreamKey(slot: 0, generation: 1), control: ResponseControl(), clientTakesGzip: false,
      memory: memory)
  }

  private static func packed(_ size: Int) throws -> FramedMessage {
    let bytes = try #require(Gzip.compress([UInt8](repeating: 0, count: size)))
    return FramedMessage(bytes: bytes, isPacked: true)
  }

  @Test func aLargeMessageCountsUntilTheNextIsAskedFor() async throws {
    let memory = Self.memory()
    let pipe = Self.pipe(memory)
    pipe.deliver([try Self.packed(Self.large), FramedMessage(bytes: [1])])
    #expect(memory.server.requests.room == 1 << 20 && pipe.held.bytes < 1000)
    let message = try #require(try await pipe.next())
    #expect(message.bytes.count == Self.large && message.wasCompressed)
    #expect(memory.server.requests.room == 1 << 20 - Self.large)
    #expect(try await pipe.next() == ReceivedMessage(bytes: [1]))
    #expect(memory.server.requests.room == 1 << 20)
  }

  @Test func itCountsUntilTheHandlerReturns() async throws {
    let memory = Self.memory()
    let pipe = Self.pipe(memory)
    pipe.deliver([FramedMessage(bytes: [UInt8](repeating: 1, count: Self.large))])
    _ = try await pipe.next()
    #expect(memory.server.requests.room < 1 << 20)
    pipe.finish(nil)
    #expect(memory.server.requests.room == 1 << 20)
  }

  /// What can't be opened ends the call, whatever the handler makes of the error.
  @Test func aMessageWithoutRoomEndsTheCall() async throws {
    let memory = Self.memory { $0.maximumTotalBufferedBytes = Self.large - 1 }
    let pipe = Self.pipe(memory)
    pipe.deliver([try Self.packed(Self.large), FramedMessage(bytes: [1])])
    for _ in 0..<2 {
      do throws(RPCStatus) {
        _ = try await pipe.next()
        Issue.record("a message without room")
      } catch {
        #expect(error.code == .resourceExhausted && error.retryAfter == memory.retryDelay)
      }
    }
    #expect(pipe.transfer().refusal?.code == .resourceExhausted)
  }

  @Test func messagesOverTheBudgetEndTheCall() async throws {
    let memory = Self.memory {
      $0.maximumMessageBytes = Self.large
      $0.maximumUnpackedBurst = 1
      $0.unpackedBytesPerSecond = 4
    }
    let pipe = Self.pipe(memory)
    pipe.deliver([try Self.packed(Self.large), try Self.packed(Self.large)])
    _ = try await pipe.next()
    await #expect(throws: RPCStatus.self) { try await pipe.next() }
    #expect(pipe.transfer().refusal?.code == .resourceExhausted)
    #expect(memory.server.requests.room == 1 << 20)
  }

  @Test func largeResponsesCountOnTheirWay() async throws {
    let memory = Self.memory()
    let limit = memory.server.replies.room
    let pipe = Self.pipe(memory)
    async let sent: Void = pipe.send([UInt8](repeating: 1, count: Self.large), compress: false)
    while memory.server.replies.room == limit { await Task.yield() }
    #expect(memory.server.replies.room == limit - Self.large)
    do {
      let messages = pipe.transfer().messages
      #expect(messages.map(\.bytes.count) == [Self.large])
    }
    #expect(memory.server.replies.room == limit)
    pipe.sent(stillWaiting: 0)
    try await sent
  }

  // MARK: Memory of the process

  @Test func memoryIsGivenBackWhenTheBurstIsOver() {
    let mebibyte = 1 << 20
    var keeper = MemoryKeeper(resident: 10 * mebibyte)
    func look(_ mebibytes: Int) -> Bool { keeper.look(mebibytes * mebibyte) }
    // At the start whatever there is has just come.
    #expect([10, 10].map(look) == [false, true])
    keeper.gaveBack(10 * mebibyte)
    #expect([10, 11, 40, 80, 80].map(look) == [false, false, false, false, true])
    keeper.gaveBack(12 * mebibyte)
    // A burst that does not end.
    #expect([20, 30, 40, 50].map(look) == [false, false, false, true])
  }

  @Test func whatWasInUseThenIsGivenBackLater() {
    let mebibyte = 1 << 20
    var keeper = MemoryKeeper(resident: 10 * mebibyte)
    /// Looks until memory is given back, of which so much is left.
    func looks(_ before: Int, left: Int) -> Int? {
      guard let count = (1...1000).first(where: { _ in keeper.look(before * mebibyte) }) else {
        return nil
      }
      keeper.gaveBack(left * mebibyte)
      return count
    }
    #expect(looks(10, left: 10) == 2)
    // Given back while it is still held.
    #expect(looks(80, left: 80) == 2)
    #expect([80, 80, 80].map { looks($0, left: $0) } == [1, 2, 4])
    #expect(looks(80, left: 30) == 8)
    #expect(looks(30, left: 10) == 1)
    #expect(looks(10, left: 10) == nil)
  }

  /// What is held when it looks for the first time is not taken for what there always is.
  @Test func aServerThatIsAttackedFromTheStartGivesBackLater() {
    let mebibyte = 1 << 20
    var keeper = MemoryKeeper(resident: 10 * mebibyte)
    func look(_ mebibytes: Int) -> Bool { keeper.look(mebibytes * mebibyte) }
    #expect([46, 46].map(look) == [false, true])
    keeper.gaveBack(46 * mebibyte)
    #expect(look(46))
    keeper.gaveBack(12 * mebibyte)
    #expect([11, 11, 11].map(look) == [false, false, false])
  }

  @Test func largeReadBuffersAreNotKept() {
    var reads = ReadAllocator()
    #expect(reads.nextBufferSize() == 2048)
    for _ in 0..<10 { _ = reads.record(actualReadBytes: 1 << 16) }
    #expect(reads.nextBufferSize() == nil && reads.record(actualReadBytes: 1 << 16))
    #expect(reads.buffer(allocator: ByteBufferAllocator()).capacity == 1 << 16)
    for _ in 0..<20 { _ = reads.record(actualReadBytes: 1) }
    #expect(reads.nextBufferSize().map { $0 <= ReadAllocator.maximumKept } == true)
  }
}
