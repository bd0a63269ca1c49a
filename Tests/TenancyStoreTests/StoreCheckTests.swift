import TenancyDatabase
import Foundation
import Tenancy
import Testing

@testable import TenancyStore

@Suite struct StoreCheckTests {
  private let sample: SampleStore

  init() throws { sample = try SampleStore() }

  @Test func aSoundStoreIsSound() throws {
    let report = try StoreCheck.run(path: sample.path)
    #expect(report.findings == [] && report.isSound)
    #expect(report.revision == 3)
    #expect(report.counts?.tenants == 2)
    #expect(report.schemaVersion == Migrations.latest)
    #expect(report.incarnation?.number == 1)
  }

  /// Closed, open, and as a killed server leaves it: no file is made, and none changes.
  @Test func itLeavesNoTrace() throws {
    func checkLeavesAll(_ revision: UInt64) throws {
      // SQLite keeps in the index where readers are; it is no part of what is stored.
      func files() throws -> [String: Data] {
        try sample.files().mapValues { $0 }.filter { !$0.key.hasSuffix("-shm") }
      }
      let (before, names) = (try files(), try Set(sample.files().keys))
      let report = try StoreCheck.run(path: sample.path)
      #expect(report.isSound && report.revision == revision)
      #expect(try files() == before)
      #expect(try Set(sample.files().keys) == names)
    }
    try checkLeavesAll(3)
    let store = try SQLiteStore(path: sample.path)
    try store.append([SampleStore.creation(4, 4)])
    try checkLeavesAll(4)
    let killed = try sample.files().filter { $0.key != "tenancy.sqlite.lock" }
    store.close()
    for (name, bytes) in killed { try bytes.write(to: URL(filePath: sample.directory.file(name))) }
    try checkLeavesAll(4)
    try FileManager.default.removeItem(atPath: sample.path + "-shm")
    try checkLeavesAll(4)
  }

  @Test func everythingThatIsWrongIsToldWithItsRow() throws {
    try sample.execute(
      """
      UPDATE tenants SET state = 'odd' WHERE id = '\(Sample.id(1))';
      UPDATE tenants SET epoch = 0 WHERE id = '\(Sample.id(2))';
      UPDATE roles SET permissions = '{}';
      UPDATE assignments SET subject = 'a b' WHERE id = '\(Sample.id(7))';
      UPDATE incarnations SET id = 'x';
      DELETE FROM log WHERE revision = 2;
      UPDATE log SET changes = '{' WHERE revision = 3;
      """)
    let findings = try StoreCheck.run(path: sample.path).findings
    let rows = findings.map { "\($0.table ?? "")/\($0.row ?? "")" }
    #expect(
      Set(rows) == [
        "incarnations/1", "log/3", "tenants/\(Sample.id(1))", "tenants/\(Sample.id(2))",
        "roles/\(Sample.id(1))/clerk", "assignments/\(Sample.id(1))/\(Sample.id(7))",
        // Its role can't be read, and is not there for that.
        "assignments/\(Sample.id(1))/\(Sample.id(8))",
      ], "\(findings)")
    #expect(findings.filter { $0.row == "3" }.count == 2)
  }

  @Test(arguments: [
    ("DELETE FROM log WHERE revision = 1", "log", "2"),
    ("DELETE FROM log WHERE revision = 2", "log", "3"),
    ("UPDATE log SET revision = 7 WHERE revision = 3", "log", "7"),
    ("UPDATE log SET changes = 'x' WHERE revision = 2", "log", "2"),
    ("UPDATE log SET tenant_id = 'x' WHERE revision = 2", "log", "2"),
    ("UPDATE incarnations SET id = 'x'", "incarnations", "1"),
    ("UPDATE incarnations SET state = 'x'", "incarnations", "1"),
    ("UPDATE incarnations SET number = 2", "incarnations", "2"),
    ("UPDATE incarnations SET inherited_revision = 5", "incarnations", "1"),
  ])
  func oneThingIsFound(_ sql: String, _ table: String, _ row: String) throws {
    try sample.execute(sql)
    let findings = try StoreCheck.run(path: sample.path).findings
    #expect(findings.contains { $0.table == table && $0.row == row }, "\(findings)")
  }

  @Test func tenantsThatAreMissingAreMissedByAll() throws {
    try sample.execute("DELETE FROM tenants WHERE id = '\(Sample.id(1))'")
    let findings = try StoreCheck.run(path: sample.path).findings
    #expect(findings.contains { $0.table == "assignments" && $0.row == nil })
    #expect(findings.filter { $0.what.contains("there is no tenant") }.count == 4)
  }

  /// What a restore has left out is no gap; what is missing besides is one.
  @Test func aGapThatARestoreMadeIsNone() throws {
    try sample.backUp()
    try sample.execute("UPDATE log SET revision = 9 WHERE revision = 3")
    _ = try sample.restore(replaces: true, accepts: true)
    #expect(try StoreCheck.run(path: sample.path).isSound)
    try sample.execute("DELETE FROM log WHERE revision = 3")
    let findings = try StoreCheck.run(path: sample.path).findings
    #expect(findings.map(\.row) == ["10"])
  }

  /// Once the log is compacted, it says up to where.
  @Test func whatWasTakenOutOfTheLogIsNotMissing() throws {
    try sample.execute(
      """
      CREATE TABLE IF NOT EXISTS log_floor (
        id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, removed INTEGER NOT NULL) STRICT;
      REPLACE INTO log_floor (id, revision, removed) VALUES (0, 2, 2);
      DELETE FROM log WHERE revision <= 2;
      """)
    #expect(try StoreCheck.run(path: sample.path).isSound)
    try sample.execute("DELETE FROM log; UPDATE log_floor SET revision = 3, removed = 3")
    let report = try StoreCheck.run(path: sample.path)
    #expect(report.isSound && report.revision == 3)
    #expect(try sample.backUp().manifest.revision == 3)
  }

  @Test func aDamagedPageIsFound() throws {
    let connection = try SQLiteConnection(path: sample.path)
    let root = try connection.integer("SELECT rootpage FROM sqlite_schema WHERE name = 'tenants'")
    _ = consume connection
    var bytes = try Data(contentsOf: URL(filePath: sample.path))
    for offset in 0..<64 { bytes[Int(root - 1) * 4096 + offset] = 0xFF }
    try bytes.write(to: URL(filePath: sample.path))
    #expect(try !StoreCheck.run(path: sample.path).findings.isEmpty)
  }

  @Test func whatIsNoStoreIsNone() throws {
    let path = sample.directory.file("other")
    expectError(.unavailable) { _ = try StoreCheck.run(path: path) }
    try Data(repeating: 0x41, count: 5000).write(to: URL(filePath: path))
    #expect(try !StoreCheck.run(path: path).isSound)
    try Data().write(to: URL(filePath: path))
    #expect(try !StoreCheck.run(path: path).isSound)
  }

  /// They are migrated when a server starts; until then they are not what this program reads.
  @Test func rowsOfAnOlderSchemaAreNotJudged() throws {
    try sample.execute("PRAGMA user_version = \(Migrations.oldestReadable - 1)")
    let report = try StoreCheck.run(path: sample.path)
    #expect(report.findings.isEmpty && !report.isAudited && !report.isSound)
    #expect(report.counts?.tenants == 2)
  }
}
