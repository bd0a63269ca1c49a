import TenancyDatabase
import Foundation
import Synchronization
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// What a store does when its server fails. Each test has a server of its own.
@Suite(.enabled(if: PostgreSQLServer.isInstalled, "\(PostgreSQLServer.whySkipped)"), .serialized)
struct PostgreSQLFailureTests {
  private let server: PostgreSQLServer

  init() throws { server = try PostgreSQLServer() }

  /// With timeouts that make a test short.
  private var configuration: PostgreSQLConfiguration {
    var configuration = server.configuration(schema: "tenancy")
    configuration.connectTimeout = .milliseconds(1500)
    configuration.statementTimeout = .milliseconds(1000)
    configuration.lockTimeout = .milliseconds(500)
    return configuration
  }

  private func open() throws -> PostgreSQLStore {
    try PostgreSQLStore(configuration, isAudited: false)
  }

  /// Tries until the pause after a failure is over.
  private func eventually<Result>(_ body: () throws -> Result) throws -> Result {
    let end = Deadline(in: Backoff.limit + .seconds(10))
    while true {
      do {
        return try body()
      } catch let error as StoreError where error.code == .unavailable && !end.hasPassed {
        Thread.sleep(forTimeInterval: 0.02)
      }
    }
  }

  private func duration(_ body: () throws -> Void) rethrows -> Duration {
    try ContinuousClock().measure(body)
  }

