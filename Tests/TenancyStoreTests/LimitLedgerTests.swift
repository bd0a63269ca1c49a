import TenancyDatabase
import Foundation
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// What every ledger of limits promises, and how each does it.
private struct LedgerContract {
  let ledger: any LimitLedger
  /// Runs SQL behind its back.
  let execute: (String) throws -> Void

  static func use(
    _ number: UInt64, _ text: String = "requests/second", spent: Double, age: Int64 = 0,
    rate: Double = 0, most: Double = 1e6, period: RequestLimit.Period? = nil
  ) -> LimitUse {
    LimitUse(
      key: LimitKey(tenant: Sample.id(number), text: text), spent: spent, age: age, rate: rate,
      most: most,
      period: period)
  }

  func settle(_ uses: LimitUse..., by node: String = "a") throws -> [Double?] {
    let found = try ledger.settle(uses, by: node)
    #expect(found.counts.count == uses.count)
    return uses.map { found.counts[$0.key]?.used }
  }

  func check() throws {
    // Each limit for itself, in whatever order.
    #expect(
      try settle(
        Self.use(2, spent: 2), Self.use(1, spent: 1.25), Self.use(1, "b", spent: 0)) == [
          2, 1.25, 0,
        ]
    )
    #expect(
      try settle(Self.use(1, spent: 0.000_001), Self.use(2, spent: 3)) == [1.250_001, 5])
    #expect(try ledger.settle([], by: "a").counts.isEmpty)
    // No more than what is remembered.
    #expect(try settle(Self.use(3, spent: 50, most: 20)) == [50])
    #expect(try settle(Self.use(3, spent: 5, most: 20)) == [20])
    #expect(try settle(Self.use(3, spent: 1e9, most: 2e9)) == [1_000_000_020])
    try checkTime()
    try checkAge()
    try checkLargeNumbers()
    try checkSharing()
    try checkQuotas()
    try checkPruning()
  }

  /// A bucket is emptied by the store's clock, and is never less than empty.
  private func checkTime() throws {
    _ = try settle(Self.use(4, spent: 1000, rate: 1))
    try execute(
      "UPDATE request_counts SET time = time - 400000 WHERE tenant_id = '\(Sample.id(4))'")
    let left = try #require(try settle(Self.use(4, spent: 0, rate: 1)).first ?? nil)
    #expect((500...600).contains(left), "\(left)")
    try execute("UPDATE request_counts SET time = 1 WHERE tenant_id = '\(Sample.id(4))'")
    #expect(try settle(Self.use(4, spent: 7, rate: 1e9, most: 1e9)) == [7])
    // A clock that was set back adds nothing and forgets nothing, and then it goes on.
    try execute(
      "UPDATE request_counts SET time = time + 9000000 WHERE tenant_id = '\(Sample.id(4))'")
    #expect(try settle(Self.use(4, spent: 1, rate: 1)) == [8])
    try execute("UPDATE request_counts SET time = time - 3000 WHERE tenant_id = '\(Sample.id(4))'")
    let later = try #require(try settle(Self.use(4, spent: 0, rate: 1)).first ?? nil)
    #expect((4...5).contains(later), "\(later)")
  }

  /// What came over a while was emptied meanwhile, and what came at its end was not.
  private func checkAge() throws {
    for (age, expected) in [(0, 70), (50_000, 20), (60_000, 10), (100_000, 10), (900_000, 10)] {
      let name = "age/\(age)"
      _ = try settle(Self.use(11, name, spent: 40, rate: 1))
      try execute("UPDATE request_counts SET time = time - 100000 WHERE name = '\(name)'")
      let use = Self.use(11, name, spent: 70, age: Int64(age), rate: 1)
      let used = try #require(try settle(use).first ?? nil)
      #expect((Double(expected) - 2...Double(expected)).contains(used), "\(age): \(used)")
    }
  }

  /// Large ones are counted like others: one that is refused would take all others of its batch along.
  private func checkLargeNumbers() throws {
    _ = try settle(Self.use(8, spent: 0), Self.use(8, "all", spent: 0, period: .year))
    for spent in [9_007_199_254.5, 1e12, 1e15, .infinity] {
      #expect(
        try settle(Self.use(8, spent: spent, most: 2e9), Self.use(9, spent: 1)).first == 2e9)
    }
    let all = try settle(Self.use(8, "all", spent: 1e15, most: 1e12, period: .year))
    #expect(all == [1e12])
  }

  /// Who has told of a limit lately.
  private func checkSharing() throws {
    func isAlone(_ node: String) throws -> Bool? {
      let use = Self.use(10, spent: 1)
      return try ledger.settle([use], by: node).counts[use.key]?.isAlone
    }
    func pass(_ seconds: Int) throws {
      try execute(
        "UPDATE request_counts SET time = time - \(seconds * 1000), other_time = "
          + "other_time - \(seconds * 1000) WHERE tenant_id = '\(Sample.id(10))'")
    }
    // Nobody knows yet.
    #expect(try isAlone("a") == false)
    try pass(6)
    #expect(try isAlone("a") == true)
    #expect(try isAlone("b") == false)
    #expect(try isAlone("b") == false)
    try pass(3)
    #expect(try isAlone("b") == false)
    try pass(3)
    #expect(try isAlone("b") == true)
    try pass(30)
    #expect(try isAlone("a") == true)
    #expect(try isAlone("b") == false)
    #expect(try isAlone("a") == false)
  }

  private func checkQuotas() throws {
    for period in [RequestLimit.Period.day, .month, .year] {
      let (key, length) = ("requests/\(period.rawValue)", 366 * 86_400_000)
      #expect(try settle(Self.use(5, key, spent: 3, period: period)) == [3])
      #expect(try settle(Self.use(5, key, spent: 3, period: period)) == [6])
      // One that has begun earlier has ended.
      try execute("UPDATE request_counts SET begin = begin - 1 WHERE name = '\(key)'")
      #expect(try settle(Self.use(5, key, spent: 4, period: period)) == [4])
      // One that begins later was begun before the clock was set back: it goes on, and ends like the others.
      try execute("UPDATE request_counts SET begin = begin + \(length) WHERE name = '\(key)'")
      #expect(try settle(Self.use(5, key, spent: 1, period: period)) == [5])
      try execute("UPDATE request_counts SET begin = begin - 1 WHERE name = '\(key)'")
      #expect(try settle(Self.use(5, key, spent: 5, period: period)) == [5])
    }
  }

  private func checkPruning() throws {
    let month = try #require(
      try ledger.quotas(limit: 100).first { $0.key.text == "requests/month" })
    #expect(month.key.tenant == Sample.id(5) && month.value.used == 5)
    #expect(month.value.begin > 1_796_000_000 - 31 * 86_400)
    #expect(try ledger.quotas(limit: 1).count == 1)
    _ = try settle(
      Self.use(6, "full", spent: 9, rate: 1), Self.use(6, "long ago", spent: 9, period: .year),
      Self.use(6, "kept", spent: 9, rate: 1), Self.use(6, "quota", spent: 9, period: .year))
    try execute("UPDATE request_counts SET time = time - 10000 WHERE name = 'full'")
    try execute("UPDATE request_counts SET time = time - 34646400000 WHERE name = 'long ago'")
    try ledger.prune()
    // A row that is gone begins anew.
    try execute("UPDATE request_counts SET used = 1000000")
    let left = try settle(
      Self.use(6, "full", spent: 0), Self.use(6, "long ago", spent: 0, period: .year),
      Self.use(6, "kept", spent: 0), Self.use(6, "quota", spent: 0, period: .year))
    #expect(left == [0, 0, 1, 1])
  }
}

