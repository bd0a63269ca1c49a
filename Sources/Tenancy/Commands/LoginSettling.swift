/// Closes logins of tenants that are suspended or deleted, and opens them again: by whichever node comes first, under
/// the lease of the tenant's resources, until it is done. What is to be done follows from the tenants' states alone, so
/// that a start finds what a crash has left.
extension Provisioner {
  /// A walk through the tenants whose logins are to be opened or closed.
  struct LoginRound {
    /// Between two looks.
    static let interval = Duration.milliseconds(500)
    static let tenantsPerLook = 256
    /// Tenants of one cluster that fail in one look before the others wait for the next.
    static let failuresPerLook = 2
    /// Looks that are left out after what failed, twice as many each time: those that fail for reasons of their own must
    /// not keep others from their turn, nor a cluster that is back from being used again.
    static let looksAfterFailure = 20...160
    /// Of one place in one look: who is suspended meanwhile is not to wait for many that are slow.
    static let timePerLook = Duration.seconds(2)
    /// And after what another node, or another call, was at.
    static let looksAfterConflict = 2

    var place: TenantID?
    var waits: [TenantID: Int] = [:]
    /// How often those failed that have not been settled since.
    private var failures: [TenantID: Int] = [:]

    /// What has come of those that were tried.
    mutating func note(_ outcomes: [TenantID: LoginOutcome]) {
      for (id, outcome) in outcomes {
        switch outcome {
        case .settled: (waits[id], failures[id]) = (nil, nil)
        case .conflict: waits[id] = Self.looksAfterConflict
        case .failed:
          let count = failures[id, default: 0]
          let looks = Self.looksAfterFailure.lowerBound << min(count, 3)
          waits[id] = min(looks, Self.looksAfterFailure.upperBound)
          failures[id] = count + 1
        }
      }
    }

    /// Of those that are not to be tried any more nothing is kept.
    mutating func forget(where isOver: (TenantID) -> Bool) {
      failures = failures.filter { !isOver($0.key) }
    }

    mutating func begin() { waits = waits.compactMapValues { $0 > 1 ? $0 - 1 : nil } }

    /// - Returns: those that are to be looked at.
    mutating func goOn(to tenants: [TenantID]) -> [TenantID] {
      place = tenants.count < Self.tenantsPerLook ? nil : tenants.last
      return tenants.filter { waits[$0] == nil }
    }
  }

  enum LoginOutcome { case settled, conflict, failed }

  /// Goes on until cancelled.
  public func keepLogins() async {
    var round = LoginRound()
    while !Task.isCancelled {
      await settleLogins(&round)
      do { try await Task.sleep(for: LoginRound.interval) } catch { return }
    }
  }

  /// Once. A cluster that is slow or down keeps no other's logins waiting.
  func settleLogins(_ round: inout LoginRound) async {
    round.begin()
    let ids = round.goOn(
      to: plane.state.withLoginsDue(after: round.place, limit: LoginRound.tenantsPerLook))
    if ids.isEmpty { return }
    var bySites: [[String]: [TenantID]] = [:]
    for id in ids {
      // What is in a cluster that this node does not know is another's to do.
      guard let record = plane.state.find(id) else { continue }
      let (sites, _) = loginSites(of: record)
      if !sites.isEmpty { bySites[sites.map(\.site.place), default: []].append(id) }
    }
    let outcomes = await withTaskGroup(of: [TenantID: LoginOutcome].self) { group in
      for tenants in bySites.values { group.addTask { await self.settleLogins(of: tenants) } }
      return await group.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
    }
    round.note(outcomes)
    round.forget { plane.state.find($0)?.tenant.hasLoginsDue != true }
  }

  private func settleLogins(of tenants: [TenantID]) async -> [TenantID: LoginOutcome] {
    var (outcomes, failures) = ([TenantID: LoginOutcome](), 0)
    let end = ContinuousClock.now + LoginRound.timePerLook
    for id in tenants {
      if Task.isCancelled || failures == LoginRound.failuresPerLook || .now > end { break }
      do throws(TenancyError) {
        try await settleLogins(of: id)
        outcomes[id] = .settled
      } catch {
        let isConflict = error.category == .aborted
        outcomes[id] = isConflict ? .conflict : .failed
        if !isConflict { failures += 1 }
      }
    }
    return outcomes
  }

