import NIOCore
import Synchronization
import Testing

@testable import TenancyRPCServer

@Suite("What all connections hold")
struct MemoryBudgetTests {
  /// Someone who holds memory, and what was asked of it.
  private final class Holder: Sendable {
    let holder: MemoryBudget.Holder
    private let budget: MemoryBudget
    private let asked = AskedBytes()

    init(_ budget: MemoryBudget, _ peer: UInt32 = 1, grace: TimeAmount = .zero) {
      self.budget = budget
      holder = MemoryBudget.Holder(peer: .user(peer), grace: grace) { [asked] in asked.add($0) }
    }

    /// What it was asked to give up, in order.
    var requests: [Int] { asked.all }

    func mayHold(_ kibibytes: Int, since: Int64 = 0, at now: Int64 = 0) -> Bool {
      budget.mayHold(
        holder, kibibytes * 1024, since: MemoryBudgetTests.time(since),
        at: MemoryBudgetTests.time(now))
    }

    func holds(_ kibibytes: Int, since: Int64 = 0, at now: Int64 = 0) -> Int {
      budget.holds(
        holder, kibibytes * 1024, since: MemoryBudgetTests.time(since),
        at: MemoryBudgetTests.time(now))
    }
  }

  private final class AskedBytes: Sendable {
    private let bytes = Mutex<[Int]>([])

    var all: [Int] { bytes.withLock { $0 } }

    func add(_ count: Int) { bytes.withLock { $0.append(count) } }
  }

  private static let start = NIODeadline.now()

  /// Milliseconds from some time on.
  private static func time(_ milliseconds: Int64) -> NIODeadline {
    start + .milliseconds(milliseconds)
  }

  @Test func whoHoldsMostIsRefusedOnePastTheLimit() {
    let budget = MemoryBudget(limit: 256 * 1024)
    let greedy = Holder(budget)
    #expect(greedy.mayHold(256))
    #expect(!greedy.mayHold(257))
    // A refusal changes nothing.
    #expect(budget.room == 0 && !budget.isExhausted)
    #expect(greedy.requests == [])
    #expect(greedy.mayHold(0) && budget.room == 256 * 1024)
  }

  @Test func theLargestMakesRoomForWhoComes() {
    let budget = MemoryBudget(limit: 256 * 1024)
    let greedy = Holder(budget, 1)
    let modest = Holder(budget, 2)
    #expect(greedy.mayHold(256, at: 0))
    #expect(modest.mayHold(32, since: 1000, at: 1000))
    // What is needed, and an eighth of the limit.
    #expect(greedy.requests == [64 * 1024] && modest.requests == [])
    // While it has not done so, it is not asked for the same again.
    #expect(modest.mayHold(64, since: 1000, at: 1001))
    #expect(greedy.requests == [64 * 1024])
    _ = greedy.holds(192, at: 1002)
    #expect(!budget.isExhausted)
    #expect(!greedy.mayHold(256, at: 1003))
  }

  /// Of one peer with many connections it is known what all of them hold.
  @Test func peersComeBeforeTheirConnections() {
    let budget = MemoryBudget(limit: 400 * 1024)
    let many = [100, 110, 120].map { kibibytes in
      let holder = Holder(budget, 1)
      #expect(holder.mayHold(kibibytes))
      return holder
    }
    let other = Holder(budget, 2)
    #expect(other.mayHold(130, since: 100, at: 100))
    // 60 over the limit, and 50 more.
    #expect(many.map(\.requests) == [[], [], [110 * 1024]] && other.requests == [])
  }

  @Test func theOldestOfTheSamePeerComesFirst() {
    let budget = MemoryBudget(limit: 256 * 1024)
    let ages = [500, 0, 900].map { since in
      let holder = Holder(budget)
      #expect(holder.mayHold(80, since: Int64(since), at: 1000))
      return holder
    }
    let newcomer = Holder(budget)
    // About as large as any of them, but new.
    #expect(newcomer.mayHold(79, since: 1000, at: 1000))
    #expect(ages.map(\.requests) == [[15 * 1024], [80 * 1024], []])
    #expect(newcomer.requests == [])
  }

