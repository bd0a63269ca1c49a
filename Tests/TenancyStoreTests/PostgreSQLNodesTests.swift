import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// Several control planes on one PostgreSQL.
@Suite(.enabled(if: PostgreSQLServer.isInstalled, "\(PostgreSQLServer.whySkipped)"))
struct PostgreSQLNodesTests {
  private let server: PostgreSQLServer
  private let schema = PostgreSQLServer.newSchema()

  init() throws { server = try PostgreSQLServer.shared.get() }

  private func node() throws -> ControlPlane {
    try ControlPlane(
      try PostgreSQLStore(server.configuration(schema: schema), isAudited: false))
  }

  /// Read, modify, write on all nodes at once, and a subscriber on each: no update is lost, and each
  /// subscriber sees the log.
  @Test func concurrentWritersLoseNothingAndSubscribersSeeAll() async throws {
    let nodes = try (0..<3).map { _ in try node() }
    let id = Sample.id(1)
    try await nodes[0].write(actor: "test", action: "make") {
      (transaction) throws(TenancyError) in
      transaction.emit(.putTenant(Sample.tenant(1)), about: id)
    }
    let subscribers = nodes.map { plane in
      Task {
        var versions: [UInt64] = []
        for try await entry in plane.subscribe(after: 0) {
          for case .putTenant(let tenant) in entry.changes { versions.append(tenant.version) }
        }
        return versions
      }
    }
    let acknowledged = try await withThrowingTaskGroup(of: Int.self) { group in
      for writer in 0..<9 {
        let plane = nodes[writer % 3]
        group.addTask {
          var count = 0
          for _ in 0..<15 {
            do throws(TenancyError) {
              try await plane.write(actor: "w\(writer)", action: "count") {
                (transaction) throws(TenancyError) -> Void in
                // A node that has not caught up yet loses its first race.
                guard var tenant = transaction.state.find(id)?.tenant else {
                  throw TenancyError(.aborted, .writeConflict, "not there yet")
                }
                tenant.version += 1
                transaction.emit(.putTenant(tenant), about: id)
              }
              count += 1
            } catch {
              guard error.reason == .writeConflict else { throw error }
              try await plane.catchUp()
            }
          }
          return count
        }
      }
      return try await group.reduce(0, +)
    }
    for plane in nodes {
      try await plane.catchUp()
      #expect(plane.isHealthy)
      #expect(plane.state.find(id)?.tenant.version == UInt64(acknowledged) + 1)
      await plane.close()
    }
    #expect(acknowledged > 15)
    for subscriber in subscribers {
      #expect(try await subscriber.value == (1...UInt64(acknowledged) + 1).map { $0 })
    }
  }

  @Test func ofSeveralNodesOneTakesALease() async throws {
    let nodes = try (0..<4).map { _ in try node() }
    var last: UInt64 = 0
    for round in 0..<5 {
      let taken = try await withThrowingTaskGroup(of: Lease?.self) { group in
        for (number, plane) in nodes.enumerated() {
          group.addTask {
            do throws(TenancyError) {
              return try await plane.take(
                "work", holder: "\(round) \(number)", lasting: .seconds(600))
            } catch {
              guard error.reason == .leaseHeld || error.reason == .writeConflict else {
                throw error
              }
              return nil
            }
          }
        }
        return try await group.reduce(into: [Lease]()) { if let lease = $1 { $0.append(lease) } }
      }
      let lease = try #require(taken.first)
      #expect(taken.count == 1 && lease.fencingNumber > last)
      last = lease.fencingNumber
      // By any node: it is the number that counts.
      try await nodes[round % 4].release(lease)
    }
    for plane in nodes {
      #expect(plane.isHealthy)
      await plane.close()
    }
  }
}

extension ControlPlane {
  fileprivate convenience init(_ store: PostgreSQLStore) throws(StoreError) {
    try self.init(store: store, clock: { Timestamp(nanoseconds: 1) })
  }
}
