import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.TenantDomains`.
struct TenantDomainService: Sendable {
  /// Of a domain's name: it is not taken apart if it is longer.
  static let maximumNameBytes = 512
  /// Of what is told to be there instead of a challenge.
  static let maximumSeenBytes = 256

  let plane: ControlPlane
  /// Nil: no domains are claimed here.
  let terms: DomainTerms?
  let baseDomains: [String]
  private let pace: DomainPace

  init(plane: ControlPlane, terms: DomainTerms?, baseDomains: [String]) {
    self.plane = plane
    self.terms = terms
    self.baseDomains = baseDomains
    pace = DomainPace(perMinute: terms?.verificationsPerMinute ?? DomainTerms.defaultPerMinute)
  }

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.TenantDomains
    return [
      gate.async(
        API.claimTenantDomain,
        again: { (access, request, _) throws(TenancyError) in
          try told(TenantDomainCommands.name(request.domain, baseDomains: baseDomains), access)
        }
      ) { (access, request) throws(TenancyError) in
        _ = try requireTerms()
        let id = try access.requireTarget().tenant.id
        return message(
          try await commands(access, validateOnly: request.validateOnly).claim(
            request.domain, for: id))
      },
      gate.async(
        API.verifyTenantDomain, names: .child,
        again: { (access, request, _) throws(TenancyError) in
          try told(Self.domain(in: request.name), access)
        }, verify),
      gate.inline(API.getTenantDomain, names: .child) { (access, request) throws(TenancyError) in
        message(try find(request.name, access))
      },
      gate.async(API.listTenantDomains) { (access, request) throws(TenancyError) in
        var budget = WorkBudget()
        return try list(access, request, &budget)
      },
      gate.async(
        API.releaseTenantDomain, names: .child,
        again: { _, _, _ in V1.ReleaseTenantDomainResponse() }
      ) {
        (access, request) throws(TenancyError) in
        let name = try Self.domain(in: request.name)
        try await commands(access, validateOnly: request.validateOnly).release(
          name, of: try access.requireTarget().tenant.id)
        return V1.ReleaseTenantDomainResponse()
      },
    ]
  }

  private func commands(
    _ access: Access, validateOnly: Bool
  ) throws(TenancyError) -> TenantDomainCommands {
    TenantDomainCommands(
      plane, actor: access.caller.subject,
      judge: try access.requireJudge().validating(only: validateOnly), baseDomains: baseDomains)
  }

  /// A domain or claim as it is by now.
  private func told(_ name: DomainName, _ access: Access) throws(TenancyError) -> V1.TenantDomain {
    let id = try access.requireTarget().tenant.id
    guard let domain = plane.state.domains.find(name, of: id) else {
      throw TenantDomainCommands.notFound
    }
    return message(domain)
  }

  private func requireTerms() throws(TenancyError) -> DomainTerms {
    guard let terms else {
      throw TenancyError(
        .unimplemented, .domainsNotConfigured, "the server has no domains in its configuration")
    }
    return terms
  }

  // MARK: Verifying

  private func verify(
    _ access: Access, _ request: V1.VerifyTenantDomainRequest
  ) async throws(TenancyError) -> V1.TenantDomain {
    let terms = try requireTerms()
    let claim = try find(request.name, access)
    let method = try Self.method(request.method, claim)
    if claim.isVerified { return message(claim) }
    try pace.take(for: claim.tenant, at: plane.now)
    switch await terms.checker.look(DomainCheck(claim, method)) {
    case .proven:
      return message(
        try await commands(access, validateOnly: request.validateOnly).prove(claim, by: method))
    case .notProven(let seen):
      let seen = seen.clipped(toBytes: Self.maximumSeenBytes)
      throw TenancyError(
        .failedPrecondition, .domainNotProven, "the challenge is not there: \(seen)",
        metadata: ["seen": seen])
    case .unreachable(let why):
      let why = why.clipped(toBytes: Self.maximumSeenBytes)
      throw TenancyError(
        .unavailable, .domainUnreachable, "nobody could be asked: \(why)",
        retryAfterSeconds: DomainPace.secondsBetween(terms.verificationsPerMinute))
    case .busy:
      throw TenancyError(
        .resourceExhausted, .limitReached, "too many domains are being verified",
        metadata: ["quota": Quota.domainVerifications.name], retryAfterSeconds: 1)
    }
  }

  private static func method(
    _ sent: V1.DomainProofMethod, _ claim: TenantDomain
  ) throws(TenancyError) -> DomainProofMethod {
    switch sent {
    case .dns:
      guard claim.recordName.utf8.count <= DomainName.maximumLength else {
        throw .invalid("method", "the record's name would be too long: by HTTP alone")
      }
      return .dns
    case .http: return .http
    default: throw .invalid("method", "DOMAIN_PROOF_METHOD_DNS or DOMAIN_PROOF_METHOD_HTTP")
    }
  }

  // MARK: Reading

  private func find(_ name: String, _ access: Access) throws(TenancyError) -> TenantDomain {
    let id = try access.requireTarget().tenant.id
    let name = try Self.domain(in: name)
    guard let domain = access.snapshot.state.domains.find(name, of: id),
      !domain.isOver(at: access.now)
    else { throw TenantDomainCommands.notFound }
    return domain
  }

  private func list(
    _ access: Access, _ request: V1.ListTenantDomainsRequest, _ budget: inout WorkBudget
  ) throws(TenancyError) -> V1.ListTenantDomainsResponse {
    let record = try access.requireTarget()
    let page = try Page(
      size: request.pageSize, token: request.pageToken, question: "domains \(record.idText)")
    let domains = access.snapshot.state.domains
    let (found, next) = page.collect(
      domains.domains(of: record.tenant.id, after: page.after), &budget, key: \.orderKey,
      where: { domain, _ in !domain.isOver(at: access.now) }
    ) { domain in
      (message(domain), 512 + 4 * domain.name.text.utf8.count)
    }
    return V1.ListTenantDomainsResponse(domains: found, nextPageToken: next)
  }

  /// The last part of `tenants/{tenant}/domains/{domain}`.
  private static func domain(in name: String) throws(TenancyError) -> DomainName {
    let parts = name.split(separator: "/", maxSplits: 4, omittingEmptySubsequences: false)
    guard name.utf8.count <= maximumNameBytes, parts.count == 4, parts[0] == "tenants",
      parts[2] == "domains", let domain = DomainName(anyCase: String(parts[3]))
    else { throw .invalid("name", "must be tenants/{tenant}/domains/{domain}") }
    return domain
  }

  private func message(_ domain: TenantDomain) -> V1.TenantDomain {
    var message = V1.TenantDomain(
      name: "\(TenantNames.collection)\(domain.tenantText)/domains/\(domain.name)",
      domain: domain.name.text, state: domain.isVerified ? .verified : .pending,
      claimTime: GoogleProtobuf.Timestamp(domain.claimTime))
    if let verification = domain.verification {
      message.verifyTime = GoogleProtobuf.Timestamp(verification.time)
      message.method = verification.method == .dns ? .dns : .http
      return message
    }
    message.expireTime = domain.expireTime.map { GoogleProtobuf.Timestamp($0) }
    let port = terms?.httpPort ?? 80
    let authority = port == 80 ? domain.name.text : "\(domain.name):\(port)"
    let hasRecord = domain.recordName.utf8.count <= DomainName.maximumLength
    message.challenge = V1.DomainChallenge(
      txtName: hasRecord ? domain.recordName : "",
      txtValue: hasRecord ? domain.challenge.content : "",
      httpUrl: "http://\(authority)\(domain.challenge.path)",
      httpContent: domain.challenge.content)
    return message
  }
}
