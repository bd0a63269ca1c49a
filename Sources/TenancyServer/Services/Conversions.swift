import Tenancy
import TenancyWire

/// Domain values as messages of the API, and back.
extension V1.Tenant {
  /// As `caller` may see it.
  init(_ tenant: Tenant, former: [FormerSlug], at now: Timestamp, for caller: Caller) {
    self.init(tenant, former: former, at: now, isPlatform: caller.isPlatform)
  }

  /// As a platform identity may see it, or one of its own.
  init(_ tenant: Tenant, former: [FormerSlug], at now: Timestamp, isPlatform: Bool) {
    self.init(
      name: TenantNames.collection + tenant.id.description, id: tenant.id.description,
      slug: tenant.slug.text, displayName: tenant.displayName, state: V1.TenantState(tenant.state),
      isolationModel: V1.IsolationModel(tenant.isolationModel),
      configuration: V1.TenantConfiguration(tenant.configuration, isPlatform: isPlatform),
      etag: tenant.etag,
      epoch: tenant.epoch, createTime: GoogleProtobuf.Timestamp(tenant.createTime),
      updateTime: GoogleProtobuf.Timestamp(tenant.updateTime),
      deleteTime: tenant.deleteTime.map { GoogleProtobuf.Timestamp($0) },
      purgeTime: tenant.purgeTime.map { GoogleProtobuf.Timestamp($0) },
      formerSlugs: former.map { V1.FormerSlug($0, at: now) },
      // It may name files.
      stateReason: isPlatform ? tenant.stateReason : "")
    if tenant.hasMetadata {
      let metadata = tenant.metadata
      labels = metadata.labels
      if isPlatform { annotations = metadata.annotations }
    }
    guard tenant.hasPlans else { return }
    let plans = tenant.plans
    maintenanceEndTime = plans.maintenance?.expectedEnd.map { GoogleProtobuf.Timestamp($0) }
    if plans.schedule != TenantSchedule() { schedule = V1.TenantSchedule(plans.schedule) }
    if isPlatform, let hold = plans.legalHold {
      legalHold = V1.LegalHold(
        reason: hold.reason, createTime: GoogleProtobuf.Timestamp(hold.time))
    }
  }
}

extension V1.TenantSchedule {
  init(_ schedule: TenantSchedule) {
    self.init(
      suspendTime: schedule.suspend.map { GoogleProtobuf.Timestamp($0) },
      trialEndTime: schedule.trialEnd.map { GoogleProtobuf.Timestamp($0) },
      deleteTime: schedule.delete.map { GoogleProtobuf.Timestamp($0) })
  }

  /// - Throws: INVALID_ARGUMENT for what is no time.
  func domain() throws(TenancyError) -> TenantSchedule {
    TenantSchedule(
      suspend: try suspendTime?.domain("schedule.suspend_time"),
      trialEnd: try trialEndTime?.domain("schedule.trial_end_time"),
      delete: try deleteTime?.domain("schedule.delete_time"))
  }
}

extension V1.TenantUsage {
  init(_ usage: [QuotaUsage], tenant: String) {
    self.init(
      name: "\(TenantNames.collection)\(tenant)/usage",
      quotas: usage.map { usage in
        V1.QuotaUsage(
          quota: usage.quota.name, unit: usage.quota.unit, used: Int64(usage.used),
          limit: Int64(usage.limit), restoredPerSecond: Int64(usage.restoredPerSecond ?? 0))
      })
  }
}

extension V1.FormerSlug {
  init(_ former: FormerSlug, at now: Timestamp) {
    let uses = former.recentUses(at: now)
    self.init(
      slug: former.slug.text, recentUses: uses.count,
      lastUseTime: uses.last.map { GoogleProtobuf.Timestamp($0) })
  }
}

extension V1.TenantState {
  init(_ state: TenantState) {
    switch state {
    case .pending: self = .pending
    case .provisioning: self = .provisioning
    case .active: self = .active
    case .suspended: self = .suspended
    case .maintenance: self = .maintenance
    case .provisionFailed: self = .provisionFailed
    case .deleted: self = .deleted
    case .purging: self = .purging
    case .purged: self = .purged
    }
  }
}

