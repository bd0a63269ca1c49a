/// Commands about a tenant's resources, which only the node does that holds their lease.
extension TenantCommands {
  static func leaseName(of id: TenantID) -> String { leasePrefix + id.description }

  /// The tenant whose resources a lease is about; nil if it is about something else.
  static func tenant(ofLease lease: Lease) -> TenantID? {
    guard lease.name.hasPrefix(leasePrefix) else { return nil }
    return TenantID(parsing: String(lease.name.dropFirst(leasePrefix.count)))
  }

  private static let leasePrefix = "resources/"

  /// Begins to make a tenant's resources, and takes their lease.
  /// - Throws: ABORTED with LEASE_HELD while another node is at work on them.
  func beginProvisioning(
    _ id: TenantID, etag: String = "", as terms: Provisioner.Terms
  ) async throws(TenancyError) -> (Tenant, TenantOperation, Lease) {
    try await write("tenants.\(Lifecycle.Event.provision)", .revoking, rewriting: id) {
      [actor] (transaction) throws(TenancyError) -> (Tenant, TenantOperation, Lease) in
      let record = try Self.current(id, etag, transaction.state)
      if record.tenant.state.isGone { throw .tenantNotFound }
      // It would be destroyed first.
      if !DataPlaces(record).left.isEmpty { try Self.requireNoHold(on: record.tenant) }
      let after = try Lifecycle.apply(.provision, to: record.tenant, at: transaction.now)
      let operation = TenantOperation(.provision, of: after, actor: actor, at: transaction.now)
      transaction.emit(.putTenant(after), about: id)
      transaction.emit(.putOperation(operation), about: id)
      return (after, operation, Self.take(id, terms, &transaction))
    }
  }

  /// Moves a tenant whose data is to be destroyed, and takes the lease of its resources. Where the data is stays
  /// on record until it is destroyed: whoever goes on with it knows whether it is there to be found.
  /// - Parameters:
  ///   - site: where the caller can destroy.
  ///   - force: whether data at other places is given up, which the audit trail then tells.
  /// - Throws: FAILED_PRECONDITION with DATA_ELSEWHERE if the data is not there; ABORTED with LEASE_HELD while
  ///   another node is at work on it.
  func beginDestruction(
    _ id: TenantID, etag: String, at site: DataPlaces.Reach, force: Bool,
    as terms: Provisioner.Terms
  ) async throws(TenancyError) -> (Tenant, TenantOperation, Lease) {
    try await write("tenants.\(Lifecycle.Event.deprovision)", .revoking, rewriting: id) {
      [actor] (transaction) throws(TenancyError) -> (Tenant, TenantOperation, Lease) in
      let record = try Self.current(id, etag, transaction.state)
      var places = DataPlaces(record)
      var after = record.tenant
      try Self.requireNoHold(on: after)
      // One whose destruction was begun is where it goes.
      if after.state != .pending || places.left.isEmpty {
        after = try Lifecycle.apply(.deprovision, to: after, at: transaction.now)
        transaction.emit(.putTenant(after), about: id)
      }
      if force {
        let given = places.giveUp(allBut: site)
        if !given.isEmpty { transaction.remark = "DATA_GIVEN_UP \(given.joined(separator: ","))" }
      } else {
        try places.require(site)
      }
      places.leave(at: site.place)
      transaction.record(places, of: id)
      var operation = TenantOperation(.deprovision, of: after, actor: actor, at: transaction.now)
      operation.settle(at: site.place, places.left.sorted(), done: [], at: transaction.now)
      transaction.emit(.putOperation(operation), about: id)
      return (after, operation, Self.take(id, terms, &transaction))
    }
  }

