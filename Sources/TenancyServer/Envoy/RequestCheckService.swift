import Tenancy
import TenancyCrypto
import TenancyRPC
import TenancyWire

/// `envoy.service.auth.v3.Authorization`: whether an HTTP request may go on, and as whose.
///
/// The request's own credentials say who makes it, as those of a call do here: the certificate that its client has
/// shown to Envoy, and a token. Its path, host and headers are selectors. What it needs is what the platform's rules
/// and those of its tenant say.
struct RequestCheckService: Sendable {
  private let plane: ControlPlane
  private let resolver: Resolver
  private let terms: EnvoyTerms?
  /// Nil: requests are not limited.
  private let plans: LimitPlans?
  private let tally: RequestTally
  /// Headers that name tenants, and are the proxy's to set.
  private let tenantHeaders: [String]
  private let anonymousAnswer: [UInt8]

  init(
    plane: ControlPlane, resolver: Resolver, terms: EnvoyTerms?, plans: LimitPlans?,
    _ tally: RequestTally
  ) {
    self.plans = plans
    self.tally = tally
    self.plane = plane
    self.resolver = resolver
    self.terms = terms
    tenantHeaders = resolver.rules.headerNames
    anonymousAnswer = RequestIdentity.anonymousAnswer(removing: tenantHeaders)
      .encode(arena: Arena(firstBlock: Gate.arenaBytes))
  }

  func methods(_ gate: Gate) -> [TenancyMethod] {
    [
      gate.inline(onLoop: EnvoyAuth.Authorization.check) {
        (access, loop, message, response) throws(TenancyError) in
        guard let terms else { throw Self.notConfigured }
        guard let service = loop, let loop = service.forwarded else { throw Self.mayNotWait }
        guard let attributes = message.attributes else {
          throw .invalid("attributes", "is required")
        }
        let request = try ForwardedRequest(attributes, resolver)
        var caller: Caller?
        do throws(TenancyError) {
          response.write(
            encoded: try judge(request, access, loop, terms, caller: &caller))
          service.mark = loop.takeTag().map { CallMark(tag: $0) }
        } catch {
          // Envoy is told of an error, and denies.
          if error.category == .internalError { throw error }
          tally.note(RequestTally.Verdict(error))
          service.mark = caller.flatMap { Denials.tag(of: $0, access.snapshot) }
            .map { CallMark(tag: $0, verdict: CallVerdict(error)) }
          note(error, caller ?? access.caller, request, access)
          response.write(RequestAnswer.denied(error))
        }
      }
    ]
  }

  /// - Parameter caller: who makes the request, as soon as that is known.
  /// - Returns: the encoded answer that lets it through.
  /// - Throws: why it does not go on.
  private func judge(
    _ request: borrowing ForwardedRequest, _ access: Access, _ loop: ForwardedLoop,
    _ terms: EnvoyTerms, caller found: inout Caller?
  ) throws(TenancyError) -> [UInt8] {
    try SelectorParsing.checkPath(request.bare)
    guard !request.method.isEmpty else {
      throw .invalid("attributes.request.http.method", "is empty")
    }
    let path = RoutePath(request.bare)
    let need = terms.routes.need(of: request.method, path)
    if need == .nothing {
      tally.note(.anonymous)
      return anonymousAnswer
    }
    let caller = try identify(request, access, loop, &found)
    let (state, now) = (access.snapshot.state, access.now)
    let home = try Self.home(of: caller, state, now)
    let named = caller.token?.tenantText ?? ""
    let resolution = try resolver.resolve(
      request.selectors, token: caller.token == nil ? nil : named.utf8Span.span.bytes,
      state: state, home: home, now: now, mayFallBack: true)
    let record = resolution.record
    try Self.authorize(caller, request.method, path, need, record, now)
    tally.note(.allowed)
    loop.tag = CallTag(record.tenant.id)
    let plan = state.catalog.plan(of: record.tenant.configuration)
    if let known = loop.answers.find(caller, record.tenant, plan) { return known }
    let answer = RequestIdentity(tenant: record.tenant, caller: caller)
      .answer(removing: tenantHeaders, plans, plan)
      .encode(arena: Arena(firstBlock: Gate.arenaBytes))
    loop.answers.insert(answer, caller, record.tenant, plan)
    return answer
  }

