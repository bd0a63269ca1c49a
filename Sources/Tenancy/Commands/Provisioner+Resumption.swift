/// What a node looks after besides calls: what a crash has left, of this node or another, and data that is
/// gone.
extension Provisioner {
  /// Leases looked at in one go.
  private static let leasesPerLook = 64

  /// Goes on with what a crash of this node interrupted, and leaves alone what another holds: for the start.
  public func resume() async {
    let left = tenants { record in
      record.tenant.state == .provisioning
        || DataPlaces.mayBeLeft(record) && !sites.left(of: DataPlaces(record)).isEmpty
    }
    for tenant in left {
      // The next start goes on with them.
      if Task.isCancelled { return }
      if tenant.state == .provisioning {
        // The failure is recorded in the tenant's state, where operators find it.
        _ = try? await provision(tenant.id, actor: "system", judge: .server)
      } else {
        work.withLock { _ = $0.unfinished.insert(tenant.id) }
      }
    }
    await finishDestroying()
  }

  /// Goes on, until cancelled, with what nodes have left whose leases have expired, and with what this one has
  /// not done.
  public func takeOver() async {
    while !Task.isCancelled {
      do { try await Task.sleep(for: terms.leaseDuration / 2) } catch { return }
      await takeOverExpired()
      await finishDestroying()
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
        try? await finishDestroying(id)
      }
    }
  }

  /// Once: what tenants have left here. What fails is tried again the next time.
  func finishDestroying() async {
    for id in work.withLock({ $0.unfinished.sorted() }) where !isAtWork(on: id) {
      if Task.isCancelled { return }
      guard let record = plane.state.find(id), mayBeToDestroy(record) else {
        work.withLock { _ = $0.unfinished.remove(id) }
        continue
      }
      guard isToBeDestroyedHere(record) else { continue }
      // What it throws was told, or is a matter of the store's health, or the lease is another's.
      try? await finishDestroying(id)
    }
  }

  /// Whether there is something here to be destroyed, now or when another node has taken over for good.
  private func mayBeToDestroy(_ record: TenantRecord) -> Bool {
    isLeftHere(record)
      || record.tenant.state == .provisioning
        && DataPlaces(record).made.contains { sites.find($0) != nil }
  }

  /// A node has recorded that resources go, and did not say that they have gone. What is at another place stays
  /// on record as being there, for the node that has it.
  func finishDestroying(_ id: TenantID) async throws(TenancyError) {
    try await destroying(id) { () throws(TenancyError) in
      let name = TenantCommands.leaseName(of: id)
      let lease = try await plane.take(
        name, holder: terms.holder, lasting: terms.leaseDuration, about: id)
      // On the state with the lease: nobody else moves it along until it is released.
      if let record = plane.state.find(id), isToBeDestroyedHere(record) {
        let tenant = record.tenant
        let operation =
          tenant.state == .purging ? nil : await runningDeprovisioning(of: tenant.id)
        return try await finish(tenant, operation, under: lease)
      }
      if let record = plane.state.find(id), !record.tenant.isHeld {
        work.withLock { _ = $0.unfinished.remove(id) }
        reportElsewhere(record)
      }
      try await plane.release(lease, about: id)
    }
  }

  /// Not while there is a legal hold.
  func isToBeDestroyedHere(_ record: TenantRecord) -> Bool {
    isLeftHere(record) && !record.tenant.isHeld
  }

  private func isLeftHere(_ record: TenantRecord) -> Bool {
    if !sites.left(of: DataPlaces(record)).isEmpty { return true }
    // Begun by a version that did not record what it left.
    return record.provisionedSteps.isEmpty
      && (record.tenant.state == .pending || record.tenant.state.isGone)
  }

  private func reportElsewhere(_ record: TenantRecord) {
    let left = DataPlaces(record).left.sorted().joined(separator: ", ")
    if left.isEmpty { return }
    report(
      record.tenant.id,
      "its data is yet to be destroyed in another node's data directory, whose file `place` says: \(left)"
    )
  }

  // MARK: Data that is gone

  /// Tenants told of by name in one go.
  private static let maximumNamed = 16

  /// Records of tenants that a version before this one provisioned that their data is here, if it is.
  private func adoptData() async throws(TenancyError) {
    let own = sites.own
    guard own.plane.place != nil else { return }
    let tenants = tenants { record in
      if record.provisionedSteps.isEmpty || isHere(record) { return false }
      let places = DataPlaces(record)
      return places.made.isEmpty && !places.steps.isEmpty
    }
    if tenants.isEmpty { return }
    let missing = try missing(among: tenants, at: own)
    let found = tenants.filter { missing[$0.id] == nil }.map(\.id)
    _ = try await TenantCommands(plane, actor: "system", judge: .server).adopt(found, at: own.place)
    let lost = tenants.filter { missing[$0.id] != nil }
    for tenant in lost.prefix(Self.maximumNamed) {
      let more =
        tenant.id == lost.prefix(Self.maximumNamed).last?.id ? lost.count - Self.maximumNamed : 0
      report(
        tenant.id,
        "where its data is was not recorded, and it is not here: \(missing[tenant.id] ?? "")"
          + (more > 0 ? "; so it is with \(more) more tenants" : ""))
    }
  }

  /// Takes tenants whose data is gone out of service, and those that it has come back to into it. For
  /// the start, before anyone is served. Of tenants whose data is where other nodes are it says nothing.
  /// - Throws: what the store throws; UNAVAILABLE if the data can't be looked at now.
  public func checkData() async throws(TenancyError) {
    try await adoptData()
    let tenants = tenants { record in
      let tenant = record.tenant
      return isHere(record)
        && (tenant.state == .active
          || tenant.state == .maintenance && tenant.plans.maintenance == nil)
    }
    let (looked, missing) = try await look(for: tenants)
    for tenant in looked {
      if let missing = missing[tenant.id] { report(tenant.id, missing) }
    }
    let commands = TenantCommands(plane, actor: "system", judge: .server)
    let lost = looked.filter { $0.state == .active && missing[$0.id] != nil }
    try await commands.move(lost.map(\.id), .dataMissing) { missing[$0] ?? "" }
    let found = looked.filter { $0.state == .maintenance && missing[$0.id] == nil }
    try await commands.move(found.map(\.id), .dataFound)
  }

  /// Looks for tenants' data where it is. A cluster that can't be asked now keeps nobody from being served: nothing is
  /// said of those in it.
  private func look(
    for tenants: [Tenant]
  ) async throws(TenancyError) -> (looked: [Tenant], missing: [TenantID: String]) {
    var bySite: [String: (site: DataSite, tenants: [Tenant])] = [:]
    for tenant in tenants {
      guard let record = plane.state.find(tenant.id) else { continue }
      for part in sites.parts(of: record) {
        bySite[part.site.place, default: (part.site, [])].tenants.append(part.view(of: tenant))
      }
    }
    var (unknown, missing): (Set<TenantID>, [TenantID: String]) = ([], [:])
    for (_, part) in bySite.sorted(by: { $0.key < $1.key }) {
      do throws(TenancyError) {
        missing.merge(try await missingOffLoop(part.tenants, at: part.site)) { first, _ in first }
      } catch {
        guard part.site.cluster != nil, let first = part.tenants.first else { throw error }
        report(first.id, "\(error.message) (so it is with \(part.tenants.count) tenants in all)")
        unknown.formUnion(part.tenants.map(\.id))
      }
    }
    // Of one in several places something is known to be gone though another place can't be asked.
    return (tenants.filter { !unknown.contains($0.id) || missing[$0.id] != nil }, missing)
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

  /// What must be done of a tenant before it can be served.
  /// - Throws: FAILED_PRECONDITION with DATA_ELSEWHERE of one that would be, if this node reached any of its kinds of
  ///   data.
  public func steps(of id: TenantID) throws(TenancyError) -> [String] {
    guard let record = plane.state.find(id) else { return [] }
    let (places, state) = (DataPlaces(record), record.tenant.state)
    if !places.categories.isEmpty, sites.made(of: places).isEmpty,
      state == .suspended || state == .maintenance
    {
      throw DataPlaces.elsewhere(places.made)
    }
    return sites.parts(of: record).flatMap { $0.recordedSteps(of: record.tenant) }
  }

  /// - Throws: FAILED_PRECONDITION if the tenant's data is not there; UNAVAILABLE as `checkData`.
  public func requireData(_ id: TenantID) async throws(TenancyError) {
    guard let record = plane.state.find(id), isHere(record),
      record.tenant.state == .suspended || record.tenant.state == .maintenance
    else { return }
    for part in sites.parts(of: record) {
      let view = part.view(of: record.tenant)
      guard let missing = try await missingOffLoop([view], at: part.site)[id] else { continue }
      throw TenancyError(
        .failedPrecondition, .dataMissing,
        "\(missing): restore it, or deprovision the tenant and provision it anew")
    }
  }

  private func missingOffLoop(
    _ tenants: [Tenant], at site: DataSite
  ) async throws(TenancyError) -> [TenantID: String] {
    do {
      return try await offLoop(at: site) { try $0.missing(among: tenants) }
    } catch {
      throw Self.unknown(error)
    }
  }

  func missing(
    among tenants: [Tenant], at site: DataSite
  ) throws(TenancyError) -> [TenantID: String] {
    do {
      return try site.plane.missing(among: tenants)
    } catch {
      throw Self.unknown(error)
    }
  }

  /// That they can't be looked at doesn't mean that they are lost.
  private static func unknown(_ error: any Error) -> TenancyError {
    TenancyError(
      .unavailable, .storeUnavailable, "tenants' data can't be looked at now: \(error)",
      retryAfterSeconds: 1)
  }
}
