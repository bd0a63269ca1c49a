import Tenancy
import TenancyRPC
import TenancyWire

/// The methods of `tenancy.v1.TenantManager` that move tenants along their lives.
extension TenantManagerService {
  func lifecycleMethods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.TenantManager
    return [
      gate.async(API.deactivateTenant, again: told) { (access, request) throws(TenancyError) in
        try await move(access, .deactivate, request.etag, validateOnly: request.validateOnly)
      },
      gate.async(API.activateTenant, again: told) { (access, request) throws(TenancyError) in
        let record = try access.requireTarget()
        let steps = try provisioner.steps(of: record.tenant.id)
        // What was not made is not lost: then the move says so.
        if record.provisionedSteps.isSuperset(of: steps) {
          try await provisioner.requireData(record.tenant.id)
        }
        return try await move(
          access, .activate, request.etag, requiring: steps, validateOnly: request.validateOnly)
      },
      gate.async(API.beginTenantMaintenance, again: told, beginMaintenance),
      gate.async(API.endTenantMaintenance, again: told) { (access, request) throws(TenancyError) in
        let tenant = try access.requireTarget().tenant
        // In all other states the move is refused, whatever there is.
        if tenant.state == .maintenance {
          _ = try provisioner.steps(of: tenant.id)
          try await provisioner.requireData(tenant.id)
        }
        return try await move(
          access, .endMaintenance, request.etag, validateOnly: request.validateOnly)
      },
      gate.async(API.deleteTenant, again: told) { (access, request) throws(TenancyError) in
        try await move(access, .delete, request.etag, validateOnly: request.validateOnly)
      },
      gate.async(API.undeleteTenant, again: told) { (access, request) throws(TenancyError) in
        try await move(access, .undelete, request.etag, validateOnly: request.validateOnly)
      },
      gate.async(API.purgeTenant, again: destroyed, gone: Self.purged) {
        (access, request) throws(TenancyError) in
        let id = try access.requireTarget().tenant.id
        let etag = try await approved(
          access, .purge, request.etag, validateOnly: request.validateOnly)
        return answer(
          try await provisioner.purge(
            id, etag: etag, isEarly: request.ignoreRetention, force: request.force,
            actor: access.caller.subject,
            judge: try access.requireJudge().validating(only: request.validateOnly)),
          for: access.caller)
      },
      gate.async(API.placeTenantLegalHold, again: told) { (access, request) throws(TenancyError) in
        let id = try access.requireTarget().tenant.id
        return answer(
          try await commands(access, validateOnly: request.validateOnly).hold(
            id, reason: request.reason, etag: request.etag),
          for: access.caller)
      },
      gate.async(API.releaseTenantLegalHold, again: told) {
        (access, request) throws(TenancyError) in
        let id = try access.requireTarget().tenant.id
        return answer(
          try await commands(access, validateOnly: request.validateOnly).release(
            id, etag: request.etag), for: access.caller)
      },
      gate.async(API.setTenantSchedule, again: told) { (access, request) throws(TenancyError) in
        let id = try access.requireTarget().tenant.id
        let schedule = try request.schedule?.domain() ?? TenantSchedule()
        return answer(
          try await commands(access, validateOnly: request.validateOnly).schedule(
            id, schedule, etag: request.etag),
          for: access.caller)
      },
      gate.async(API.provisionTenantResources, again: told) {
        (access, request) throws(TenancyError) in
        let id = try access.requireTarget().tenant.id
        let etag = try await approved(access, .provision, "", validateOnly: request.validateOnly)
        return answer(
          try await provisioner.provision(
            id, etag: etag, actor: access.caller.subject,
            judge: try access.requireJudge().validating(only: request.validateOnly)),
          for: access.caller)
      },
      gate.async(API.deprovisionTenantResources, again: destroyed) {
        (access, request) throws(TenancyError) in
        let id = try access.requireTarget().tenant.id
        let etag = try await approved(
          access, .deprovision, request.etag, validateOnly: request.validateOnly)
        return answer(
          try await provisioner.deprovision(
            id, etag: etag, force: request.force, actor: access.caller.subject,
            judge: try access.requireJudge().validating(only: request.validateOnly)),
          for: access.caller)
      },
    ]
  }

  /// A tenant as it is by now.
  func told(
    _ access: Access, _: some WireMessage, _: RememberedRequest
  ) throws(TenancyError) -> V1.Tenant {
    guard let record = plane.state.find(try access.requireTarget().tenant.id) else {
      throw .tenantNotFound
    }
    return answer(record.tenant, for: access.caller)
  }

  /// The same, of one whose data is to be destroyed: what was begun is gone on with.
  private func destroyed(
    _ access: Access, _ request: some WireMessage, _ earlier: RememberedRequest
  ) async throws(TenancyError) -> V1.Tenant {
    let tenant = try access.requireTarget().tenant
    try await provisioner.goOnDestroying(tenant.id)
    if tenant.state == .purging, plane.state.find(tenant.id) == nil { return Self.purged(earlier) }
    return try told(access, request, earlier)
  }

  /// What there is to be told of one that was purged.
  private static func purged(_ earlier: RememberedRequest) -> V1.Tenant {
    let id = earlier.tenant?.description ?? ""
    return V1.Tenant(name: TenantNames.collection + id, id: id, state: .purged)
  }

  private func beginMaintenance(
    _ access: Access, _ request: V1.BeginTenantMaintenanceRequest
  ) async throws(TenancyError) -> V1.Tenant {
    var checks = FieldChecks()
    let end = try checks.value { () throws(TenancyError) in
      let end = try request.expectedEndTime?.domain("expected_end_time")
      if let end, end <= access.now { throw .invalid("expected_end_time", "must be in the future") }
      return end
    }
    try checks.value { () throws(TenancyError) in
      if !request.reason.isEmpty { try TenantRules.check(reason: request.reason) }
    }
    try checks.finish()
    return try await move(
      access, .beginMaintenance, request.etag, reason: request.reason,
      maintenance: PlannedMaintenance(expectedEnd: end ?? nil), validateOnly: request.validateOnly)
  }

  private func move(
    _ access: Access, _ event: Lifecycle.Event, _ etag: String, reason: String = "",
    maintenance: PlannedMaintenance? = nil, requiring steps: [String] = [], validateOnly: Bool
  ) async throws(TenancyError) -> V1.Tenant {
    let id = try access.requireTarget().tenant.id
    let etag = try await approved(access, event, etag, validateOnly: validateOnly)
    return answer(
      try await commands(access, validateOnly: validateOnly).move(
        id, event, etag: etag, reason: reason, maintenance: maintenance, requiring: steps),
      for: access.caller)
  }

  /// Asks for approval, where it is needed, of the tenant as it is now; of what is only validated, nobody.
  /// - Returns: the etag that it must have still.
  private func approved(
    _ access: Access, _ event: Lifecycle.Event, _ etag: String, validateOnly: Bool
  ) async throws(TenancyError) -> String {
    let id = try access.requireTarget().tenant.id
    guard !validateOnly, approvals.needs(event), let tenant = plane.state.find(id)?.tenant else {
      return etag
    }
    return try await approvals.require(event, of: tenant, etag: etag, by: access.caller.subject)
  }
}
