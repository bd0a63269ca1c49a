/// How a tenant's data is reached.
public struct DataAccess: Sendable {
  /// Where some of it is.
  public struct Part: Sendable {
    /// Which kind of data; nil where the tenant has no kinds.
    public let category: DataCategory?
    /// Its name.
    public let cluster: String
    /// Where.
    public let location: DataLocation
  }

  /// One, or one for each kind of data, in the order of the tenant's configuration.
  public let parts: [Part]
  /// As whom.
  public let login: DataLogin
  /// Of the login.
  public let password: ClearSecret
}

extension Provisioner {
  /// How the data of an ACTIVE tenant is reached, where it is in a cluster.
  /// - Throws: what the tenant's state answers; FAILED_PRECONDITION with DATA_NOT_IN_CLUSTER; UNAVAILABLE if the password
  ///   can't be read now.
  public func access(to id: TenantID) async throws(TenancyError) -> DataAccess {
    guard let record = plane.state.find(id) else { throw .tenantNotFound }
    if let error = Lifecycle.refusal(for: record.tenant, at: plane.now) { throw error }
    if record.tenant.hasLoginsDue { try await openLogins(of: id) }
    guard let login = record.tenant.dataLogin, let parts = locations(of: record) else {
      throw Self.notInCluster
    }
    guard let vault else { throw TenantCommands.loginsNotConfigured }
    let password: ClearSecret
    do throws(StoreError) {
      guard let opened = try await vault.open(.dataLogin(login.number), of: id) else {
        throw StoreError(.corrupt, "the tenant's login has no password")
      }
      password = opened
    } catch {
      report(id, "the password of its login can't be read: \(error)")
      throw TenancyError(
        .unavailable, .storeUnavailable, "the password can't be read now", retryAfterSeconds: 1)
    }
    // Whoever suspended the tenant meanwhile, on whichever node, was told that it is.
    try await plane.catchUp()
    guard let newest = plane.state.find(id)?.tenant else { throw .tenantNotFound }
    if let error = Lifecycle.refusal(for: newest, at: plane.now) { throw error }
    guard newest.dataLogin?.number == login.number, !newest.hasLoginsDue else {
      throw TenancyError(
        .aborted, .illegalTransition, "the tenant's login was replaced or closed meanwhile",
        retryAfterSeconds: 1)
    }
    return DataAccess(parts: parts, login: login, password: password)
  }

  /// Nil where some of it is in no cluster of this node's configuration.
  func locations(of record: TenantRecord) -> [DataAccess.Part]? {
    let (tenant, places) = (record.tenant, DataPlaces(record))
    func part(_ category: DataCategory?, _ site: DataSite?) -> DataAccess.Part? {
      guard let cluster = site?.cluster else { return nil }
      let here = Set(places.categories(at: cluster.dataPlane.place ?? ""))
      let view = category == nil ? tenant : tenant.holding(here)
      guard let location = cluster.dataPlane.location(of: view, category) else { return nil }
      return DataAccess.Part(category: category, cluster: cluster.name, location: location)
    }
    if tenant.dataCategories.isEmpty { return part(nil, sites.site(of: places)).map { [$0] } }
    let parts = tenant.dataCategories.map { category in
      part(category, places.categories[category.name].flatMap(sites.find))
    }
    return parts.contains { $0 == nil } ? nil : parts.compactMap(\.self)
  }
}

/// What a cluster has of a tenant and should not, or should have and has not.
public struct ClusterFinding: Hashable, Sendable {
  /// What is wrong.
  public enum Kind: Hashable, Sendable {
    /// There are things of a tenant that has, or is to have, nothing there.
    case orphan
    /// Something that was made for a tenant is gone.
    case missing
    /// Logins can be used, of a tenant that is suspended or deleted.
    case openLogin
    /// Logins of an active tenant can't be used.
    case closedLogin
    /// There are logins of a tenant that the server does not know.
    case surplusLogin
    /// There are rows in shared tables of an identifier that no tenant has there.
    case strayRows
  }

  /// What is wrong.
  public let kind: Kind
  /// Whose it is; nil: nobody's that is known.
  public let tenant: TenantID?
  /// Of stray rows; else empty.
  public var identifier = ""
  /// For operators.
  public let details: String
  /// Whether it was mended; empty `problem` then.
  public var isRepaired = false
  /// Why it was not mended, where that was tried; else empty.
  public var problem = ""
}

