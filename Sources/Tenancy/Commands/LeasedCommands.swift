/// Commands about a tenant's resources, which only the node does that holds their lease.
extension TenantCommands {
  static func leaseName(of id: TenantID) -> String { leasePrefix + id.description }

  /// The tenant whose resources a lease is about; nil if it is about something else.
  static func tenant(ofLease lease: Lease) -> TenantID? {
    guard lease.name.hasPrefix(leasePrefix) else { return nil }
    return TenantID(parsing: String(lease.name.dropFirst(leasePrefix.count)))
  }

  private static let leasePrefix = "resources/"

  /// Moves a tenant along its lifecycle and takes the lease of its resources.
  /// - Throws: ABORTED with LEASE_HELD while another node is at work on them.
  func begin(
    _ id: TenantID, _ event: Lifecycle.Event, etag: String = "", also: [Change] = [],
    as terms: Provisioner.Terms
  ) async throws(TenancyError) -> (Tenant, Lease) {
    try await write("tenants.\(event)", .revoking, rewriting: id) {
      (transaction) throws(TenancyError) -> (Tenant, Lease) in
      let record = try Self.current(id, etag, transaction.state)
      if record.tenant.state == .deleted, event != .deprovision { throw .tenantNotFound }
      let after = try Lifecycle.apply(event, to: record.tenant, at: transaction.now)
      transaction.emit(.putTenant(after), about: id)
      for change in also { transaction.emit(change, about: id) }
      return (after, Self.take(id, terms, &transaction))
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
      case .pending, .provisionFailed, .suspended, .maintenance, .deleted:
        throw TenancyError(
          .aborted, .illegalTransition, "another node has ended the provisioning meanwhile",
          retryAfterSeconds: 1)
      }
    }
  }

  private static func take(
    _ id: TenantID, _ terms: Provisioner.Terms, _ transaction: inout Transaction
  ) -> Lease {
    transaction.take(
      leaseName(of: id), holder: terms.holder, lasting: terms.leaseDuration, about: id)
  }

  /// Records where the steps are done from now on, and that none is.
  func settle(
    _ id: TenantID, _ place: String, under lease: Lease, as terms: Provisioner.Terms
  ) async throws(TenancyError) {
    try await write("tenants.provisioningPlace") { (transaction) throws(TenancyError) -> Void in
      transaction.emit(.clearProvisioningSteps(id), about: id)
      transaction.emit(.putProvisioningStep(id, name: place), about: id)
      transaction.hold(lease, lasting: terms.leaseDuration, about: id)
    }
  }

  /// Records that a provisioning step is done.
  /// - Throws: ABORTED with LEASE_LOST if another node has taken over.
  func finishStep(
    _ id: TenantID, _ step: String, under lease: Lease, as terms: Provisioner.Terms
  ) async throws(TenancyError) {
    try await write("tenants.provisioningStep") { (transaction) throws(TenancyError) -> Void in
      transaction.emit(.putProvisioningStep(id, name: step), about: id)
      transaction.hold(lease, lasting: terms.leaseDuration, about: id)
    }
  }

  /// Records how it has ended, and gives the lease up.
  /// - Throws: ABORTED with LEASE_LOST if another node has taken over.
  func end(
    _ id: TenantID, _ event: Lifecycle.Event, reason: String = "", releasing lease: Lease
  ) async throws(TenancyError) -> Tenant {
    try await write("tenants.\(event)", .revoking, rewriting: id) {
      (transaction) throws(TenancyError) -> Tenant in
      let tenant = try Self.current(id, "", transaction.state).tenant
      // The lease keeps everyone else from ending it.
      guard tenant.state == .provisioning else { throw ControlPlane.leaseLost }
      let after = try Lifecycle.apply(event, to: tenant, at: transaction.now, reason: reason)
      transaction.emit(.putTenant(after), about: id)
      transaction.release(lease, about: id)
      return after
    }
  }
}
