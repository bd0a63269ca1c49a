import Testing

@testable import TenancyRPCServices

@Suite struct HealthStatusTests {
  private let health = HealthStatus(serving: ["a.A", "b.B"])

  @Test func servesFromTheStart() {
    #expect(health.all == ["": .serving, "a.A": .serving, "b.B": .serving])
    #expect(health.status(of: "c.C") == nil)
  }

  @Test func aServiceIsKnownOnceItIsSet() {
    health.set(.notServing, for: "c.C")
    #expect(health.status(of: "c.C") == .notServing)
    #expect(health.status(of: "a.A") == .serving)
  }

  @Test func whileSuspendedNothingServesAndThenAllIsAsSet() {
    health.setSuspended(true)
    health.set(.serving, for: "c.C")
    #expect(
      health.all == ["": .notServing, "a.A": .notServing, "b.B": .notServing, "c.C": .notServing])
    #expect(health.status(of: "d.D") == nil)
    health.set(.notServing, for: "a.A")
    health.setSuspended(false)
    #expect(health.all == ["": .serving, "a.A": .notServing, "b.B": .serving, "c.C": .serving])
  }

  @Test func afterShutdownNothingServesAgain() {
    health.shutDown()
    health.set(.serving, for: "a.A")
    health.setSuspended(true)
    health.setSuspended(false)
    #expect(health.all.values.allSatisfy { $0 == .notServing })
  }

  @Test func aWatcherHearsOfItsServiceOnly() async {
    var updates = health.updates(of: "a.A").makeAsyncIterator()
    #expect(await updates.next() == .serving)
    health.set(.notServing, for: "b.B")
    health.set(.notServing, for: "a.A")
    #expect(await updates.next() == .notServing)
    health.setSuspended(true)
    #expect(await updates.next() == .notServing)
    health.set(.serving, for: "a.A")
    #expect(await updates.next() == .notServing)
    health.setSuspended(false)
    #expect(await updates.next() == .serving)
  }

  @Test func aServiceMayBecomeKnownLater() async {
    var updates = health.updates(of: "c.C").makeAsyncIterator()
    #expect(await updates.next() == .serviceUnknown)
    health.set(.serving, for: "c.C")
    #expect(await updates.next() == .serving)
  }

  @Test func aSlowWatcherHearsTheNewestOnly() async {
    var updates = health.updates(of: "").makeAsyncIterator()
    for _ in 0..<1000 {
      health.set(.notServing, for: "")
      health.set(.serving, for: "")
    }
    health.set(.notServing, for: "")
    #expect(await updates.next() == .notServing)
    health.shutDown()
    #expect(await updates.next() == .notServing)
    #expect(await updates.next() == nil)
  }

  @Test func watchersEndWithTheServer() async {
    let before = health.updates(of: "")
    #expect(health.watcherCount == 1)
    health.shutDown()
    #expect(health.watcherCount == 0)
    let after = health.updates(of: "a.A")
    #expect(health.watcherCount == 0)
    for updates in [before, after] {
      var heard: [HealthStatus.Status] = []
      for await status in updates { heard.append(status) }
      #expect(heard == [.notServing])
    }
  }

  @Test func aWatcherThatIsCancelledIsForgotten() async {
    let updates = health.updates(of: "")
    let task = Task {
      for await _ in updates {}
    }
    task.cancel()
    await task.value
    #expect(health.watcherCount == 0)
  }
}
