package import Synchronization

package import Tenancy

/// What stores in memory keep: outlives them, as a disk does, and several may have it open.
package final class MemoryLog: Sendable {
  package struct State {
    package var entries: [LogEntry] = []
    package var removed: UInt64 = 0
    package var floor: UInt64 = 0
    package var model = StateModel()
    package var leases = MemoryLeases()
    package var secrets = KeptSecrets()
    package var audit: [AuditChain: [StoredAuditRecord]] = [:]
    /// The last that was removed.
    package var auditFloors: [AuditChain: AuditHead] = [:]
    /// The newest last.
    package var history: [ConfigurationOwner: [RecordedEdit]] = [:]
  }
  package let state = Mutex(State())

  package init() {}

  /// The clock by which leases expire stands still otherwise.
  package func advance(by duration: Duration) { state.withLock { $0.leases.now += duration } }

  /// As a standby that has not got all of it. Nothing may have been removed.
  package func lose(after revision: UInt64) {
    state.withLock { state in
      let kept = state.entries.prefix { $0.revision <= revision }
      state.entries = Array(kept)
      (state.model, state.secrets) = (StateModel(), KeptSecrets())
      for entry in kept {
        state.model.apply(entry)
        state.secrets.apply(entry)
      }
    }
  }
}

/// Leases by a clock of their own.
package struct MemoryLeases {
  package var now = Duration.zero
  private var held: [String: (lease: Lease, holder: String, end: Duration)] = [:]

  package var all: [StoredLease] {
    held.values.sorted { ($0.end, $0.lease.name) < ($1.end, $1.lease.name) }
      .map { StoredLease(lease: $0.lease, holder: $0.holder, remaining: $0.end - now) }
  }

  package mutating func apply(_ action: LeaseAction, revision: UInt64) throws(StoreError) {
    switch action {
    case .take(let name, let holder, let duration):
      if let other = held[name], other.holder != holder, other.end > now,
        other.end - now <= Lease.longest
      {
        throw StoreError(.leaseHeld, "held")
      }
      held[name] = (Lease(name: name, fencingNumber: revision), holder, now + duration)
    case .hold(let lease, let duration):
      try require(lease)
      held[lease.name]?.end = now + duration
    case .release(let lease):
      try require(lease)
      held[lease.name] = nil
    }
  }

  private func require(_ lease: Lease) throws(StoreError) {
    guard held[lease.name]?.lease == lease else { throw StoreError(.leaseLost, "lost") }
  }
}

