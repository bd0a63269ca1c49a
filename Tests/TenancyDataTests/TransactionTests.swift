import Synchronization
import Tenancy
import TenancyData
import Testing

@Suite("Transactions of tenants", .enabled(if: Cluster.isInstalled), .timeLimit(.minutes(2)))
struct TransactionTests {
  private let cluster: Cluster

  init() throws { cluster = try Cluster.shared.get() }

  private struct Stop: Error {}

  @Test func theyAreCommittedOrRolledBack() async throws {
    let acme = try cluster.makeTenant("acme", .schema)
    let (data, _) = adapter([acme])
    try await acme.run {
      try await data.withTransaction { transaction in
        try await transaction.query("UPDATE orders SET note = 'one' WHERE id = 1")
        try await transaction.withSavepoint {
          try await transaction.query("UPDATE orders SET note = 'two' WHERE id = 2")
        }
        await #expect(throws: DataError.self) {
          try await transaction.withSavepoint {
            try await transaction.query("UPDATE orders SET note = 'lost' WHERE id = 3")
            try await transaction.query("SELECT 1/0")
          }
        }
      }
      await #expect(throws: Stop.self) {
        try await data.withTransaction { transaction in
          try await transaction.query("DELETE FROM orders")
          throw Stop()
        }
      }
      let transaction = try await data.beginTransaction()
      try await transaction.query("DELETE FROM orders")
      await data.rollbackTransaction(transaction)
      let over = await refusal { try await transaction.query("SELECT 1") }
      #expect(over?.code == .transactionEnded)
      let notes = try await data.query("SELECT note FROM orders ORDER BY id", as: String.self)
      #expect(notes == ["one", "two", "acme 3"])
    }
    await data.close()
  }

  @Test func oneThatHasFailedIsNotCommitted() async throws {
    let acme = try cluster.makeTenant("acme", .schema)
    let (data, _) = adapter([acme]) { $0.maximumConnectionsPerTenant = 1 }
    try await acme.run {
      let failed = try await data.beginTransaction()
      try await failed.query("DELETE FROM orders")
      await #expect(throws: DataError.self) { try await failed.query("SELECT 1/0") }
      let more = await refusal { try await failed.query("SELECT 1") }
      #expect(more?.code == .transactionEnded)
      let commit = await refusal { try await data.commitTransaction(failed) }
      #expect(commit?.code == .transactionEnded)
      // One that a statement ends by itself is noticed.
      let ended = try await data.beginTransaction()
      let error = await refusal { try await ended.query("COMMIT") }
      #expect(error?.code == .transactionEnded)
      let after = await refusal { try await ended.query("DELETE FROM orders") }
      #expect(after?.code == .transactionEnded)
      await data.rollbackTransaction(ended)
      // And one that is forgotten is rolled back.
      do { try await data.beginTransaction().query("DELETE FROM orders") }
      #expect(try await data.query("SELECT count(*) FROM orders", as: Int.self) == [3])
    }
    await data.close()
  }

  @Test func oneIsOfOneTenant() async throws {
    let (acme, zeta) = (
      try cluster.makeTenant("acme", .schema), try cluster.makeTenant("zeta", .schema)
    )
    let (data, _) = adapter([acme, zeta])
    let transaction = try await acme.run { try await data.beginTransaction() }
    let other = await refusal { try await zeta.run { try await transaction.query("SELECT 1") } }
    #expect(other?.code == .tenantMismatch)
    #expect(await refusal { try await transaction.query("SELECT 1") }?.code == .noTenant)
    await data.rollbackTransaction(transaction)
    await data.close()
  }

  @Test func serializationFailuresAreTriedAgain() async throws {
    let acme = try cluster.makeTenant("acme", .schema)
    let (data, _) = adapter([acme])
    let options = TransactionOptions(isolation: .serializable, retries: 20)
    let attempts = Counter()
    try await acme.run {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<4 {
          group.addTask {
            try await data.withTransaction(options: options) { transaction in
              attempts.add()
              let sum = try await transaction.query(
                "SELECT coalesce(sum(length(note)), 0) FROM orders", as: Int.self)
              // So that all have read before one writes, most times.
              try await transaction.query("SELECT pg_sleep(0.05)")
              try await transaction.query(
                "UPDATE orders SET note = note || $1::text WHERE id = 1", [.text("\(sum[0] % 10)")])
            }
          }
        }
        try await group.waitForAll()
      }
      let note = try await data.query("SELECT note FROM orders WHERE id = 1", as: String.self)
      // Each has seen what those before it have written.
      #expect(note == ["acme 18901"])
    }
    #expect(attempts.count > 4)
    await data.close()
  }

  /// Tasks that use one transaction at once wait for each other.
  @Test func statementsOfOneComeOneByOne() async throws {
    let acme = try cluster.makeTenant("acme", .schema)
    let (data, _) = adapter([acme])
    try await acme.run {
      try await data.withTransaction { transaction in
        try await withThrowingTaskGroup(of: [Int].self) { group in
          for number in 0..<20 {
            group.addTask {
              try await transaction.query("SELECT $1::int", [.integer(Int64(number))], as: Int.self)
            }
          }
          var found: Set<Int> = []
          for try await numbers in group { found.formUnion(numbers) }
          #expect(found == Set(0..<20))
        }
      }
    }
    await data.close()
  }
}
