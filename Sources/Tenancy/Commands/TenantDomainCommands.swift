/// What claims domains for tenants and lets them go. Each command is one transaction of the control plane.
public struct TenantDomainCommands: Sendable {
  /// Domains and claims of a tenant, at most.
  public static let maximumPerTenant = 100

  private let plane: ControlPlane
  private let actor: String
  private let judge: WriteJudge
  /// Domains under which slugs name tenants.
  private let baseDomains: [String]

  /// - Parameters:
  ///   - actor: who asks, for the log.
  ///   - judge: whether they may still when it is done.
  ///   - baseDomains: `ResolutionRules.baseDomains`: they are nobody's.
  public init(_ plane: ControlPlane, actor: String, judge: WriteJudge, baseDomains: [String]) {
    self.plane = plane
    self.actor = actor
    self.judge = judge
    self.baseDomains = baseDomains
  }

  /// Claims a domain, whoever else has claimed it or has it: whether somebody does is nowhere in the answer. A claim
  /// that stands, and a domain that is the tenant's, stay as they are.
  /// - Throws: INVALID_ARGUMENT for what no tenant can have; NOT_FOUND where there is no such tenant; RESOURCE_EXHAUSTED
  ///   if it has `maximumPerTenant`.
  public func claim(_ text: String, for id: TenantID) async throws(TenancyError) -> TenantDomain {
    let name = try Self.name(text, baseDomains: baseDomains)
    return try await plane.write(
      actor: actor, action: "domains.claim", terms: judge.terms()
    ) { [judge] (transaction) throws(TenancyError) -> TenantDomain in
      try judge.judge(&transaction)
      try Self.requireTenant(id, transaction.state)
      let domains = transaction.state.domains
      if let standing = domains.find(name, of: id), !standing.isOver(at: transaction.now) {
        return standing
      }
      let over = Self.claimsThatAreOver(of: id, domains, at: transaction.now)
      guard domains.count(of: id) - over.count < Self.maximumPerTenant else {
        throw .exhausted(
          .domains, of: .tenant(id), limit: Self.maximumPerTenant, hint: "release some")
      }
      for domain in over where domain.name != name {
        transaction.emit(.deleteDomain(id, name: domain.name.text), about: id)
      }
      let claim = TenantDomain(
        tenant: id, name: name, challenge: .random(), claimTime: transaction.now)
      transaction.emit(.putDomain(claim), about: id)
      return claim
    }
  }

  /// Makes a domain the tenant's, from whoever has it, since the challenge of this claim was found. That is judged on
  /// the claim as it is by now.
  /// - Parameter claim: as it was when it was begun to look for its challenge.
  /// - Throws: NOT_FOUND; ABORTED with DOMAIN_CLAIM_CHANGED where the claim is another one by now.
  public func prove(
    _ claim: TenantDomain, by method: DomainProofMethod
  ) async throws(TenancyError) -> TenantDomain {
    let (id, name) = (claim.tenant, claim.name)
    return try await plane.write(
      actor: actor, action: "domains.verify", terms: judge.terms()
    ) { [judge] (transaction) throws(TenancyError) -> TenantDomain in
      try judge.judge(&transaction)
      try Self.requireTenant(id, transaction.state)
      let domains = transaction.state.domains
      guard let standing = domains.find(name, of: id), !standing.isOver(at: transaction.now) else {
        throw Self.notFound
      }
      guard standing.challenge == claim.challenge else { throw Self.changed }
      // Somebody else was faster, and has found the same.
      if standing.isVerified { return standing }
      transaction.remark = "DOMAIN \(name) BY \(method.rawValue)"
      // First of all: a domain is one tenant's at any time.
      if let holder = domains.holder(of: name) {
        transaction.emit(.deleteDomain(holder.tenant, name: name.text), about: holder.tenant)
      }
      let verified = TenantDomain(
        tenant: id, name: name, challenge: standing.challenge, claimTime: standing.claimTime,
        verification: TenantDomain.Verification(time: transaction.now, method: method))
      transaction.emit(.putDomain(verified), about: id)
      return verified
    }
  }

  /// Gives a domain or a claim up: it is anybody's from now on who shows that they control it.
  /// - Throws: NOT_FOUND with DOMAIN_NOT_FOUND.
  public func release(_ name: DomainName, of id: TenantID) async throws(TenancyError) {
    try await plane.write(
      actor: actor, action: "domains.release", terms: judge.terms(.revoking)
    ) { [judge] (transaction) throws(TenancyError) in
      try judge.judge(&transaction)
      guard transaction.state.domains.find(name, of: id) != nil else { throw Self.notFound }
      transaction.emit(.deleteDomain(id, name: name.text), about: id)
    }
  }

  /// What goes when a tenant is purged.
  static func dropAll(of tenant: TenantID, _ state: ControlState) -> [Change] {
    var (domains, budget) = (state.domains.domains(of: tenant), WorkBudget.uncapped)
    var changes: [Change] = []
    while let domain = domains.next(&budget) {
      changes.append(.deleteDomain(tenant, name: domain.name.text))
    }
    return changes
  }

  /// The tenant has no such domain, and no claim that stands.
  public static let notFound = TenancyError(
    .notFound, .domainNotFound, "the tenant has no such domain, or its claim is over")

  private static let changed = TenancyError(
    .aborted, .domainClaimChanged,
    "the claim was released or made anew meanwhile: read it again, and verify that")

  // MARK: Rules

  private static func requireTenant(
    _ id: TenantID, _ state: borrowing ControlState
  ) throws(TenancyError) {
    guard let record = state.find(id), !record.tenant.state.isGone else {
      throw .tenantNotFound
    }
  }

  /// In the order of their names.
  private static func claimsThatAreOver(
    of tenant: TenantID, _ domains: TenantDomainSet, at now: Timestamp
  ) -> [TenantDomain] {
    var (all, budget) = (domains.domains(of: tenant), WorkBudget.uncapped)
    var over: [TenantDomain] = []
    while let domain = all.next(&budget) {
      if domain.isOver(at: now) { over.append(domain) }
    }
    return over
  }

  /// - Throws: INVALID_ARGUMENT for the field `domain`.
  public static func name(_ text: String, baseDomains: [String]) throws(TenancyError) -> DomainName
  {
    guard let name = DomainName(anyCase: text) else {
      throw .invalid(
        "domain",
        "two labels at least, of a-z, 0-9 and hyphens between them, of at most "
          + "\(DomainName.maximumLength) bytes; no address, no wildcard, no dot at its end")
    }
    guard !baseDomains.contains(where: name.overlaps) else {
      throw .invalid(
        "domain", "the server's own domains, and what is beneath or above, are nobody's")
    }
    return name
  }
}