  /// Records where tenants' data was found, of whom that is not recorded.
  /// - Returns: of how many.
  func adopt(_ ids: [TenantID], at place: String) async throws(TenancyError) -> Int {
    var count = 0
    for start in stride(from: 0, to: ids.count, by: Self.maximumMoves) {
      let part = ids[start..<min(ids.count, start + Self.maximumMoves)]
      count += try await write("tenants.provisioningPlace", changes: part.count) {
        (transaction) throws(TenancyError) -> Int in
        var count = 0
        for id in part {
          guard let record = transaction.state.find(id) else { continue }
          var places = DataPlaces(record)
          // Another node may have been faster.
          guard places.made.isEmpty, !places.steps.isEmpty else { continue }
          places.made = [place]
          transaction.record(places, of: id)
          count += 1
        }
        return count
      }
    }
    return count
  }

  /// Records that what a tenant left at places is destroyed, and gives the lease up.
  /// - Throws: ABORTED with LEASE_LOST if another node has taken over.
  func endDestruction(
    _ id: TenantID, at destroyed: [String], of operation: TenantOperation?,
    begunAt start: Timestamp,
    releasing lease: Lease
  ) async throws(TenancyError) {
    try await write("tenants.destroyed", .revoking, rewriting: id) {
      (transaction) throws(TenancyError) -> Void in
      let record = try Self.current(id, "", transaction.state)
      var (places, tenant) = (DataPlaces(record), record.tenant)
      if !places.left.isDisjoint(with: destroyed) {
        places.left.subtract(destroyed)
        transaction.record(places, of: id)
      }
      if var operation, tenant.state != .purging {
        for place in destroyed { operation.finish(place, begunAt: start, at: transaction.now) }
        if places.left.isEmpty { operation.end(at: transaction.now) }
        transaction.emit(.putOperation(operation), about: id)
      }
      // A login that is nowhere any more.
      if let login = tenant.dataLogin, !places.mayBeInCluster {
        tenant.dataLogin = nil
        transaction.emit(.putTenant(tenant), about: id)
        for purpose in login.purposes {
          transaction.emit(.deleteSecret(id, purpose), about: id)
        }
      }
      transaction.release(lease, about: id)
    }
  }

  /// Records why what a tenant left is not destroyed yet, and gives the lease up.
  /// - Parameter done: where it is destroyed.
  func failDestruction(
    _ id: TenantID, of operation: TenantOperation?, at place: String, done: [String],
    begunAt start: Timestamp, reason: String, releasing lease: Lease
  ) async throws(TenancyError) {
    try await write("leases.release") { (transaction) throws(TenancyError) -> Void in
      transaction.release(lease, about: id)
      guard let record = transaction.state.find(id) else { return }
      var places = DataPlaces(record)
      if !places.left.isDisjoint(with: done) {
        places.left.subtract(done)
        transaction.record(places, of: id)
      }
      guard var operation, record.tenant.state != .purging else { return }
      for place in done { operation.finish(place, begunAt: start, at: transaction.now) }
      let known = operation.failure
      operation.fail(place, reason, at: transaction.now)
      // It is tried again and again: the same is told once.
      if done.isEmpty, known?.step == operation.failure?.step,
        known?.reason == operation.failure?.reason
      {
        return
      }
      transaction.emit(.putOperation(operation), about: id)
    }
  }

  /// Takes the lease of a tenant's resources, be there such a tenant or not, to put right what a cluster has of it.
  func beginRepair(
    of id: TenantID, in cluster: String, destroys: Bool, as terms: Provisioner.Terms
  ) async throws(TenancyError) -> Lease {
    try await write("clusters.repair", .revoking) {
      (transaction) throws(TenancyError) -> Lease in
      transaction.remark = "\(cluster) \(id)"
      let record = transaction.state.find(id)
      if destroys, let tenant = record?.tenant { try Self.requireNoHold(on: tenant) }
      let isKnown = record != nil
      return transaction.take(
        Self.leaseName(of: id), holder: terms.holder, lasting: terms.leaseDuration,
        about: isKnown ? id : nil)
    }
  }

