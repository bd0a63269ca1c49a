import TenancyTestSupport
import Testing

@testable import Tenancy

/// Limits that several nodes share, by a clock that only the test moves.
extension RequestLimiterTests {
  private func pair(
    _ limits: RequestLimit..., count: Int = 2
  ) throws -> (nodes: [Node], ledger: LedgerModel, clock: LimitClock) {
    let clock = LimitClock()
    let ledger = LedgerModel(clock, isShared: true)
    let nodes = try (0..<count).map {
      try Node(["usual": limits], on: ledger, name: "node \($0)", clock: clock)
    }
    // All of them know of all.
    for node in nodes { try node.limiter.join() }
    return (nodes, ledger, clock)
  }

  /// Each second as a flood of a thousandth each.
  private func run(
    _ nodes: [Node], _ clock: LimitClock, seconds: Int, _ share: (Int, Int) -> Int
  ) throws -> Int {
    var through = 0
    for step in 0..<(seconds * 1000) {
      clock.advance(seconds: 0.001)
      for (index, node) in nodes.enumerated() {
        through += try node.flood(Self.acme, share(index, step))
        if step % 100 == index * 7 { node.settle() }
      }
    }
    return through
  }

  @Test(arguments: [1, 2, 3, 5])
  func togetherTheyLetNoMoreThroughThanTheLimit(_ count: Int) throws {
    let (nodes, _, clock) = try pair(Self.limit(1000, .second), count: count)
    let through = try run(nodes, clock, seconds: 10) { _, _ in 5 }
    #expect((10_000...11_150).contains(through), "\(through)")
  }

  @Test func oneThatHasAllRequestsComesToTheWholeRate() throws {
    let (nodes, _, clock) = try pair(Self.limit(1000, .second))
    let through = try run(nodes, clock, seconds: 10) { index, _ in index == 0 ? 5 : 0 }
    #expect((10_000...11_200).contains(through), "\(through)")
  }

  /// Its whole burst too, once nobody else had any for a while.
  @Test func oneThatHasAllRequestsHasAllOfTheBurst() throws {
    let (nodes, _, clock) = try pair(Self.limit(100, .second, burst: 5))
    _ = try run(nodes, clock, seconds: 9) { index, step in index == 0 && step % 13 == 0 ? 1 : 0 }
    let through = try run(nodes, clock, seconds: 6) { index, step in
      index == 0 && step % 12 == 0 ? 1 : 0
    }
    #expect(through == 500)
    clock.advance(seconds: 1)
    #expect(try nodes[0].flood(Self.acme, 9) == 5)
  }

  /// More at once than one of them has a share of.
  @Test func manyHitsAreLetThroughWhereSoManyAreLeft() throws {
    let (nodes, ledger, clock) = try pair(Self.limit(1000, .day))
    for node in nodes {
      _ = try node.ask(Self.acme)
      node.settle()
    }
    clock.advance(seconds: 1)
    #expect(try nodes[0].ask(Self.acme, hits: 900).isWithin)
    clock.advance(seconds: 1)
    for node in nodes { node.settle() }
    #expect(ledger.used(Self.acme, "requests/day") == 902)
    #expect(try !nodes[0].ask(Self.acme, hits: 100).isWithin)
  }

  /// Where only a share is used up it is a moment, not the rest of the month.
  @Test func whoIsToWaitForTheLedgerWaitsAMoment() throws {
    let (nodes, _, clock) = try pair(Self.limit(1000, .month))
    for node in nodes {
      _ = try node.ask(Self.acme)
      node.settle()
    }
    clock.advance(seconds: 0.05)
    let through = try nodes[0].flood(Self.acme, 400)
    #expect((200...300).contains(through), "\(through)")
    let answer = try nodes[0].ask(Self.acme)
    #expect(!answer.isWithin && answer.wait <= 1)
  }

  @Test func oneThatDoesNotKnowYetLetsLittleThrough() throws {
    let (nodes, _, _) = try pair(Self.limit(1000, .day))
    _ = try nodes[0].flood(Self.acme, 10)
    #expect(try nodes[1].flood(Self.acme, 1000) <= 32)
  }

