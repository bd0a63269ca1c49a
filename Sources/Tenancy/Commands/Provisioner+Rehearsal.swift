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

  /// What a repair would be refused for, without anything that lasts, and without the cluster.
  func rehearse(
    _ finding: ClusterFinding, _ cluster: DataCluster, actor: String, judge: WriteJudge
  ) async throws(TenancyError) {
    let commands = TenantCommands(plane, actor: actor, judge: judge)
    guard finding.kind != .strayRows, let id = finding.tenant else {
      _ = try await commands.beginStrayRepair(
        of: finding.identifier, in: cluster.name, as: terms)
      if Self.owner(of: finding.identifier, plane.state) != nil { throw Self.strayOwned }
      return
    }
    _ = try await commands.beginRepair(
      of: id, in: cluster.name, destroys: finding.kind == .orphan, as: terms)
    switch finding.kind {
    case .orphan: if isElsewhere(id) { throw Self.orphanElsewhere }
    case .missing:
      // Its login is made again with the password that it had.
      guard vault != nil, plane.state.find(id)?.tenant.dataLogin != nil else {
        throw TenantCommands.loginsNotConfigured
      }
    case .openLogin, .closedLogin, .surplusLogin, .strayRows: break
    }
  }

  static let orphanElsewhere = TenancyError(
    .failedPrecondition, .dataElsewhere,
    "the tenant has data in a cluster that is not in the server's configuration, which may be this one under another "
      + "name")
  static let strayOwned = TenancyError(
    .failedPrecondition, .provisioningFailed,
    "the identifier is the tenant's: provision it, or purge it")
}