  /// Or those who are alike would ask one another for ever.
  @Test func whoIsLikeTheOthersIsRefused() {
    let budget = MemoryBudget(limit: 256 * 1024)
    let holders = (0..<4).map { index in Holder(budget, index % 2) }
    for holder in holders { #expect(holder.mayHold(60)) }
    for peer: UInt32 in [0, 1, 2] {
      #expect(!Holder(budget, peer).mayHold(60))
    }
    #expect(Holder(budget, 2).mayHold(17))
    #expect(holders.map(\.requests).reduce(0) { $0 + $1.count } == 1)
  }

  @Test func sizeCountsForMoreThanAge() {
    let budget = MemoryBudget(limit: 1024 * 1024)
    let small = Holder(budget)
    let large = Holder(budget)
    #expect(small.mayHold(124) && large.mayHold(900, since: 50, at: 50))
    #expect(Holder(budget).mayHold(16, since: 60, at: 60))
    #expect(small.requests == [] && large.requests.count == 1)
  }

  @Test func whoIsSparedIsNotAsked() {
    let budget = MemoryBudget(limit: 256 * 1024)
    let handler = Holder(budget, grace: .seconds(1))
    let newcomer = Holder(budget)
    #expect(handler.mayHold(256))
    #expect(!newcomer.mayHold(32, since: 999, at: 999))
    #expect(newcomer.mayHold(32, since: 1010, at: 1010))
    #expect(handler.requests == [64 * 1024])
  }

  /// Those who are asked have not done it yet: what is held meanwhile has a limit, too.
  @Test func nothingGoesPastTheCeiling() {
    let budget = MemoryBudget(limit: 256 * 1024)
    let slow = Holder(budget, 1)
    #expect(slow.mayHold(256))
    let newcomers = (0..<5).map { _ in Holder(budget, 2) }
    let admitted = newcomers.map { $0.mayHold(32, since: 2000, at: 2000) }
    #expect(admitted == [true, true, false, false, false])
    #expect(budget.room == 0 && budget.isExhausted)
  }

  /// Who can't give up what it was asked for counts as before.
  @Test func whatIsNotGivenUpIsNotCountedAsGiven() {
    let budget = MemoryBudget(limit: 256 * 1024)
    let stubborn = Holder(budget, 1)
    let newcomers = (0..<2).map { _ in Holder(budget, 2) }
    #expect(stubborn.mayHold(256))
    #expect(newcomers[0].mayHold(32, since: 1000, at: 1000))
    budget.settle(stubborn.holder)
    #expect(newcomers[1].mayHold(32, since: 1100, at: 1100))
    // What the first has taken, what the second takes, and an eighth.
    #expect(stubborn.requests == [64 * 1024, 96 * 1024])
  }

  @Test func whatIsHeldAlreadyIsCountedAndGivenUpByTheLargest() {
    let budget = MemoryBudget(limit: 256 * 1024)
    let first = Holder(budget, 1)
    #expect(first.holds(200) == 0)
    let second = Holder(budget, 2)
    #expect(second.holds(100, since: 1000, at: 1000) == 0)
    #expect(first.requests == [76 * 1024] && budget.isExhausted)
    // Here it is its own turn.
    #expect(first.holds(400, at: 1001) == (500 - 76 - 256) * 1024)
    #expect(second.requests == [])
  }

  @Test func whatIsReleasedIsForgotten() {
    let budget = MemoryBudget(limit: 0)
    let holder = Holder(budget)
    _ = holder.holds(64)
    #expect(budget.isExhausted)
    budget.release(holder.holder)
    #expect(!budget.isExhausted)
    #expect(holder.holds(0) == 0 && !budget.isExhausted)
  }
}

@Suite("What one connection holds")
struct MemoryShareTests {
  /// `#expect` takes no values that can't be copied.
  private final class Connection {
    private var share: MemoryShare

