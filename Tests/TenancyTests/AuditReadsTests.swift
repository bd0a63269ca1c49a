import Synchronization
import TenancyTestSupport
import Testing

@testable import Tenancy

@Suite struct AuditReadsTests {
  private let log = Log()

  private final class Log: Sendable {
    private let names = Mutex<[String]>([])
    var all: [String] { names.withLock { $0 } }
    func add(_ name: String) { names.withLock { $0.append(name) } }
  }

  private func tenant(_ number: UInt64) -> WritePayer { .tenant(Sample.id(number)) }

  /// Returns when all that was asked for before has been read, by whomever.
  private func settle(_ reads: AuditReads) async {
    await withCheckedContinuation { continuation in
      // Behind a first and what waits for it.
      if reads.read(.server, { continuation.resume() }) != nil { continuation.resume() }
    }
  }

  /// A reader at full speed has one page of each turn, and is refused when too many wait.
  @Test func readersTakeTurns() async {
    let reads = AuditReads(AuditReads.Limits(waitingOfReader: 3, readers: 8))
    let barrier = Barrier()
    #expect(reads.read(.platform("p")) { barrier.pass() } == nil)
    await barrier.reached()
    for number in 0..<4 {
      let refusal = reads.read(tenant(1)) { [log] in log.add("a\(number)") }
      #expect(refusal == nil)
    }
    #expect(reads.read(tenant(1)) {} == .reader(limit: 3))
    for number in 0..<2 {
      let refusal = reads.read(tenant(2)) { [log] in log.add("b\(number)") }
      #expect(refusal == nil)
    }
    barrier.open()
    for _ in 0..<4 { await settle(reads) }
    #expect(log.all == ["a0", "b0", "a1", "b1", "a2", "a3"])
    // Its line is free again.
    #expect(reads.read(tenant(1)) {} == nil)
  }

  /// Who waits patiently is refused nothing, and takes nobody's place.
  @Test func thePatientWait() async {
    let reads = AuditReads(AuditReads.Limits(waitingOfReader: 2, readers: 1))
    let barrier = Barrier()
    #expect(reads.read(tenant(1)) { barrier.pass() } == nil)
    await barrier.reached()
    for number in 0..<9 {
      let refusal = reads.read(tenant(1), isPatient: true) { [log] in log.add("p\(number)") }
      #expect(refusal == nil)
    }
    for number in 0..<2 {
      let refusal = reads.read(tenant(1)) { [log] in log.add("a\(number)") }
      #expect(refusal == nil)
    }
    #expect(reads.read(tenant(1)) {} == .reader(limit: 2))
    #expect(reads.read(tenant(2), isPatient: true) {} == nil)
    barrier.open()
    for _ in 0..<12 { await settle(reads) }
    #expect(log.all == (0..<9).map { "p\($0)" } + ["a0", "a1"])
    #expect(reads.read(tenant(1)) {} == nil)
  }

  @Test func soManyReadersWait() async {
    let reads = AuditReads(AuditReads.Limits(waitingOfReader: 3, readers: 2))
    let barrier = Barrier()
    #expect(reads.read(tenant(1)) { barrier.pass() } == nil)
    await barrier.reached()
    #expect(reads.read(tenant(2)) {} == nil)
    #expect(reads.read(tenant(3)) {} == AuditReads.Refusal.all)
    // The server's own are never refused.
    #expect(reads.read(.server) {} == nil)
    barrier.open()
    await settle(reads)
  }

  @Test func aRefusalNamesTheQuota() {
    let error = TenancyError(.reader(limit: 3), of: tenant(1))
    #expect(error.category == .resourceExhausted && error.reason == .limitReached)
    #expect(error.metadata["quota"] == "audit-pages" && error.retryAfterSeconds == 1)
    #expect(TenancyError(AuditReads.Refusal.all, of: tenant(1)).category == .resourceExhausted)
  }
}
