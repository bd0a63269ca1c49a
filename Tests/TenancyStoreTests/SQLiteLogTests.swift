import TenancyDatabase
import Foundation
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// The log of files that others have written or changed.
@Suite struct SQLiteLogTests {
  private let directory: TemporaryDirectory
  private let path: String

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.file("control.db")
  }

  private func open() throws -> SQLiteStore { try SQLiteStore(path: path, isAudited: false) }

  private func fill(_ revisions: ClosedRange<UInt64>) throws {
    let store = try open()
    defer { store.close() }
    try store.append(revisions.map { Sample.entry($0, [.putTenant(Sample.tenant($0))]) })
  }

  private static func onThread<Result: Sendable>(
    _ body: @escaping @Sendable () throws -> Result
  ) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread { continuation.resume(with: Swift.Result { try body() }) }
    }
  }

  /// Runs SQL behind the store's back.
  private func execute(_ sql: String) throws { try SQLiteConnection(path: path).execute(sql) }

  /// Whatever else was done to a tenant, or to others: only entries that put it are looked at.
  @Test func whatPutsATenantIsFoundByItsIndex() throws {
    try fill(1...3)
    let connection = try SQLiteConnection(path: path)
    let concerns = LogReader<SQLiteConnection>.concerns(Sample.id(1))
    for (concern, index) in zip(concerns, ["log_puts", "log_several"]) {
      for order in ["ASC", "DESC"] {
        let statement = try connection.prepare(
          """
          EXPLAIN QUERY PLAN SELECT * FROM log WHERE \(concern) AND \(LogIndexes.puts)
            AND revision > 1 AND revision <= 9 ORDER BY revision \(order) LIMIT 7
          """)
        let isThere = try statement.step()
        #expect(isThere && statement.text(3)?.contains("USING INDEX \(index) ") == true)
        statement.reset()
      }
    }
  }

  /// Who reads what was keeps neither the writer waiting nor who follows the log, however many wait for their turn to
  /// read.
  @Test(.timeLimit(.minutes(1))) func readersKeepTheWriterFromNothing() async throws {
    try fill(1...3)
    let store = try open()
    defer { store.close() }
    let reading = Barrier()
    async let first: Void = Self.onThread {
      try store.withAuditReader { (_) throws(StoreError) in reading.pass() }
    }
    await reading.reached()
    async let second = Self.onThread {
      try store.pastEntries(of: nil, after: 0, through: 3, limit: 9)
    }
    // By the end of these the second one waits, if it does not yet.
    for revision in 4...40 as ClosedRange<UInt64> {
      try await Self.onThread {
        try store.append([Sample.entry(revision, [.putTenant(Sample.tenant(revision))])])
        _ = try store.entries(after: revision - 1, limit: 1)
      }
    }
    reading.open()
    try await first
    let part = try await second
    #expect(part.entries.count == 3)
    // Asking for what is compacted ends nothing.
    try execute("UPDATE log_floor SET revision = 2")
    expectError(.compacted(floor: 2)) {
      _ = try store.pastEntries(of: nil, after: 0, through: 3, limit: 9)
    }
    #expect(try store.pastEntries(of: nil, after: 2, through: 3, limit: 9).entries.count == 1)
  }

  @Test func aLogOfVersion4CanBeFollowedFromItsEndOn() throws {
    try fill(1...4)
    try execute(
      "DROP INDEX log_several; ALTER TABLE log DROP COLUMN form; ALTER TABLE log DROP COLUMN tenant_ids;"
        + "DROP TABLE log_floor; PRAGMA user_version = 4")
    for _ in 0..<2 {
      let store = try open()
      defer { store.close() }
      for revision in 0...3 as ClosedRange<UInt64> {
        expectError(.compacted(floor: 4)) { _ = try store.entries(after: revision, limit: 9) }
      }
      #expect(try store.entries(after: 4, limit: 9).isEmpty)
      #expect(try store.load().revision == 4 && loadedState(store).tenants.count == 4)
      #expect(try store.oldestEntries(limit: 9).map(\.revision) == [1, 2, 3, 4])
    }
    try fill(5...6)
    let store = try open()
    defer { store.close() }
    #expect(try store.entries(after: 4, limit: 9).map(\.revision) == [5, 6])
    // What can't be followed goes as well when it is old, and the floor stays.
    try store.compact(through: 2)
    #expect(try store.oldestEntries(limit: 9).map(\.revision) == [3, 4, 5, 6])
    expectError(.compacted(floor: 4)) { _ = try store.entries(after: 3, limit: 9) }
    #expect(try store.load().revision == 6)
    try store.compact(through: 5)
    expectError(.compacted(floor: 5)) { _ = try store.entries(after: 4, limit: 9) }
  }

  @Test func aNewStoreAfterAnOlderOneWithoutEntries() throws {
    try open().close()
    try execute(
      "DROP INDEX log_several; ALTER TABLE log DROP COLUMN form; ALTER TABLE log DROP COLUMN tenant_ids;"
        + "DROP TABLE log_floor; PRAGMA user_version = 4")
    try fill(1...1)
    let store = try open()
    defer { store.close() }
    #expect(try store.entries(after: 0, limit: 9).count == 1)
  }

  @Test(arguments: [
    "DELETE FROM log WHERE revision = 1", "DELETE FROM log", "DELETE FROM log_floor",
    "UPDATE log_floor SET revision = 4", "UPDATE log_floor SET removed = 1, revision = 1",
    "UPDATE log_floor SET revision = -1", "UPDATE log_floor SET removed = -1",
    "UPDATE log_floor SET revision = 9; DELETE FROM log",
    "UPDATE log_floor SET removed = 1, revision = 0; DELETE FROM log WHERE revision = 1",
  ])
  func aLogWithoutItsEndsIsRefused(_ sql: String) throws {
    try fill(1...3)
    try execute(sql)
    let store = try open()
    defer { store.close() }
    // Without its rows, a log that was never compacted looks like a new one; the tenants tell.
    if sql == "DELETE FROM log" {
      #expect(try store.load().revision == 0)
      store.close()
      expectError(.corrupt) { _ = try SQLiteStore(path: path).load() }
    } else {
      expectError(.corrupt) { _ = try store.load() }
    }
  }

  @Test(arguments: [
    "DELETE FROM log WHERE revision = 2", "UPDATE log SET form = 2 WHERE revision = 2",
    "UPDATE log SET changes = '[{}]' WHERE revision = 2",
    "UPDATE log SET changes = json_set(changes, '$[0].tenant.slug', 'BAD') WHERE revision = 2",
    "UPDATE log SET tenant_ids = '{}' WHERE revision = 2",
    "UPDATE log SET tenant_ids = '[\"x\"]' WHERE revision = 2",
    "UPDATE log SET tenant_id = 'x' WHERE revision = 2",
    """
    UPDATE log SET changes = json_set(changes, '$[0].tenant.configuration.database',
      json('{"username":"u","redacted":true}')) WHERE revision = 2
    """,
  ])
  func anEntryThatIsDamagedIsNamed(_ sql: String) throws {
    try fill(1...3)
    try execute(sql)
    let store = try open()
    defer { store.close() }
    #expect(try store.entries(after: 0, limit: 1).count == 1)
    let error = #expect(throws: StoreError.self) { try store.entries(after: 0, limit: 9) }
    #expect(error?.code == .corrupt)
    #expect(error?.description.contains("table log, row 2") == true)
    #expect(try store.entries(after: 2, limit: 9).count == 1)
  }

  @Test func noPasswordIsInTheLog() throws {
    let store = try open()
    defer { store.close() }
    var tenant = Sample.tenant(1)
    for (revision, string) in [(1, "host=db"), (2, "host=db password=Hidden")] as [(UInt64, String)]
    {
      tenant.version = revision
      tenant.configuration.database = DatabaseConfiguration(
        connectionString: string, username: "u")
      try store.append([Sample.entry(revision, [.putTenant(tenant)])])
    }
    let log = try SQLiteConnection(path: path).text(
      "SELECT group_concat(changes || actor || action || coalesce(tenant_ids, '')) FROM log")
    #expect(log.contains("putTenant") && !log.contains("Hidden"))
  }
}
