/// A registration entry as it is asked for.
public struct NewWorkloadEntry: Sendable {
  /// Whose workload it is; nil: the platform's.
  public var tenant: TenantID?
  /// See `WorkloadEntry.path`.
  public var path: String
  /// Which processes.
  public var selectors: WorkloadEntry.Selectors
  /// Seconds; nil: as usual.
  public var lifetime: Int64?
  /// See `WorkloadEntry.hint`.
  public var hint: String

  /// Validates nothing: that is up to `WorkloadEntryCommands`.
  public init(
    tenant: TenantID?, path: String, selectors: WorkloadEntry.Selectors, lifetime: Int64? = nil,
    hint: String = ""
  ) {
    self.tenant = tenant
    self.path = path
    self.selectors = selectors
    self.lifetime = lifetime
    self.hint = hint
  }
}

/// What registers workloads. Each command is one transaction of the control plane. Who may say that the processes of
/// a user are a tenant's decides over identities: it is for the platform.
public struct WorkloadEntryCommands: Sendable {
  /// Entries of a tenant, and of the platform, at most.
  public static let maximumPerOwner = 256
  /// Entries that may match the same processes, at most: those of one user, or of one program where no user is given.
  public static let maximumAlike = 256

  private let plane: ControlPlane
  private let actor: String
  private let judge: WriteJudge

  /// - Parameters:
  ///   - actor: who asks, for the log.
  ///   - judge: whether they may still when it is done.
  public init(_ plane: ControlPlane, actor: String, judge: WriteJudge) {
    self.plane = plane
    self.actor = actor
    self.judge = judge
  }

  /// Gives processes an identity from now on.
  /// - Parameter checks: what was found to be wrong with the request already.
  /// - Throws: INVALID_ARGUMENT with all that is wrong; NOT_FOUND where there is no such tenant; ALREADY_EXISTS
  ///   with WORKLOAD_ENTRY_EXISTS if the same processes get the same identity already; RESOURCE_EXHAUSTED if the
  ///   owner has `maximumPerOwner`, or `maximumAlike` may match the same processes.
  public func create(
    _ new: NewWorkloadEntry, checks: FieldChecks = FieldChecks()
  ) async throws(TenancyError) -> WorkloadEntry {
    try await plane.write(
      actor: actor, action: "workload_entries.create", terms: judge.terms()
    ) { [judge] (transaction) throws(TenancyError) -> WorkloadEntry in
      try judge.judge(&transaction)
      var checks = checks
      Self.check(new, &checks)
      try checks.finish()
      if let id = new.tenant {
        guard let record = transaction.state.find(id), !record.tenant.state.isGone else {
          throw .tenantNotFound
        }
      }
      let entry = WorkloadEntry(
        id: TenantID.generate(atMilliseconds: transaction.now.milliseconds).description,
        tenant: new.tenant, path: new.path, selectors: new.selectors,
        lifetime: new.lifetime ?? WorkloadEntry.defaultLifetime, hint: new.hint,
        createTime: transaction.now)
      try Self.checkRoom(for: entry, transaction.state.workloads)
      transaction.give(id: entry.id)
      Self.emit(.putWorkloadEntry(entry), of: entry, &transaction)
      return entry
    }
  }

  /// Takes the identity away: no process gets it any more, and none that has it gets it anew. Certificates that were
  /// given out last until their end.
  /// - Throws: NOT_FOUND with WORKLOAD_ENTRY_NOT_FOUND.
  public func delete(_ id: String) async throws(TenancyError) {
    try await plane.write(
      actor: actor, action: "workload_entries.delete", terms: judge.terms(.revoking)
    ) { [judge] (transaction) throws(TenancyError) in
      try judge.judge(&transaction)
      guard let entry = transaction.state.workloads.find(id) else { throw Self.notFound }
      Self.emit(.deleteWorkloadEntry(id: id), of: entry, &transaction)
    }
  }

  /// There is no such entry.
  public static let notFound = TenancyError(
    .notFound, .workloadEntryNotFound, "there is no such registration entry")

