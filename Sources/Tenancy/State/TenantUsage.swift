/// How much of one quota a tenant uses now.
public struct QuotaUsage: Hashable, Sendable {
  /// Which quota, and what it is counted in.
  public let quota: Quota
  /// In the quota's unit, now.
  public let used: Int
  /// In the quota's unit; `used` may be above it where it became smaller.
  public let limit: Int
  /// How much comes back in each second, where it comes back by itself.
  public let restoredPerSecond: Int?
}

extension ControlPlane {
  /// What a tenant uses of all its quotas, as they are listed in the API's description.
  public func usage(of record: TenantRecord) -> [QuotaUsage] {
    let (id, size, quotas) = (record.tenant.id, record.footprint, budgets.quotas)
    let rates = budgets.used(by: id, at: now)
    func usage(_ quota: Quota, _ used: Int, _ limit: Int) -> QuotaUsage {
      QuotaUsage(quota: quota, used: used, limit: limit, restoredPerSecond: nil)
    }
    func usage(_ quota: Quota, _ used: Int, _ rate: TenantQuotas.Rate) -> QuotaUsage {
      QuotaUsage(
        quota: quota, used: used, limit: rate.burst, restoredPerSecond: rate.perSecond)
    }
    return [
      usage(.residentBytes, size.residentBytes, quotas.residentBytes),
      usage(.assignmentBytes, size.assignmentBytes, quotas.assignmentBytes),
      usage(.storedBytes, size.storedBytes, quotas.storedBytes),
      usage(.roles, record.policy.customRoleCount, RoleCommands.maximumRoles),
      usage(.assignments, record.policy.assignmentCount, RoleCommands.maximumAssignments),
      usage(.groups, record.policy.groupCount, GroupCommands.maximumGroups),
      usage(.groupMembers, record.policy.groupMemberCount, GroupCommands.maximumMembers),
      usage(.tokenKeys, record.tenant.tokenKeys.count, TokenKey.maximumCount),
      usage(.revokedTokens, record.revocations.count(of: .token), TokenCommands.maximumTokens),
      usage(
        .revokedSubjects, record.revocations.count(of: .subject), TokenCommands.maximumSubjects),
      usage(.logBytes, rates.logBytes, quotas.logBytes),
      usage(.writes, rates.writes, quotas.writes),
      usage(
        .waitingWrites, waitingWrites(of: .tenant(id)), WriteLimits().waitingOfTenant),
    ]
  }
}
