import TenancyDatabase
import Tenancy
internal import TenancyCrypto
import Testing

@testable import TenancyStore

@Suite struct AuditCheckTests {
  private let sample: SampleStore

  /// Two chains of three and two records, and the platform's of two heads.
  init() throws {
    sample = try SampleStore()
    let store = try SQLiteStore(path: sample.path)
    defer { store.close() }
    let chains: [AuditChain] = [.tenant(Sample.id(1)), .tenant(Sample.id(2))]
    for notes in [
      [AuditedStoreContract.note(1, chains), AuditedStoreContract.note(2, [chains[0]])],
      [AuditedStoreContract.note(3, chains)],
    ] {
      let batch = AuditBatch(
        notes, time: Timestamp(nanoseconds: 1), hash: SHA256Digest.bytes)
      try store.append([], audit: batch)
    }
  }

  @Test func wholeChainsAreSound() throws {
    #expect(try StoreCheck.run(path: sample.path).findings == [])
    try sample.backUp()
    #expect(try sample.restore(replaces: true, accepts: true).replaced != nil)
    #expect(try StoreCheck.run(path: sample.path).findings == [])
  }

  /// Removes the first records of a chain, as the server does.
  private func trim(_ chain: AuditChain, through sequence: UInt64) throws {
    let store = try SQLiteStore(path: sample.path)
    defer { store.close() }
    try store.trimAudit(
      [try AuditRetentionContract.trim(chain, through: sequence, in: store)], nil)
  }

  @Test func aChainWhoseFirstRecordsWereRemovedIsSound() throws {
    try trim(.tenant(Sample.id(1)), through: 2)
    #expect(try StoreCheck.run(path: sample.path).findings == [])
    // Its begin is in a backup as well, and stays where it is.
    try sample.backUp()
    _ = try sample.restore(replaces: true, accepts: true)
    #expect(try StoreCheck.run(path: sample.path).findings == [])
    let store = try SQLiteStore(path: sample.path)
    defer { store.close() }
    let chain = AuditChain.tenant(Sample.id(1))
    #expect(try AuditRetentionContract.due(store, before: 100)[chain] == 2)
    #expect(try store.auditRecords(of: chain, after: 0, limit: 9).map(\.sequence) == [3])
  }

  @Test(
    arguments: [
      (
        "DELETE FROM audit_records WHERE chain = '\(Sample.id(1))' AND sequence = 2",
        "audit_records", 2
      ),
      ("UPDATE audit_chains SET floor = 2 WHERE floor = 1", "audit_records", 2),
      ("UPDATE audit_chains SET floor = 0 WHERE floor = 1", "audit_chains", nil),
      (
        "UPDATE audit_chains SET floor = 0, floor_hash = zeroblob(32) WHERE floor = 1",
        "audit_records",
        1
      ),
      ("DELETE FROM audit_chains", "audit_records", 1),
      ("UPDATE audit_chains SET floor_hash = zeroblob(32) WHERE floor = 1", "audit_records", 2),
      ("UPDATE audit_chains SET floor_hash = x'00' WHERE floor = 1", "audit_chains", nil),
      ("DELETE FROM audit_records WHERE chain = '\(Sample.id(1))'", "audit_records", 2),
    ] as [(String, String, Int?)])
  func aDoctoredBeginIsNamed(_ sql: String, _ table: String, _ sequence: Int?) throws {
    try trim(.tenant(Sample.id(1)), through: 1)
    try sample.execute(sql)
    let row = "\(Sample.id(1))\(sequence.map { "/\($0)" } ?? "")"
    let findings = try StoreCheck.run(path: sample.path).findings
    #expect(findings.contains { $0.table == table && $0.row == row }, "\(findings)")
  }

  @Test(arguments: [
    (
      "UPDATE audit_records SET record = CAST(record || x'00' AS BLOB) WHERE chain = '\(Sample.id(1))' AND sequence = 2",
      "\(Sample.id(1))/2"
    ),
    (
      "DELETE FROM audit_records WHERE chain = '\(Sample.id(1))' AND sequence = 2",
      "\(Sample.id(1))/2"
    ),
    ("DELETE FROM audit_records WHERE chain = '\(Sample.id(1))' AND sequence = 3", "platform/2"),
    ("DELETE FROM audit_records WHERE chain = '\(Sample.id(2))'", "platform/1"),
    ("DELETE FROM audit_records WHERE chain = 'platform' AND sequence = 2", "\(Sample.id(1))/3"),
    ("DELETE FROM audit_records WHERE chain = 'platform'", "\(Sample.id(1))/1"),
    ("UPDATE audit_records SET chain = 'other' WHERE sequence = 3", "other/3"),
    (
      """
      UPDATE audit_records SET sequence = 9 WHERE chain = '\(Sample.id(1))' AND sequence = 1;
      UPDATE audit_records SET sequence = 1 WHERE chain = '\(Sample.id(1))' AND sequence = 2;
      UPDATE audit_records SET sequence = 2 WHERE chain = '\(Sample.id(1))' AND sequence = 9;
      """, "\(Sample.id(1))/1"
    ),
  ])
  func whatIsWrongIsNamed(_ sql: String, _ row: String) throws {
    try sample.execute(sql)
    let rows = try StoreCheck.run(path: sample.path).findings.map {
      "\($0.table ?? "")/\($0.row ?? "")"
    }
    #expect(rows.contains("audit_records/\(row)"), "\(rows)")
    #expect(rows.allSatisfy { $0.hasPrefix("audit_records/") })
  }
}
