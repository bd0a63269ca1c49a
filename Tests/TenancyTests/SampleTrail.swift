import Synchronization
import TenancyTestSupport

@testable import Tenancy

/// A clock that nobody sets.
private final class SteadyTime: Sendable {
  private let moment = Mutex(ContinuousClock.now)
  var now: ContinuousClock.Instant { moment.withLock { $0 } }
  func advance(seconds: Int64) { moment.withLock { $0 += .seconds(seconds) } }
}

/// A control plane with an audit trail, and the log of its checkpoints.
final class SampleTrail: Sendable {
  let test: TestPlane
  let log = MemoryCheckpoints()
  private let reports = Mutex<[String]>([])
  private let steady: SteadyTime

  init(_ disk: MemoryLog = MemoryLog()) throws {
    let store = MemoryStore(disk)
    var options = ControlPlane.Options()
    options.auditor = Auditor(store, hash: testHash, limits: DenialTable.Limits())
    let steady = SteadyTime()
    options.instant = { steady.now }
    self.steady = steady
    test = try TestPlane(store, options: options)
  }

  /// The begins.
  var signed: [String] { log.all.filter { $0.kind == .begin }.map(\.text) }
  var told: [String] { reports.withLock { $0 } }

  /// By both clocks.
  func pass(days: Int64) {
    test.clock.advance(seconds: days * 86_400)
    steady.advance(seconds: days * 86_400)
  }

  /// As at a start.
  func signer(removes: Bool = true, isShared: Bool = false) -> AuditSigner {
    AuditSigner(
      test.plane, log, AuditSigner.Terms(removes: removes, isShared: isShared),
      report: { text in self.reports.withLock { $0.append(text) } }, sign: { testHash($0) })
  }

  func trimmer(
    _ records: UInt64? = nil, days: Int64? = nil, holder: String = "one", isShared: Bool = false,
    signer: AuditSigner? = nil
  ) -> AuditTrimmer {
    AuditTrimmer(
      test.plane, AuditRetention(days: days.map(Days.init), records: records), holder: holder,
      report: { text in self.reports.withLock { $0.append(text) } },
      signer: signer ?? self.signer(isShared: isShared))
  }

  func checkpoint(
    _ end: AuditEnd, _ kind: AuditCheckpoint.Kind, life: String = "memory"
  ) -> AuditCheckpoint {
    AuditCheckpoint(
      end.chain, end.head, kind: kind, time: test.clock.now, incarnation: life, sign: testHash)
  }

  func end(_ chain: AuditChain, at sequence: UInt64) -> AuditEnd? {
    records(chain).first { $0.sequence == sequence }
      .map { AuditEnd(chain: chain, head: AuditHead(sequence: sequence, hash: $0.hash)) }
  }

  /// What whoever can write to the database but has no key does: cuts a chain, and adds so many records that fit, of
  /// an old time.
  func forge(_ chain: AuditChain, behind sequence: UInt64, adding count: Int) {
    let event = AuditEvent(
      origin: AuditOrigin(subject: "forger"), action: "none", decision: .allowed, revision: 0,
      firstTime: Timestamp(nanoseconds: 1), time: Timestamp(nanoseconds: 1))
    test.store.disk.state.withLock { state in
      var records = (state.audit[chain] ?? []).filter { $0.sequence <= sequence }
      for _ in 0..<count {
        let next = (records.last?.sequence ?? 0) + 1
        let bytes = AuditEncoding.encode(
          AuditRecord(chain: chain, sequence: next, content: .event(event)))
        let input = AuditEncoding.hashInput(
          bytes, after: records.last?.hash ?? AuditHead.start.hash)
        records.append(
          StoredAuditRecord(chain: chain, sequence: next, bytes: bytes, hash: testHash(input)))
      }
      state.audit[chain] = records
    }
  }

  /// So many records in each of these tenants' chains, and as many heads in the platform's.
  func add(_ count: Int, to numbers: UInt64...) async throws {
    for _ in 0..<count { for number in numbers { try await test.put(Sample.tenant(number)) } }
  }

  func records(_ chain: AuditChain) -> [StoredAuditRecord] {
    test.store.disk.state.withLock { $0.audit[chain] ?? [] }
  }

  var lines: [String] {
    test.store.audit.sorted { ("\($0.chain)", $0.sequence) < ("\($1.chain)", $1.sequence) }
      .map { AuditLine($0).text }
  }

  /// Nil: all is well.
  func fault(_ lines: [String]? = nil, begins: [String]? = nil) throws -> String? {
    let signed = begins ?? log.all.map(\.text)
    let ends = try test.store.auditEnds(after: nil, limit: 1000).map { checkpoint($0, .end).text }
    return Self.fault(lines ?? self.lines, signed + ends)
  }

  static func fault(_ lines: [String], _ checkpoints: [String]) -> String? {
    do throws(AuditFault) {
      var verifier = AuditVerifier(hash: testHash, isSigned: { testHash($0) == $1 })
      for line in checkpoints { try verifier.add(checkpoint: line, at: "c") }
      for line in lines { try verifier.add(line: line, at: "f") }
      try verifier.finish(isPartial: false)
      return nil
    } catch {
      return error.description
    }
  }
}

/// A log of checkpoints in memory, which can be full.
final class MemoryCheckpoints: AuditCheckpointLog {
  struct Full: Error {}

  private let lines = Mutex<[AuditCheckpoint]>([])
  private let isFull = Atomic(false)

  var all: [AuditCheckpoint] { lines.withLock { $0 } }

  func fill(_ isFull: Bool) { self.isFull.store(isFull, ordering: .relaxed) }

  func add(_ checkpoints: [AuditCheckpoint]) throws {
    if isFull.load(ordering: .relaxed) { throw Full() }
    lines.withLock { $0 += checkpoints }
  }

  func last(of chain: AuditChain) throws -> AuditCheckpoint? {
    all.last { $0.chain == chain && $0.kind == .end }
  }

  func read(after place: Int64) throws -> (checkpoints: [AuditCheckpoint], place: Int64)? {
    let rest = all.dropFirst(Int(place)).prefix(3)
    return rest.isEmpty ? nil : (Array(rest), place + Int64(rest.count))
  }
}
