import TenancyTestSupport
import Testing

@testable import Tenancy

/// A write of the tests.
private struct Write: Hashable {
  let number: Int
  let terms: WriteTerms
}

private func tenant(_ number: UInt64) -> WritePayer { .tenant(Sample.id(number)) }

extension WriteQueue {
  /// All batches until nothing waits.
  fileprivate mutating func batches() -> [[Element]] {
    var found: [[Element]] = []
    while !isEmpty { found.append(take()) }
    return found
  }
}

struct WriteQueueTests {
  // MARK: Against a model

  /// Everything that is added is taken once, each payer's in order, whatever comes between; and the queue
  /// takes and refuses what a naive one would.
  @Test(arguments: 0..<40)
  func nothingIsLostAndOrderIsKept(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var limits = WriteLimits()
    limits.waiting = 60
    limits.waitingOfTenant = 12
    limits.waitingOfPlatformIdentity = 20
    limits.turn = 8
    limits.batch = 40
    limits.smallestBatch = 5
    var queue = WriteQueue<Write>(limits: limits)
    var model = NaiveQueue(limits: limits)
    for number in 0..<2000 {
      if random.chance(of: 9, in: 10) {
        let write = Write(number: number, terms: .random(&random))
        #expect(queue.add(write, write.terms) == model.add(write))
      } else {
        model.remove(queue.take())
        queue.noteBatch(nanoseconds: Int64.random(in: 0...100_000_000, using: &random))
      }
      #expect(queue.count == model.waiting.count)
      #expect((limits.smallestBatch...limits.batch).contains(queue.batchLimit))
    }
    for batch in queue.batches() { model.remove(batch) }
    #expect(model.waiting.isEmpty)
    #expect(queue.take().isEmpty)
  }

  /// Nobody waits for more than a bounded part of what others ask for, in any mixture of costs.
  @Test(arguments: 0..<20, [WriteTerms.Priority.ordinary, .revoking])
  func aWaitIsBoundedByTheNumberOfPayers(_ seed: UInt64, _ priority: WriteTerms.Priority) {
    var random = SeededGenerator(seed: seed)
    var queue = WriteQueue<Write>()
    let turn = queue.limits.turn
    let others = UInt64.random(in: 1...20, using: &random)
    for number in 0..<5000 {
      var terms = WriteTerms.random(&random)
      terms = WriteTerms(
        payer: tenant(.random(in: 1...others, using: &random)), priority: terms.priority,
        cost: terms.cost)
      _ = queue.add(Write(number: number, terms: terms), terms)
    }
    // What one who has asked for little waits for, beginning anywhere in the others' turns.
    for _ in 0..<Int.random(in: 0...9, using: &random) { _ = queue.take() }
    let cost = Int.random(in: 1...WriteTerms.maximumCost, using: &random)
    let mine = Write(
      number: -1, terms: WriteTerms(payer: tenant(99), priority: priority, cost: cost))
    #expect(queue.add(mine, mine.terms) == nil)
    var before: [WritePayer: Int] = [:]
    while true {
      let batch = queue.take()
      let position = batch.firstIndex(of: mine) ?? batch.endIndex
      for write in batch[..<position] where write.terms.priority == priority {
        before[write.terms.payer, default: 0] += write.terms.cost
      }
      if position < batch.endIndex { break }
      if batch.isEmpty {
        Issue.record("it was lost")
        break
      }
    }
    let turns = (cost + turn - 1) / turn
    for (payer, cost) in before {
      // As many turns as mine, one under way, and what was saved up for one write.
      #expect(cost <= (turns + 1) * turn + WriteTerms.maximumCost, "\(payer)")
    }
  }

  // MARK: Turns

