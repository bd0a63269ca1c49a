import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.TenantResolver`. Works on views of messages: this is the hot path.
struct TenantResolverService: Sendable {
  let resolver: Resolver
  let tokens: RequestTokens

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.TenantResolver
    let explaining = MethodRule.of(API.explainResolution.identity)
    return [
      gate.inline(onLoop: API.resolveTenant) {
        (access, loop, request, response) throws(TenancyError) in
        let token = try tokens.read(of: request, access, loop)
        var selectors = RequestSelectors()
        try selectors.take(all: request, resolver)
        try answer(access, selectors, token: token, mayFallBack: true, &response)
      },
      gate.inline(onLoop: API.explainResolution) {
        (access, loop, request, response) throws(TenancyError) in
        let token = try tokens.read(of: request, access, loop)
        var selectors = RequestSelectors()
        try selectors.take(all: request, resolver)
        let named = token?.tenantText ?? ""
        let account = resolver.explain(
          selectors, token: token == nil ? nil : named.utf8Span.span.bytes,
          state: access.snapshot.state, home: access.home, now: access.now, mayFallBack: true)
        // Who asks in this way tries as much as who resolves.
        if case .failure(let error) = account.outcome {
          gate.denials.note(error, access, explaining, "")
        }
        response.write(V1.ExplainResolutionResponse(account))
      },
      gate.inline(viewing: API.resolveFromPath) {
        (access, request, response) throws(TenancyError) in
        var selectors = RequestSelectors()
        try selectors.take(path: request.path)
        try answer(access, selectors, mayFallBack: false, &response)
      },
      gate.inline(viewing: API.resolveFromSubdomain) {
        (access, request, response) throws(TenancyError) in
        var selectors = RequestSelectors()
        try selectors.take(host: request.host)
        try answer(access, selectors, mayFallBack: false, &response)
      },
      gate.inline(viewing: API.resolveFromHeaders) {
        (access, request, response) throws(TenancyError) in
        var selectors = RequestSelectors()
        try selectors.take(headers: request.headers, resolver)
        try answer(access, selectors, mayFallBack: false, &response)
      },
      gate.inline(onLoop: API.resolveFromToken) {
        (access, loop, request, response) throws(TenancyError) in
        let token = try tokens.read(
          request.token, audience: request.tokenAudience,
          fingerprint: request.tokenCertificateFingerprint, access, loop)
        try answer(access, RequestSelectors(), token: token, mayFallBack: true, &response)
      },
      gate.inline(viewing: API.resolveFromEnvironment) {
        (access, request, response) throws(TenancyError) in
        var selectors = RequestSelectors()
        try selectors.take(environment: request.environment, resolver)
        try answer(access, selectors, mayFallBack: false, &response)
      },
      gate.inline(viewing: API.getDefaultTenant) { (access, _, response) throws(TenancyError) in
        ResolutionAnswer.write(try defaultTenant(access), order: resolver.order, to: &response)
      },
      gate.inline(API.validateTenant, validate),
    ]
  }

  private func answer(
    _ access: Access, _ selectors: borrowing RequestSelectors, token: TokenGrant? = nil,
    mayFallBack: Bool,
    _ response: inout MessageBuilder<V1.ResolveTenantResponse>
  ) throws(TenancyError) {
    let named = token?.tenantText ?? ""
    let resolution = try resolver.resolve(
      selectors, token: token == nil ? nil : named.utf8Span.span.bytes,
      state: access.snapshot.state, home: access.home, now: access.now, mayFallBack: mayFallBack)
    ResolutionAnswer.write(resolution, order: resolver.order, to: &response)
  }

  private func defaultTenant(_ access: Access) throws(TenancyError) -> Resolution {
    guard let name = resolver.rules.defaultTenant else {
      throw TenancyError(.notFound, .tenantUnresolved, "no default tenant is configured")
    }
    guard let record = try access.find(name.utf8Span.span.bytes) else { throw .tenantNotFound }
    if let refusal = record.refusal(at: access.now) { throw refusal }
    return .byDefault(record)
  }

  private func validate(
    _ access: Access, _ request: V1.ValidateTenantRequest
  ) throws(TenancyError) -> V1.ValidateTenantResponse {
    let name = request.name
    let record = try access.find(TenantNames.bareName(name.utf8Span.span.bytes, .tenant))
    guard let record, !record.tenant.state.isGone else {
      return V1.ValidateTenantResponse(reason: TenancyError.Reason.tenantNotFound.rawValue)
    }
    let refusal = record.refusal(at: access.now)
    return V1.ValidateTenantResponse(
      valid: refusal == nil, state: V1.TenantState(record.tenant.state),
      reason: refusal?.reason.rawValue ?? "")
  }
}

extension RequestTokens {
  /// The token of a request; nil: it has none.
  fileprivate func read(
    of request: borrowing MessageView<V1.ResolveTenantRequest>, _ access: Access,
    _ loop: ServiceLoop?
  ) throws(TenancyError) -> TokenGrant? {
    if request.token.isEmpty { return nil }
    return try read(
      request.token, audience: request.tokenAudience,
      fingerprint: request.tokenCertificateFingerprint, access, loop)
  }
}
