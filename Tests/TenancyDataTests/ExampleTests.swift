import Tenancy
import TenancyContext
import TenancyData
import Testing

struct Order: Codable, Equatable {
  var id: Int
  var note: String?
}

/// Written once, for tenants of any model: which of them it is for is the task's `TenantContext`.
struct Orders {
  let data: MultiTenantDatabaseAdapter

  func find(_ note: String) async throws -> [Order] {
    try await data.query(
      "SELECT id, note FROM orders WHERE note = $1 ORDER BY id", [.text(note)], as: Order.self)
  }

  func move(_ id: Int, to other: Int) async throws {
    let options = TransactionOptions(isolation: .serializable, retries: 3)
    try await data.withTransaction(options: options) { transaction in
      let found = try await transaction.query(
        "UPDATE orders SET id = $1 WHERE id = $2", [DataValue(other), DataValue(id)])
      if found.changedRows != 1 { throw OrderError.notFound }
    }
  }

  /// Rows come as they are taken, however many there are.
  func longestNote() async throws -> Int {
    try await data.withRows("SELECT note FROM orders", options: QueryOptions(timeout: .seconds(60)))
    {
      rows in
      var longest = 0
      for try await row in rows {
        longest = max(longest, try row.decode(as: String?.self)?.count ?? 0)
      }
      return longest
    }
  }
}

enum OrderError: Error { case notFound }

/// What a request's handler does, once it knows whose the request is.
func handle(_ tenant: TenantID, _ orders: Orders) async throws -> [Order] {
  try await TenantContext.with(TenantContext(id: tenant)) {
    try await orders.find("urgent")
  }
}
/// `DataIsolation.md` shows what is above.
@Suite("The example of the article")
struct ExampleTests {
  @Test func itRuns() async throws {
    let files = try Files()
    let acme = try files.makeTenant("acme", .shared)
    let (data, _) = adapter([acme])
    let orders = Orders(data: data)
    try await acme.run {
      try await data.query("UPDATE orders SET note = 'urgent' WHERE id = 2")
      try await orders.move(2, to: 7)
      await #expect(throws: OrderError.self) { try await orders.move(2, to: 8) }
      let longest = try await orders.longestNote()
      #expect(longest == 6)
    }
    let found = try await handle(acme.tenant, orders)
    #expect(found == [Order(id: 7, note: "urgent")])
    await data.close()
  }
}
