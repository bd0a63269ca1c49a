/// Commands about the logins of tenants' programs, which only the node does that holds the lease of their resources.
extension TenantCommands {
  /// Makes the login of a tenant's programs, with a password that nobody has seen: before it is anywhere else, so that
  /// whoever goes on with it gives it the same.
  /// - Throws: FAILED_PRECONDITION with SECRETS_NOT_CONFIGURED where there is nothing to seal it with; ABORTED with
  ///   LEASE_LOST if another node has taken over.
  func makeLogin(
    _ id: TenantID, under lease: Lease, as terms: Provisioner.Terms
  ) async throws(TenancyError) {
    try await write("tenants.createLogin", rewriting: id) {
      [sealer = plane.sealer] (transaction) throws(TenancyError) -> Void in
      var tenant = try Self.current(id, "", transaction.state).tenant
      transaction.hold(lease, lasting: terms.leaseDuration, about: id)
      if tenant.dataLogin != nil { return }
      guard let sealer else { throw Self.loginsNotConfigured }
      let secret = try Self.newPassword(of: 1, tenant, sealer)
      tenant.dataLogin = DataLogin(
        number: 1, password: secret.reference, createTime: transaction.now)
      transaction.emit(.putTenant(tenant), about: id)
      transaction.emit(
        .putSecret(id, .dataLogin(1), secret.reference, secret.sealed), about: id)
    }
  }

  /// Takes the lease, and records the login that is to take the place of a tenant's: one that was begun is gone on
  /// with.
  /// - Throws: FAILED_PRECONDITION with DATA_NOT_IN_CLUSTER if it has none; ABORTED with LEASE_HELD while another node
  ///   is at work on it.
  func beginLogin(
    _ id: TenantID, as terms: Provisioner.Terms
  ) async throws(TenancyError) -> Lease {
    try await write("tenants.rotateLogin", .revoking, rewriting: id) {
      [sealer = plane.sealer] (transaction) throws(TenancyError) -> Lease in
      var tenant = try Self.withLogin(id, transaction.state)
      guard let login = tenant.dataLogin, let sealer else { throw Self.loginsNotConfigured }
      if login.next == nil {
        let number = login.nextNumber
        let secret = try Self.newPassword(of: number, tenant, sealer)
        tenant.dataLogin?.next = DataLogin.Next(number: number, password: secret.reference)
        transaction.emit(.putTenant(tenant), about: id)
        transaction.emit(
          .putSecret(id, .dataLogin(number), secret.reference, secret.sealed), about: id)
      }
      return Self.take(id, terms, &transaction)
    }
  }

  /// Makes the next login the tenant's, which exists by now, and gives the lease up. The former one works until it is
  /// retired; its password is not kept.
  func endLogin(_ id: TenantID, releasing lease: Lease) async throws(TenancyError) {
    try await write("tenants.loginRotated", rewriting: id) {
      (transaction) throws(TenancyError) -> Void in
      var tenant = try Self.withLogin(id, transaction.state)
      transaction.release(lease, about: id)
      guard let login = tenant.dataLogin, let next = login.next else { return }
      tenant.dataLogin = DataLogin(
        number: next.number, password: next.password, createTime: transaction.now,
        former: login.number, standing: login.standing)
      transaction.emit(.putTenant(tenant), about: id)
      transaction.emit(.deleteSecret(id, .dataLogin(login.number)), about: id)
    }
  }

  /// Takes the lease to take a former login away.
  func beginRetirement(
    ofLoginOf id: TenantID, as terms: Provisioner.Terms
  ) async throws(TenancyError) -> Lease {
    try await write("tenants.retireLogin", .revoking) {
      (transaction) throws(TenancyError) -> Lease in
      _ = try Self.withLogin(id, transaction.state)
      return Self.take(id, terms, &transaction)
    }
  }

