/// What a revision made of one tenant, as callers see it: what they do not see of a tenant, such as its keys, may change
/// without one.
public struct TenantChange: Sendable {
  /// What the tenant was before.
  public enum Former: Sendable {
    /// The revision is too far behind to know.
    case unknown
    /// It was created.
    case none
    /// As it was.
    indirect case tenant(Tenant)
  }

  /// Of the change.
  public let revision: UInt64
  /// Its number among the changes of its revision, from 0.
  public let index: Int
  /// When it was made.
  public let time: Timestamp
  /// As it is since then.
  public let tenant: Tenant
  /// As it was before.
  public let former: Former
}

/// How far somebody has come with the changes of tenants.
public struct TenantChangePlace: Hashable, Sendable {
  /// Everything up to this one.
  public let revision: UInt64
  /// And so many changes of the next one.
  public let changes: Int

  /// - Parameter changes: so many of the revision that follows.
  public init(revision: UInt64, changes: Int = 0) {
    self.revision = revision
    self.changes = changes
  }
}

/// Follows the changes of tenants: each once, in order, without gaps, at the pace of who asks. It holds a few entries
/// of the log: one that is slow costs no memory, and is served from the store. Used by one task at a time.
public struct TenantChanges: Sendable {
  /// What comes next.
  public enum Step: Sendable {
    /// A change.
    case change(TenantChange)
    /// Entries that change no tenant, or the last revision that was asked for: `place` says how far it has come.
    case passed
    /// All that there is has been given.
    case nothing
    /// The control plane is closed.
    case closed
  }

  /// Entries of the log that one follower holds, at most. They may be large.
  static let maximumHeld = 16

  private let plane: ControlPlane
  private let takenBack: Int
  /// The only tenant that is asked for; nil: all are.
  private let tenant: TenantID?
  private let reader: WritePayer
  /// Behind what was given.
  public private(set) var place: TenantChangePlace
  private var held: ArraySlice<LogEntry> = []
  /// Behind what is held there is nothing of the tenant up to this revision.
  private var end: UInt64 = 0
  /// Of the revision behind `place`.
  private var changes: ArraySlice<TenantChange> = []

  fileprivate init(
    _ plane: ControlPlane, _ place: TenantChangePlace, _ tenant: TenantID?, _ reader: WritePayer
  ) {
    self.plane = plane
    self.tenant = tenant
    self.reader = reader
    self.place = place
    takenBack = plane.tail.timesTakenBack
  }

  /// - Parameter last: nothing is given of later revisions.
  /// - Throws: OUT_OF_RANGE if what comes next is not in the log any more; UNAVAILABLE if the store fails. It is of no
  ///   use after that.
  public nonisolated(nonsending) mutating func next(
    through last: UInt64 = .max
  ) async throws(TenancyError) -> Step {
    var hasRead = false
    while true {
      if let change = changes.popFirst() {
        place =
          changes.isEmpty
          ? TenantChangePlace(revision: change.revision)
          : TenantChangePlace(revision: change.revision - 1, changes: change.index + 1)
        return .change(change)
      }
      if place.revision >= last { return .passed }
      if let entry = held.popFirst() {
        let all = entry.tenantChanges(former: { plane.tail.formers(at: entry.revision)?[$0] })
        // Others may have been passed over.
        changes = all.dropFirst(entry.revision == place.revision + 1 ? place.changes : 0)
        if changes.isEmpty { place = TenantChangePlace(revision: entry.revision) }
        continue
      }
      if place.revision < end {
        place = TenantChangePlace(revision: end)
        continue
      }
      if hasRead { return .passed }
      hasRead = true
      switch plane.tail.read(
        after: place.revision, limit: Self.maximumHeld, takenBack: takenBack)
      {
      case .entries(let entries): held = entries[...]
      case .nothing: return .nothing
      case .inStore(let newest):
        let part = try await plane.readPast(
          of: tenant, after: place.revision, through: min(newest, last), limit: Self.maximumHeld,
          by: reader)
        guard let part else { return .closed }
        (held, end) = (part.entries[...], part.end)
      case .takenBack(let revision): throw ControlPlane.outOfRange(floor: revision)
      case .closed: return .closed
      }
    }
  }

  /// Returns when there may be more, when the time is over, or when the task is cancelled.
  public nonisolated(nonsending) func wait(atMost duration: Duration?) async {
    let (tail, revision) = (plane.tail, place.revision)
    guard let duration else { return await tail.wait(after: revision) }
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await tail.wait(after: revision) }
      group.addTask {
        // Cancelled when there is more.
        try? await Task.sleep(for: duration)
      }
      await group.next()
      group.cancelAll()
    }
  }
}

extension ControlPlane {
  /// The changes of tenants behind a place, which is in the log, or will be.
  /// - Parameters:
  ///   - tenant: the only one that is asked for: of others some may be passed over; nil: all are.
  ///   - reader: on whose account the log is read where memory has it no more.
  public func tenantChanges(
    after place: TenantChangePlace, of tenant: TenantID? = nil, by reader: WritePayer = .server
  ) -> TenantChanges {
    TenantChanges(self, place, tenant, reader)
  }

  /// What the changes of some entries replace: of each entry, by tenant.
  /// - Parameter state: of the revision before the first.
  static func formers(
    of entries: [LogEntry], on state: ControlState
  ) -> [[TenantID: TenantChange.Former]]? {
    guard let first = entries.first, state.revision + 1 == first.revision else { return nil }
    var newer: [TenantID: Tenant] = [:]
    return entries.map { entry in
      var formers: [TenantID: TenantChange.Former] = [:]
      for case .putTenant(let tenant) in entry.changes {
        if formers[tenant.id] == nil {
          let former = newer[tenant.id] ?? state.find(tenant.id)?.tenant
          formers[tenant.id] = former.map { .tenant($0) } ?? TenantChange.Former.none
        }
        newer[tenant.id] = tenant
      }
      return formers
    }
  }
}

extension LogEntry {
  /// The tenants that it changes as callers see them, in the order in which it first names them.
  fileprivate func tenantChanges(
    former: (TenantID) -> TenantChange.Former?
  ) -> [TenantChange] {
    var tenants: [Tenant] = []
    for case .putTenant(let tenant) in changes where tenant.updateTime == time {
      // Few entries have more than one, and those a hundred.
      if let at = tenants.lastIndex(where: { $0.id == tenant.id }) {
        tenants[at] = tenant
      } else {
        tenants.append(tenant)
      }
    }
    return tenants.enumerated().map { index, tenant in
      TenantChange(
        revision: revision, index: index, time: time, tenant: tenant,
        former: former(tenant.id) ?? .unknown)
    }
  }
}