    func mayHold(_ bytes: Int) -> Bool { share.mayHold(bytes) }
    func holds(_ bytes: Int) -> Int { share.holds(bytes) }
    func mayGoOn(_ bytes: Int) -> Bool { share.mayGoOn(bytes) }
    func gaveUp(_ bytes: Int, left: Int) { share.gaveUp(bytes, left: left) }

    init(
      _ budget: MemoryBudget, _ peer: UInt32, asked: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
      share = MemoryShare(of: budget, peer: .user(peer), giveUp: asked)
    }
  }

  @Test func theAllowanceIsNotCounted() {
    let budget = MemoryBudget(limit: 0)
    let connection = Connection(budget, 1)
    #expect(connection.mayHold(MemoryBudget.allowance))
    #expect(!connection.mayHold(MemoryBudget.allowance + 1))
    #expect(!budget.isExhausted)
    #expect(connection.holds(MemoryBudget.allowance + 1) > 0)
    #expect(budget.isExhausted)
    #expect(!connection.mayGoOn(MemoryBudget.allowance + 1))
    #expect(connection.mayGoOn(MemoryBudget.allowance) && !budget.isExhausted)
  }

  @Test func aConnectionThatGoesLeavesNothing() {
    let budget = MemoryBudget(limit: 0)
    var connection: Connection? = Connection(budget, 1)
    _ = connection?.holds(1 << 20)
    #expect(budget.isExhausted)
    connection = nil
    #expect(!budget.isExhausted)
  }

  @Test func theBudgetHearsOfStepsOnly() {
    let budget = MemoryBudget(limit: 10 * MemoryBudget.step)
    let connection = Connection(budget, 1)
    #expect(connection.mayHold(MemoryBudget.step + 1))
    #expect(budget.room == 8 * MemoryBudget.step)
    #expect(connection.mayHold(2 * MemoryBudget.step))
    #expect(budget.room == 8 * MemoryBudget.step)
    // Of less it hears when it is more than a step.
    _ = connection.holds(MemoryBudget.step + 1)
    #expect(budget.room == 8 * MemoryBudget.step)
    _ = connection.holds(1)
    #expect(budget.room == 10 * MemoryBudget.step)
  }

  /// Of two that have held as much for as long, the one goes first of which nothing has gone its way.
  @Test func whatGoesItsWayDoesNotAge() {
    let budget = MemoryBudget(limit: 30 * MemoryBudget.step)
    let (busyAsked, idleAsked) = (Box(), Box())
    let busy = Connection(budget, 1) { busyAsked.add($0) }
    let idle = Connection(budget, 1) { idleAsked.add($0) }
    for connection in [busy, idle] { #expect(connection.mayHold(14 * MemoryBudget.step)) }
    for _ in 0..<4 {
      _ = busy.holds(4 * MemoryBudget.step)
      #expect(busy.mayHold(14 * MemoryBudget.step))
    }
    let newcomer = Connection(budget, 1)
    #expect(newcomer.mayHold(3 * MemoryBudget.step))
    #expect(busyAsked.total == 0 && idleAsked.total > 0)
  }

  /// What was given up because others needed it is no sign of life.
  @Test func whatWasGivenUpHasNotGoneItsWay() {
    let budget = MemoryBudget(limit: 30 * MemoryBudget.step)
    let (firstAsked, secondAsked) = (Box(), Box())
    let first = Connection(budget, 1) { firstAsked.add($0) }
    #expect(first.mayHold(14 * MemoryBudget.step))
    let second = Connection(budget, 1) { secondAsked.add($0) }
    #expect(second.mayHold(14 * MemoryBudget.step))
    for _ in 0..<4 {
      first.gaveUp(10 * MemoryBudget.step, left: 4 * MemoryBudget.step)
      #expect(first.mayHold(14 * MemoryBudget.step))
    }
    let newcomer = Connection(budget, 1)
    #expect(newcomer.mayHold(3 * MemoryBudget.step))
    #expect(firstAsked.total > 0 && secondAsked.total == 0)
  }

  private final class Box: Sendable {
    private let sum = Atomic(0)

    var total: Int { sum.load(ordering: .relaxed) }

    func add(_ bytes: Int) { sum.add(bytes, ordering: .relaxed) }
  }
}