@Suite struct LimitLedgerTests {
  @Test func aFileKeepsItsPromise() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("control.db")
    let store = try SQLiteStore(path: path)
    let other = try SQLiteConnection(path: path)
    try LedgerContract(ledger: store, execute: { try other.execute($0) }).check()
    #expect(!store.isShared)
    #expect(try store.settle([], by: "b").nodes == 1)
    // It is there after a restart, and no error to who checks the file.
    let use = LedgerContract.use(7, spent: 7, period: .year)
    _ = try store.settle([use], by: "a")
    store.close()
    let again = try SQLiteStore(path: path)
    #expect(try again.settle([use], by: "a").counts[use.key]?.used == 14)
    again.close()
    #expect(try StoreCheck.run(path: path).isSound)
  }

  @Test(.enabled(if: PostgreSQLServer.isInstalled, "\(PostgreSQLServer.whySkipped)"))
  func aServerKeepsItsPromise() throws {
    let server = try PostgreSQLServer.shared.get()
    let store = try PostgreSQLStore(server.configuration(schema: "limits"))
    defer { store.close() }
    let other = try server.connect(schema: "limits")
    try LedgerContract(
      ledger: store,
      execute: { _ = try other.run($0, until: Deadline(in: .seconds(10))) }
    ).check()
    #expect(store.isShared)
  }

  @Test(.enabled(if: PostgreSQLServer.isInstalled, "\(PostgreSQLServer.whySkipped)"))
  func nodesAreCountedWhileTheySaySo() throws {
    let server = try PostgreSQLServer.shared.get()
    let store = try PostgreSQLStore(server.configuration(schema: "limit_nodes_test"))
    defer { store.close() }
    let other = try server.connect(schema: "limit_nodes_test")
    func execute(_ sql: String) throws {
      _ = try other.run(sql, until: Deadline(in: .seconds(10)))
    }
    #expect(try ["a", "b", "a", "c"].map { try store.settle([], by: $0).nodes } == [1, 2, 2, 3])
    try execute("UPDATE limit_nodes SET expire_time = expire_time - 15000 WHERE name = 'b'")
    #expect(try store.settle([], by: "a").nodes == 2)
    // It has said so before the clock was set back.
    try execute("UPDATE limit_nodes SET expire_time = expire_time + 15000000 WHERE name = 'c'")
    #expect(try store.settle([], by: "a").nodes == 1)
    #expect(try store.settle([], by: "c").nodes == 2)
    try store.leave("c")
    #expect(try store.settle([], by: "a").nodes == 1)
  }

  /// Rows are locked in one order, whatever that of the uses is.
  @Test(.enabled(if: PostgreSQLServer.isInstalled, "\(PostgreSQLServer.whySkipped)"))
  func nodesAtTheSameTimeLoseNothing() async throws {
    let server = try PostgreSQLServer.shared.get()
    let schema = "limits_at_once"
    let stores = try (0..<3).map { _ in
      try PostgreSQLStore(server.configuration(schema: schema))
    }
    let uses = (1...UInt64(200)).map { LedgerContract.use($0, spent: 1) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, store) in stores.enumerated() {
        group.addTask {
          for round in 0..<20 {
            let order = (index + round).isMultiple(of: 2) ? uses : uses.reversed()
            _ = try store.settle(order, by: "node \(index)")
          }
        }
      }
      try await group.waitForAll()
    }
    let left = try stores[0].settle(uses, by: "node 0").counts
    #expect(left.count == uses.count && left.values.allSatisfy { $0.used == 61 && !$0.isAlone })
    for store in stores { store.close() }
  }

  /// Two thousand at once, as a node has it that many tenants use: the work is that of its own limits.
  @Test func manyAtOnceAreOneTransaction() throws {
    let directory = try TemporaryDirectory()
    let store = try SQLiteStore(path: directory.file("control.db"))
    defer { store.close() }
    let uses = (1...UInt64(2000)).map { LedgerContract.use($0, spent: 1, period: .month) }
    #expect(try store.settle(uses, by: "a").counts.count == 2000)
    #expect(try store.settle(uses, by: "a").counts.values.allSatisfy { $0.used == 2 })
  }
}