/// A control store in memory. Atomic; told what to fail at, and when to wait.
package final class MemoryStore: ControlStore {
  package enum Failure: Sendable {
    /// Nothing is added.
    case refused(StoreError.Code)
    /// The batch is added all the same.
    case lostAnswer
    /// Nothing is added, and the answer is lost.
    case lostBatch
    /// Others write this first.
    case overtaken([LogEntry])
  }

  /// How many entries it removed, and how many batches had been appended by then.
  package struct Compaction: Sendable {
    package let count, batches: Int
  }

  private struct Contents {
    var batches: [Int] = []
    var compactions: [Compaction] = []
    var appendFailures: [Failure?] = []
    var loadFailures: [StoreError.Code] = []
    var checkFailures: [StoreError.Code] = []
    var entriesFailures: [StoreError.Code] = []
    var renewalFailures: [StoreError.Code] = []
    var loads = 0
    var reads = 0
    var closings = 0
    var barrier: Barrier?
    var renewalBarrier: Barrier?
    var auditBarrier: Barrier?
    var auditReads = 0
  }

  package let disk: MemoryLog
  private let isStrict: Bool
  private let contents = Mutex(Contents())

  /// - Parameter isStrict: whether changes are checked as real stores check them.
  package init(_ disk: MemoryLog = MemoryLog(), isStrict: Bool = false) {
    self.disk = disk
    self.isStrict = isStrict
  }

  package var leasesHeld: [StoredLease] { disk.state.withLock { $0.leases.all } }
  package var incarnationID: String { "memory" }
  package var log: [LogEntry] { disk.state.withLock { $0.entries } }
  /// How many entries each successful append had.
  package var batches: [Int] { contents.withLock { $0.batches } }
  package var compactions: [Compaction] { contents.withLock { $0.compactions } }
  package var loads: Int { contents.withLock { $0.loads } }
  /// Calls of `entries`.
  package var reads: Int { contents.withLock { $0.reads } }
  package var closings: Int { contents.withLock { $0.closings } }

  /// How the next appends fail, in order; nil: not at all.
  package func failNextAppends(_ failures: Failure?...) {
    contents.withLock { $0.appendFailures += failures }
  }

  package func failNextLoad(_ code: StoreError.Code) {
    contents.withLock { $0.loadFailures.append(code) }
  }

  package func failNextCheck(_ code: StoreError.Code) {
    contents.withLock { $0.checkFailures.append(code) }
  }

  package func failNextRenewal(_ code: StoreError.Code) {
    contents.withLock { $0.renewalFailures.append(code) }
  }

  package func failNextEntries(_ code: StoreError.Code) {
    contents.withLock { $0.entriesFailures.append(code) }
  }

  /// Makes the next append wait.
  package func holdNextAppend() -> Barrier {
    let barrier = Barrier()
    contents.withLock { $0.barrier = barrier }
    return barrier
  }

  /// Makes the next page of audit records wait.
  package func holdNextAuditRead() -> Barrier {
    let barrier = Barrier()
    contents.withLock { $0.auditBarrier = barrier }
    return barrier
  }

  /// Pages of audit records that were read.
  package var auditReads: Int { contents.withLock { $0.auditReads } }

  package func beginAuditRead() {
    let barrier = contents.withLock { contents in
      contents.auditReads += 1
      return contents.auditBarrier.take()
    }
    barrier?.pass()
  }

  /// Makes the next renewal of a lease wait.
  package func holdNextRenewal() -> Barrier {
    let barrier = Barrier()
    contents.withLock { $0.renewalBarrier = barrier }
    return barrier
  }

  package func load() throws(StoreError) -> StoredState {
    try use { contents in
      contents.loads += 1
      return contents.loadFailures.isEmpty ? nil : contents.loadFailures.removeFirst()
    }
    return disk.state.withLock {
      StoredState(revision: $0.model.revision, changes: $0.model.changes)
    }
  }

  package func entries(after revision: UInt64, limit: Int) throws(StoreError) -> [LogEntry] {
    try use { contents in
      contents.reads += 1
      return contents.entriesFailures.isEmpty ? nil : contents.entriesFailures.removeFirst()
    }
    return try disk.state.withLock { state throws(StoreError) in
      guard revision >= state.floor else {
        throw StoreError(.compacted(floor: state.floor), "compacted")
      }
      guard revision < state.model.revision else { return [] }
      return state.entries.dropFirst(Int(revision - state.removed)).prefix(limit)
        .map(\.withoutSecrets)
    }
  }

  package func oldestEntries(limit: Int) throws(StoreError) -> [LogMark] {
    try use { _ in nil }
    return disk.state.withLock { state in
      state.entries.prefix(limit).map { LogMark(revision: $0.revision, time: $0.time) }
    }
  }

  package func compact(through revision: UInt64) throws(StoreError) {
    try use { _ in nil }
    let count = disk.state.withLock { state in
      let before = state.entries.count
      let removed = max(state.removed, min(revision, state.model.revision))
      state.entries.removeFirst(Int(removed - state.removed))
      state.removed = removed
      state.floor = max(state.floor, removed)
      return before - state.entries.count
    }
    contents.withLock { contents in
      contents.compactions.append(Compaction(count: count, batches: contents.batches.count))
    }
  }

  package func append(_ entries: [LogEntry]) throws(StoreError) {
    let barrier = contents.withLock { contents in
      defer { contents.barrier = nil }
      return contents.barrier
    }
    barrier?.pass()
    let failure = contents.withLock { contents in
      contents.appendFailures.isEmpty ? nil : contents.appendFailures.removeFirst()
    }
    try use { _ in if case .refused(let code) = failure { code } else { nil } }
    if case .lostBatch = failure { throw StoreError(.unknownOutcome, "told to fail") }
    if case .overtaken(let others) = failure { try add(others) }
    try add(entries)
    contents.withLock { $0.batches.append(entries.count) }
    if case .lostAnswer = failure { throw StoreError(.unknownOutcome, "told to fail") }
  }

  private func add(_ entries: [LogEntry]) throws(StoreError) {
    try disk.state.withLock { state throws(StoreError) in
      for (offset, entry) in entries.enumerated() {
        guard entry.revision == state.model.revision + UInt64(offset) + 1 else {
          throw StoreError(.conflict, "revision \(entry.revision) does not follow")
        }
      }
      if isStrict {
        try StrictChanges.check(entries, on: state.model)
        try state.secrets.check(entries)
      }
      var leases = state.leases
      for entry in entries {
        if let action = entry.lease { try leases.apply(action, revision: entry.revision) }
      }
      state.leases = leases
      for entry in entries {
        state.model.apply(entry)
        state.secrets.apply(entry)
        state.noteHistory(of: entry)
        if entry.changes.contains(where: StrictChanges.isRedacted) { state.floor = entry.revision }
      }
      state.entries += entries.map(\.withoutLease)
    }
  }

  package func leases(limit: Int) throws(StoreError) -> [StoredLease] {
    try use { _ in nil }
    return disk.state.withLock { Array($0.leases.all.prefix(limit)) }
  }

  package func renew(_ lease: Lease, lasting duration: Duration) throws(StoreError) {
    contents.withLock { $0.renewalBarrier.take() }?.pass()
    try use { $0.renewalFailures.isEmpty ? nil : $0.renewalFailures.removeFirst() }
    try disk.state.withLock { state throws(StoreError) in
      try state.leases.apply(.hold(lease, lasting: duration), revision: 0)
    }
  }

  package func secret(
    _ purpose: SecretPurpose, of tenant: TenantID
  ) throws(StoreError) -> StoredSecret? {
    disk.state.withLock { $0.secrets.sealed[SecretPlace(tenant: tenant, purpose: purpose)] }
  }

  package func configurationHistory(
    of owner: ConfigurationOwner, before place: UInt64?, limit: Int
  ) throws(StoreError) -> [RecordedEdit] {
    try use { _ in nil }
    return disk.state.withLock { state in
      (state.history[owner] ?? []).reversed().drop { $0.place >= place ?? .max }.prefix(limit)
        .map { $0 }
    }
  }

  package func configurationHistoryBegin() throws(StoreError) -> UInt64 { 0 }

  package func dataKeys() throws(StoreError) -> [WrappedDataKey] {
    disk.state.withLock { state in
      state.secrets.keys.values.sorted { $0.id.description < $1.id.description }
    }
  }

  package func checkWritable() throws(StoreError) {
    try use { $0.checkFailures.isEmpty ? nil : $0.checkFailures.removeFirst() }
  }

  package func close() { contents.withLock { $0.closings += 1 } }

  private func use(_ failure: (inout Contents) -> StoreError.Code?) throws(StoreError) {
    let code = try contents.withLock { contents throws(StoreError) in
      guard contents.closings == 0 else { throw StoreError(.unavailable, "closed") }
      return failure(&contents)
    }
    if let code { throw StoreError(code, "told to fail") }
  }
}

