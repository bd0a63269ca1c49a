/// Tenants after the pattern of others.
extension TenantCommands {
  /// Roles that a clone takes over, at most, groups likewise, and the bytes of their texts: one transaction adds them
  /// all.
  public static let maximumClonedRoles = 200
  /// See `maximumClonedRoles`.
  public static let maximumClonedBytes = 1 << 20

  /// What of a clone is not its template's.
  public struct Clone: Sendable {
    /// Of its configuration only where its data is to be. Without a model: the template's.
    public var own: NewTenant
    /// Whether `own` says which isolation model.
    public var hasModel: Bool

    /// - Parameter hasModel: whether `own` says which isolation model.
    public init(_ own: NewTenant, hasModel: Bool) { (self.own, self.hasModel) = (own, hasModel) }
  }

  /// Creates a tenant with another's settings, flags, routes, limits, labels, roles and groups without members, and
  /// nothing that tells who it or its callers are.
  /// - Throws: `.tenantNotFound` for a template that is deleted; FAILED_PRECONDITION with TEMPLATE_TOO_LARGE; as
  ///   `create`.
  public func clone(
    _ template: TenantID, _ clone: Clone, validateOnly: Bool
  ) async throws(TenancyError) -> Tenant {
    let policy = plane.state.find(template)?.policy ?? TenantPolicy()
    let roles = min(policy.customRoleCount, Self.maximumClonedRoles)
    let groups = min(policy.groupCount, Self.maximumClonedRoles)
    return try await write(
      "tenants.clone", rewriting: template, changes: roles + groups
    ) {
      [actor, plans, sealer = plane.sealer] (transaction) throws(TenancyError) -> Tenant in
      let own = clone.own
      // Before all else: the template may be gone since.
      if let made = try Self.made(by: own, of: actor, transaction.state) { return made }
      guard let record = transaction.state.find(template), !record.tenant.state.isGone else {
        throw .tenantNotFound
      }
      if !validateOnly { Self.makeRoom(for: [own], of: actor, &transaction) }
      let roles = try Self.clonedRoles(of: record)
      let groups = try Self.clonedGroups(of: record)
      let tenant = try Self.create(
        clone.completed(by: record.tenant), by: actor, plans, sealer, validateOnly: validateOnly,
        &transaction)
      if validateOnly { return tenant }
      for role in roles {
        let copy = Role(
          id: role.id, title: role.title, summary: role.summary, permissions: role.permissions,
          denials: role.denials, parents: role.parents, exclusions: role.exclusions,
          version: transaction.state.revision + 1, createTime: transaction.now,
          updateTime: transaction.now)
        transaction.emit(.putRole(tenant.id, copy), about: tenant.id)
      }
      for group in groups {
        let copy = SubjectGroup(
          id: group.id, title: group.title, summary: group.summary,
          version: transaction.state.revision + 1, createTime: transaction.now,
          updateTime: transaction.now)
        transaction.emit(.putGroup(tenant.id, copy), about: tenant.id)
      }
      // In the chains of both, and in neither which the other is: that is for who reads both to see.
      transaction.concern(template)
      return tenant
    }
  }

  private static func clonedRoles(of record: TenantRecord) throws(TenancyError) -> [Role] {
    let count = record.policy.customRoleCount
    var (roles, bytes, budget) = ([Role](), 0, WorkBudget.uncapped)
    var all = record.policy.roles()
    while count <= maximumClonedRoles, bytes <= maximumClonedBytes, let next = all.next(&budget) {
      if next.isBuiltIn { continue }
      let role = next.role
      bytes += role.names.reduce(role.title.utf8.count + role.summary.utf8.count) {
        $0 + $1.utf8.count
      }
      roles.append(role)
    }
    guard count <= maximumClonedRoles, bytes <= maximumClonedBytes else {
      throw TenancyError(
        .failedPrecondition, .templateTooLarge,
        "a clone takes over \(maximumClonedRoles) roles and \(maximumClonedBytes) bytes of them at most",
        metadata: ["roles": String(count)])
    }
    return roles
  }
}

extension TenantCommands {
  fileprivate static func clonedGroups(
    of record: TenantRecord
  ) throws(TenancyError) -> [SubjectGroup] {
    let count = record.policy.groupCount
    var (found, bytes, budget) = ([SubjectGroup](), 0, WorkBudget.uncapped)
    var all = record.policy.groups()
    while count <= maximumClonedRoles, bytes <= maximumClonedBytes, let next = all.next(&budget) {
      bytes += next.group.title.utf8.count + next.group.summary.utf8.count
      found.append(next.group)
    }
    guard count <= maximumClonedRoles, bytes <= maximumClonedBytes else {
      throw TenancyError(
        .failedPrecondition, .templateTooLarge,
        "a clone takes over \(maximumClonedRoles) groups and \(maximumClonedBytes) bytes of them at most",
        metadata: ["groups": String(count)])
    }
    return found
  }
}

extension TenantCommands.Clone {
  /// With what it takes over. What is the same of all its kind, such as a schema, is its own alone.
  fileprivate func completed(by template: Tenant) -> TenantCommands.NewTenant {
    var new = own
    var configuration = template.configuration
    configuration.database = own.configuration.database
    configuration.schema = own.configuration.schema
    configuration.shared = own.configuration.shared
    // They are sealed for the template alone.
    configuration.secretSettings = [:]
    configuration.placement = own.configuration.placement ?? configuration.placement
    if !hasModel { new.isolationModel = template.isolationModel }
    if new.isolationModel != .hybrid || !own.configuration.dataCategories.isEmpty {
      configuration.dataCategories = own.configuration.dataCategories
    }
    if own.configuration.placement != nil, own.configuration.dataCategories.isEmpty {
      configuration.dataCategories = configuration.dataCategories.map {
        DataCategory(name: $0.name, model: $0.model)
      }
    }
    new.configuration = configuration
    new.metadata.labels.merge(template.metadata.labels) { own, _ in own }
    return new
  }
}
