import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// What `AuditedStore` promises beyond `ControlStore`, through the protocol only.
enum AuditedStoreContract {
  typealias Open = () throws -> any AuditedStore

  @Sendable static func hash(_ bytes: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: UInt8(truncatingIfNeeded: bytes.count), count: 32)
    for (index, byte) in bytes.enumerated() {
      digest[index % 32] = digest[index % 32] &* 31 &+ byte
    }
    return digest
  }

  static func note(_ number: Int64, _ chains: [AuditChain]) -> AuditNote {
    let time = Timestamp(nanoseconds: number)
    return AuditNote(
      event: AuditEvent(
        origin: AuditOrigin(subject: "s\u{0}é"), action: "a", decision: .denied, reason: "R",
        firstTime: time, time: time),
      chains: chains)
  }

  static func batch(_ notes: [AuditNote]) -> AuditBatch {
    AuditBatch(notes, time: Timestamp(nanoseconds: 1), hash: hash)
  }

  static func all(
    _ chain: AuditChain, in store: any AuditedStore
  ) throws -> [StoredAuditRecord] {
    try store.auditRecords(of: chain, after: 0, limit: 1000)
  }

  /// Sequences are consecutive and each hash covers the one before.
  static func expectChain(_ chain: AuditChain, count: Int, in store: any AuditedStore) throws {
    let records = try all(chain, in: store)
    #expect(records.map(\.sequence) == (0..<count).map { UInt64($0) + 1 })
    var last = AuditHead.start.hash
    for record in records {
      #expect(record.hash == hash(AuditEncoding.hashInput(record.bytes, after: last)))
      #expect(AuditEncoding.decode(record.bytes)?.chain == chain)
      last = record.hash
    }
    #expect(
      try store.auditHead(of: chain)
        == records.last.map {
          AuditHead(sequence: $0.sequence, hash: $0.hash)
        })
  }

  /// A page of large records ends early, and is not empty.
  private static func checkBounds(of store: any AuditedStore) throws {
    let chain = AuditChain.tenant(Sample.id(9))
    var large = note(1, [chain])
    large.event.origin.source = String(repeating: "x", count: AuditQuery.maximumPageBytes / 4)
    try store.append([], audit: batch([AuditNote](repeating: large, count: 10)))
    var (read, last): ([UInt64], UInt64) = ([], 0)
    while true {
      let page = try store.auditRecords(of: chain, after: last, limit: 100)
      guard let end = page.last else { break }
      #expect(page.count <= 4)
      read += page.map(\.sequence)
      last = end.sequence
    }
    #expect(read == Array(1...10))
  }

  static func check(_ open: Open) throws {
    let (first, second) = (Sample.tenant(1), Sample.tenant(2))
    let chains: [AuditChain] = [.tenant(first.id), .tenant(second.id)]
    let store = try open()
    for chain in chains + [.platform] { try expectChain(chain, count: 0, in: store) }
    try store.append([], audit: batch([]))
    try store.append([], audit: batch([note(1, chains), note(2, [chains[0]])]))
    try store.append(
      [Sample.entry(1, [.putTenant(first)])],
      audit: batch([note(3, [chains[0]]), note(4, [.platform])]))
    try expectChain(chains[0], count: 3, in: store)
    try expectChain(chains[1], count: 1, in: store)
    try expectChain(.platform, count: 3, in: store)

    // Together or not at all.
    expectError(.conflict) {
      try store.append([Sample.entry(3, [])], audit: batch([note(5, chains)]))
    }
    try expectChain(chains[1], count: 1, in: store)
    try expectChain(.platform, count: 3, in: store)
    let page = try store.auditRecords(of: chains[0], after: 1, limit: 1)
    #expect(page.map(\.sequence) == [2])
    try checkBounds(of: store)
    store.close()

    let again = try open()
    defer { again.close() }
    try again.append([Sample.entry(2, [])], audit: batch([note(6, chains)]))
    try expectChain(chains[0], count: 4, in: again)
    try expectChain(chains[1], count: 2, in: again)
    try expectChain(.platform, count: 5, in: again)
    #expect(try again.load().revision == 2)
  }
}

@Suite struct SQLiteAuditTests {
  /// While a page is read, the writer, the followers and the leases go on.
  @Test func nobodyWaitsForAPage() throws {
    let directory = try TemporaryDirectory()
    let store = try SQLiteStore(path: directory.file("control.db"), isAudited: false)
    defer { store.close() }
    let chain = AuditChain.tenant(Sample.id(1))
    try store.append([], audit: AuditedStoreContract.batch([AuditedStoreContract.note(1, [chain])]))
    try store.withAuditReader { reader throws(StoreError) in
      try store.append([Sample.entry(1, [])])
      _ = try store.leases(limit: 1)
      guard try store.entries(after: 0, limit: 1).count == 1 else {
        throw StoreError(.corrupt, "the entry is missing")
      }
      guard try reader.auditRecords(of: chain, after: 0, limit: 9).count == 1 else {
        throw StoreError(.corrupt, "the record is missing")
      }
    }
    try store.append([], audit: AuditedStoreContract.batch([AuditedStoreContract.note(2, [chain])]))
    #expect(try store.auditHead(of: chain)?.sequence == 2)
  }

  @Test func keepsItsPromises() throws {
    let directory = try TemporaryDirectory()
    try AuditedStoreContract.check {
      try SQLiteStore(path: directory.file("control.db"), isAudited: false)
    }
  }
}
