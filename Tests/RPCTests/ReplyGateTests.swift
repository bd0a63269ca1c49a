import NIOCore
import NIOEmbedded
import Testing

@testable import TenancyRPC

@Suite("When handlers begin")
struct ReplyGateTests {
  /// A server that has no room for responses, and who takes it.
  private struct Crowded {
    let server: ServerMemory
    private let holder = MemoryBudget.Holder(peer: .user(1)) { _ in }

    init() {
      var limits = ServerLimits()
      limits.maximumTotalWaitingReplyBytes = 0
      server = ServerMemory(limits)
      let now = NIODeadline.now()
      _ = server.replies.holds(holder, 1, since: now, at: now)
    }

    func connection(_ peer: UInt32 = 1) -> ConnectionMemory {
      ConnectionMemory(server, peer: .user(peer), limits: ServerLimits()) { _, _ in }
    }

    func leave() { server.replies.release(holder) }
  }

  @Test func everybodysTurnComesThoughThereIsNoRoom() async throws {
    let crowded = Crowded()
    let gate = crowded.server.replyGate
    #expect(gate.isClosed)
    let connection = crowded.connection()
    try await withThrowingTaskGroup { group in
      for _ in 0..<10 { group.addTask { try await gate.wait(connection) } }
      try await group.waitForAll()
    }
    crowded.leave()
    #expect(!gate.isClosed)
  }

  /// The calls of a connection that is gone are in nobody's way.
  @Test func whoIsCancelledWaitsNoLonger() async throws {
    let crowded = Crowded()
    let gate = crowded.server.replyGate
    let connection = crowded.connection()
    let calls = (0..<10_000).map { _ in Task { try await gate.wait(connection) } }
    for call in calls { call.cancel() }
    for call in calls { _ = await call.result }
    try await gate.wait(connection)
    crowded.leave()
    #expect(!gate.isClosed)
  }

  @Test func nobodyWaitsBehindAllThatAnotherHasSent() {
    var turns = ReplyTurns()
    let connections = (0..<3).map { _ in Crowded().connection() }
    func ask(_ waiters: ClosedRange<UInt64>, of peer: UInt32, _ connection: Int) {
      for waiter in waiters {
        turns.append(waiter, of: .user(peer), ObjectIdentifier(connections[connection]))
      }
    }
    ask(1...4, of: 1, 0)
    ask(11...12, of: 1, 1)
    ask(21...22, of: 2, 2)
    var order: [UInt64] = []
    while let waiter = turns.next() { order.append(waiter) }
    #expect(order == [1, 21, 11, 22, 2, 12, 3, 4])
    ask(5...5, of: 1, 0)
    #expect(turns.next() == 5 && turns.next() == nil)
  }

  /// What is answered to a connection that is gone takes no memory.
  @Test func mailForNobodyIsNotKept() throws {
    let crowded = Crowded()
    let memory = crowded.connection()
    let mailbox = ConnectionMailbox(loop: EmbeddedEventLoop())
    func post() {
      let size = 2 * MemoryBudget.allowance
      mailbox.post(
        .init(
          key: StreamKey(slot: 0, generation: 1), result: .success([]),
          inFlight: ReplyInFlight.note(size, memory)))
    }
    crowded.leave()
    post()
    #expect(crowded.server.replies.isExhausted)
    mailbox.close()
    #expect(!crowded.server.replies.isExhausted)
    post()
    #expect(!crowded.server.replies.isExhausted)
  }
}