  @Test func aServerThatIsStoppedIsUnavailableAndCausesNoRestart() throws {
    let store = try open()
    defer { store.close() }
    try store.append([Sample.entry(1, [])])
    try server.tell("stop")
    for _ in 0..<3 {
      #expect(
        duration { expectError(.unavailable) { try store.append([Sample.entry(2, [])]) } }
          < .seconds(10))
    }
    expectError(.unavailable) { try store.checkWritable() }
    expectError(.unavailable) { _ = try store.load() }
    try server.tell("start")
    #expect(try eventually { try store.load() }.revision == 1)
    try store.append([Sample.entry(2, [])])
  }

  /// Who reads does not wait out a pause of its own when a write has found the server again.
  @Test func allConnectionsComeBackWithTheFirst() throws {
    let store = try open()
    defer { store.close() }
    try store.append([Sample.entry(1, [])])
    try server.tell("stop")
    expectError(.unavailable) { try store.append([Sample.entry(2, [])]) }
    // As often as it takes until the pause is longer than what the server takes to start.
    var next = ContinuousClock.now
    for pause in [50, 100, 200, 400, 800, 1600, 3200] as [Int] {
      while ContinuousClock.now < next { Thread.sleep(forTimeInterval: 0.01) }
      expectError(.unavailable) { _ = try store.auditHead(of: .platform) }
      next = .now + .milliseconds(pause)
    }
    try server.tell("start")
    try eventually { try store.append([Sample.entry(2, [])]) }
    #expect(try store.auditHead(of: .platform) == nil)
  }

  @Test func aRestartBetweenTwoWritesIsNotNoticed() throws {
    let store = try open()
    defer { store.close() }
    try store.append([Sample.entry(1, [])])
    for (revision, command) in [(2, "restart"), (3, "kill")] as [(UInt64, String)] {
      try server.tell(command)
      if command == "kill" { try server.tell("start") }
      try store.append([Sample.entry(revision, [])])
    }
    #expect(try store.load().revision == 3)
  }

  @Test func aServerThatIsPausedMakesAnErrorInTime() throws {
    let store = try open()
    defer { store.close() }
    try store.append([Sample.entry(1, [])])
    try server.tell("pause")
    let bound = configuration.answerTimeout + .seconds(10)
    let taken = duration {
      let error = #expect(throws: StoreError.self) { try store.append([Sample.entry(2, [])]) }
      #expect(error?.code == .unavailable)
      #expect(error?.description.contains("no answer") == true, "\(error?.description ?? "")")
    }
    #expect(taken < bound)
    // The connection is not used again, and a new one is not answered either.
    #expect(duration { expectError(.unavailable) { _ = try store.load() } } < bound)
    try server.tell("resume")
    // What was sent before the pause may have been run to its end, but was never committed.
    #expect(try eventually { try store.load() }.revision == 1)
    try store.append([Sample.entry(2, [])])
    #expect(try loadedState(store).revision == 2)
  }

  @Test func nothingThatWasAcknowledgedIsLostWhenTheServerIsKilledUnderLoad() async throws {
    let isDone = Atomic(false)
    let configuration = configuration
    // The schema is made: it is the load that is interrupted.
    try open().close()
    let writer = Task.detached { () throws -> (acknowledged: UInt64, failures: Int) in
      let store = try PostgreSQLStore(configuration, isAudited: false)
      defer { store.close() }
      var (last, failures) = (UInt64(0), 0)
      while !isDone.load(ordering: .relaxed) {
        do throws(StoreError) {
          try store.append([Sample.entry(last + 1, [.putTenant(Sample.tenant(last + 1))])])
          last += 1
        } catch {
          failures += 1
          #expect(error.code == .unavailable || error.code == .unknownOutcome, "\(error)")
          let stored = try eventually { try store.load() }.revision
          #expect(stored == last || (error.code == .unknownOutcome && stored == last + 1))
          last = stored
        }
      }
      return (last, failures)
    }
    for command in ["kill", "restart", "kill"] {
      try await Task.sleep(for: .milliseconds(300))
      try server.tell(command)
      if command == "kill" { try server.tell("start") }
    }
    isDone.store(true, ordering: .relaxed)
    let (acknowledged, _) = try await writer.value
    #expect(acknowledged > 0)
    let store = try open()
    defer { store.close() }
    #expect(try store.load().revision == acknowledged)
    #expect(try loadedState(store).tenants.count == Int(acknowledged))
  }

  @Test func aLockHeldByAnotherIsGivenUpOnInTime() throws {
    let store = try open()
    defer { store.close() }
    let other = try server.connect()
    let deadline = Deadline(in: .seconds(60))
    try other.runScript("BEGIN; SELECT * FROM tenancy_revision FOR UPDATE", until: deadline)
    let error = #expect(throws: StoreError.self) { try store.append([Sample.entry(1, [])]) }
    #expect(error?.code == .unavailable)
    #expect(error?.description.contains("55P03") == true, "\(error?.description ?? "")")
    try other.runScript("ROLLBACK", until: deadline)
    try store.append([Sample.entry(1, [])])
  }

  @Test func aNodeThatStopsInTheMiddleOfAWriteHoldsUpTheOthersForATimeOnly() throws {
    var short = configuration
    short.idleInTransactionTimeout = .milliseconds(300)
    try PostgreSQLStore(short, isAudited: false).close()
    var connector = PostgreSQLConnector(short)
    let stuck = try connector.connect()
    try stuck.runScript(
      "BEGIN; SELECT * FROM tenancy_revision FOR UPDATE", until: Deadline(in: .seconds(5)))
    let store = try open()
    defer { store.close() }
    try store.append([Sample.entry(1, [])])
    #expect(throws: PostgreSQLError.self) {
      try stuck.run("COMMIT", until: Deadline(in: .seconds(5)))
    }
    #expect(!stuck.isUsable)
  }

  @Test func aStatementThatTakesTooLongIsEndedByTheServer() throws {
    var connector = PostgreSQLConnector(configuration)
    let connection = try connector.connect()
    let error = #expect(throws: PostgreSQLError.self) {
      try connection.run("SELECT pg_sleep(60)", until: Deadline(in: .seconds(30)))
    }
    #expect(error?.sqlState == "57014")
    #expect(error?.storeCode == .unavailable)
    #expect(connection.isIdle)
  }

  @Test func aWrongPasswordIsToldWithoutIt() throws {
    var configuration = configuration
    configuration.hosts = [.init("127.0.0.1", port: server.port)]
    let file = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path()
    defer { try? FileManager.default.removeItem(atPath: file) }
    for password in ["wrong-s3cr3t", ""] {
      try Data(password.utf8).write(to: URL(filePath: file))
      configuration.passwordFile = file
      let error = #expect(throws: StoreError.self) { try PostgreSQLStore(configuration) }
      #expect(error?.code == .unavailable)
      #expect(error?.description.contains("password") == true, "\(error?.description ?? "")")
      #expect(error?.description.contains("wrong-s3cr3t") == false)
    }
    configuration.passwordFile = file + ".none"
    expectError(.unavailable) { _ = try PostgreSQLStore(configuration) }
    configuration.passwordFile = server.directory + "/password"
    try PostgreSQLStore(configuration).close()
  }

  @Test func theHostThatTakesWritesIsFoundAmongOthers() throws {
    var configuration = configuration
    // Nothing listens there; and there nothing ever answers.
    configuration.hosts = [
      .init("127.0.0.1", port: 1), .init(server.directory, port: server.port),
    ]
    let store = try PostgreSQLStore(configuration)
    defer { store.close() }
    try store.append([Sample.entry(1, [])])
    try server.execute("ALTER SYSTEM SET default_transaction_read_only = on", schema: "tenancy")
    try server.tell("restart")
    let error = #expect(throws: StoreError.self) { try store.append([Sample.entry(2, [])]) }
    #expect(error?.code == .unavailable)
    #expect(error?.description.contains("read-only") == true, "\(error?.description ?? "")")
  }

  @Test func settingsThatLoseWritesAreRefusedOrRaised() throws {
    try server.tell("set synchronous_commit off")
    var connector = PostgreSQLConnector(configuration)
    let level = try connector.connect().run(
      "SELECT current_setting('synchronous_commit')::text", until: Deadline(in: .seconds(5)))
    #expect(level.row(0).text(0) == "on")
    try server.tell("set fsync off")
    let error = #expect(throws: StoreError.self) { try eventuallyRefused() }
    #expect(error?.description.contains("fsync") == true)
  }

  /// The server takes a new setting over a moment after it was told to.
  private func eventuallyRefused() throws {
    let end = Deadline(in: .seconds(10))
    while !end.hasPassed { try PostgreSQLStore(configuration).close() }
  }
}
