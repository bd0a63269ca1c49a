/// Removes the audit records that need not be kept any more. On a store that several nodes have, one does it at
/// a time: the one with the lease.
///
/// Before records are removed, their chain is held to what was signed of it, and what is left is made verifiable
/// without them: a signed checkpoint tells behind which record the chain begins, and heads that only the platform's
/// removed records tell of are said again. Whatever is cut short in between does no harm, and is done again.
public actor AuditTrimmer {
  /// Records that are removed in one transaction, and of how many chains: no write waits long for it.
  static let maximumRecords = 512
  static let maximumChains = 64
  /// Heads that are said again in one transaction, more or less.
  static let maximumHeads = 1024
  /// Transactions of one round.
  static let maximumSteps = 64

  static let leaseName = "audit/retention"
  static let leaseDuration = Duration.seconds(60)

  private let plane: ControlPlane
  private let retention: AuditRetention
  private let holder: String
  private let report: @Sendable (String) -> Void
  private let signer: AuditSigner
  private var lease: Lease?
  private var ageing = AgePace()
  /// Chains that are not as they were written, each told once.
  private var faulty: Set<AuditChain> = []
  /// Those of which nothing went in this round.
  private var seen: Set<AuditChain> = []

  /// - Parameters:
  ///   - holder: as whom the lease is taken; see `Provisioner.Terms`.
  ///   - report: told, for the log, of chains that are not as they were written, which are left alone.
  public init(
    _ plane: ControlPlane, _ retention: AuditRetention, holder: String,
    report: @escaping @Sendable (String) -> Void, signer: AuditSigner
  ) {
    self.plane = plane
    self.retention = retention
    self.holder = holder
    self.report = report
    self.signer = signer
  }

  /// Removes what may go by now; what is left after so many steps goes the next time. To be called now and then.
  /// - Throws: what the signer and the store throw; what was removed by then is.
  public func run() async throws {
    seen = []
    for _ in 0..<Self.maximumSteps {
      guard try await step(), !Task.isCancelled else { return }
    }
  }

  /// - Returns: whether there may be more to do.
  private func step() async throws -> Bool {
    let moment = try await moment()
    let due = try await plane.dueAuditBegins(
      retention, before: moment, limit: Self.maximumChains + faulty.count + seen.count
    ).filter { !faulty.contains($0.chain) && !seen.contains($0.chain) }
    guard !due.isEmpty, let lease = try await held() else { return false }
    faulty.formUnion(try await signer.hold(due))
    let (trims, heads) = try await plan(due.filter { !faulty.contains($0.chain) }, moment)
    // What is signed says that records may be gone: whoever has lost the lease signs nothing.
    guard try await isHolding(lease) else { return false }
    if !heads.isEmpty { try await plane.restate(heads) }
    let begins = trims.compactMap { trim in
      trim.through.map { AuditEnd(chain: trim.begin.chain, head: $0) }
    }
    if !begins.isEmpty { try await signer.begin(begins) }
    guard !trims.isEmpty else { return true }
    do throws(StoreError) {
      try await plane.trimAudit(trims, LeaseHold(lease, lasting: Self.leaseDuration))
      return true
    } catch {
      switch error.code {
      case .leaseLost:
        self.lease = nil
        return false
      // Whoever had the lease before has moved a chain's begin.
      case .conflict: return false
      case .unavailable, .corrupt, .unknownOutcome, .compacted, .leaseHeld: throw error
      }
    }
  }

  /// What is before that may go for its age. The audit trail ages as the log does, however far ahead the clock is.
  private func moment() async throws(StoreError) -> Timestamp? {
    let (now, days) = (plane.now, plane.options.retention.days)
    let oldest = try await plane.consult { (store, _) throws(StoreError) in
      try store.oldestEntries(limit: 1).first?.time
    }
    guard let oldest else { return nil }
    let end = ageing.end(
      wanted: now + Days(-days.count), oldest: oldest, gap: days, at: plane.options.instant())
    return retention.moment(at: end + days)
  }

  private func plan(
    _ due: [AuditBegin], _ moment: Timestamp?
  ) async throws -> (trims: [AuditTrim], heads: [TenantID: AuditHead]) {
    var (trims, heads): ([AuditTrim], [TenantID: AuditHead]) = ([], [:])
    var rest = Self.maximumRecords
    for begin in due where rest > 0 {
      switch try await plane.auditTrim(of: begin, retention, before: moment, limit: rest) {
      case .success(let plan):
        if let what = try await fault(plan.heads) {
          fail(begin.chain, what)
          continue
        }
        trims.append(plan.trim)
        heads.merge(plan.heads) { $1 }
        if plan.trim.through == nil { seen.insert(begin.chain) }
        rest -= Int((plan.trim.through ?? begin.floor).sequence - begin.floor.sequence)
      case .failure(let fault):
        fail(begin.chain, "record \(fault.record) is not the one that was written")
      }
    }
    return (trims, heads)
  }

  /// Why heads must not be removed: of a chain that was changed they tell how it was.
  private func fault(_ heads: [TenantID: AuditHead]) async throws -> String? {
    if let tenant = heads.keys.sorted().first(where: { faulty.contains(.tenant($0)) }) {
      return "it tells of chain \(tenant), which was changed"
    }
    return try await plane.auditFault(heads)?.description
  }

  private func fail(_ chain: AuditChain, _ what: String) {
    faulty.insert(chain)
    report("chain \(chain): \(what)")
  }

  private func isHolding(_ lease: Lease) async throws -> Bool {
    do throws(StoreError) {
      try await plane.renew(lease, lasting: Self.leaseDuration)
      return true
    } catch {
      guard case .leaseLost = error.code else { throw error }
      self.lease = nil
      return false
    }
  }

  /// Nil while another node has it.
  private func held() async throws(TenancyError) -> Lease? {
    if let lease { return lease }
    do throws(TenancyError) {
      lease = try await plane.take(
        Self.leaseName, holder: holder, lasting: Self.leaseDuration)
    } catch {
      guard error.reason == .leaseHeld else { throw error }
    }
    return lease
  }
}