extension V1.IsolationModel {
  init(_ model: IsolationModel) {
    switch model {
    case .database: self = .database
    case .schema: self = .schema
    case .shared: self = .shared
    case .hybrid: self = .hybrid
    }
  }

  /// - Throws: INVALID_ARGUMENT for unspecified and unknown values.
  func domain(_ field: String) throws(TenancyError) -> IsolationModel {
    switch self {
    case .database: return .database
    case .schema: return .schema
    case .shared: return .shared
    case .hybrid: return .hybrid
    default: throw .invalid(field, "one of DATABASE, SCHEMA, SHARED and HYBRID")
    }
  }
}

extension V1.TenantConfiguration {
  /// Passwords stay behind; connection strings are for platform identities.
  init(_ configuration: TenantConfiguration, isPlatform: Bool) {
    self.init(
      database: configuration.database.map {
        V1.DatabaseConfig(
          connectionString: isPlatform ? $0.connectionString : "", username: $0.username,
          passwordSet: $0.password != nil)
      },
      schema: configuration.schema.map { V1.SchemaConfig(schemaName: $0.schemaName) },
      shared: configuration.shared.map {
        V1.SharedConfig(tenantIdentifier: $0.tenantIdentifier)
      },
      customSettings: configuration.customSettings.isEmpty ? nil : configuration.customSettings,
      featureFlags: configuration.featureFlags,
      routes: configuration.routes.map {
        V1.RouteRule(
          methods: $0.methods, path: $0.path.description, permission: $0.permission)
      },
      limits: configuration.limits.map(V1.RequestLimits.init),
      placement: configuration.placement.map(V1.TenantPlacement.init),
      secretSettings: configuration.secretSettings.map { V1.SecretSetting($1, named: $0) }
        .sorted { $0.setting < $1.setting },
      dataCategories: configuration.dataCategories.map(V1.DataCategory.init))
  }

  /// Values of secret settings that were sent.
  var clearSecrets: [String: ClearSecret?] { secretValues.mapValues { .some(ClearSecret($0)) } }

  func domain() throws(TenancyError) -> TenantConfiguration {
    TenantConfiguration(
      database: database?.domain(keeping: nil), schema: schema?.domain, shared: shared?.domain,
      customSettings: customSettings ?? [:], featureFlags: featureFlags,
      routes: try domainRoutes(), limits: try limits?.domain(), placement: placement?.domain,
      dataCategories: try domainCategories())
  }

  /// - Throws: INVALID_ARGUMENT with all that is wrong with their models.
  func domainCategories() throws(TenancyError) -> [DataCategory] {
    guard dataCategories.count <= DataCategory.maximumCount else {
      throw .invalid("configuration.data_categories", "more than \(DataCategory.maximumCount)")
    }
    var checks = FieldChecks()
    var categories: [DataCategory] = []
    for (index, category) in dataCategories.enumerated() {
      let model = try checks.value { () throws(TenancyError) in
        try category.isolationModel.domain(
          "configuration.data_categories[\(index)].isolation_model")
      }
      guard let model else { continue }
      categories.append(
        DataCategory(
          name: category.category, model: model, placement: category.placement?.domain))
    }
    try checks.finish()
    return categories
  }

  /// - Throws: INVALID_ARGUMENT with all that is wrong with the rules' own fields.
  func domainRoutes() throws(TenancyError) -> [RouteRule] {
    guard routes.count <= RouteRule.maximumCount else {
      throw .invalid("configuration.routes", "more than \(RouteRule.maximumCount)")
    }
    var checks = FieldChecks()
    var rules: [RouteRule] = []
    for (index, rule) in routes.enumerated() where !checks.isFull {
      let found = try checks.value { () throws(TenancyError) in
        try RouteRule(
          methods: rule.methods, path: rule.path, permission: rule.permission,
          field: "configuration.routes[\(index)]")
      }
      if let found { rules.append(found) }
    }
    try checks.finish()
    return rules
  }
}

extension V1.SecretSetting {
  init(_ secret: SecretSetting, named name: String) {
    self.init(
      setting: name, version: secret.reference.version,
      setTime: GoogleProtobuf.Timestamp(secret.setTime))
  }
}

extension V1.DataCategory {
  init(_ category: DataCategory) {
    self.init(
      category: category.name, isolationModel: V1.IsolationModel(category.model),
      placement: category.placement.map(V1.TenantPlacement.init))
  }
}

