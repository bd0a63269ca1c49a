import Tenancy

extension MemoryLog.State {
  /// As stores keep histories of configurations.
  mutating func noteHistory(of entry: LogEntry) {
    for change in entry.changes {
      switch change {
      case .putTenant(let tenant) where tenant.state == .purged: history[.tenant(tenant.id)] = nil
      case .deleteConfigurationItem(.plan, let name): history[.plan(name)] = nil
      default: break
      }
    }
    for edit in entry.history {
      var entries = history[edit.owner] ?? []
      let place = (entries.last?.place ?? 0) + edit.bytes
      entries.append(
        RecordedEdit(
          place: place, bytes: edit.bytes, revision: entry.revision, time: entry.time,
          actor: entry.actor, action: entry.action, request: edit.request, edits: edit.edits))
      entries.removeAll { $0.place + ConfigurationEdit.maximumBytes <= place }
      history[edit.owner] = entries
    }
  }
}
