/// What a tenant has used of one limit of its requests.
public struct RequestLimitUse: Hashable, Sendable {
  /// Which.
  public let limit: RequestLimit
  /// Of `limit.burst`, by all nodes, as far as this one knows.
  public let used: Int64
  /// When nothing of it is used, if there are no more requests.
  public let reset: Timestamp
}

extension RequestLimiter {
  /// What a tenant has used of its limits. Counts nothing, and keeps nothing of one that has had no requests.
  /// - Returns: empty where the tenant's plan is not there any more.
  public func uses(
    of tenant: Tenant, plan: Plan?, at wall: Timestamp
  ) -> [RequestLimitUse] {
    let (now, nodes, isShared) = (time(wall), nodes, isShared)
    let limits = plans.limits(of: tenant.configuration.limits, plan) ?? []
    let keys = limits.map { LimitKey(tenant: tenant.id, text: TenantLimits.key(of: $0)) }
    let known = shard(of: tenant.id).state.withLock { shard in
      // Of some it is known since the start what other lives of this node, or others, have let through.
      guard shard.tenants[tenant.id] != nil || keys.contains(where: { shard.quotas[$0] != nil })
      else { return nil as [RequestLimitUse]? }
      // Without its plan it has no limits.
      let meters = try? shard.meters(of: tenant, plan, plans, nodes, isShared, now)
      return (meters?.rest(nodes, now) ?? []).map { limit, left, wait in
        let nanoseconds = Int64(min(wait, Self.longest) * 1e9)
        return RequestLimitUse(
          limit: limit, used: max(0, limit.burst - left),
          reset: Timestamp(nanoseconds: wall.nanoseconds &+ nanoseconds))
      }
    }
    if let known { return known }
    return limits.map {
      RequestLimitUse(limit: $0, used: 0, reset: wall)
    }
  }

  /// Seconds: longer than a year.
  private static let longest = 4e8
}
