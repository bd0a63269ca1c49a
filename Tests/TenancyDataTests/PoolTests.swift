import Synchronization
import Tenancy
import TenancyData
import Testing

@Suite("Connections of tenants", .enabled(if: Cluster.isInstalled), .timeLimit(.minutes(2)))
struct PoolTests {
  private let cluster: Cluster

  init() throws { cluster = try Cluster.shared.get() }

  @Test func thereAreNoMoreThanThereMayBe() async throws {
    let places = try (0..<6).map { _ in try cluster.makeTenant("acme", .shared) }
    let (data, _) = adapter(places) {
      $0.maximumConnections = 4
      $0.maximumConnectionsPerTenant = 2
    }
    let most = Counter()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for place in places {
        for _ in 0..<10 {
          group.addTask {
            try await place.run {
              let user = try await data.query("SELECT session_user::text", as: String.self)
              #expect(user == [place.postgreSQL?.user])
            }
            most.raise(to: data.connections)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect((1...4).contains(most.count))
    await data.close()
  }

  /// A tenant that has all that it may have, and would have more, keeps nobody else waiting.
  @Test func oneTenantLeavesRoomForOthers() async throws {
    let (greedy, other) = (
      try cluster.makeTenant("acme", .shared), try cluster.makeTenant("zeta", .shared)
    )
    let (data, _) = adapter([greedy, other]) {
      $0.maximumConnections = 3
      $0.maximumConnectionsPerTenant = 2
      $0.maximumWaiting = 5
      $0.acquireTimeout = .milliseconds(300)
    }
    let sleepers = (0..<8).map { _ in
      Task {
        await refusal { try await greedy.run { try await data.query("SELECT pg_sleep(600)") } }
      }
    }
    try await other.run {
      try await expectAnswer(data)
    }
    for sleeper in sleepers { sleeper.cancel() }
    var codes: [DataError.Code: Int] = [:]
    for sleeper in sleepers {
      if let error = await sleeper.value { codes[error.code, default: 0] += 1 }
    }
    #expect(codes.values.reduce(0, +) == 8)
    #expect(Set(codes.keys).isSubset(of: [.cancelled, .poolExhausted]))
    try await greedy.run { try await expectAnswer(data) }
    await data.close()
  }

  @Test func whoWaitsTooLongIsToldSo() async throws {
    let acme = try cluster.makeTenant("acme", .shared)
    let (data, _) = adapter([acme]) {
      $0.maximumConnectionsPerTenant = 1
      $0.maximumWaiting = 1
      $0.acquireTimeout = .milliseconds(50)
    }
    try await acme.run {
      let transaction = try await data.beginTransaction()
      let waiting = await refusal { try await data.query("SELECT 1") }
      #expect(waiting?.code == .poolExhausted)
      await data.rollbackTransaction(transaction)
      try await expectAnswer(data)
    }
    await data.close()
    let closed = await refusal { try await acme.run { try await data.query("SELECT 1") } }
    #expect(closed?.code == .closed)
  }

  @Test func connectionsThatTheServerHasEndedAreNotUsed() async throws {
    let acme = try cluster.makeTenant("acme", .shared)
    let (data, _) = adapter([acme]) { $0.maximumConnectionsPerTenant = 1 }
    try await acme.run {
      for _ in 0..<3 {
        let number = try await data.query("SELECT pg_backend_pid()", as: Int.self)[0]
        _ = try cluster.look("SELECT pg_terminate_backend(\(number), 5000)::text")
        let next = try await data.query("SELECT pg_backend_pid()", as: Int.self)[0]
        #expect(next != number)
      }
      let transaction = try await data.beginTransaction()
      let number = try await transaction.query("SELECT pg_backend_pid()", as: Int.self)[0]
      _ = try cluster.look("SELECT pg_terminate_backend(\(number), 5000)::text")
      let lost = await refusal { try await transaction.query("SELECT 1") }
      #expect(lost?.code == .connection)
      await #expect(throws: DataError.self) { try await data.commitTransaction(transaction) }
      try await expectAnswer(data)
    }
    await data.close()
  }

  @Test func whatNobodyUsesIsClosed() async throws {
    let acme = try cluster.makeTenant("acme", .shared)
    let (data, _) = adapter([acme]) { $0.idleTimeout = .milliseconds(50) }
    try await acme.run { try await expectAnswer(data) }
    while data.connections > 0 { try await Task.sleep(for: .milliseconds(5)) }
    await data.close()
  }
}
