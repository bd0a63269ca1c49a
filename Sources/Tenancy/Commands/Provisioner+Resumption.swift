/// What a node looks after besides calls: what a crash has left, of this node or another, and data that is
/// gone.
extension Provisioner {
  /// Leases looked at in one go.
  private static let leasesPerLook = 64

  /// Goes on with what a crash of this node interrupted, and leaves alone what another holds: for the start.
  public func resume() async {
    for tenant in tenants(where: { $0.tenant.state == .provisioning }) {
      // The failure is recorded in the tenant's state, where operators find it.
      _ = try? await provision(tenant.id, actor: "system", judge: .server)
    }
  }

  /// Goes on, until cancelled, with what nodes have left whose leases have expired.
  public func takeOver() async {
    while !Task.isCancelled {
      // A cancelled sleep ends the loop at its condition.
      try? await Task.sleep(for: terms.leaseDuration / 2)
      await takeOverExpired()
    }
  }

  /// Once.
  func takeOverExpired() async {
    // While the store fails there is nothing to be done.
    guard let leases = try? await plane.leases(limit: Self.leasesPerLook) else { return }
    let left = leases.filter(\.hasExpired).compactMap { TenantCommands.tenant(ofLease: $0.lease) }
    // At least what there was when those leases were taken.
    guard !left.isEmpty, (try? await plane.catchUp()) != nil else { return }
    for id in left where !isAtWork(on: id) && !Task.isCancelled {
      guard let tenant = plane.state.find(id)?.tenant else { continue }
      report(
        id, "another node, or an earlier run, has left its resources half-way: goes on with it")
      // A failure is recorded, or told by `report`, or the lease was another's: all that can be.
      if tenant.state == .provisioning {
        _ = try? await provision(id, actor: "system", judge: .server)
      } else {
        try? await finishDestroying(tenant)
      }
    }
  }

  /// A node has recorded that resources go, and did not say that they have gone.
  private func finishDestroying(_ tenant: Tenant) async throws(TenancyError) {
    let id = tenant.id
    try await destroying(id) { () throws(TenancyError) in
      let name = TenantCommands.leaseName(of: id)
      let lease = try await plane.take(
        name, holder: terms.holder, lasting: terms.leaseDuration, about: id)
      // On the state with the lease: nobody else moves it along until it is released.
      guard let record = plane.state.find(id), record.provisionedSteps.isEmpty,
        record.tenant.state == .pending || record.tenant.state == .deleted
      else { return try await plane.release(lease, about: id) }
      try await destroy(record.tenant, under: lease)
    }
  }

  // MARK: Data that is gone

  /// Takes tenants whose data is gone out of service, and those that it has come back to into it. For
  /// the start, before anyone is served. Of tenants whose data is where other nodes are it says nothing.
  /// - Throws: what the store throws; UNAVAILABLE if the data can't be looked at now.
  public func checkData() async throws(TenancyError) {
    let tenants = tenants { record in
      let tenant = record.tenant
      return isHere(record)
        && (tenant.state == .active || tenant.state == .maintenance && !tenant.stateReason.isEmpty)
    }
    let missing = try missing(among: tenants)
    for tenant in tenants {
      if let missing = missing[tenant.id] { report(tenant.id, missing) }
    }
    let commands = TenantCommands(plane, actor: "system", judge: .server)
    let lost = tenants.filter { $0.state == .active && missing[$0.id] != nil }
    try await commands.move(lost.map(\.id), .dataMissing) { missing[$0] ?? "" }
    let found = tenants.filter { $0.state == .maintenance && missing[$0.id] == nil }
    try await commands.move(found.map(\.id), .dataFound)
  }

  /// Looks at all: for the start.
  private func tenants(where isWanted: (TenantRecord) -> Bool) -> [Tenant] {
    var (cursor, budget) = (plane.state.tenants(), WorkBudget.uncapped)
    var found: [Tenant] = []
    while let record = cursor.next(&budget) {
      if isWanted(record) { found.append(record.tenant) }
    }
    return found
  }

  /// - Throws: FAILED_PRECONDITION if the tenant's data is not there; UNAVAILABLE as `checkData`.
  public func requireData(_ id: TenantID) throws(TenancyError) {
    guard let record = plane.state.find(id), isHere(record),
      record.tenant.state == .suspended || record.tenant.state == .maintenance,
      let missing = try missing(among: [record.tenant])[id]
    else { return }
    throw TenancyError(
      .failedPrecondition, .dataMissing,
      "\(missing): restore it, or deprovision the tenant and provision it anew")
  }

  /// That they can't be looked at doesn't mean that they are lost.
  private func missing(among tenants: [Tenant]) throws(TenancyError) -> [TenantID: String] {
    do {
      return try dataPlane.missing(among: tenants)
    } catch {
      throw TenancyError(
        .unavailable, .storeUnavailable, "tenants' data can't be looked at now: \(error)",
        retryAfterSeconds: 1)
    }
  }
}
