/// Rows of shared tables that are nobody's.
extension Provisioner {
  /// - Parameter rows: what there was before `state` was: who has rows is registered before.
  func strayFindings(_ rows: [String: [String]], _ state: ControlState) -> [ClusterFinding] {
    rows.sorted { ByteOrder($0.key) < ByteOrder($1.key) }.map { identifier, tables in
      var finding = ClusterFinding(
        kind: .strayRows, tenant: Self.owner(of: identifier, state),
        details: "rows of \(identifier) in \(tables.sorted().joined(separator: ", "))")
      finding.identifier = identifier
      return finding
    }
  }

  /// Who has, or had, this identifier and is not purged: its rows are not to be lost because its registration is.
  static func owner(of identifier: String, _ state: ControlState) -> TenantID? {
    guard let id = state.owner(of: ReservedName(.tenantIdentifier, identifier)),
      let record = state.find(id), record.tenant.state != .purged
    else { return nil }
    return id
  }

  func removeStrays(
    _ finding: ClusterFinding, at site: DataSite, _ cluster: DataCluster, actor: String,
    judge: WriteJudge
  ) async throws(TenancyError) {
    let commands = TenantCommands(plane, actor: actor, judge: judge)
    let lease = try await commands.beginStrayRepair(
      of: finding.identifier, in: cluster.name, as: terms)
    try await plane.holding(lease, lasting: terms.leaseDuration) { () throws(TenancyError) in
      do {
        let held = LeaseGuard(plane, lease, lasting: terms.leaseDuration)
        // On the state with the lease: by now a tenant may have it.
        if Self.owner(of: finding.identifier, plane.state) != nil {
          throw Self.strayOwned
        }
        try await offLoop(at: site) { _ in
          try cluster.dataPlane.removeStrayRows(of: finding.identifier) { try held.require() }
        }
      } catch {
        // Whoever tries again must not have to wait until it expires.
        try? await plane.release(lease, about: nil)
        if let error = error as? TenancyError { throw error }
        throw TenancyError(.failedPrecondition, .provisioningFailed, "\(error)")
      }
      try await plane.release(lease, about: nil)
    }
  }
}

extension TenantCommands {
  /// Records whose rows are removed, and takes the lease to do it.
  func beginStrayRepair(
    of identifier: String, in cluster: String, as terms: Provisioner.Terms
  ) async throws(TenancyError) -> Lease {
    try await write("clusters.repair", .revoking) { (transaction) throws(TenancyError) -> Lease in
      transaction.remark = "\(cluster) rows of \(identifier)"
      return transaction.take(
        "rows/\(cluster)", holder: terms.holder, lasting: terms.leaseDuration, about: nil)
    }
  }
}
