import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.Plans`.
struct PlanService: Sendable {
  private static let names = CatalogNames(
    collection: "plans/", kind: "plan", maximumBytes: RequestLimit.maximumNameBytes)
  private static let fields = ["display_name", "settings", "feature_flags", "limits"]

  let plane: ControlPlane
  /// This node's own; nil: it has none.
  let limits: LimitPlans?

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.Plans
    return [
      gate.async(
        API.createPlan,
        again: { (_, request, _) throws(TenancyError) in
          try told(request.planId)
        }, create),
      gate.async(API.getPlan) { (access, request) throws(TenancyError) in
        let id = try Self.names.id(in: request.name)
        let catalog = access.snapshot.state.catalog
        if let own = limits?.all.first(where: { $0.name == id }) {
          return V1.Plan(own: own.name, own.limits, tenants: catalog.tenants(of: id))
        }
        guard let plan = catalog.plan(id) else { throw PlanCommands.notFound }
        return V1.Plan(plan, tenants: catalog.tenants(of: id))
      },
      gate.async(API.listPlans) { (access, request) throws(TenancyError) in
        var budget = WorkBudget()
        return try list(access, request, &budget)
      },
      gate.async(
        API.updatePlan,
        again: { (_, request, _) throws(TenancyError) in
          try told(Self.names.id(in: request.plan?.name ?? "", field: "plan.name"))
        }, update),
      gate.async(API.listPlanHistory) { (access, request) async throws(TenancyError) in
        let id = try Self.names.id(in: request.name)
        // Those of the configuration file have none.
        guard access.snapshot.state.catalog.plan(id) != nil || limits?.has(id) ?? false else {
          throw PlanCommands.notFound
        }
        return try await SettingHistory(plane: plane, catalog: access.snapshot.state.catalog).list(
          .plan(id), setting: request.setting, size: request.pageSize, token: request.pageToken,
          by: access.payer)
      },
      gate.async(API.deletePlan, again: { _, _, _ in V1.DeletePlanResponse() }) {
        (access, request) throws(TenancyError) in
        let id = try Self.names.id(in: request.name)
        try await commands(access, validateOnly: request.validateOnly).delete(
          id, etag: request.etag)
        return V1.DeletePlanResponse()
      },
    ]
  }

  private func commands(
    _ access: Access, validateOnly: Bool = false
  ) throws(TenancyError) -> PlanCommands {
    PlanCommands(
      plane, actor: access.caller.subject,
      judge: try access.requireJudge().validating(only: validateOnly), limits: limits)
  }

  /// A plan as it is by now.
  private func told(_ id: String) throws(TenancyError) -> V1.Plan {
    let catalog = plane.state.catalog
    guard let plan = catalog.plan(id) else { throw PlanCommands.notFound }
    return V1.Plan(plan, tenants: catalog.tenants(of: id))
  }

  private func create(
    _ access: Access, _ request: V1.CreatePlanRequest
  ) async throws(TenancyError) -> V1.Plan {
    guard let sent = request.plan else { throw .invalid("plan", "is required") }
    let limits = try V1.RequestLimits(limits: sent.limits).domain(field: "plan.limits")
    let begin = Timestamp(nanoseconds: 0)
    let new = Plan(
      name: request.planId, title: sent.displayName, settings: sent.settings ?? [:],
      featureFlags: sent.featureFlags, limits: limits, createTime: begin, updateTime: begin)
    let made = try await commands(access).create(new, validateOnly: request.validateOnly)
    return V1.Plan(made, tenants: 0)
  }

  private func update(
    _ access: Access, _ request: V1.UpdatePlanRequest
  ) async throws(TenancyError) -> V1.Plan {
    let sent = request.plan ?? V1.Plan()
    let id = try Self.names.id(in: sent.name, field: "plan.name")
    let mask = try UpdateMask(
      request.updateMask, all: Self.fields, isKnown: Self.fields.contains)
    let limits = try V1.RequestLimits(limits: sent.limits).domain(field: "plan.limits")
    let updated = try await commands(access).update(
      id, etag: sent.etag, validateOnly: request.validateOnly
    ) { plan in
      if mask.covers("display_name", populated: !sent.displayName.isEmpty) {
        plan.title = sent.displayName
      }
      if mask.covers("settings", populated: sent.settings != nil) {
        plan.settings = sent.settings ?? [:]
      }
      if mask.covers("feature_flags", populated: !sent.featureFlags.isEmpty) {
        plan.featureFlags = sent.featureFlags
      }
      if mask.covers("limits", populated: !limits.isEmpty) { plan.limits = limits }
    }
    return V1.Plan(updated, tenants: plane.state.catalog.tenants(of: id))
  }

  private func list(
    _ access: Access, _ request: V1.ListPlansRequest, _ budget: inout WorkBudget
  ) throws(TenancyError) -> V1.ListPlansResponse {
    let page = try Page(size: request.pageSize, token: request.pageToken, question: "plans")
    let catalog = access.snapshot.state.catalog
    let own =
      page.after == nil
      ? (limits?.all ?? []).map { plan in
        V1.Plan(own: plan.name, plan.limits, tenants: catalog.tenants(of: plan.name))
      } : []
    let (found, next) = page.collect(
      catalog.plans(after: page.after), &budget, key: \.name,
      where: { plan, _ in !(limits?.has(plan.name) ?? false) }
    ) { plan in
      (V1.Plan(plan, tenants: catalog.tenants(of: plan.name)), plan.answerBytes)
    }
    return V1.ListPlansResponse(plans: own + found, nextPageToken: next)
  }
}

extension Plan {
  fileprivate var answerBytes: Int {
    featureFlags.keys.reduce(
      256 + title.utf8.count + StructCodec.encode(settings).count + 64 * limits.count
    ) { $0 + $1.utf8.count + 8 }
  }
}

extension V1.Plan {
  init(_ plan: Plan, tenants: Int) {
    self.init(
      name: "plans/\(plan.name)", displayName: plan.title, settings: plan.settings,
      featureFlags: plan.featureFlags, limits: plan.limits.map { V1.RequestLimit($0) },
      tenants: UInt64(clamping: tenants), etag: plan.etag,
      createTime: GoogleProtobuf.Timestamp(plan.createTime),
      updateTime: GoogleProtobuf.Timestamp(plan.updateTime))
  }

  /// One of the node's configuration file.
  fileprivate init(own name: String, _ limits: [RequestLimit], tenants: Int) {
    self.init(
      name: "plans/\(name)", limits: limits.map { V1.RequestLimit($0) }, readOnly: true,
      tenants: UInt64(clamping: tenants))
  }
}