  /// Takes the lease to go on with what was begun; nil if that has ended well meanwhile.
  /// - Throws: ABORTED with LEASE_HELD while another node is at work on it.
  func resume(
    _ id: TenantID, as terms: Provisioner.Terms
  ) async throws(TenancyError) -> Lease? {
    try await write("tenants.resumeProvisioning", .revoking) {
      (transaction) throws(TenancyError) -> Lease? in
      let tenant = try Self.current(id, "", transaction.state).tenant
      switch tenant.state {
      case .provisioning: return Self.take(id, terms, &transaction)
      case .active: return nil
      case .pending, .provisionFailed, .suspended, .maintenance, .deleted, .purging, .purged:
        throw TenancyError(
          .aborted, .illegalTransition, "another node has ended the provisioning meanwhile",
          retryAfterSeconds: 1)
      }
    }
  }

  static func take(
    _ id: TenantID, _ terms: Provisioner.Terms, _ transaction: inout Transaction
  ) -> Lease {
    transaction.take(
      leaseName(of: id), holder: terms.holder, lasting: terms.leaseDuration, about: id)
  }

  /// Records where the steps are done from now on, and that none is. What was made elsewhere is left there.
  func settle(
    _ operation: TenantOperation, at parts: [DataPart], under lease: Lease,
    as terms: Provisioner.Terms
  ) async throws(TenancyError) {
    let id = operation.tenant
    try await write("tenants.provisioningPlace") { (transaction) throws(TenancyError) -> Void in
      var places = DataPlaces(try Self.current(id, "", transaction.state))
      places.settle(at: parts.places, parts.categories)
      transaction.record(places, of: id)
      transaction.emit(.putOperation(operation), about: id)
      transaction.hold(lease, lasting: terms.leaseDuration, about: id)
    }
  }

  /// Records that a provisioning step is done.
  /// - Throws: ABORTED with LEASE_LOST if another node has taken over.
  /// - Parameter start: when it was begun.
  /// - Returns: the operation with that.
  func finishStep(
    _ step: String, of operation: TenantOperation, begunAt start: Timestamp, under lease: Lease,
    as terms: Provisioner.Terms
  ) async throws(TenancyError) -> TenantOperation {
    let id = operation.tenant
    return try await write("tenants.provisioningStep") {
      (transaction) throws(TenancyError) -> TenantOperation in
      var after = operation
      after.finish(step, begunAt: start, at: transaction.now)
      transaction.emit(.putProvisioningStep(id, name: step), about: id)
      transaction.emit(.putOperation(after), about: id)
      transaction.hold(lease, lasting: terms.leaseDuration, about: id)
      return after
    }
  }

  /// Records how it has ended, and gives the lease up.
  /// - Throws: ABORTED with LEASE_LOST if another node has taken over.
  /// - Parameter failure: the step that failed, and why; nil: all is made.
  func endProvisioning(
    _ operation: TenantOperation, failure: (step: String, reason: String)? = nil,
    releasing lease: Lease
  ) async throws(TenancyError) -> Tenant {
    let id = operation.tenant
    let event: Lifecycle.Event = failure == nil ? .provisioned : .provisioningFailed
    return try await write("tenants.\(event)", .revoking, rewriting: id) {
      (transaction) throws(TenancyError) -> Tenant in
      let tenant = try Self.current(id, "", transaction.state).tenant
      // The lease keeps everyone else from ending it.
      guard tenant.state == .provisioning else { throw ControlPlane.leaseLost }
      var operation = operation
      var reason = ""
      if let failure {
        operation.fail(failure.step, failure.reason, at: transaction.now)
        reason = failure.step.isEmpty ? failure.reason : "\(failure.step): \(failure.reason)"
      }
      operation.end(at: transaction.now)
      let after = try Lifecycle.apply(event, to: tenant, at: transaction.now, reason: reason)
      transaction.emit(.putTenant(after), about: id)
      transaction.emit(.putOperation(operation), about: id)
      transaction.release(lease, about: id)
      return after
    }
  }
}