  @Test func tenantsTakeTurns() {
    var queue = WriteQueue<Write>()
    for number in 0..<200 {
      let terms = WriteTerms(payer: tenant(1), cost: 16)
      _ = queue.add(Write(number: number, terms: terms), terms)
    }
    for number in 0..<3 {
      let terms = WriteTerms(payer: tenant(2), cost: 16)
      _ = queue.add(Write(number: number, terms: terms), terms)
    }
    let first = queue.take()
    #expect(first.prefix(4).allSatisfy { $0.terms.payer == tenant(1) })
    #expect(first.dropFirst(4).prefix(3).allSatisfy { $0.terms.payer == tenant(2) })
    #expect(first.count == queue.limits.batch / 16)
  }

  @Test func revocationsGoFirstInTurns() {
    var queue = WriteQueue<Write>()
    func add(_ number: Int, _ payer: WritePayer, _ priority: WriteTerms.Priority) {
      let terms = WriteTerms(payer: payer, priority: priority)
      #expect(queue.add(Write(number: number, terms: terms), terms) == nil)
    }
    for number in 0..<256 { add(number, tenant(1), .ordinary) }
    for number in 0..<256 { add(number, tenant(1), .revoking) }
    add(0, tenant(2), .ordinary)
    add(0, .platform("operator"), .revoking)
    let batch = queue.take()
    let isFirst = batch.firstIndex { $0.terms.payer == .platform("operator") }
    #expect(isFirst == queue.limits.turn)
    // One turn of a flood of revocations, then all the others' writes, then what there is room for.
    let priorities = batch.map(\.terms.priority)
    let turn = queue.limits.turn + 1
    #expect(priorities.prefix(turn).allSatisfy { $0 == .revoking })
    #expect(priorities.dropFirst(turn).prefix(257).allSatisfy { $0 == .ordinary })
    #expect(batch.count == queue.limits.batch)
  }

  /// However many revoke, ordinary writes have half.
  @Test func revocationsTakeHalfOfABatchAtMost() {
    var queue = WriteQueue<Write>()
    for payer in 0..<100 {
      for priority in [WriteTerms.Priority.revoking, .ordinary] {
        for number in 0..<20 {
          let terms = WriteTerms(payer: tenant(UInt64(payer)), priority: priority)
          #expect(queue.add(Write(number: number, terms: terms), terms) == nil)
        }
      }
    }
    let batch = queue.take()
    #expect(batch.filter { $0.terms.priority == .revoking }.count == queue.limits.batch / 2)
    #expect(batch.count == queue.limits.batch)
  }

  @Test func revocationsHaveAllWhenNothingElseWaits() {
    var queue = WriteQueue<Write>()
    for number in 0..<200 {
      let terms = WriteTerms(payer: tenant(1), priority: .revoking)
      _ = queue.add(Write(number: number, terms: terms), terms)
    }
    #expect(queue.take().count == 200)
  }

  @Test func theCostliestWriteIsTakenHoweverSmallBatchesAre() {
    var queue = WriteQueue<Write>()
    for _ in 0..<10 { queue.noteBatch(nanoseconds: .max) }
    #expect(queue.batchLimit == queue.limits.smallestBatch)
    for priority in [WriteTerms.Priority.revoking, .ordinary] {
      let terms = WriteTerms(payer: tenant(1), priority: priority, cost: WriteTerms.maximumCost)
      for number in 0..<2 { _ = queue.add(Write(number: number, terms: terms), terms) }
    }
    #expect(queue.batches().map(\.count).allSatisfy { $0 <= 2 })
  }

  // MARK: Bounds

