/// What is asked and not to be done.
extension Provisioner {
  /// What provisioning would begin with, without anything that lasts.
  func rehearse(
    _ id: TenantID, _ etag: String, actor: String, judge: WriteJudge
  ) async throws(TenancyError) -> Tenant {
    guard let record = plane.state.find(id) else { throw .tenantNotFound }
    if record.tenant.state == .active || record.tenant.state == .provisioning {
      return record.tenant
    }
    if Lifecycle.next(record.tenant.state, .provision) != nil {
      _ = try await requireParts(for: record)
    }
    return try await TenantCommands(plane, actor: actor, judge: judge)
      .beginProvisioning(id, etag: etag, as: terms).0
  }
}