/// What a cluster looks like from here.
public struct ClusterStatus: Sendable {
  /// As it is configured.
  public let cluster: DataCluster
  /// Tenants that have data there; nil if it can't be asked.
  public let tenants: Int?
  /// Why it can't be asked; else empty.
  public let problem: String
}

extension Provisioner {
  /// Findings of one audit, at most: the rest is found by the next.
  public static let maximumFindings = 1000

  /// All clusters of the configuration, each asked now.
  public func clusters() async -> [ClusterStatus] {
    var found: [ClusterStatus] = []
    for site in sites.all {
      guard let cluster = site.cluster else { continue }
      do {
        let tenants = try await offLoop(at: site) { _ in try cluster.dataPlane.load() }
        found.append(ClusterStatus(cluster: cluster, tenants: tenants, problem: ""))
      } catch {
        found.append(ClusterStatus(cluster: cluster, tenants: nil, problem: "\(error)"))
      }
    }
    return found
  }

  /// Compares what a cluster has with what it should have. What nodes are at work on meanwhile is left out.
  /// - Parameters:
  ///   - name: of the cluster.
  ///   - repairs: whether orphans are destroyed and logins that are missing made again. Data that is missing is only
  ///     named: nothing brings it back.
  ///   - judge: whether the actor may repair, judged for each; a rehearsal says of each whether it would be tried.
  /// - Returns: by tenant, at most `maximumFindings`.
  /// - Throws: NOT_FOUND with CLUSTER_NOT_FOUND; UNAVAILABLE if the cluster or the store can't be asked now.
  public func audit(
    cluster name: String, repairs: Bool, actor: String, judge: WriteJudge
  ) async throws(TenancyError) -> [ClusterFinding] {
    // It looks at all that there is: one of each cluster at a time.
    guard work.withLock({ $0.auditing.insert(name).inserted }) else {
      throw TenancyError(
        .resourceExhausted, .limitReached, "the cluster is being audited by another call",
        metadata: ["quota": "cluster-audits"], retryAfterSeconds: 1)
    }
    defer { work.withLock { _ = $0.auditing.remove(name) } }
    guard let site = sites.cluster(name), let cluster = site.cluster else {
      throw TenancyError(
        .notFound, .clusterNotFound, "the server's configuration has no cluster of that name")
    }
    // In this order: what is there was recorded before it was made.
    let (there, logins) = try await asked(
      { _ in (try cluster.dataPlane.inventory(), try cluster.dataPlane.logins()) }, at: site)
    // Who holds a shared table locked keeps the rest from nobody.
    let rows: Result<[String: [String]], TenancyError>
    do throws(TenancyError) {
      rows = .success(
        try await asked(
          { _ in try cluster.dataPlane.strayRows(limit: Self.maximumFindings) }, at: site))
    } catch {
      rows = .failure(error)
    }
    try await plane.catchUp()
    let state = plane.state
    // It looks at all tenants, and is not for event loops.
    let (orphans, tenants) = try await asked(
      { _ in (there.filter { !Self.belongs($0.key, to: site, state) }, Self.made(at: site, state))
      },
      at: site)
    var findings = orphans.map {
      ClusterFinding(
        kind: .orphan, tenant: $0.key, details: $0.value.sorted().joined(separator: ", "))
    }
    let missing = try await asked({ try $0.missing(among: tenants) }, at: site)
    findings += missing.map { ClusterFinding(kind: .missing, tenant: $0.key, details: $0.value) }
    findings += try await asked(
      { _ in self.loginFindings(logins, at: site, state) }, at: site)
    findings.sort { a, b in
      b.tenant.map { b in a.tenant.map { $0 < b } ?? false } ?? (a.tenant != nil)
    }
    switch rows {
    case .success(let rows): findings += strayFindings(rows, state)
    case .failure(let error):
      var finding = ClusterFinding(
        kind: .strayRows, tenant: nil, details: "shared tables were not looked at")
      finding.problem = error.message
      findings.insert(finding, at: 0)
    }
    findings = Array(
      findings.filter { !($0.tenant.map(isAtWork) ?? false) }.prefix(Self.maximumFindings))
    guard repairs else { return findings }
    for index in findings.indices where findings[index].problem.isEmpty {
      // In range: of these indices.
      let finding = findings[index]
      do throws(TenancyError) {
        try await repair(finding, at: site, cluster, actor: actor, judge: judge)
        findings[index].isRepaired = true
      } catch {
        findings[index].problem = error.message
      }
    }
    return findings
  }

