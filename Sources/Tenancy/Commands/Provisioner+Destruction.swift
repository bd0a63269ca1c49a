/// Destroying what was made for tenants.
extension Provisioner {
  /// Destroys a tenant's resources. Of a PENDING tenant, what an earlier call has not come to.
  /// - Parameter force: whether data that only other nodes reach is given up. The audit trail records it.
  /// - Throws: FAILED_PRECONDITION with DATA_ELSEWHERE if only other nodes reach them, and with LEGAL_HOLD if they
  ///   must be kept; as `provision`.
  public func deprovision(
    _ id: TenantID, etag: String, force: Bool = false, actor: String, judge: WriteJudge
  ) async throws(TenancyError) -> Tenant {
    guard let record = plane.state.find(id) else { throw .tenantNotFound }
    let tenant = record.tenant
    let places = DataPlaces(record)
    if tenant.state != .pending || places.left.isEmpty {
      // The same error as the move itself gives, before anything is looked at.
      _ = try Lifecycle.apply(.deprovision, to: tenant, at: plane.now)
    }
    try TenantCommands.requireNoHold(on: tenant)
    let site = reach(of: places, isHere: try isFound(tenant, places))
    if !force { try places.require(site) }
    if judge.isRehearsal {
      return try await TenantCommands(plane, actor: actor, judge: judge).beginDestruction(
        id, etag: etag, at: site, force: force, as: terms
      ).0
    }
    return try await destroyingPastLogins(id) { () throws(TenancyError) in
      // First recorded, then destroyed: what a crash leaves is destroyed when the lease has expired, or by
      // provisioning.
      let commands = TenantCommands(plane, actor: actor, judge: judge)
      let (after, operation, lease) = try await commands.beginDestruction(
        id, etag: etag, at: site, force: force, as: terms)
      try await finish(tenant, operation, under: lease)
      return after
    }
  }

  /// Goes on with the destruction of what a tenant has left, if there is any that this node reaches: for whoever asks
  /// again for what was begun.
  /// - Throws: as `deprovision`.
  public func goOnDestroying(_ id: TenantID) async throws(TenancyError) {
    guard let record = plane.state.find(id) else { return }
    if record.tenant.state == .purging {
      _ = try await finishPurge(id)
    } else if !DataPlaces(record).left.isEmpty, isToBeDestroyedHere(record) {
      try await pastLogins(of: id) { () throws(TenancyError) in try await finishDestroying(id) }
    }
  }

  /// What this node reaches, for data of which it is known whether it is here.
  func reach(of places: DataPlaces, isHere: Bool) -> DataPlaces.Reach {
    DataPlaces.Reach(
      place: sites.site(of: places).place, isHere: isHere, others: sites.clusterPlaces)
  }

  /// What is destroyed must not be what another call makes anew meanwhile.
  func destroying<Result: Sendable>(
    _ id: TenantID, isSettling: Bool = false, _ body: () async throws(TenancyError) -> Result
  ) async throws(TenancyError) -> Result {
    let error = work.withLock { work -> TenancyError? in
      if work.settling.contains(id) { return Self.settlingLogins }
      guard work.provisioning[id] == nil, work.destroying.insert(id).inserted else {
        return Self.busy
      }
      if isSettling { work.settling.insert(id) }
      return nil
    }
    if let error { throw error }
    defer {
      work.withLock { work in
        work.destroying.remove(id)
        if isSettling { work.settling.remove(id) }
      }
    }
    return try await body()
  }

  /// The same, once nobody opens or closes the tenant's logins any more.
  func destroyingPastLogins<Result: Sendable>(
    _ id: TenantID, _ body: () async throws(TenancyError) -> Result
  ) async throws(TenancyError) -> Result {
    try await pastLogins(of: id) { () throws(TenancyError) in try await destroying(id, body) }
  }

  /// Destroys what a tenant has left here, and records that. The lease is given up in the same moment, and
  /// when it fails: then this node tries again, and others that reach it may, too.
  /// - Parameter operation: which that is; nil for a purge, of which nothing is kept.
  func finish(
    _ tenant: Tenant, _ operation: TenantOperation?, under lease: Lease
  ) async throws(TenancyError) {
    let id = tenant.id
    work.withLock { _ = $0.unfinished.insert(id) }
    try await plane.holding(lease, lasting: terms.leaseDuration) { () throws(TenancyError) in
      let left = plane.state.find(id).map { sites.left(of: DataPlaces($0)) } ?? []
      // Begun by a version that did not record what it left.
      let going = left.isEmpty ? [sites.own] : left
      let commands = TenantCommands(plane, actor: "system", judge: .server)
      let start = plane.now
      var (done, failure): ([String], (place: String, error: any Error)?) = ([], nil)
      for site in going {
        do {
          try await destroy(tenant, at: site, holding: lease)
          done.append(site.place)
        } catch let error as TenancyError {
          throw error  // The store, or another node.
        } catch {
          // What is elsewhere does not wait for it.
          report(id, "resources are not destroyed: \(error)")
          failure = failure ?? (site.place, error)
        }
      }
      if let failure {
        // Who wants to keep what is there must not have to wait until nobody tries any more. A lease that is not
        // given up expires.
        try? await commands.failDestruction(
          id, of: operation, at: failure.place, done: done, begunAt: start,
          reason: "\(failure.error)", releasing: lease)
        throw Self.failed("\(failure.error)", at: failure.place, of: operation)
      }
      try await commands.endDestruction(
        id, at: done, of: operation, begunAt: start, releasing: lease)
    }
    work.withLock { _ = $0.unfinished.remove(id) }
  }

  /// Nothing is destroyed that this node does not know to be its own to destroy at that moment.
  func destroy(_ tenant: Tenant, at site: DataSite, holding lease: Lease) async throws {
    let held = LeaseGuard(plane, lease, lasting: terms.leaseDuration)
    try await offLoop(at: site) { try $0.destroy(for: tenant) { try held.require() } }
  }
}