extension LogEntry {
  fileprivate var withoutLease: LogEntry {
    LogEntry(
      revision: revision, time: time, actor: actor, action: action, tenants: tenants,
      changes: changes)
  }
}

/// What real stores refuse.
private enum StrictChanges {
  static func check(_ entries: [LogEntry], on model: StateModel) throws(StoreError) {
    var model = model
    for change in entries.flatMap(\.changes) {
      switch change {
      case .reserveName(let name, let tenant):
        guard model.names[name] ?? tenant == tenant else {
          throw StoreError(.conflict, "the name is another tenant's")
        }
      case .putTenant(let tenant):
        guard isFaithful(.object(tenant.configuration.customSettings), levels: 64) else {
          throw StoreError(.conflict, "the value does not come back")
        }
      case .putRole, .deleteRole, .putAssignment, .deleteAssignment, .putGroup, .deleteGroup,
        .putGroupMember, .deleteGroupMember, .putProvisioningStep,
        .clearProvisioningSteps, .retireSlug, .rememberRequest, .forgetRequests, .putSecret,
        .deleteSecret, .putDataKey, .putRevocation, .forgetRevocations, .putWorkloadEntry,
        .deleteWorkloadEntry, .putAuthority, .deleteAuthority, .deleteDomain,
        .putConfigurationItem, .deleteConfigurationItem, .putOperation, .deleteOperations:
        break
      case .putDomain(let domain):
        guard
          domain.verification == nil
            || model.holder(of: domain.name) ?? domain.tenant == domain.tenant
        else { throw StoreError(.conflict, "the domain is another tenant's") }
      }
      model.apply(change)
    }
    let used = Set(model.names.values).union(model.roles.keys.map(\.tenant))
      .union(model.assignments.keys.map(\.tenant)).union(model.steps.map(\.tenant))
      .union(model.groups.keys.map(\.tenant)).union(model.groupMembers.keys.map(\.tenant))
      .union(model.requests.values.compactMap(\.tenant)).union(model.revocations.keys.map(\.tenant))
      .union(model.workloads.values.compactMap(\.tenant)).union(model.domains.keys.map(\.tenant))
    guard used.allSatisfy({ model.tenants[$0] != nil }) else {
      throw StoreError(.conflict, "there is no such tenant")
    }
  }

  static func isRedacted(_ change: Change) -> Bool {
    guard case .putTenant(let tenant) = change else { return false }
    return tenant.configuration.database?.hasSecretConnectionString ?? false
  }

  private static func isFaithful(_ value: JSONValue, levels: Int) -> Bool {
    switch value {
    case .null, .bool, .string: true
    case .number(let number): number.isFinite
    case .array(let values):
      levels > 0 && values.allSatisfy { isFaithful($0, levels: levels - 1) }
    case .object(let values):
      levels > 0 && values.values.allSatisfy { isFaithful($0, levels: levels - 1) }
    }
  }
}