  /// Records that the former login is gone, and gives the lease up where that is given.
  func endRetirement(
    ofLoginOf id: TenantID, _ lease: Lease, as terms: Provisioner.Terms?
  ) async throws(TenancyError) {
    try await write("tenants.loginRetired", rewriting: id) {
      (transaction) throws(TenancyError) -> Void in
      var tenant = try Self.withLogin(id, transaction.state)
      if let terms {
        transaction.hold(lease, lasting: terms.leaseDuration, about: id)
      } else {
        transaction.release(lease, about: id)
      }
      guard tenant.dataLogin?.former != nil else { return }
      tenant.dataLogin?.former = nil
      transaction.emit(.putTenant(tenant), about: id)
    }
  }

  /// A tenant that has a login, and whose resources nobody is to make or destroy.
  private static func withLogin(
    _ id: TenantID, _ state: ControlState
  ) throws(TenancyError) -> Tenant {
    let tenant = try current(id, "", state).tenant
    switch tenant.state {
    case .active, .suspended, .maintenance: break
    case .pending, .provisioning, .provisionFailed, .deleted, .purging, .purged:
      throw Lifecycle.refusal(for: tenant, at: tenant.updateTime) ?? .tenantNotFound
    }
    guard tenant.dataLogin != nil else {
      throw TenancyError(
        .failedPrecondition, .dataNotInCluster, "the tenant has no login of its own in a cluster")
    }
    return tenant
  }

  private static func newPassword(
    of number: UInt32, _ tenant: Tenant, _ sealer: any SecretSealer
  ) throws(TenancyError) -> StoredSecret {
    do throws(SecretError) {
      return try sealer.seal(
        newPassword(), for: SecretPlace(tenant: tenant.id, purpose: .dataLogin(number)),
        version: tenant.version)
    } catch {
      throw TenancyError(.internalError, .secretsFailed, "the password can't be sealed: \(error)")
    }
  }

  static let loginsNotConfigured = TenancyError(
    .failedPrecondition, .secretsNotConfigured,
    "the password of the tenant's login can't be kept: the server has no master key to seal it with "
      + "(secrets.master_key in its configuration)")

  /// 256 bits, of letters and digits that no connection string has to escape.
  private static func newPassword() -> ClearSecret {
    var random = SystemRandomNumberGenerator()
    let digits = Array("0123456789abcdef".utf8)
    return ClearSecret(
      bytes: (0..<64).map { _ in digits[Int.random(in: 0..<digits.count, using: &random)] })
  }
}

extension DataLogin {
  /// Of the one that is to take its place.
  fileprivate var nextNumber: UInt32 { next?.number ?? max(number, former ?? 0) + 1 }
}

extension Provisioner {
  /// Gives a tenant's programs another login and password, in place of the one that they have: that works on until it is
  /// retired, or another one comes. What a crash has begun is gone on with by the next call.
  /// - Returns: its user.
  /// - Throws: FAILED_PRECONDITION with DATA_NOT_IN_CLUSTER; ABORTED while other calls or nodes are at work on it.
  public func rotateLogin(
    of id: TenantID, actor: String, judge: WriteJudge
  ) async throws(TenancyError) -> String {
    let commands = TenantCommands(plane, actor: actor, judge: judge.beginning)
    if judge.isRehearsal {
      _ = try await commands.beginLogin(id, as: terms)
      return try rehearsedLogin(of: id)
    }
    try await changingLogins(of: id) { () async throws(TenancyError) in
      try await commands.beginLogin(id, as: terms)
    } _: { tenant, login, clusters, lease in
      let after = TenantCommands(plane, actor: "system", judge: .server)
      if let former = login.former {
        for cluster in clusters {
          try await self.offLoop(at: cluster.site) { _ in
            try cluster.plane.dropLogin(former, of: id)
          }
        }
        try await after.endRetirement(ofLoginOf: id, lease, as: self.terms)
      }
      guard let next = login.next,
        let password = try await self.vault?.open(.dataLogin(next.number), of: id)
      else { throw TenantCommands.loginsNotConfigured }
      // What is made is not fenced: who was paused asks whether it is still its to make.
      let held = LeaseGuard(self.plane, lease, lasting: self.terms.leaseDuration)
      for cluster in clusters {
        try await self.offLoop(at: cluster.site) { _ in
          try held.require()
          try cluster.plane.makeLogin(next.number, for: cluster.view, password)
        }
      }
      try await TenantCommands(plane, actor: "system", judge: .server.ending(judge))
        .endLogin(id, releasing: lease)
    }
    return try username(of: id)
  }

