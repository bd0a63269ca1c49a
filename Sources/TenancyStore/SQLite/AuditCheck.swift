internal import Tenancy
internal import TenancyCrypto
import TenancyDatabase

/// Whether the chains of audit records are whole, each by itself and with the heads that the platform's names.
/// Where a chain's first records were removed, it begins behind the last of them, with whose hash it goes on.
/// What was signed is for `tenantctl audit verify`: a store that was cut off and rewritten to its end is sound.
struct AuditCheck {
  let connection: SQLiteConnection
  let findings: StoreFindings
  /// Behind which records chains begin; of the others, none was removed.
  private let floors: [AuditChain: AuditHead]

  init(connection: SQLiteConnection, findings: StoreFindings) throws(StoreError) {
    self.connection = connection
    self.findings = findings
    floors = try Self.floors(connection, findings)
  }

  private static func floors(
    _ connection: SQLiteConnection, _ findings: StoreFindings
  ) throws(StoreError) -> [AuditChain: AuditHead] {
    let version = try asStoreError { () throws(SQLiteError) in
      try connection.integer("PRAGMA user_version")
    }
    guard version >= Migrations.firstWithAuditBegins else { return [:] }
    var floors: [AuditChain: AuditHead] = [:]
    try connection.readRows(AuditQuery.allBegins) {
      (row: SQLiteStatement) throws(StoreError) -> Void in
      findings.note { () throws(StoreError) in
        let begin = try AuditQuery.begin(row)
        if begin.floor.sequence == 0, begin.floor != .start {
          let place = StoreError.Place(
            table: Table.auditChains.name, row: "\(begin.chain)",
            what: "it begins at 1 and behind a record")
          throw StoreError(corrupt: place)
        }
        floors[begin.chain] = begin.floor
      }
    }
    return floors
  }

  func run() throws(StoreError) {
    let hashes = try asStoreError { () throws(SQLiteError) in
      try connection.prepare(
        "SELECT hash FROM audit_records WHERE chain = ?1 AND sequence = ?2")
    }
    var heads: [TenantID: UInt64] = [:]
    let lengths = try checkChains { (end, record) throws(StoreError) in
      heads[end.tenant] = max(heads[end.tenant] ?? 0, end.head.sequence)
      let floor = floors[.tenant(end.tenant)] ?? .start
      // Of what was removed nothing is known but the last.
      guard end.head.sequence >= floor.sequence else { return }
      if end.head.sequence == floor.sequence, end.head == floor { return }
      if try hash(of: end, hashes) != end.head.hash {
        report(
          .platform, record,
          "says that record \(end.head.sequence) of \(end.tenant) is another, or it is missing")
      }
    }
    // Every record is written together with a head that covers it.
    for (tenant, length) in lengths.sorted(by: { $0.key < $1.key })
    where length > heads[tenant] ?? 0 {
      report(.tenant(tenant), (heads[tenant] ?? 0) + 1, "is in no head of the platform's chain")
    }
  }

  /// - Parameter onHead: called with each head that the platform's chain names, and that record's sequence.
  /// - Returns: how long the tenants' chains are.
  private func checkChains(
    _ onHead: (AuditRecord.TenantHead, UInt64) throws(StoreError) -> Void
  ) throws(StoreError) -> [TenantID: UInt64] {
    var lengths: [TenantID: UInt64] = [:]
    var (current, last): (AuditChain?, AuditHead) = (nil, .start)
    var unseen = Set(floors.keys)
    let sql = "SELECT chain, sequence, record, hash FROM audit_records ORDER BY chain, sequence"
    try connection.readRows(sql) { (row: SQLiteStatement) throws(StoreError) -> Void in
      guard let chain = row.text(0).flatMap(AuditChain.init(parsing:)),
        let sequence = row.integer(1).flatMap(UInt64.init(exactly:)),
        let bytes = row.bytes(2), let hash = row.bytes(3)
      else {
        let key = "\(row.text(0) ?? "?")/\(row.integer(1) ?? 0)"
        findings.add(StoreFinding(table: "audit_records", row: key, "does not parse"))
        return
      }
      if chain != current { (current, last) = (chain, floors[chain] ?? .start) }
      unseen.remove(chain)
      check(bytes, hash, chain, sequence, after: last)
      last = AuditHead(sequence: sequence, hash: hash)
      if let tenant = chain.tenant { lengths[tenant] = sequence }
      guard chain == .platform,
        case .heads(let ends, _) = AuditEncoding.decode(bytes)?.content
      else { return }
      for end in ends { try onHead(end, sequence) }
    }
    // A chain's last record is never removed.
    for chain in unseen.sorted(by: { "\($0)" < "\($1)" }) {
      report(chain, (floors[chain] ?? .start).sequence &+ 1, "is missing")
    }
    return lengths
  }

  private func check(
    _ bytes: [UInt8], _ hash: [UInt8], _ chain: AuditChain, _ sequence: UInt64,
    after last: AuditHead
  ) {
    if let floor = floors[chain], sequence <= floor.sequence {
      return report(chain, sequence, "is there, and was removed: the chain begins behind it")
    }
    guard sequence == last.sequence &+ 1 else {
      return report(chain, last.sequence &+ 1, "is missing")
    }
    guard SHA256Digest.bytes(AuditEncoding.hashInput(bytes, after: last.hash)) == hash else {
      return report(chain, sequence, "is not the one that was written: its hash does not fit")
    }
    let record = AuditEncoding.decode(bytes)
    if record?.chain != chain || record?.sequence != sequence {
      report(chain, sequence, "is of another place")
    }
  }

  private func hash(
    of end: AuditRecord.TenantHead, _ statement: SQLiteStatement
  ) throws(StoreError) -> [UInt8]? {
    defer { statement.reset() }
    return try asStoreError { () throws(SQLiteError) in
      try statement.bind([.text(end.tenant.description), .counter(end.head.sequence)])
      return try statement.step() ? statement.bytes(0) : nil
    }
  }

  private func report(_ chain: AuditChain, _ sequence: UInt64, _ what: String) {
    findings.add(StoreFinding(table: "audit_records", row: "\(chain)/\(sequence)", what))
  }
}
