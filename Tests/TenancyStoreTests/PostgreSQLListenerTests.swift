import Dispatch
import Synchronization
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

@Suite(.enabled(if: PostgreSQLServer.isInstalled, "\(PostgreSQLServer.whySkipped)"))
struct PostgreSQLListenerTests {
  private let schema = PostgreSQLServer.newSchema()

  private func wait(_ semaphore: DispatchSemaphore, _ seconds: Double) -> Bool {
    semaphore.wait(timeout: .now() + seconds) == .success
  }

  @Test func aWriteOnOneNodeWakesAnother() throws {
    let server = try PostgreSQLServer.shared.get()
    var configuration = server.configuration(schema: schema)
    // So that it is no poll that wakes.
    configuration.pollInterval = .seconds(600)
    let (one, other) = (
      try PostgreSQLStore(configuration, isAudited: false),
      try PostgreSQLStore(configuration, isAudited: false)
    )
    defer {
      one.close()
      other.close()
    }
    let woken = DispatchSemaphore(value: 0)
    let listener = try other.listen { woken.signal() }
    #expect(wait(woken, 10), "it was connected")
    for revision in 1...5 as ClosedRange<UInt64> {
      try one.append([Sample.entry(revision, [])])
      #expect(wait(woken, 10))
    }
    // What was not committed is not notified.
    let stray = Change.putRole(Sample.id(1), Sample.role("r"))
    expectError(.conflict) { try one.append([Sample.entry(6, [stray])]) }
    // Nor what another store does.
    let elsewhere = try PostgreSQLStore(
      server.configuration(schema: PostgreSQLServer.newSchema()), isAudited: false)
    try elsewhere.append([Sample.entry(1, [])])
    elsewhere.close()
    #expect(!wait(woken, 0.3))
    listener.stop()
    try one.append([Sample.entry(6, [])])
    #expect(!wait(woken, 0.3))
  }

  @Test func withoutNotificationsItIsWokenAtTheInterval() throws {
    var configuration = try PostgreSQLServer.shared.get().configuration(schema: schema)
    configuration.pollInterval = .milliseconds(20)
    let store = try PostgreSQLStore(configuration, isAudited: false)
    defer { store.close() }
    let woken = DispatchSemaphore(value: 0)
    let listener = try store.listen { woken.signal() }
    for _ in 0..<5 { #expect(wait(woken, 10)) }
    listener.stop()
  }

  @Test func aLostConnectionIsMadeAnewAndWakes() throws {
    let server = try PostgreSQLServer()
    var configuration = server.configuration(schema: schema)
    configuration.pollInterval = .seconds(600)
    let store = try PostgreSQLStore(configuration, isAudited: false)
    defer { store.close() }
    let (woken, failed) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let listener = try store.listen {
      woken.signal()
    } onFailure: { _ in
      failed.signal()
    }
    #expect(wait(woken, 10))
    try server.tell("kill")
    #expect(wait(failed, 10))
    try server.tell("start")
    let isListening = "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    let end = Deadline(in: .seconds(20))
    while try server.text(isListening, schema: schema) != "1", !end.hasPassed {
      _ = wait(woken, 0.1)
    }
    while wait(woken, 0.2) {}
    try store.append([Sample.entry(1, [])])
    #expect(wait(woken, 10))
    listener.stop()
  }

  @Test func stoppingDoesNotWaitForAServerThatDoesNotAnswer() throws {
    var configuration = try PostgreSQLServer.shared.get().configuration(schema: schema)
    let store = try PostgreSQLStore(configuration, isAudited: false)
    store.close()
    configuration.hosts = [.init("127.0.0.1", port: 1)]
    let failed = DispatchSemaphore(value: 0)
    let listener = try PostgreSQLListener(configuration) { _ in
    } onFailure: { _ in
      failed.signal()
    }
    #expect(wait(failed, 10))
    let taken = ContinuousClock().measure { listener.stop() }
    #expect(taken < .seconds(5))
  }
}
