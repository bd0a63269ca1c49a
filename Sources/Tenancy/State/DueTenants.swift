/// When something is to be done with tenants without that anybody asks. Only those are in it of which there is
/// something: looking for them costs nothing for the others.
struct DueTenants: Sendable {
  private var scheduled = OrderedTree<Entry>()
  private var purges = OrderedTree<Entry>()

  private struct Entry: Ordered {
    struct OrderKey: Comparable, Sendable {
      let time: Timestamp
      let tenant: TenantID

      static func < (a: Self, b: Self) -> Bool { (a.time, a.tenant) < (b.time, b.tenant) }
    }
    let orderKey: OrderKey
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

  func scheduled(by moment: Timestamp, limit: Int) -> [TenantID] {
    Self.first(of: scheduled, by: moment, limit)
  }

  func purgeable(by moment: Timestamp, limit: Int) -> [TenantID] {
    Self.first(of: purges, by: moment, limit)
  }

  private static func first(
    of tree: OrderedTree<Entry>, by moment: Timestamp, _ limit: Int
  ) -> [TenantID] {
    var (cursor, budget, found) = (tree.cursor(), WorkBudget.uncapped, [TenantID]())
    while found.count < limit, let entry = cursor.next(&budget), entry.orderKey.time <= moment {
      found.append(entry.orderKey.tenant)
    }
    return found
  }

  func unsharedNodes(with other: Self) -> Int {
    scheduled.unsharedNodes(with: other.scheduled) + purges.unsharedNodes(with: other.purges)
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
      if hasPlans, plans.legalHold != nil { return nil }
      return purgeTime.map(Due.purge)
    case .pending, .provisioning, .active, .suspended, .maintenance, .provisionFailed:
      return hasPlans ? plans.schedule.next.map(Due.scheduled) : nil
    }
  }
}