  @Test func oneWriteOverATenantsBoundIsRefused() {
    var queue = WriteQueue<Int>()
    let terms = WriteTerms(payer: tenant(1))
    let limit = queue.limits.waitingOfTenant
    for number in 0..<limit { #expect(queue.add(number, terms) == nil) }
    #expect(queue.add(limit, terms) == .payer(limit: limit))
    #expect(queue.add(limit, WriteTerms(payer: tenant(1), priority: .revoking)) == nil)
    #expect(queue.add(limit, WriteTerms(payer: tenant(2))) == nil)
    #expect(queue.waiting(of: tenant(1)) == limit + 1)
  }

  /// A thousand tenants that ask for all that they can get leave room for one more.
  @Test func manyTogetherDoNotFillTheQueue() {
    var queue = WriteQueue<Int>()
    for round in 0..<300 {
      for payer in 1...1000 { _ = queue.add(round, WriteTerms(payer: tenant(UInt64(payer)))) }
    }
    #expect(queue.count < queue.limits.waiting)
    #expect(queue.add(0, WriteTerms(payer: tenant(5000))) == nil)
    #expect(queue.add(0, WriteTerms(payer: .platform("operator"))) == nil)
  }

  @Test func batchesFollowTheStore() {
    var queue = WriteQueue<Int>()
    let full = queue.limits.batch
    queue.noteBatch(nanoseconds: queue.limits.batchNanoseconds + 1)
    #expect(queue.batchLimit == full / 2)
    queue.noteBatch(nanoseconds: queue.limits.batchNanoseconds)
    #expect(queue.batchLimit == full / 2)
    for _ in 0..<4 { queue.noteBatch(nanoseconds: 1) }
    #expect(queue.batchLimit == full)
  }

  @Test func aFifoGivesBackWhatItWasGiven() {
    var fifo = Fifo<Int>()
    var (given, taken) = (0, 0)
    var random = SeededGenerator(seed: 1)
    for _ in 0..<10_000 {
      if random.chance(of: 1, in: 2) {
        fifo.append(given)
        given += 1
      } else if taken < given {
        #expect(fifo.first == taken)
        #expect(fifo.popFirst() == taken)
        taken += 1
      } else {
        #expect(fifo.isEmpty && fifo.popFirst() == nil)
      }
      #expect(fifo.count == given - taken)
    }
  }
}

extension WriteTerms {
  fileprivate static func random(_ random: inout SeededGenerator) -> WriteTerms {
    let payers: [WritePayer] = [
      tenant(1), tenant(1), tenant(2), tenant(3), .platform("a"), .platform("b"), .server,
    ]
    let isCheap = random.chance(of: 9, in: 10)
    return WriteTerms(
      payer: random.pick(payers), priority: random.chance(of: 1, in: 4) ? .revoking : .ordinary,
      cost: Int.random(in: isCheap ? 1...3 : 1...WriteTerms.maximumCost, using: &random))
  }
}

/// What the queue promises, without any thought of speed.
private struct NaiveQueue {
  let limits: WriteLimits
  var waiting: [Write] = []

  init(limits: WriteLimits) { self.limits = limits }

  mutating func add(_ write: Write) -> WriteQueueRefusal? {
    let lane = waiting.filter { $0.terms.priority == write.terms.priority }
    let own = lane.filter { $0.terms.payer == write.terms.payer }.count
    let free = limits.waiting - lane.count
    if free == 0 { return .all }
    let (limit, part) =
      switch write.terms.payer {
      case .tenant: (limits.waitingOfTenant, free / 8)
      case .platform: (limits.waitingOfPlatformIdentity, free / 2)
      case .server: (limits.waiting, limits.waiting)
      }
    if own >= limit { return .payer(limit: limit) }
    if own > 0, own >= part { return .all }
    waiting.append(write)
    return nil
  }

  /// A batch was taken.
  mutating func remove(_ batch: [Write]) {
    #expect(batch.isEmpty == waiting.isEmpty)
    let ordinary = batch.filter { $0.terms.priority == .ordinary }
    #expect(ordinary.isEmpty == !waiting.contains { $0.terms.priority == .ordinary })
    for write in batch {
      let next = waiting.firstIndex {
        $0.terms.payer == write.terms.payer && $0.terms.priority == write.terms.priority
      }
      guard let next, waiting[next] == write else {
        Issue.record("\(write) was not next in its line")
        return
      }
      waiting.remove(at: next)
    }
  }
}
