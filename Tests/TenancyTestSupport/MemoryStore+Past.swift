package import Tenancy

/// What was.
extension MemoryStore {
  package func tenantEntry(_ query: TenantLogQuery) throws(StoreError) -> LogEntry? {
    try disk.state.withLock { state throws(StoreError) in
      let floor = state.floor
      let kept = state.entries.filter { $0.revision > floor }
      func isUpTo(_ entry: LogEntry) -> Bool {
        switch query.moment {
        case .revision(let revision): entry.revision <= revision
        case .time(let time): entry.time <= time
        }
      }
      let isTooEarly =
        switch query.moment {
        case .revision(let revision): revision < floor
        case .time: floor > 0 && !(kept.first.map(isUpTo) ?? false)
        }
      guard !isTooEarly else { throw StoreError(.compacted(floor: floor), "compacted") }
      func puts(_ change: Change) -> Bool {
        if case .putTenant(let tenant) = change { tenant.id == query.tenant } else { false }
      }
      let found = kept.filter { isUpTo($0) != query.isLater && $0.changes.contains(where: puts) }
      return (query.isLater ? found.first : found.last)?.withoutSecrets
    }
  }

  package func operations(of tenant: TenantID) throws(StoreError) -> [TenantOperation] {
    disk.state.withLock { $0.secrets.operations[tenant] ?? [] }
  }
}
