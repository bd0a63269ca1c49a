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

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.TenantManager
    return [
      gate.async(API.createTenant, create),
      gate.async(API.getTenant, get),
      gate.async(API.getTenantUsage) { (access, _) throws(TenancyError) in
        let record = try access.requireTarget()
        return V1.TenantUsage(plane.usage(of: record), tenant: record.idText)
      },
      gate.async(API.updateTenant, update),
      gate.async(API.retireTenantSlug) { (access, request) throws(TenancyError) in
        let id = try access.requireTarget().tenant.id
        return answer(
          try await commands(access).retire(slug: request.slug, of: id, etag: request.etag),
          for: access.caller)
      },
      gate.async(API.listTenants) { (access, request) throws(TenancyError) in
        var budget = WorkBudget()
        return try list(access, request, &budget)
      },
      gate.async(API.updateTenantConfiguration, configure),
    ] + lifecycleMethods(gate)
  }

  func commands(_ access: Access) throws(TenancyError) -> TenantCommands {
    TenantCommands(
      plane, actor: access.caller.subject, judge: try access.requireJudge(), plans: plans)
  }

  private func create(
    _ access: Access, _ request: V1.CreateTenantRequest
  ) async throws(TenancyError) -> V1.Tenant {
    guard let tenant = request.tenant else { throw .invalid("tenant", "is required") }
    let id = request.requestId
    var checks = FieldChecks()
    let hasID = !id.isEmpty && RequestIDs.isWellFormed(id)
    if !id.isEmpty, !hasID { checks.note(.invalid("request_id", "must be a UUID")) }
    let model = try checks.value { () throws(TenancyError) in
      try tenant.isolationModel.domain("tenant.isolation_model")
    }
    let configuration = try checks.value { () throws(TenancyError) in
      var configuration = try tenant.configuration?.domain() ?? TenantConfiguration()
      let change = LimitsChange(plans: plans, isPlatform: access.caller.isPlatform)
      configuration.limits = try change.apply(configuration.limits, to: nil, isNamed: true)
      return configuration
    }
    let new = TenantCommands.NewTenant(
      slug: tenant.slug, displayName: tenant.displayName, isolationModel: model,
      configuration: configuration ?? TenantConfiguration(),
      databasePassword: tenant.configuration?.database?.clearPassword,
      requestID: hasID ? id : "", digest: hasID ? RequestIDs.digest(of: tenant) : "",
      checks: checks)
    do throws(TenancyError) {
      return answer(
        try await commands(access).create(new, validateOnly: request.validateOnly),
        for: access.caller)
    } catch {
      throw Self.fieldsOfTenant(error)
    }
  }

  /// A tenant with what the newest state knows besides.
  func answer(_ tenant: Tenant, for caller: Caller) -> V1.Tenant {
    V1.Tenant(
      tenant, former: plane.state.find(tenant.id)?.formerSlugs ?? [], at: plane.now, for: caller)
  }

  private func get(
    _ access: Access, _ request: V1.GetTenantRequest
  ) throws(TenancyError) -> V1.Tenant {
    answer(try access.requireTarget().tenant, for: access.caller)
  }

  private func update(
    _ access: Access, _ request: V1.UpdateTenantRequest
  ) async throws(TenancyError) -> V1.Tenant {
    let id = try access.requireTarget().tenant.id
    let sent = request.tenant ?? V1.Tenant()
    let all = ["slug", "display_name", "isolation_model", "configuration"]
    let mask = try UpdateMask(request.updateMask, all: all, isKnown: all.contains)
    var update = TenantCommands.Update(etag: sent.etag, mayMove: access.caller.isPlatform)
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
    if mask.covers("configuration", populated: sent.configuration != nil) {
      update.configuration = try ConfigurationChange.replacement(
        by: sent.configuration ?? V1.TenantConfiguration(), by: access.caller, plans)
      update.databasePassword = sent.configuration?.database?.clearPassword
    }
    do throws(TenancyError) {
      return answer(
        try await commands(access).update(
          id, update, action: "tenants.update", validateOnly: request.validateOnly),
        for: access.caller)
    } catch {
      throw Self.fieldsOfTenant(error)
    }
  }

  /// The domain names a configuration's fields as UpdateTenantConfiguration does. Where the request
  /// has a whole tenant, they are below that.
  private static func fieldsOfTenant(_ error: TenancyError) -> TenancyError {
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
    return answer(
      try await commands(access).update(id, update, action: "tenants.configure"),
      for: access.caller)
  }

  func list(
    _ access: Access, _ request: V1.ListTenantsRequest, _ budget: inout WorkBudget
  ) throws(TenancyError) -> V1.ListTenantsResponse {
    let filter = try TenantFilter(parsing: request.filter)
    let page = try Page(
      size: request.pageSize, token: request.pageToken,
      question: "tenants \(request.showDeleted) \(request.filter)")
    let after = try page.after.map { text throws(TenancyError) in
      guard let id = TenantID(parsing: text) else {
        throw .invalid("page_token", "not one that this list gave out")
      }
      return id
    }
    let tenants =
      if let slug = filter.slug {
        access.visibleTenants(after: after, slug: slug)
      } else {
        access.visibleTenants(after: after)
      }
    let (found, next) = page.collect(
      tenants, &budget, key: \.idText,
      where: { record, budget in
        (!record.tenant.state.isGone || request.showDeleted)
          && filter.matches(record.tenant, &budget)
      }
    ) { record in
      (
        V1.Tenant(record.tenant, former: record.formerSlugs, at: access.now, for: access.caller),
        record.tenant.answerBytes + record.formerSlugs.count * Slug.maximumLength
      )
    }
    return V1.ListTenantsResponse(tenants: found, nextPageToken: next)
  }
}

extension Tenant {
  /// Good enough to keep pages small.
  fileprivate var answerBytes: Int {
    configuration.featureFlags.keys.reduce(
      128 + displayName.utf8.count + JSONValue.object(configuration.customSettings).answerBytes
        + configuration.routes.count * RoutePattern.maximumLength
        + (configuration.limits?.limits.count ?? 0) * 2 * WorkBudget.elementBytes
    ) { $0 + $1.utf8.count + WorkBudget.elementBytes }
  }
}

extension JSONValue {
  fileprivate var answerBytes: Int {
    switch self {
    case .null, .bool, .number: WorkBudget.elementBytes
    case .string(let text): WorkBudget.elementBytes + text.utf8.count
    case .array(let items): items.reduce(WorkBudget.elementBytes) { $0 + $1.answerBytes }
    case .object(let members):
      members.reduce(WorkBudget.elementBytes) { $0 + $1.key.utf8.count + $1.value.answerBytes }
    }
  }
}