  // MARK: Identity

  /// Who makes the request, by certificate and token together.
  private func identify(
    _ request: borrowing ForwardedRequest, _ access: Access, _ loop: ForwardedLoop,
    _ found: inout Caller?
  ) throws(TenancyError) -> Caller {
    var presenter = loop.presenter(of: access.caller)
    var account = access.caller.subject.hashValue
    if request.certificate.isEmpty {
      // Whoever sends what is none keeps nobody else out.
      account = Self.account(of: request.address, through: account)
    } else {
      let owner = try loop.owner(
        of: request.certificate, through: access.caller, access)
      found = owner
      presenter = owner
      account = CallerDirectory(plane).account(of: owner)
    }
    guard request.hasAuthorization else {
      guard let owner = found else { throw Self.missing }
      return owner
    }
    let caller = try loop.bearer(of: request, presenter, account: account, access)
    found = caller
    if let error = caller.lapse(in: access.snapshot.state, at: access.now) { throw error }
    try Gate.judgeToken(of: caller, access.snapshot.state, access.now)
    return caller
  }

  private static func account(of address: RawSpan, through gateway: Int) -> Int {
    var hasher = Hasher()
    hasher.combine(gateway)
    address.withUnsafeBytes { hasher.combine(bytes: $0) }
    return hasher.finalize()
  }

  /// The tenant of the certificate; nil: it is a platform identity's, or there is none.
  private static func home(
    of caller: Caller, _ state: borrowing ControlState, _ now: Timestamp
  ) throws(TenancyError) -> TenantRecord? {
    let owner = caller.presenter ?? caller
    guard case .tenant(let name) = owner.kind else { return nil }
    guard let home = state.find(name.utf8Span.span.bytes, at: now), !home.tenant.state.isGone
    else { throw Gate.unknownHome }
    return home
  }

  // MARK: Authorization

  /// The platform's rule and the tenant's are both to be met: a tenant can't take away what the platform asks for, and
  /// lets nothing through that the platform does not leave to it.
  private static func authorize(
    _ caller: Caller, _ method: RawSpan, _ path: borrowing RoutePath, _ need: PlatformRoute.Need?,
    _ record: TenantRecord, _ now: Timestamp
  ) throws(TenancyError) {
    let own = record.tenant.configuration.routes.first(covering: method, path)
    switch need {
    // What needs nothing was answered before anybody was asked for.
    case nil, .nothing: throw notAllowed
    case .permission(let permission): try require(permission, of: caller, record, now)
    case .tenantsRule: if own == nil { throw notAllowed }
    }
    if let own { try require(own.permission, of: caller, record, now) }
  }

  private static let notAllowed = TenancyError(
    .permissionDenied, .routeNotAllowed, "no rule lets requests of this kind through")

  private static func require(
    _ permission: String, of caller: Caller, _ record: TenantRecord, _ now: Timestamp
  ) throws(TenancyError) {
    let question = permission.utf8Span.span.bytes
    guard let colon = Permission.colon(in: question) else { throw .missing(permission: permission) }
    if let narrowed = caller.token?.permissions, !narrowed.grants(question, colon: colon) {
      throw .missing(permission: permission)
    }
    let isPermitted = caller.permissions.grants(question, colon: colon)
    if isPermitted, caller.isPlatform || !record.policy.denies { return }
    guard !caller.isPlatform else { throw .missing(permission: permission) }
    switch Gate.decision(caller, permission, record, now) {
    case .allowed: return
    case .notAllowed where isPermitted: return
    case .denied, .notAllowed, nil: throw .missing(permission: permission)
    }
  }

  // MARK: Denials

  private func note(
    _ error: TenancyError, _ caller: Caller, _ request: borrowing ForwardedRequest,
    _ access: Access
  ) {
    guard Denials.isDenial(error) else { return }
    let rule = MethodRule.of(EnvoyAuth.Authorization.check.identity)
    Denials(plane: plane).note(error, ofRequest: request.requestID, caller, rule, access)
  }