  /// What goes when a tenant is deleted.
  static func dropAll(of tenant: TenantID, _ state: ControlState) -> [Change] {
    var (entries, budget) = (state.workloads.entries(of: tenant), WorkBudget.uncapped)
    var changes: [Change] = []
    while let entry = entries.next(&budget) { changes.append(.deleteWorkloadEntry(id: entry.id)) }
    return changes
  }

  // MARK: Rules

  private static func emit(
    _ change: Change, of entry: WorkloadEntry, _ transaction: inout Transaction
  ) {
    if let tenant = entry.tenant {
      transaction.emit(change, about: tenant)
    } else {
      transaction.emit(change)
    }
  }

  private static func checkRoom(
    for entry: WorkloadEntry, _ entries: WorkloadEntrySet
  ) throws(TenancyError) {
    let payer: WritePayer = entry.tenant.map { .tenant($0) } ?? .server
    guard entries.count(of: entry.tenant) < maximumPerOwner else {
      throw .exhausted(.workloadEntries, of: payer, limit: maximumPerOwner)
    }
    let alike = entries.count(alike: entry.selectors)
    guard alike < maximumAlike else {
      throw .exhausted(
        .alikeWorkloadEntries, of: payer, limit: maximumAlike,
        hint: "delete some of the same user or program")
    }
    var (all, budget) = (entries.entries(of: entry.tenant), WorkBudget.uncapped)
    while let other = all.next(&budget) {
      guard !other.hasSameContent(as: entry) else {
        throw TenancyError(
          .alreadyExists, .workloadEntryExists,
          "these processes get this identity already", metadata: ["entry": other.id])
      }
    }
  }

  private static func check(_ new: NewWorkloadEntry, _ checks: inout FieldChecks) {
    if !WorkloadEntry.isPath(new.path) {
      checks.note(
        .invalid(
          "entry.path",
          "1 to \(WorkloadEntry.maximumPathSegments) segments of a-z A-Z 0-9 . - _ with slashes between "
            + "them, of at most \(WorkloadEntry.maximumPathBytes) bytes"))
    } else if new.tenant == nil, new.path.utf8.count(where: { $0 == UInt8(ascii: "/") }) > 1 {
      checks.note(
        .invalid("entry.path", "of the platform: {role} or {role}/{workload}"))
    }
    check(new.selectors, &checks)
    if let lifetime = new.lifetime, !WorkloadEntry.lifetimes.contains(lifetime) {
      let range = WorkloadEntry.lifetimes
      checks.note(
        .invalid("entry.lifetime", "\(range.lowerBound) to \(range.upperBound) seconds"))
    }
    if !WorkloadEntry.isHint(new.hint) {
      let most = WorkloadEntry.maximumHintBytes
      checks.note(.invalid("entry.hint", "at most \(most) bytes without control characters"))
    }
  }

  private static func check(_ selectors: WorkloadEntry.Selectors, _ checks: inout FieldChecks) {
    if selectors.userID == nil, selectors.binaryPath == nil {
      checks.note(
        .invalid(
          "entry.selectors", "uid or binary_path is needed: without, everybody would match"))
    }
    for (field, id) in [("uid", selectors.userID), ("gid", selectors.groupID)] {
      guard let id, !WorkloadEntry.isKnownID(id) else { continue }
      checks.note(
        .invalid(
          "entry.selectors.\(field)", "\(id) is nobody's: it stands for all that are not known"))
    }
    if let path = selectors.binaryPath, !WorkloadEntry.isBinaryPath(path) {
      checks.note(
        .invalid(
          "entry.selectors.binary_path",
          "an absolute path without ., .. and empty parts, of at most "
            + "\(WorkloadEntry.maximumBinaryPathBytes) bytes"))
    }
    if let unit = selectors.systemdUnit, !WorkloadEntry.isUnit(unit) {
      checks.note(
        .invalid("entry.selectors.systemd_unit", "the name of a .service or .scope of the system"))
    }
    if let node = selectors.node, !WorkloadEntry.isNode(node) {
      checks.note(.invalid("entry.selectors.node", "the name of a node: a-z A-Z 0-9 . - _"))
    }
  }
}
