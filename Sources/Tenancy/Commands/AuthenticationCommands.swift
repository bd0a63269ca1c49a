/// What changes by which tokens a tenant's callers may say who they are. What a tenant's callers see of the tenant
/// itself stays as it is: neither its version nor its epoch moves.
public struct AuthenticationCommands: Sendable {
  private let plane: ControlPlane
  private let actor: String
  private let judge: WriteJudge

  /// - Parameters:
  ///   - actor: who asks, for the log.
  ///   - judge: whether they may still when it is done.
  public init(_ plane: ControlPlane, actor: String, judge: WriteJudge) {
    self.plane = plane
    self.actor = actor
    self.judge = judge
  }

  /// Sets all of a tenant's settings at once, in every state of the tenant but `deleted`. What they don't allow any more
  /// ends at once. Settings that are those that there are change nothing.
  /// - Parameters:
  ///   - settings: of whichever version.
  ///   - etag: of the settings that they take the place of; empty: of whichever there are.
  /// - Returns: the settings as they are now.
  /// - Throws: INVALID_ARGUMENT with all that is wrong with them by themselves; ABORTED with ETAG_MISMATCH.
  public func set(
    _ settings: AuthenticationSettings, of id: TenantID, etag: String = ""
  ) async throws(TenancyError) -> AuthenticationSettings {
    if let error = TenancyError.invalid(AuthenticationRules.violations(of: settings)) {
      throw error
    }
    let before = plane.state.find(id)?.tenant.contentBytes ?? 0
    let terms = judge.terms(.revoking, rewriting: before)
    return try await plane.write(actor: actor, action: "authentication.set", terms: terms) {
      [judge] (transaction) throws(TenancyError) -> AuthenticationSettings in
      try judge.judge(&transaction)
      guard var tenant = transaction.state.find(id)?.tenant, !tenant.state.isGone else {
        throw .tenantNotFound
      }
      let former = tenant.authentication
      guard etag.isEmpty || etag == former.etag else {
        throw TenancyError(
          .aborted, .etagMismatch, "the authentication settings have changed since they were read",
          metadata: ["etag": former.etag])
      }
      var new = settings
      new.version = former.version
      if new == former { return former }
      new.version += 1
      tenant.authentication = new
      // Whoever is trusted can say who anybody is: that is to be on record.
      let trusted = new.issuers.filter(\.isEnabled).map(\.id).joined(separator: ",")
      transaction.remark = "ISSUERS \(trusted.isEmpty ? "none" : trusted)"
      transaction.emit(.putTenant(tenant), about: id)
      return new
    }
  }
}