  /// Opens or closes the logins of a tenant, as its state says; where nothing is to be done, nothing is.
  /// - Throws: ABORTED while other calls or nodes are at work on it; FAILED_PRECONDITION with DATA_NOT_IN_CLUSTER where
  ///   this node can't; UNAVAILABLE if the cluster can't do it now.
  func settleLogins(of id: TenantID) async throws(TenancyError) {
    guard let record = plane.state.find(id), record.tenant.hasLoginsDue else { return }
    if loginSites(of: record).sites.isEmpty { throw Self.notInCluster }
    try await destroying(id, isSettling: true) { () throws(TenancyError) in
      let commands = TenantCommands(plane, actor: "system", judge: .server)
      guard let (tenant, lease) = try await commands.beginSettling(id, as: terms) else { return }
      try await plane.holding(lease, lasting: terms.leaseDuration) { () throws(TenancyError) in
        do {
          guard let record = plane.state.find(id) else { throw TenancyError.tenantNotFound }
          let (sites, isAll) = loginSites(of: record)
          let held = LeaseGuard(plane, lease, lasting: terms.leaseDuration)
          var failure: (any Error)?
          // One that is down keeps the others' logins neither open nor closed.
          for (site, plane) in sites {
            do {
              try await offLoop(at: site) { _ in
                try held.require()
                try plane.settleLogins(of: tenant, isRepair: false)
              }
            } catch {
              failure = failure ?? error
            }
          }
          if let failure { throw failure }
          guard isAll else { throw Self.notInCluster }
          try await commands.endSettling(tenant, releasing: lease)
        } catch {
          // Whoever tries again must not have to wait until it expires.
          try? await plane.release(lease, about: id)
          if let error = error as? TenancyError { throw error }
          let what = tenant.hasClosedLogins ? "closed" : "opened"
          report(id, "its logins are not yet \(what): \(error)")
          throw TenancyError(
            .unavailable, .storeUnavailable, "the tenant's logins can't be \(what) now: \(error)",
            retryAfterSeconds: 1)
        }
      }
    }
  }

  /// Clusters in which a tenant has logins, of those that this node reaches, and whether it reaches all of them.
  private func loginSites(
    of record: TenantRecord
  ) -> (sites: [(site: DataSite, plane: any ClusterDataPlane)], isAll: Bool) {
    let places = DataPlaces(record).made.filter { $0.hasPrefix(DataPlaces.clusterPrefix) }
    let found = places.sorted().compactMap { place in
      sites.find(place).flatMap { site in site.cluster.map { (site, $0.dataPlane) } }
    }
    return (found, found.count == places.count)
  }

  /// Opens what is yet to be opened, before anyone is told that it is open.
  func openLogins(of id: TenantID) async throws(TenancyError) {
    try await pastLogins(of: id) { () throws(TenancyError) in try await settleLogins(of: id) }
  }

  /// Does what takes a tenant's lease, once nobody is opening or closing its logins any more: who has suspended a tenant
  /// and goes on to deprovision it must not be told to try again.
  func pastLogins<Result: Sendable>(
    of id: TenantID, _ body: () async throws(TenancyError) -> Result
  ) async throws(TenancyError) -> Result {
    let end = ContinuousClock.now + Self.settlingTime
    while true {
      do throws(TenancyError) {
        return try await body()
      } catch {
        let isSettling =
          error.message == Self.settlingLogins.message
          || error.reason == .leaseHeld
            && plane.state.find(id)?.tenant.isSettlingLogins == true
        guard isSettling, ContinuousClock.now < end else { throw error }
        do { try await Task.sleep(for: .milliseconds(20)) } catch _ { throw error }
      }
    }
  }

  static let settlingLogins = TenancyError(
    .aborted, .illegalTransition, "the tenant's logins are being opened or closed by another call",
    retryAfterSeconds: 1)

  /// For how long it is waited for.
  private static let settlingTime = Duration.seconds(6)
}

extension Tenant {
  fileprivate var isSettlingLogins: Bool { hasLoginsDue || dataLogin?.standing == .changing }
}

extension TenantCommands {
  /// Takes the lease to open or close a tenant's logins, and records that these are neither until it is done; nil if
  /// there is nothing to do.
  fileprivate func beginSettling(
    _ id: TenantID, as terms: Provisioner.Terms
  ) async throws(TenancyError) -> (Tenant, Lease)? {
    try await write("tenants.settleLogins", .revoking, rewriting: id) {
      (transaction) throws(TenancyError) -> (Tenant, Lease)? in
      guard var tenant = transaction.state.find(id)?.tenant, tenant.hasLoginsDue else { return nil }
      let lease = Self.take(id, terms, &transaction)
      if tenant.dataLogin?.standing != .changing {
        tenant.dataLogin?.standing = .changing
        transaction.emit(.putTenant(tenant), about: id)
      }
      return (tenant, lease)
    }
  }

  /// Records what they are now, and gives the lease up. What the tenant's state says by then is another matter.
  fileprivate func endSettling(
    _ settled: Tenant, releasing lease: Lease
  ) async throws(TenancyError) {
    let id = settled.id
    guard let standing = settled.wantedStanding else { return }
    let action = standing == .closed ? "tenants.loginsClosed" : "tenants.loginsOpened"
    try await write(action, .revoking, rewriting: id) {
      (transaction) throws(TenancyError) -> Void in
      transaction.release(lease, about: id)
      guard var tenant = transaction.state.find(id)?.tenant, tenant.dataLogin != nil else { return }
      tenant.dataLogin?.standing = standing
      transaction.emit(.putTenant(tenant), about: id)
    }
  }
}
