/// What a configuration was at a revision, as far as it is known from what it is.
public struct ConfigurationPast: Sendable {
  /// Of the fields that were changed since, the values by then; nil: none.
  package fileprivate(set) var values: [ByteOrder: JSONValue?] = [:]
  /// Of the secrets that were set or removed since, the versions by then; nil: none.
  package fileprivate(set) var versions: [ByteOrder: UInt64?] = [:]
  /// What was asked for with a request id since, if one was looked for.
  fileprivate(set) var request: String?
}

extension Transaction {
  /// Notes what the changes do to configurations: it is kept together with them.
  mutating func noteHistory() {
    var tenants: [TenantID: Tenant] = [:]
    var plans: [String: Plan] = [:]
    for change in changes {
      switch change {
      case .putTenant(let tenant): tenants[tenant.id] = tenant
      case .putConfigurationItem(.plan(let plan)): plans[plan.name] = plan
      default: break
      }
    }
    for (id, tenant) in tenants where !tenant.state.isGone {
      let before = state.find(id)?.tenant.configuration ?? TenantConfiguration()
      note(tenant.configuration.edits(since: before), of: .tenant(id))
    }
    for (name, plan) in plans {
      note(plan.edits(since: state.catalog.plan(name)), of: .plan(name))
    }
  }

  private mutating func note(_ edits: [SettingEdit], of owner: ConfigurationOwner) {
    // A request that has changed nothing is remembered, too.
    guard !edits.isEmpty || !historyRequest.isEmpty else { return }
    history.append(ConfigurationEdit(owner: owner, edits: edits, request: historyRequest))
  }
}

/// Histories are read from the store, where nothing else waits for it.
extension ControlPlane {
  /// Entries of one look into the store.
  private static let entriesPerLook = 256

  /// With the audit trail: both are read by one connection, and who waits for it keeps no write waiting.
  private var historyReads: AuditReads { auditor?.reads ?? ownReads }

  /// What was done to a configuration, the newest first: before a place, or from the newest on. At most `limit`
  /// entries, and fewer where they are large.
  /// - Parameter reader: who reads, one page at a time.
  /// - Throws: UNAVAILABLE when the store fails, RESOURCE_EXHAUSTED when the reader asks for more pages before it has
  ///   those that it asked for, CANCELLED.
  public func configurationHistory(
    of owner: ConfigurationOwner, before place: UInt64? = nil, limit: Int, by reader: WritePayer
  ) async throws(TenancyError) -> [RecordedEdit] {
    try await wait(for: historyReads, reader, isPatient: false, .historyPages) {
      [store] () throws(StoreError) in
      try store.configurationHistory(
        of: owner, before: place, limit: min(limit, Self.entriesPerLook))
    }
  }

  /// What a configuration was at revisions, told from what it is in a state.
  /// - Parameters:
  ///   - revisions: none newer than the state's.
  ///   - last: the state's revision.
  ///   - actor: whose request is looked for besides, by its id.
  /// - Throws: OUT_OF_RANGE with REVISION_COMPACTED where one is not known any more; as `configurationHistory`.
  public func pasts(
    of owner: ConfigurationOwner, at revisions: [UInt64], last: UInt64, by reader: WritePayer,
    lookingFor request: (id: String, actor: String)? = nil
  ) async throws(TenancyError) -> [ConfigurationPast] {
    guard let least = revisions.min() else { return [] }
    let (pasts, oldest) = try await wait(
      for: historyReads, reader, isPatient: false, .historyPages,
      { [store] () throws(StoreError) -> ([ConfigurationPast], UInt64) in
        try Self.undo(store, owner, revisions, least: least, last: last, request)
      })
    guard least >= oldest else {
      throw TenancyError(
        .outOfRange, .revisionCompacted,
        "what the configuration was at revision \(least) is not known any more",
        metadata: ["oldest_revision": "\(oldest)"])
    }
    return pasts
  }

  /// A tenant's operations, the newest first, of this revision or a later one.
  /// - Parameter reader: as above.
  func operations(
    of tenant: TenantID, by reader: WritePayer
  ) async throws(TenancyError) -> (operations: [TenantOperation], revision: UInt64) {
    let revision = state.revision
    let found = try await wait(for: historyReads, reader, isPatient: false, .operationPages) {
      [store] () throws(StoreError) in
      try store.operations(of: tenant)
    }
    return (found, revision)
  }

  /// Goes back through a history.
  /// - Returns: what was, and the oldest revision of which that is known; 0: it did not go so far.
  private static func undo(
    _ store: any ControlStore, _ owner: ConfigurationOwner, _ revisions: [UInt64], least: UInt64,
    last: UInt64, _ request: (id: String, actor: String)?
  ) throws(StoreError) -> ([ConfigurationPast], UInt64) {
    var pasts = revisions.map { _ in ConfigurationPast() }
    var end: RecordedEdit?
    while true {
      let entries = try store.configurationHistory(
        of: owner, before: end?.place, limit: entriesPerLook)
      // Behind the oldest of those that are left.
      guard let oldest = entries.last else {
        guard let end, !end.isFirst else { return (pasts, try store.configurationHistoryBegin()) }
        return (pasts, end.revision - 1)
      }
      for entry in entries {
        guard entry.revision > least else { return (pasts, 0) }
        if entry.revision > last { continue }
        for at in pasts.indices where entry.revision > revisions[at] {  // In range: one each.
          pasts[at].undo(entry, request)
        }
      }
      end = oldest
    }
  }
}

extension ConfigurationPast {
  fileprivate mutating func undo(_ entry: RecordedEdit, _ wanted: (id: String, actor: String)?) {
    for edit in entry.edits {
      let field = ByteOrder(edit.field)
      if edit.isSecret {
        versions[field] = .some(edit.versionBefore)
      } else {
        values[field] = .some(edit.before)
      }
    }
    guard let wanted, !entry.request.isEmpty, entry.actor == wanted.actor,
      entry.request.hasPrefix("\(wanted.id) ")
    else { return }
    request = entry.request
  }

  /// The value of a field by then.
  /// - Parameter now: what it is in the state that the past is told from.
  public func value(of field: String, now: JSONValue?) -> JSONValue? {
    if let past = values[ByteOrder(field)] { return past }
    return now
  }
}