extension ControlPlane {
  /// Whether there are records that need not be kept any more.
  /// - Throws: UNAVAILABLE when the store fails.
  public func hasDueAuditRecords(_ retention: AuditRetention) async throws(TenancyError) -> Bool {
    let moment = retention.moment(at: now)
    return try await !dueAuditBegins(retention, before: moment, limit: 1).isEmpty
  }

  func dueAuditBegins(
    _ retention: AuditRetention, before moment: Timestamp?, limit: Int
  ) async throws(TenancyError) -> [AuditBegin] {
    let length = retention.records.map {
      AuditLength(tenants: $0, platform: leastAuditRecords(of: .platform))
    }
    return try await readAudit(.server) { (auditor) throws(StoreError) in
      try auditor.store.dueAuditBegins(before: moment, longerThan: length, limit: limit)
    }
  }

  /// What is kept of a chain in any case: of the platform's what the heads of all tenants take, and as much again.
  private func leastAuditRecords(of chain: AuditChain) -> UInt64 {
    chain == .platform ? UInt64(2 * state.tenantCount / AuditBatch.maximumHeads) : 0
  }

  /// The chains, at most `limit`, behind one in the order of their names, with their ends. Of a chain that has
  /// just begun it may be missing.
  /// - Throws: UNAVAILABLE when the store fails.
  public func auditEnds(
    after chain: AuditChain?, limit: Int
  ) async throws(TenancyError) -> [AuditEnd] {
    try await readAudit(.server) { (auditor) throws(StoreError) in
      try auditor.store.auditEnds(after: chain, limit: limit)
    }
  }

  /// What may go of a chain, at most `limit` records.
  func auditTrim(
    of begin: AuditBegin, _ retention: AuditRetention, before moment: Timestamp?, limit: Int
  ) async throws(TenancyError) -> Result<AuditTrimPlan, AuditTrimPlan.Fault> {
    let least = leastAuditRecords(of: begin.chain)
    return try await readAudit(.server) { (auditor) throws(StoreError) in
      let last = try auditor.head(of: begin.chain)?.sequence ?? 0
      let records = try auditor.store.auditRecords(
        of: begin.chain, after: begin.floor.sequence, limit: limit + 1)
      let end = retention.end(from: begin.floor.sequence, to: last, least: least)
      return Result { () throws(AuditTrimPlan.Fault) in
        try AuditTrimPlan(
          begin, records, last: last, end: end, moment: moment, hash: auditor.hash)
      }
    }
  }

  /// Says again, in the platform's chain, where tenants' chains end, of those that still end there.
  func restate(_ heads: [TenantID: AuditHead]) async throws(StoreError) {
    let ends = heads.sorted { $0.key < $1.key }.map {
      AuditRecord.TenantHead(tenant: $0.key, head: $0.value)
    }
    try await onAuditWriter { (plane, auditor) throws(StoreError) in
      try auditor.store.append(
        [], audit: AuditBatch([], restating: ends, time: plane.now, hash: auditor.hash))
    }
  }

  func trimAudit(_ trims: [AuditTrim], _ hold: LeaseHold?) async throws(StoreError) {
    try await onAuditWriter { (_, auditor) throws(StoreError) in
      try auditor.store.trimAudit(trims, hold)
    }
  }

  private func onAuditWriter(
    _ body: @escaping @Sendable (ControlPlane, Auditor) throws(StoreError) -> Void
  ) async throws(StoreError) {
    let outcome: Result<Void, StoreError> = await withCheckedContinuation { continuation in
      behindRevocations { [self] in
        continuation.resume(
          returning: Result { () throws(StoreError) in
            guard let auditor, isHealthy, !tail.isClosed else {
              throw StoreError(.unavailable, "the store is not written to now")
            }
            try body(self, auditor)
          })
      }
    }
    try outcome.get()
  }
}
