/// Logins in a cluster that are not what they should be.
extension Provisioner {
  /// - Parameter there: what there was before `state` was.
  func loginFindings(
    _ there: [TenantID: [UInt32: Bool]], at site: DataSite, _ state: ControlState
  ) -> [ClusterFinding] {
    var found: [ClusterFinding] = []
    for (id, logins) in there {
      guard let record = state.find(id), DataPlaces(record).made.contains(site.place),
        let login = record.tenant.dataLogin
      else { continue }
      let known = login.numbers
      let surplus = logins.keys.filter { !known.contains($0) }.sorted()
      found += Self.finding(.surplusLogin, id, surplus)
      guard let wanted = record.tenant.wantedStanding else { continue }
      let wrong = logins.filter { known.contains($0.key) && $0.value != (wanted == .open) }
      found += Self.finding(
        wanted == .open ? .closedLogin : .openLogin, id, wrong.keys.sorted())
    }
    return found
  }

  private static func finding(
    _ kind: ClusterFinding.Kind, _ id: TenantID, _ logins: [UInt32]
  ) -> [ClusterFinding] {
    if logins.isEmpty { return [] }
    let names = logins.prefix(maximumLoginsNamed).map { "login \($0)" }
    let more = logins.count > names.count ? ["and \(logins.count - names.count) more"] : []
    return [
      ClusterFinding(
        kind: kind, tenant: id, details: (names + more).joined(separator: ", "))
    ]
  }

  private static let maximumLoginsNamed = 16

  /// Takes surplus logins of a tenant away, which have no data of their own; their sessions end. Under its lease.
  func dropSurplus(
    of id: TenantID, at site: DataSite, _ cluster: DataCluster, holding lease: Lease
  ) async throws {
    let held = LeaseGuard(plane, lease, lasting: terms.leaseDuration)
    let known = plane.state.find(id)?.tenant.dataLogin?.numbers ?? []
    try await offLoop(at: site) { _ in
      for number in try (cluster.dataPlane.logins()[id] ?? [:]).keys.sorted()
      where !known.contains(number) {
        try held.require()
        try cluster.dataPlane.dropLogin(number, of: id)
      }
    }
  }

  /// Opens or closes a tenant's logins, whatever was done for which epoch. Under its lease.
  func repairLogins(
    of tenant: Tenant, at site: DataSite, _ cluster: DataCluster, holding lease: Lease
  ) async throws {
    let held = LeaseGuard(plane, lease, lasting: terms.leaseDuration)
    try await offLoop(at: site) { _ in
      try held.require()
      try cluster.dataPlane.settleLogins(of: tenant, isRepair: true)
    }
  }
}
