import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import TenancyRPCServer

@Suite("When handlers begin")
struct ReplyGateTests {
  /// A server that has no room for responses, and who takes it.
  private struct Crowded {
    let server: ServerMemory
    private let holder = MemoryBudget.Holder(peer: .user(1)) { _ in }

    init() {
      var limits = ServerLimits()
      limits.maximumTotalWaitingReplyBytes = 4096
      server = ServerMemory(limits)
      take(4097)
    }

    func take(_ bytes: Int) {
      let now = NIODeadline.now()
      _ = server.replies.holds(holder, bytes, since: now, at: now)
    }

    func connection(_ peer: UInt32 = 1) -> ConnectionMemory {
      ConnectionMemory(server, peer: .user(peer), limits: ServerLimits()) { _, _ in }
    }

    func leave() { server.replies.release(holder) }
  }

  /// What a holder was asked to give up.
  private final class Asked: Sendable {
    private let last = Mutex<Int?>(nil)

    func note(_ bytes: Int) { last.withLock { $0 = bytes } }
    var bytes: Int? { last.withLock { $0 } }
  }

  private final class Work: Sendable {
    private let counts = Mutex((now: 0, most: 0, done: 0))

    func begin() {
      counts.withLock {
        $0.now += 1
        $0.most = max($0.most, $0.now)
      }
    }

    func end() {
      counts.withLock {
        $0.now -= 1
        $0.done += 1
      }
    }

    var most: Int { counts.withLock { $0.most } }
    var done: Int { counts.withLock { $0.done } }
  }

  @Test func everybodysTurnComesThoughThereIsNoRoom() async throws {
    let crowded = Crowded()
    let gate = crowded.server.replyGate
    #expect(gate.isClosed)
    let connection = crowded.connection()
    try await withThrowingTaskGroup { group in
      for _ in 0..<10 { group.addTask { _ = try await gate.wait(connection) } }
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
    _ = try await gate.wait(connection)
    crowded.leave()
    #expect(!gate.isClosed)
  }

  /// Those who were let in and have not answered are as many as there may be, however long the threads
  /// that would run them are busy with something else.
  @Test func onlyAFewAreAtWork() async throws {
    let crowded = Crowded()
    let gate = crowded.server.replyGate
    let connection = crowded.connection()
    let work = Work()
    try await withThrowingTaskGroup { group in
      for _ in 0..<40 {
        group.addTask {
          let passage = try await gate.wait(connection)
          work.begin()
          // Longer than the gate's intervals, and much shorter than who is not counted any more.
          try await Task.sleep(for: ReplyGate.interval * 3)
          work.end()
          withExtendedLifetime(passage) {}
        }
      }
      try await group.waitForAll()
    }
    #expect(work.done == 40 && work.most <= 2 * ReplyGate.least)
  }

  @Test func whoTakesLongIsNotCountedForEver() {
    var begun = BegunCalls()
    begun.beginRound()
    begun.add(3)
    let first = begun.round
    begun.settle(first)
    #expect(begun.count == 2)
    for _ in 1..<BegunCalls.rounds { begun.beginRound() }
    #expect(begun.count == 2)
    begun.beginRound()
    #expect(begun.count == 0)
    begun.add(1)
    begun.settle(first)
    #expect(begun.count == 1)
  }

  /// Who waits would be the one to ask others for room.
  @Test func nobodyBeginsWhileFarTooMuchIsHeld() async throws {
    var limits = ServerLimits()
    limits.maximumTotalWaitingReplyBytes = 4096
    let server = ServerMemory(limits)
    let asked = Asked()
    let holder = MemoryBudget.Holder(peer: .user(1)) { bytes in asked.note(bytes) }
    let now = NIODeadline.now()
    _ = server.replies.holds(holder, 8192, since: now, at: now)
    let connection = ConnectionMemory(server, peer: .user(2), limits: limits) { _, _ in }
    let work = Work()
    let waiting = Task {
      _ = try await server.replyGate.wait(connection)
      work.begin()
    }
    while asked.bytes == nil { await Task.yield() }
    #expect(asked.bytes == 4096)
    #expect(work.most == 0)
    server.replies.release(holder)
    try await waiting.value
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
