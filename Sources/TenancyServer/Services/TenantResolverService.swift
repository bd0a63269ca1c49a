import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.TenantResolver`. Works on views of messages: this is the hot path.
struct TenantResolverService: Sendable {
  let resolver: Resolver

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.TenantResolver
    return [
      gate.inline(viewing: API.resolveTenant) {
        (access, request, response) throws(TenancyError) in
        var sources = Sources()
        try sources.takePath(request.path)
        try sources.takeHost(request.host)
        try sources.takeHeaders(request.headers, rules: resolver.rules)
        try sources.takeEnvironment(request.environment, rules: resolver.rules)
        guard request.token.isEmpty else { throw Self.noTokens }
        try answer(access, sources, mayFallBack: true, &response)
      },
      gate.inline(viewing: API.resolveFromPath) {
        (access, request, response) throws(TenancyError) in
        var sources = Sources()
        try sources.takePath(request.path)
        try answer(access, sources, mayFallBack: false, &response)
      },
      gate.inline(viewing: API.resolveFromSubdomain) {
        (access, request, response) throws(TenancyError) in
        var sources = Sources()
        try sources.takeHost(request.host)
        try answer(access, sources, mayFallBack: false, &response)
      },
      gate.inline(viewing: API.resolveFromHeaders) {
        (access, request, response) throws(TenancyError) in
        var sources = Sources()
        try sources.takeHeaders(request.headers, rules: resolver.rules)
        try answer(access, sources, mayFallBack: false, &response)
      },
      gate.inline(API.resolveFromToken) { (_, _) throws(TenancyError) in throw Self.noTokens },
      gate.inline(viewing: API.resolveFromEnvironment) {
        (access, request, response) throws(TenancyError) in
        var sources = Sources()
        try sources.takeEnvironment(request.environment, rules: resolver.rules)
        try answer(access, sources, mayFallBack: false, &response)
      },
      gate.inline(viewing: API.getDefaultTenant) { (access, _, response) throws(TenancyError) in
        ResolutionAnswer.write(try defaultTenant(access), rules: resolver.rules, to: &response)
      },
      gate.inline(API.validateTenant, validate),
    ]
  }

  private static let noTokens = TenancyError(
    .unimplemented, .notImplemented, "this server can't verify tokens yet")

  private func answer(
    _ access: Access, _ sources: borrowing Sources, mayFallBack: Bool,
    _ response: inout MessageBuilder<V1.ResolveTenantResponse>
  ) throws(TenancyError) {
    let resolution = try resolver.resolve(
      path: sources.path, host: sources.host, header: sources.header,
      environment: sources.environment, given: sources.given, state: access.snapshot.state,
      home: access.home, now: access.now, mayFallBack: mayFallBack)
    ResolutionAnswer.write(resolution, rules: resolver.rules, to: &response)
  }

  private func defaultTenant(_ access: Access) throws(TenancyError) -> Resolution {
    guard let name = resolver.rules.defaultTenant else {
      throw TenancyError(.notFound, .tenantUnresolved, "no default tenant is configured")
    }
    guard let record = try access.find(name.utf8Span.span.bytes) else { throw .tenantNotFound }
    if let refusal = Lifecycle.refusal(for: record.tenant.state) { throw refusal }
    return .byDefault(record)
  }

  private func validate(
    _ access: Access, _ request: V1.ValidateTenantRequest
  ) throws(TenancyError) -> V1.ValidateTenantResponse {
    let name = request.name
    let record = try access.find(TenantNames.bareName(name.utf8Span.span.bytes, .tenant))
    guard let record, record.tenant.state != .deleted else {
      return V1.ValidateTenantResponse(reason: TenancyError.Reason.tenantNotFound.rawValue)
    }
    let refusal = Lifecycle.refusal(for: record.tenant.state)
    return V1.ValidateTenantResponse(
      valid: refusal == nil, state: V1.TenantState(record.tenant.state),
      reason: refusal?.reason.rawValue ?? "")
  }
}

/// The selectors of one request, checked as text; they are in the request.
private struct Sources: ~Escapable {
  private(set) var path: RawSpan
  private(set) var host: RawSpan
  private(set) var header: RawSpan
  private(set) var environment: RawSpan
  private(set) var given = StrategySet()

  @_lifetime(immortal)
  init() {
    path = RawSpan()
    host = RawSpan()
    header = RawSpan()
    environment = RawSpan()
  }

  @_lifetime(self: copy self, copy field)
  mutating func takePath(_ field: borrowing TextView) throws(TenancyError) {
    try SelectorParsing.checkLength(field.bytes.byteCount, "path")
    path = try WireErrors.text(field)
    if !path.isEmpty { given.insert(StrategySet(.path)) }
  }

  @_lifetime(self: copy self, copy field)
  mutating func takeHost(_ field: borrowing TextView) throws(TenancyError) {
    try SelectorParsing.checkLength(field.bytes.byteCount, "host")
    host = try WireErrors.text(field)
    if !host.isEmpty { given.insert(StrategySet(.subdomain)) }
  }

  /// Finds the tenant header. Repeats that disagree are refused: proxies differ in which they believe.
  @_lifetime(self: copy self, copy entries)
  mutating func takeHeaders(
    _ entries: borrowing TextMapView, rules: ResolutionRules
  ) throws(TenancyError) {
    for index in 0..<entries.count {
      let name = try WireErrors.text(entries.key(index))
      let value = try WireErrors.text(entries.value(index))
      guard name.byteCount == rules.headerName.utf8.count, name.matches(rules.headerName, at: 0)
      else { continue }
      try Self.check(value, .header, header, given, "headers")
      header = value
      given.insert(StrategySet(.header))
    }
  }

  @_lifetime(self: copy self, copy entries)
  mutating func takeEnvironment(
    _ entries: borrowing TextMapView, rules: ResolutionRules
  ) throws(TenancyError) {
    for index in 0..<entries.count {
      let name = try WireErrors.text(entries.key(index))
      let value = try WireErrors.text(entries.value(index))
      guard name.equals(rules.environmentVariable) else { continue }
      try Self.check(value, .environment, environment, given, "environment")
      environment = value
      given.insert(StrategySet(.environment))
    }
  }

  private static func check(
    _ value: RawSpan, _ strategy: ResolutionStrategy, _ earlier: RawSpan, _ given: StrategySet,
    _ field: String
  ) throws(TenancyError) {
    if given.contains(strategy), !earlier.equals(value) {
      throw .invalid(field, "the tenant is named twice, differently", reason: .tenantAmbiguous)
    }
  }
}

/// A resolution as the API's response.
private enum ResolutionAnswer {
  static func write(
    _ resolution: borrowing Resolution, rules: ResolutionRules,
    to answer: inout MessageBuilder<V1.ResolveTenantResponse>
  ) {
    let record = resolution.record
    record.withRendition(made: { encoded($0, id: record.idText) }) { rendition in
      rendition.withUnsafeBytes { answer.write(.tenant, encoded: $0) }
    }
    answer.write(.strategy, wire(resolution.strategy))
    // One finding for each source that was looked at, the most trusted first.
    for strategy in rules.order { explain(strategy, resolution, &answer) }
    explain(.credential, resolution, &answer)
    explain(.default, resolution, &answer)
  }

  private static func explain(
    _ strategy: ResolutionStrategy, _ resolution: borrowing Resolution,
    _ answer: inout MessageBuilder<V1.ResolveTenantResponse>
  ) {
    guard resolution.given.contains(strategy) else { return }
    answer.write(.explanation) { finding in
      finding.write(.strategy, wire(strategy))
      if resolution.namedByID.contains(strategy) {
        finding.write(.value, resolution.record.idText)
      } else if resolution.named.contains(strategy) {
        finding.write(.value, resolution.record.tenant.slug.text)
      }
      finding.write(.decided, strategy == resolution.strategy)
    }
  }

  /// What all answers say of a tenant.
  private static func encoded(_ tenant: Tenant, id: String) -> [UInt8] {
    var message = V1.ResolvedTenant(
      name: TenantNames.collection + id, id: id, slug: tenant.slug.text,
      displayName: tenant.displayName, state: V1.TenantState(tenant.state),
      isolationModel: V1.IsolationModel(tenant.isolationModel), epoch: tenant.epoch)
    if let schema = tenant.configuration.schema { message.schemaName = schema.schemaName }
    if let shared = tenant.configuration.shared {
      message.tenantIdentifier = shared.tenantIdentifier
    }
    return message.encode(arena: Arena(firstBlock: Gate.arenaBytes))
  }

  private static func wire(_ strategy: ResolutionStrategy) -> V1.ResolutionStrategy {
    switch strategy {
    case .path: .path
    case .subdomain: .subdomain
    case .header: .header
    case .environment: .environment
    case .default: .default
    case .credential: .credential
    }
  }
}