  @Test(arguments: [4, 10])
  func manyNodesPayBackWhatEachLetThroughAtOnce(_ count: Int) throws {
    let (nodes, _, clock) = try pair(Self.limit(1, .second), count: count)
    let through = try run(nodes, clock, seconds: 60) { _, step in step % 50 == 0 ? 1 : 0 }
    #expect((50...80).contains(through), "\(count): \(through)")
  }

  @Test func requestsThatMoveFromOneToTheOtherAreLetThrough() throws {
    let (nodes, _, clock) = try pair(Self.limit(1000, .second))
    // Within the limit, by turns of a second.
    let through = try run(nodes, clock, seconds: 10) { index, step in
      (step / 1000) % 2 == index && step % 5 != 0 ? 1 : 0
    }
    #expect(through == 8000)
  }

  @Test func aLimitOfOneIsUsedByEither() throws {
    let (nodes, _, clock) = try pair(Self.limit(1, .minute))
    let through = try run(nodes, clock, seconds: 180) { index, step in
      index == 1 && step % 100 == 0 ? 1 : 0
    }
    #expect((3...5).contains(through), "\(through)")
  }

  @Test func withoutTheLedgerEachGoesOnWithItsPart() throws {
    let (nodes, ledger, clock) = try pair(Self.limit(1000, .second))
    _ = try run(nodes, clock, seconds: 2) { _, _ in 5 }
    ledger.fails = true
    let both = try run(nodes, clock, seconds: 10) { _, _ in 5 }
    #expect((9000...10_100).contains(both), "\(both)")
    let one = try run(nodes, clock, seconds: 10) { index, _ in index == 0 ? 5 : 0 }
    #expect((4900...5100).contains(one), "\(one)")
    ledger.fails = false
    // What was let through meanwhile is told then.
    for node in nodes { node.settle() }
    #expect(try run(nodes, clock, seconds: 10) { _, _ in 5 } <= 11_000)
  }

  @Test func aQuotaIsSharedToTheLast() throws {
    let (nodes, ledger, clock) = try pair(Self.limit(5000, .day), count: 3)
    let through = try run(nodes, clock, seconds: 20) { _, _ in 1 }
    #expect((5000...5100).contains(through), "\(through)")
    #expect(ledger.used(Self.acme, "requests/day") == Double(through))
  }

  @Test func oneThatIsGoneLeavesItsPart() throws {
    let (nodes, _, clock) = try pair(Self.limit(1000, .second))
    _ = try run(nodes, clock, seconds: 1) { _, _ in 5 }
    #expect(nodes[0].limiter.nodes == 2)
    clock.advance(seconds: 16)
    _ = try run([nodes[0]], clock, seconds: 1) { _, _ in 5 }
    #expect(nodes[0].limiter.nodes == 1)
  }

  @Test func whatIsToldAtTheEndIsAll() async throws {
    let (nodes, ledger, clock) = try pair(Self.limit(5000, .day), Self.limit(1000, .second))
    _ = try nodes[0].flood(Self.acme, 10)
    nodes[0].settle()
    let through = try nodes[0].flood(Self.acme, 300)
    await nodes[0].limiter.finish(at: clock.wall)
    #expect(ledger.used(Self.acme, "requests/day") == Double(10 + through))
    #expect(ledger.nodes == 1)
  }

  @Test func theLedgerIsToldByItself() async throws {
    let (nodes, ledger, clock) = try pair(Self.limit(5000, .day))
    let running = Task { [limiter = nodes[0].limiter] in
      await limiter.run(clock: { clock.wall }, onChange: { _ in })
    }
    _ = try nodes[0].flood(Self.acme, 10)
    while ledger.used(Self.acme, "requests/day") == nil { await Task.yield() }
    #expect(ledger.used(Self.acme, "requests/day") == 10)
    running.cancel()
    await running.value
  }
}