extension V1.TenantPlacement {
  init(_ placement: PlacementSettings) {
    self.init(region: placement.region, cluster: placement.cluster)
  }

  /// Nil: it says nothing.
  var domain: PlacementSettings? {
    let placement = PlacementSettings(region: region, cluster: cluster)
    return placement.isEmpty ? nil : placement
  }
}

extension V1.DatabaseConfig {
  /// The password that was there stays: one that is sent is to be sealed first, see `clearPassword`. For
  /// tenants' identities the connection string stays as well: the API never gave it out to send back.
  func domain(
    keeping former: DatabaseConfiguration?, keepsConnection: Bool = false
  ) -> DatabaseConfiguration {
    DatabaseConfiguration(
      connectionString: keepsConnection ? former?.connectionString ?? "" : connectionString,
      username: username, password: former?.password)
  }

  /// What replaces the stored password; nil if the request has none.
  var clearPassword: ClearSecret? { password.isEmpty ? nil : ClearSecret(password) }

  /// What tenants' identities are never shown they may not send either: whether it is what the server has
  /// would tell them.
  func refuseSecrets(of caller: Caller) throws(TenancyError) {
    guard caller.isPlatform || (password.isEmpty && connectionString.isEmpty) else {
      throw TenantCommands.notTheirs
    }
  }
}

extension V1.SchemaConfig {
  var domain: SchemaConfiguration { SchemaConfiguration(schemaName: schemaName) }
}

extension V1.SharedConfig {
  var domain: SharedConfiguration { SharedConfiguration(tenantIdentifier: tenantIdentifier) }
}

extension GoogleProtobuf.Timestamp {
  init(_ moment: Timestamp) {
    self.init(seconds: moment.seconds, nanos: moment.subsecondNanoseconds)
  }

  /// - Throws: INVALID_ARGUMENT outside 1970 to 2262 and for malformed nanoseconds.
  func domain(_ field: String) throws(TenancyError) -> Timestamp {
    guard (0...9_000_000_000).contains(seconds), (0...999_999_999).contains(nanos) else {
      throw .invalid(field, "not a time between 1970 and 2255")
    }
    return Timestamp(nanoseconds: seconds * 1_000_000_000 + Int64(nanos))
  }
}

extension V1.Role {
  init(_ compiled: TenantPolicy.CompiledRole, tenant: String) {
    self.init(compiled.role, tenant: tenant, builtIn: compiled.isBuiltIn)
  }

  init(_ role: Role, tenant: String, builtIn: Bool = false) {
    self.init(
      name: "tenants/\(tenant)/roles/\(role.id)", title: role.title, description: role.summary,
      permissions: role.permissions, etag: role.etag, builtIn: builtIn,
      createTime: builtIn ? nil : GoogleProtobuf.Timestamp(role.createTime),
      updateTime: builtIn ? nil : GoogleProtobuf.Timestamp(role.updateTime),
      deniedPermissions: role.denials, parents: role.parents, excludedRoles: role.exclusions)
  }
}

extension V1.Group {
  init(_ group: SubjectGroup, tenant: String) {
    self.init(
      name: "tenants/\(tenant)/groups/\(group.id)", title: group.title,
      description: group.summary, etag: group.etag,
      createTime: GoogleProtobuf.Timestamp(group.createTime),
      updateTime: GoogleProtobuf.Timestamp(group.updateTime))
  }
}

extension V1.GroupMember {
  init(_ member: GroupMember, tenant: String) {
    self.init(
      name: "tenants/\(tenant)/groupMembers/\(member.id)", group: member.group,
      member: member.member, createTime: GoogleProtobuf.Timestamp(member.createTime),
      expireTime: member.expireTime.map { GoogleProtobuf.Timestamp($0) })
  }
}

extension V1.RoleAssignment {
  init(_ assignment: RoleAssignment, tenant: String) {
    self.init(
      name: "tenants/\(tenant)/assignments/\(assignment.id)", subject: assignment.subject,
      role: assignment.role, createTime: GoogleProtobuf.Timestamp(assignment.createTime),
      expireTime: assignment.expireTime.map { GoogleProtobuf.Timestamp($0) },
      resource: assignment.terms.scope.text, condition: assignment.terms.condition,
      reason: assignment.terms.reason)
  }
}
