import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.TenantManager`.
struct TenantManagerService: Sendable {
  let plane: ControlPlane
  let provisioner: Provisioner
  /// Nil: tenants' requests are not limited.
  var plans: LimitPlans?
  /// Which transitions somebody else has to approve.
  var approvals = TransitionApprovals.none
  let watches = WatchRoom()
  /// After which a watch says how far it has come, though nothing was for it.
  var progressInterval = Duration.seconds(10)

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.TenantManager
    return [
      gate.async(API.createTenant, create),
      gate.async(API.getTenant, get),
      gate.async(API.cloneTenant, clone),
      gate.async(API.batchGetTenants, batchGet),
      gate.async(API.batchCreateTenants, batchCreate),
      gate.async(API.updateTenant, again: told, update),
      gate.async(API.retireTenantSlug, again: told) { (access, request) throws(TenancyError) in
        let id = try access.requireTarget().tenant.id
        return answer(
          try await commands(access, validateOnly: request.validateOnly).retire(
            slug: request.slug, of: id, etag: request.etag),
          for: access.caller)
      },
      gate.async(API.listTenants) { (access, request) throws(TenancyError) in
        var budget = WorkBudget()
        return try list(access, request, &budget)
      },
      gate.serverStreaming(API.watchTenants) { request, responses, stream in
        try await watch(request, responses, stream)
      },
      gate.async(API.updateTenantConfiguration, again: told, configure),
    ] + lifecycleMethods(gate)
  }

  /// - Parameter validateOnly: whether what they do is kept nowhere.
  func commands(
    _ access: Access, validateOnly: Bool = false
  ) throws(TenancyError) -> TenantCommands {
    TenantCommands(
      plane, actor: access.caller.subject,
      judge: try access.requireJudge().validating(only: validateOnly), plans: plans)
  }

  private func create(
    _ access: Access, _ request: V1.CreateTenantRequest
  ) async throws(TenancyError) -> V1.Tenant {
    let new = try newTenant(access, request)
    do throws(TenancyError) {
      return answer(
        try await commands(access, validateOnly: request.validateOnly).create(
          new, validateOnly: request.validateOnly),
        for: access.caller)
    } catch {
      throw Self.fieldsOfTenant(error)
    }
  }

  /// What a request to create a tenant asks for.
  /// - Parameter takesModel: false where there need not be an isolation model.
  func newTenant(
    _ access: Access, _ request: V1.CreateTenantRequest, takesModel: Bool = true
  ) throws(TenancyError) -> TenantCommands.NewTenant {
    guard let tenant = request.tenant else { throw .invalid("tenant", "is required") }
    let id = request.requestId
    var checks = FieldChecks()
    let hasID = !id.isEmpty && RequestIDs.isWellFormed(id)
    if !id.isEmpty, !hasID { checks.note(.invalid("request_id", "must be a UUID")) }
    var model: IsolationModel?
    if takesModel {
      model = try checks.value { () throws(TenancyError) in
        try tenant.isolationModel.domain("tenant.isolation_model")
      }
    }
    let configuration = try checks.value { () throws(TenancyError) in
      var configuration = try tenant.configuration?.domain() ?? TenantConfiguration()
      let change = LimitsChange(plans: plans, isPlatform: access.caller.isPlatform)
      configuration.limits = try change.apply(configuration.limits, to: nil, isNamed: true)
      return configuration
    }
    var new = TenantCommands.NewTenant(
      slug: tenant.slug, displayName: tenant.displayName, isolationModel: model,
      configuration: configuration ?? TenantConfiguration(),
      databasePassword: tenant.configuration?.database?.clearPassword,
      requestID: hasID ? id : "", digest: hasID ? RequestIDs.digest(of: tenant) : "",
      checks: checks)
    new.secrets = tenant.configuration?.clearSecrets ?? [:]
    new.metadata = TenantMetadata(labels: tenant.labels, annotations: tenant.annotations)
    return new
  }

  /// A tenant with what the newest state knows besides, as it is told now.
  func answer(_ tenant: Tenant, for caller: Caller) -> V1.Tenant {
    V1.Tenant(
      told(tenant), former: plane.state.find(tenant.id)?.formerSlugs ?? [], at: plane.now,
      for: caller)
  }

  private func get(
    _ access: Access, _ request: V1.GetTenantRequest
  ) async throws(TenancyError) -> V1.Tenant {
    let record = try access.requireTarget()
    guard let moment = try await self.moment(access, request) else {
      return answer(record.tenant, for: access.caller)
    }
    let tenant = try await plane.tenant(
      of: try current(record), at: moment, by: access.payer)
    // It was waited for: by now it may not be told any more.
    try access.requireJudge().judge(on: plane.state, at: plane.now)
    return V1.Tenant(told(tenant), former: [], at: access.now, for: access.caller)
  }

  /// Changed where a mask names it alone: whoever writes back what was read means no maintenance.
  private static let maintenanceEnd = "maintenance_end_time"
  /// Whoever moves a maintenance's end could have begun it.
  private static let maintaining = MethodRule.of(V1.TenantManager.beginTenantMaintenance.identity)

  private func update(
    _ access: Access, _ request: V1.UpdateTenantRequest
  ) async throws(TenancyError) -> V1.Tenant {
    let id = try access.requireTarget().tenant.id
    let sent = request.tenant ?? V1.Tenant()
    let all = ["slug", "display_name", "isolation_model", "configuration", "labels", "annotations"]
    let mask = try UpdateMask(request.updateMask, all: all) {
      all.contains($0) || $0 == Self.maintenanceEnd || MetadataChange.isPath($0)
        || ConfigurationChange.part(of: $0) != nil
    }
    var update = TenantCommands.Update(etag: sent.etag, mayMove: access.caller.isPlatform)
    if mask.paths.contains(Self.maintenanceEnd) {
      update.maintenanceEnd = .some(
        try sent.maintenanceEndTime?.domain("tenant.maintenance_end_time"))
      // What platform identities may do does not change while the server runs.
      if !access.caller.permits(Self.maintaining) {
        update.missingPermission = Self.maintaining.permissionText
      }
    }
    if mask.covers("slug", populated: !sent.slug.isEmpty) {
      update.slug = sent.slug
    }
    if mask.covers("display_name", populated: !sent.displayName.isEmpty) {
      update.displayName = sent.displayName
    }
    if mask.covers("isolation_model", populated: sent.isolationModel != .unspecified) {
      update.isolationModel = try update.checks.value { () throws(TenancyError) in
        try sent.isolationModel.domain("tenant.isolation_model")
      }
    }
    let parts = mask.paths.compactMap(ConfigurationChange.part)
    update.namedSettings = ConfigurationField.settings(in: parts)
    if mask.covers("configuration", populated: sent.configuration != nil) {
      update.configuration = try ConfigurationChange.replacement(
        by: sent.configuration ?? V1.TenantConfiguration(), by: access.caller, plans)
      update.databasePassword = sent.configuration?.database?.clearPassword
      update.secrets = ConfigurationChange.secrets(
        sent.configuration ?? V1.TenantConfiguration(), isWhole: true, parts: parts)
    } else if !parts.isEmpty {
      let change = try ConfigurationChange(
        sent.configuration ?? V1.TenantConfiguration(),
        GoogleProtobuf.FieldMask(paths: parts), by: access.caller, plans)
      update.configuration = change.apply
      update.databasePassword = change.databasePassword
      update.secrets = change.secrets
    }
    let metadata = try MetadataChange(
      sent, mask, request.updateMask, isPlatform: access.caller.isPlatform)
    if metadata.changesAnything { update.metadata = metadata.apply }
    do throws(TenancyError) {
      return answer(
        try await commands(access, validateOnly: request.validateOnly).update(
          id, update, action: "tenants.update"),
        for: access.caller)
    } catch {
      throw Self.fieldsOfTenant(error)
    }
  }

  /// The domain names a configuration's fields as UpdateTenantConfiguration does. Where the request
  /// has a whole tenant, they are below that.
  static func fieldsOfTenant(_ error: TenancyError) -> TenancyError {
    func isBelow(_ field: String) -> Bool { field.hasPrefix("configuration.") }
    let field = error.metadata["field"] ?? ""
    guard error.violations.contains(where: { isBelow($0.field) }) || isBelow(field) else {
      return error
    }
    var metadata = error.metadata
    if isBelow(field) { metadata["field"] = "tenant.\(field)" }
    // It begins with the field that it is about, the first of several.
    let message = isBelow(error.message) ? "tenant.\(error.message)" : error.message
    return TenancyError(
      error.category, error.reason, message, metadata: metadata,
      violations: error.violations.map {
        isBelow($0.field)
          ? .init(field: "tenant.\($0.field)", description: $0.description) : $0
      },
      retryAfterSeconds: error.retryAfterSeconds)
  }

  private func configure(
    _ access: Access, _ request: V1.UpdateTenantConfigurationRequest
  ) async throws(TenancyError) -> V1.Tenant {
    let id = try access.requireTarget().tenant.id
    var update = TenantCommands.Update(etag: request.etag, mayMove: access.caller.isPlatform)
    let change = try ConfigurationChange(
      request.configuration ?? V1.TenantConfiguration(), request.updateMask, by: access.caller,
      plans)
    update.configuration = change.apply
    update.databasePassword = change.databasePassword
    update.secrets = change.secrets
    update.namedSettings = change.namedSettings
    return answer(
      try await commands(access, validateOnly: request.validateOnly).update(
        id, update, action: "tenants.configure"),
      for: access.caller)
  }
}
