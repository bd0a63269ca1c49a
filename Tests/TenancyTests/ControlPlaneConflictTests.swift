import Synchronization
import TenancyTestSupport
import Testing

@testable import Tenancy

/// Several control planes on one store.
struct ControlPlaneConflictTests {
  private static func entry(_ revision: UInt64, _ name: String) -> LogEntry {
    LogEntry(
      revision: revision, time: Sample.moment, actor: "other", action: name, tenants: [],
      changes: [.reserveName(ReservedName(.slug, name), Sample.id(2))])
  }

  private static func options(pauses: Pauses = Pauses()) -> ControlPlane.Options {
    var options = ControlPlane.Options()
    options.pause = { pauses.note($0) }
    return options
  }

  private final class Pauses: Sendable {
    private let attempts = Mutex<[Int]>([])
    var all: [Int] { attempts.withLock { $0 } }
    func note(_ attempt: Int) { attempts.withLock { $0.append(attempt) } }
  }

  @Test func aWriteThatIsOvertakenIsJudgedAgainOnTheNewerState() async throws {
    let pauses = Pauses()
    let test = try TestPlane(options: Self.options(pauses: pauses))
    test.store.failNextAppends(.overtaken([Self.entry(1, "x")]), .overtaken([Self.entry(2, "y")]))
    let heard = Mutex<[Bool]>([])
    test.plane.observeHealth { failure in heard.withLock { $0.append(failure == nil) } }
    let seen = Mutex<[UInt64]>([])
    let revision = try await test.plane.write(actor: "test", action: "a") {
      (transaction) throws(TenancyError) -> UInt64 in
      seen.withLock { $0.append(transaction.state.revision) }
      transaction.emit(.reserveName(ReservedName(.slug, "a"), Sample.id(1)), about: Sample.id(1))
      return transaction.state.revision
    }
    #expect(revision == 2 && seen.withLock { $0 } == [0, 1, 2])
    #expect(test.store.log.map(\.action) == ["x", "y", "a"])
    #expect(test.plane.has("x") && test.plane.has("y") && test.plane.has("a"))
    #expect(test.plane.isHealthy && test.store.loads == 1 && pauses.all == [1, 2])
    _ = await test.plane.recover()
    #expect(heard.withLock { $0 } == [true])
  }

  @Test func whatTheNewerStateForbidsIsRefused() async throws {
    let test = try TestPlane(options: Self.options())
    test.store.failNextAppends(.overtaken([Self.entry(1, "taken")]))
    let error = await refusal { () async throws(TenancyError) in
      try await test.plane.write(actor: "test", action: "a") {
        (transaction) throws(TenancyError) -> Void in
        let name = ReservedName(.slug, "taken")
        guard transaction.state.owner(of: name) == nil else {
          throw TenancyError(.alreadyExists, .nameTaken, "taken")
        }
        transaction.emit(.reserveName(name, Sample.id(1)), about: Sample.id(1))
      }
    }
    #expect(error?.reason == .nameTaken)
    #expect(test.store.log.count == 1 && test.plane.isHealthy)
  }

  @Test func whoIsOvertakenEachTimeIsTold() async throws {
    let pauses = Pauses()
    let test = try TestPlane(options: Self.options(pauses: pauses))
    let attempts = ControlPlane.maximumAttempts
    for revision in 1...UInt64(attempts) {
      test.store.failNextAppends(.overtaken([Self.entry(revision, "n\(revision)")]))
    }
    let error = await refusal { () async throws(TenancyError) in
      try await test.plane.reserve("a")
    }
    #expect(error?.category == .aborted && error?.reason == .writeConflict)
    #expect(error?.retryAfterSeconds != nil)
    #expect(test.plane.isHealthy && !test.plane.has("a"))
    #expect(pauses.all == Array(1..<attempts))
    #expect(try await test.plane.reserve("b") == UInt64(attempts))
  }

  /// Nobody else has written, and yet the store refuses: it is one write's fault.
  @Test func aContradictionFailsItsOwnWriteOnly() async throws {
    let test = try TestPlane(
      MemoryStore(isStrict: true), options: Self.options())
    try await test.put(Sample.tenant(1))
    let barrier = test.store.holdNextAppend()
    let first = test.plane.startReserving("first")
    await barrier.reached()
    let writes = (0..<20).map { number in
      // There is no tenant 9.
      test.plane.startReserving("n\(number)", for: Sample.id(number == 13 ? 9 : 1))
    }
    barrier.open()
    #expect(await first.value == 1)
    for (number, write) in writes.enumerated() {
      let answer = await write.value
      #expect((answer == nil) == (number == 13))
    }
    #expect(test.plane.isHealthy && test.store.loads == 1)
    #expect(test.plane.state.revision == 21 && !test.plane.has("n13"))
    let error = await refusal { () async throws(TenancyError) in
      try await test.plane.reserve("again", for: Sample.id(9))
    }
    #expect(error?.category == .internalError && error?.reason == .writeRefused)
  }