  /// The user by which a tenant's programs log in; empty: none.
  public func username(of id: TenantID) throws(TenancyError) -> String {
    guard let record = plane.state.find(id) else { throw .tenantNotFound }
    return locations(of: record)?.first?.location.username ?? ""
  }

  /// Takes away the login that was in use before the last rotation: sessions of it end.
  /// - Throws: as `rotateLogin`.
  public func retireLogin(
    of id: TenantID, actor: String, judge: WriteJudge
  ) async throws(TenancyError) {
    let commands = TenantCommands(plane, actor: actor, judge: judge.beginning)
    if judge.isRehearsal {
      _ = try await commands.beginRetirement(ofLoginOf: id, as: terms)
      guard let record = plane.state.find(id) else { throw .tenantNotFound }
      _ = try loginPlaces(of: record)
      return
    }
    try await changingLogins(of: id) { () async throws(TenancyError) in
      try await commands.beginRetirement(ofLoginOf: id, as: terms)
    } _: { _, login, clusters, lease in
      if let former = login.former {
        for cluster in clusters {
          try await self.offLoop(at: cluster.site) { _ in
            try cluster.plane.dropLogin(former, of: id)
          }
        }
      }
      try await TenantCommands(plane, actor: "system", judge: .server.ending(judge))
        .endRetirement(ofLoginOf: id, lease, as: nil)
    }
  }

  /// The user that a rotation would make; no cluster is asked.
  private func rehearsedLogin(of id: TenantID) throws(TenancyError) -> String {
    guard let record = plane.state.find(id), let login = record.tenant.dataLogin else {
      throw .tenantNotFound
    }
    guard let place = try loginPlaces(of: record).first else { throw Self.notInCluster }
    var view = place.view
    view.dataLogin = DataLogin(
      number: login.nextNumber, password: login.password, createTime: login.createTime)
    let category = view.dataCategories.first
    return place.plane.location(of: view, category)?.username ?? ""
  }

  private func changingLogins(
    of id: TenantID, begin: () async throws(TenancyError) -> Lease,
    _ body: (Tenant, DataLogin, [LoginPlace], Lease) async throws -> Void
  ) async throws(TenancyError) {
    try await destroyingPastLogins(id) { () throws(TenancyError) in
      let lease = try await begin()
      try await plane.holding(lease, lasting: terms.leaseDuration) { () throws(TenancyError) in
        do {
          guard let record = plane.state.find(id), let login = record.tenant.dataLogin else {
            throw TenancyError.tenantNotFound
          }
          try await body(record.tenant, login, try loginPlaces(of: record), lease)
        } catch {
          // Whoever tries again must not have to wait until it expires.
          try? await plane.release(lease, about: id)
          if let error = error as? TenancyError { throw error }
          report(id, "its logins can't be changed: \(error)")
          throw TenancyError(
            .unavailable, .storeUnavailable, "the cluster can't do it now: \(error)",
            retryAfterSeconds: 1)
        }
      }
    }
  }

  /// A cluster in which a tenant has its login.
  private struct LoginPlace {
    let site: DataSite
    let plane: any ClusterDataPlane
    /// The tenant, as the cluster sees it.
    let view: Tenant
  }

  /// All of them: a login is the same everywhere.
  private func loginPlaces(of record: TenantRecord) throws(TenancyError) -> [LoginPlace] {
    let places = DataPlaces(record)
    let parts = sites.parts(of: record)
    guard places.made.allSatisfy({ sites.find($0) != nil }) else { throw Self.notInCluster }
    var found: [LoginPlace] = []
    for part in parts {
      guard let cluster = part.site.cluster else { throw Self.notInCluster }
      found.append(
        LoginPlace(
          site: part.site, plane: cluster.dataPlane, view: part.view(of: record.tenant)))
    }
    return found
  }

  static let notInCluster = TenancyError(
    .failedPrecondition, .dataNotInCluster,
    "the tenant's data is in no cluster of this server's configuration")
}