  private static let notConfigured = TenancyError(
    .failedPrecondition, .envoyNotConfigured, "the server has no envoy in its configuration")
  private static let mayNotWait = TenancyError.invalid(
    ConsistencyMetadata.name, "is not taken by this method: it answers from the newest state")
  private static let missing = TenancyError(
    .unauthenticated, .credentialMissing, "the request has neither a certificate nor a token")
}

/// What an event loop keeps for HTTP requests that are judged on it. Confined to it.
final class ForwardedLoop {
  /// Nil: tokens are not taken.
  private let tokens: TokenJudge?
  /// Whether the tokens are swept by who made them.
  private let sharesTokens: Bool
  private let certificates: ForwardedCertificates
  /// Those that ask, one for each that there is, whatever connection it has.
  private var gateways: [String: Caller] = [:]
  private var allowance = VerifyingAllowance()
  private let clock: @Sendable () -> Int64
  var answers = KnownAnswers()
  /// The tenant of the request that is judged, for observers.
  var tag: CallTag?

  /// - Parameters:
  ///   - tokens: nil: tokens are not taken.
  ///   - judge: of calls' own tokens, which is used if those of requests are for the same audience.
  ///   - clock: nanoseconds, never set.
  init(
    _ terms: EnvoyTerms, _ rules: IdentityRules, tokens: TokenTerms?, _ judge: TokenJudge?,
    clock: @escaping @Sendable () -> Int64
  ) {
    let own = terms.tokens(tokens)
    sharesTokens = own?.audience == tokens?.audience
    self.tokens = sharesTokens ? judge : own.map { TokenJudge($0, rules, clock: clock) }
    certificates = ForwardedCertificates(terms.certificates, rules)
    self.clock = clock
  }

  /// Leaves none behind.
  func takeTag() -> CallTag? {
    defer { tag = nil }
    return tag
  }

  /// Once a second.
  func sweep(at now: Timestamp) {
    if !sharesTokens { tokens?.sweep(at: now) }
    allowance.sweep(at: clock())
    answers.removeAll()
    gateways.removeAll(keepingCapacity: true)
  }

  /// Who presents the tokens of clients that have shown no certificate. An Envoy has many connections, and is one.
  func presenter(of gateway: Caller) -> Caller {
    if let known = gateways[gateway.subject] { return known }
    let presenter = Caller(passingOn: gateway)
    gateways[gateway.subject] = presenter
    return presenter
  }

  /// Whose a client's certificate is.
  /// - Parameter gateway: who has passed it on.
  func owner(
    of certificate: RawSpan, through gateway: Caller, _ access: Access
  ) throws(TenancyError) -> Caller {
    let now = access.now
    if let known = certificates.find(certificate) {
      if let error = known.caller.lapse(in: access.snapshot.state, at: now) { throw error }
      guard certificates.accept(known, at: now) else { throw Gate.revoked }
      return known.caller
    }
    if let refusal = certificates.refusal(of: certificate, at: now) { throw refusal }
    let (account, began) = (gateway.subject.hashValue, clock())
    guard allowance.admits(peer: account, nil, at: began) else {
      throw TenancyError(
        .resourceExhausted, .limitReached, "too many certificates that were not seen before",
        retryAfterSeconds: 1)
    }
    defer {
      let ended = clock()
      allowance.charge(peer: account, nil, ended - began, isRefused: false, at: ended)
    }
    return try certificates.judge(certificate, at: now).caller
  }

  /// Whom the request's token is for.
  func bearer(
    of request: borrowing ForwardedRequest, _ presenter: Caller, account: Int, _ access: Access
  ) throws(TenancyError) -> Caller {
    guard let tokens else { throw RequestTokens.notTaken }
    guard !request.isAuthorizationRepeated else { throw BearerToken.malformed.error }
    do throws(TokenDenial) {
      return try request.authorization.withUnsafeBytes { value throws(TokenDenial) in
        guard let token = BearerToken.token(in: value) else { throw BearerToken.malformed }
        return try tokens.caller(
          presenting: token, presenter, account: account, access.snapshot.state, at: access.now)
      }
    } catch {
      throw error.error.reaching(error.tenant)
    }
  }
}
