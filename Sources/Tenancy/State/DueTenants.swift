/// When something is to be done with tenants without that anybody asks. Only those are in it of which there is
/// something: looking for them costs nothing for the others.
struct DueTenants: Sendable {
  private var scheduled = OrderedTree<Entry>()
  private var purges = OrderedTree<Entry>()
  /// Whose logins are to be opened or closed.
  private var logins = OrderedTree<TenantIndexes.Member>()

  /// A tenant's turn, in the order of times.
  struct Place: Comparable, Sendable {
    let time: Timestamp
    let tenant: TenantID

    static func < (a: Self, b: Self) -> Bool { (a.time, a.tenant) < (b.time, b.tenant) }
  }

  private struct Entry: Ordered {
    let orderKey: Place
  }

  /// Notes what has become of a tenant's turn.
  mutating func note(_ former: Tenant.Due?, _ due: Tenant.Due?, of tenant: TenantID) {
    if former == due { return }
    switch former {
    case .scheduled(let time): scheduled.remove(.init(time: time, tenant: tenant))
    case .purge(let time): purges.remove(.init(time: time, tenant: tenant))
    case nil: break
    }
    switch due {
    case .scheduled(let time): scheduled.put(Entry(orderKey: .init(time: time, tenant: tenant)))
    case .purge(let time): purges.put(Entry(orderKey: .init(time: time, tenant: tenant)))
    case nil: break
    }
  }

  /// Notes whether a tenant's logins are to be opened or closed.
  mutating func noteLogins(_ former: Bool, _ due: Bool, of tenant: TenantID) {
    if former == due { return }
    if due {
      logins.put(TenantIndexes.Member(orderKey: tenant))
    } else {
      logins.remove(tenant)
    }
  }

  func withLogins(after tenant: TenantID?, limit: Int) -> [TenantID] {
    var (cursor, budget, found) = (
      logins.cursor(after: tenant), WorkBudget.uncapped, [TenantID]()
    )
    while found.count < limit, let member = cursor.next(&budget) { found.append(member.orderKey) }
    return found
  }

  func scheduled(after place: Place?, by moment: Timestamp, limit: Int) -> [Place] {
    Self.some(of: scheduled, after: place, by: moment, limit)
  }

  func purgeable(after place: Place?, by moment: Timestamp, limit: Int) -> [Place] {
    Self.some(of: purges, after: place, by: moment, limit)
  }

  private static func some(
    of tree: OrderedTree<Entry>, after place: Place?, by moment: Timestamp, _ limit: Int
  ) -> [Place] {
    var (cursor, budget, found) = (tree.cursor(after: place), WorkBudget.uncapped, [Place]())
    while found.count < limit, let entry = cursor.next(&budget), entry.orderKey.time <= moment {
      found.append(entry.orderKey)
    }
    return found
  }

  func unsharedNodes(with other: Self) -> Int {
    scheduled.unsharedNodes(with: other.scheduled) + purges.unsharedNodes(with: other.purges)
      + logins.unsharedNodes(with: other.logins)
  }
}

extension Tenant {
  /// What is to be done with it by itself, and from when on.
  enum Due: Hashable {
    /// The first of its `TenantSchedule`.
    case scheduled(Timestamp)
    /// Its data is to be destroyed.
    case purge(Timestamp)
  }

  var due: Due? {
    switch state {
    // Before all others.
    case .purging: return .purge(Timestamp(nanoseconds: .min))
    case .purged: return nil
    case .deleted:
      // Nothing is destroyed while there is a hold.
      if isHeld { return nil }
      return purgeTime.map(Due.purge)
    // Moved when that is over.
    case .provisioning: return nil
    case .pending, .active, .suspended, .maintenance, .provisionFailed:
      return hasPlans ? plans.schedule.next.map(Due.scheduled) : nil
    }
  }
}