  /// Whether a tenant has, or may have, something at a site.
  private static func belongs(_ id: TenantID, to site: DataSite, _ state: ControlState) -> Bool {
    guard let record = state.find(id) else { return false }
    let places = DataPlaces(record)
    return places.made.contains(site.place) || places.left.contains(site.place)
  }

  /// Tenants of whom all was made at a site. Looks at all that there are.
  private static func made(at site: DataSite, _ state: ControlState) -> [Tenant] {
    var (cursor, budget) = (state.tenants(), WorkBudget.uncapped)
    var found: [Tenant] = []
    while let record = cursor.next(&budget) {
      switch record.tenant.state {
      case .active, .suspended, .maintenance, .deleted:
        let places = DataPlaces(record)
        if places.made.contains(site.place) {
          found.append(places.view(of: record.tenant, at: site))
        }
      case .pending, .provisioning, .provisionFailed, .purging, .purged: continue
      }
    }
    return found
  }

  /// Whether a tenant has something in a cluster that this node does not know.
  func isElsewhere(_ id: TenantID) -> Bool {
    guard let record = plane.state.find(id) else { return false }
    let places = DataPlaces(record)
    return places.made.union(places.left).contains {
      $0.hasPrefix(DataPlaces.clusterPrefix) && sites.find($0) == nil
    }
  }

  private func repair(
    _ finding: ClusterFinding, at site: DataSite, _ cluster: DataCluster, actor: String,
    judge: WriteJudge
  ) async throws(TenancyError) {
    if judge.isRehearsal {
      return try await rehearse(finding, cluster, actor: actor, judge: judge)
    }
    guard finding.kind != .strayRows, let id = finding.tenant else {
      return try await removeStrays(finding, at: site, cluster, actor: actor, judge: judge)
    }
    try await destroying(id) { () throws(TenancyError) in
      let lease = try await TenantCommands(plane, actor: actor, judge: judge)
        .beginRepair(of: id, in: cluster.name, destroys: finding.kind == .orphan, as: terms)
      try await plane.holding(lease, lasting: terms.leaseDuration) { () throws(TenancyError) in
        do {
          // On the state with the lease: nobody else makes or destroys anything of it.
          switch finding.kind {
          case .orphan where isElsewhere(id): throw Self.orphanElsewhere
          case .orphan where !Self.belongs(id, to: site, plane.state):
            let held = LeaseGuard(plane, lease, lasting: terms.leaseDuration)
            try await offLoop(at: site) { _ in
              try cluster.dataPlane.destroyAll(of: id) { try held.require() }
            }
          case .missing where Self.belongs(id, to: site, plane.state):
            guard let record = plane.state.find(id), let login = record.tenant.dataLogin,
              let password = try await vault?.open(.dataLogin(login.number), of: id)
            else { throw TenantCommands.loginsNotConfigured }
            let tenant = DataPlaces(record).view(of: record.tenant, at: site)
            try await offLoop(at: site) { _ in try cluster.dataPlane.repair(tenant, password) }
          case .openLogin where Self.belongs(id, to: site, plane.state),
            .closedLogin where Self.belongs(id, to: site, plane.state):
            guard let tenant = plane.state.find(id)?.tenant else { break }
            try await repairLogins(of: tenant, at: site, cluster, holding: lease)
          case .surplusLogin where Self.belongs(id, to: site, plane.state):
            try await dropSurplus(of: id, at: site, cluster, holding: lease)
          case .orphan, .missing, .openLogin, .closedLogin, .surplusLogin, .strayRows: break
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

  func asked<Result: Sendable>(
    _ body: @escaping @Sendable (any DataPlane) throws -> Result, at site: DataSite
  ) async throws(TenancyError) -> Result {
    do {
      return try await offLoop(at: site, body)
    } catch {
      throw TenancyError(
        .unavailable, .storeUnavailable, "the cluster can't be asked now: \(error)",
        retryAfterSeconds: 1)
    }
  }
}