  @Test func aStoreThatFailsAfterAConflictIsUnhealthy() async throws {
    let test = try TestPlane(options: Self.options())
    test.store.failNextAppends(.overtaken([Self.entry(1, "x")]))
    test.store.failNextEntries(.unavailable)
    let error = await refusal { () async throws(TenancyError) in
      try await test.plane.reserve("a")
    }
    #expect(error?.reason == .storeUnavailable && !test.plane.isHealthy)
    #expect(try await test.plane.reserve("b") == 1)
    #expect(test.plane.has("x") && test.plane.isHealthy)
  }

  /// The others' entries have the revisions of ours: ours never came to be.
  @Test func aLostAnswerThatOthersHaveOvertakenIsRunAgain() async throws {
    let test = try TestPlane(options: Self.options())
    let other = try TestPlane(MemoryStore(test.store.disk), options: Self.options())
    let barrier = test.store.holdNextAppend()
    test.store.failNextAppends(.lostBatch)
    let write = test.plane.startReserving("a")
    await barrier.reached()
    #expect(try await other.plane.reserve("x") == 0)
    barrier.open()
    #expect(await write.value == 1)
    #expect(test.plane.has("x") && test.plane.has("a") && test.plane.isHealthy)
  }

  @Test func aFollowerCatchesUp() async throws {
    let writer = try TestPlane()
    let test = try TestPlane(MemoryStore(writer.store.disk))
    for number in 0..<600 { _ = try await writer.plane.reserve("n\(number)") }
    #expect(test.plane.state.revision == 0)
    #expect(try await test.plane.catchUp() == 600)
    #expect(test.plane.has("n599") && test.store.loads == 1)
    #expect(try await test.plane.catchUp() == 600)
    test.store.failNextEntries(.unavailable)
    let error = await refusal { () async throws(TenancyError) in try await test.plane.catchUp() }
    #expect(error?.reason == .storeUnavailable && !test.plane.isHealthy)
    #expect(try await test.plane.catchUp() == 600)
    // It can be read: whether it can be written to is another matter.
    #expect(!test.plane.isHealthy)
    #expect(await test.plane.recover())
  }

  @Test func aFollowerBehindTheFloorLoads() async throws {
    let writer = try TestPlane()
    let test = try TestPlane(MemoryStore(writer.store.disk))
    for number in 0..<5 { _ = try await writer.plane.reserve("n\(number)") }
    try writer.store.compact(through: 3)
    #expect(try await test.plane.catchUp() == 5)
    #expect(test.plane.has("n0") && test.plane.has("n4") && test.plane.isHealthy)
    #expect(test.store.loads == 2)
  }

  /// The log has no passwords and says which there are: a follower needs nothing else.
  @Test func aFollowerRefersToTheSamePasswords() async throws {
    let writer = try TestPlane()
    let test = try TestPlane(MemoryStore(writer.store.disk))
    var tenant = Sample.tenant(1)
    tenant.configuration.database = DatabaseConfiguration(
      connectionString: "host=db", username: "u",
      password: SecretReference(version: 1, key: KeyID(high: 1, low: 2)))
    try await writer.put(tenant)
    try await test.plane.catchUp()
    #expect(test.plane.state.find(tenant.id)?.tenant == tenant)
    #expect(test.store.loads == 1)
  }

  /// Read, modify, write: from two nodes, many at a time. No update is lost and none is done twice.
  @Test(arguments: [2, 3])
  func concurrentWritersOnSeveralNodesLoseNothing(_ nodes: Int) async throws {
    let disk = MemoryLog()
    let planes = try (0..<nodes).map { _ in try TestPlane(MemoryStore(disk)) }
    for number in 1...3 { try await planes[0].put(Sample.tenant(UInt64(number))) }
    for test in planes { try await test.plane.catchUp() }
    let outcomes = await withTaskGroup(of: (UInt64, TenancyError?).self) { group in
      for writer in 0..<(nodes * 12) {
        let plane = planes[writer % nodes].plane
        let id = Sample.id(UInt64(writer % 3) + 1)
        for _ in 0..<20 {
          group.addTask {
            let error = await refusal { () async throws(TenancyError) in
              try await plane.write(actor: "w\(writer)", action: "count") {
                (transaction) throws(TenancyError) -> Void in
                guard var tenant = transaction.state.find(id)?.tenant else {
                  throw .tenantNotFound
                }
                tenant.version += 1
                transaction.emit(.putTenant(tenant), about: id)
              }
            }
            return (id.low, error)
          }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(outcomes.allSatisfy { $0.1 == nil || $0.1?.reason == .writeConflict })
    for test in planes { try await test.plane.catchUp() }
    for number in 1...3 as ClosedRange<UInt64> {
      let id = Sample.id(number)
      let acknowledged = outcomes.count { $0.0 == id.low && $0.1 == nil }
      #expect(acknowledged > 0)
      for test in planes {
        #expect(test.plane.state.find(id)?.tenant.version == UInt64(acknowledged) + 1)
        #expect(test.plane.isHealthy && test.store.loads == 1)
      }
      // Each was judged on the one before it.
      let versions = planes[0].store.log.flatMap(\.changes).compactMap { change -> UInt64? in
        guard case .putTenant(let tenant) = change, tenant.id == id else { return nil }
        return tenant.version
      }
      #expect(versions == (1...UInt64(acknowledged) + 1).map { $0 })
    }
  }
}
