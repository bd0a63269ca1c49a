import Tenancy
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
        notes, time: Timestamp(nanoseconds: 1), hash: AuditCheck.sha256)
      try store.append([], audit: batch)
    }
  }

  @Test func wholeChainsAreSound() throws {
    #expect(try StoreCheck.run(path: sample.path).findings == [])
    try sample.backUp()
    #expect(try sample.restore(replaces: true, accepts: true).replaced != nil)
    #expect(try StoreCheck.run(path: sample.path).findings == [])
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
