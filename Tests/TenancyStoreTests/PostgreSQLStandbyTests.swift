import Foundation
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// A primary whose commits wait for a standby.
@Suite(.enabled(if: PostgreSQLServer.isInstalled, "\(PostgreSQLServer.whySkipped)"), .serialized)
struct PostgreSQLStandbyTests {
  private let server: PostgreSQLServer

  init() throws {
    server = try PostgreSQLServer()
    try server.tell("standby")
  }

  private var configuration: PostgreSQLConfiguration {
    var configuration = server.configuration(schema: "tenancy")
    configuration.hosts = [
      .init(server.directory, port: server.port), .init(server.directory, port: server.port + 1),
    ]
    configuration.connectTimeout = .milliseconds(1500)
    configuration.statementTimeout = .milliseconds(1000)
    return configuration
  }

  /// The server answers a wait that is cut off as a success with a warning. After a failover such a
  /// write is gone.
  @Test func aCancelledWaitForTheStandbyIsAnUnknownOutcome() async throws {
    var configuration = configuration
    configuration.statementTimeout = .seconds(60)
    let store = try PostgreSQLStore(configuration, isAudited: false)
    try store.append([Sample.entry(1, [])])
    try server.tell("lag")
    let append = Task.detached { () -> StoreError? in
      do throws(StoreError) {
        try store.append([Sample.entry(2, [])])
        return nil
      } catch {
        return error
      }
    }
    let cancel = """
      SELECT count(pg_cancel_backend(pid))::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'
      """
    let end = Deadline(in: .seconds(30))
    while try server.text(cancel, schema: "tenancy") == "0", !end.hasPassed {}
    let error = await append.value
    #expect(error?.code == .unknownOutcome)
    #expect(error?.description.contains("01000") == true, "\(error?.description ?? "")")
    store.close()
  }

  @Test func nothingIsToldThatTheStandbyDoesNotHave() throws {
    let store = try PostgreSQLStore(configuration, isAudited: false)
    defer { store.close() }
    try store.append([Sample.entry(1, [])])
    try server.tell("lag")
    expectError(.unknownOutcome) { try store.append([Sample.entry(2, [])]) }
    // By the next connection the server gives it up, so that it is there for all to see. It may vanish.
    for _ in 0..<2 { expectError(.unknownOutcome) { _ = try store.load() } }
    #expect(try server.text("SELECT max(revision)::text FROM log", schema: "tenancy") == "2")
    expectError(.unknownOutcome) { try store.checkWritable() }
    // What waits in the server is one, however often it was tried.
    let waiting = "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    #expect(try server.text(waiting, schema: "tenancy") == "1")
    try server.tell("catch-up")
    #expect(try store.load().revision == 2)
    try store.append([Sample.entry(3, [])])
    #expect(try server.text(waiting, schema: "tenancy") == "0")
  }

  @Test func afterAFailoverWhatWasAcknowledgedIsThereAndTheRestIsNot() throws {
    let store = try PostgreSQLStore(configuration, isAudited: false)
    defer { store.close() }
    for revision in 1...20 as ClosedRange<UInt64> {
      try store.append([Sample.entry(revision, [.putTenant(Sample.tenant(revision))])])
    }
    try server.tell("lag")
    expectError(.unknownOutcome) { try store.append([Sample.entry(21, [])]) }
    try server.tell("kill")
    try server.tell("catch-up")
    try server.tell("promote")
    let end = Deadline(in: .seconds(30))
    while true {
      do throws(StoreError) {
        // Of the last one either is right: the standby may have had it without saying so.
        let stored = try store.load().revision
        #expect(stored == 20 || stored == 21)
        try store.append([Sample.entry(stored + 1, [])])
        break
      } catch {
        guard error.code == .unavailable, !end.hasPassed else { throw error }
        Thread.sleep(forTimeInterval: 0.02)
      }
    }
    #expect(try loadedState(store).tenants.count == 20)
  }

  @Test func aNodeThatTalksToTheDeposedPrimaryAcknowledgesNothing() throws {
    var old = configuration
    old.hosts = [.init(server.directory, port: server.port)]
    let deposed = try PostgreSQLStore(old, isAudited: false)
    defer { deposed.close() }
    try deposed.append([Sample.entry(1, [])])
    try server.tell("promote")
    for _ in 0..<2 {
      let error = #expect(throws: StoreError.self) { try deposed.append([Sample.entry(2, [])]) }
      #expect(error?.code == .unknownOutcome || error?.code == .conflict)
      expectError(.unknownOutcome) { _ = try deposed.load() }
    }
    var new = configuration
    new.hosts = [.init(server.directory, port: server.port + 1)]
    let store = try PostgreSQLStore(new, isAudited: false)
    defer { store.close() }
    #expect(try store.load().revision == 1)
    try store.append([Sample.entry(2, [])])
  }
}
