public import Logging
public import Tenancy
public import TenancyRPC
import TenancyWire

/// Everything that `tenantd` serves, as methods for the RPC runtime. Thread-safe.
public struct TenancyService: Sendable {
  /// What has to be served: our API, and what of Envoy's is answered.
  static let served = V1.methods + EnvoyAuth.methods + EnvoyRateLimit.methods

  /// Every method of the API.
  public let methods: [TenancyMethod]
  /// How HTTP requests were judged.
  public let requests = RequestTally()
  private let gate: Gate

  /// - Precondition: every method of the API has its handler here; one that is missing stops the start.
  /// - Parameters:
  ///   - tokens: nil: no tokens are issued or taken.
  ///   - limits: nil: tenants' requests are not limited.
  ///   - domains: nil: no domains of tenants' own are claimed.
  ///   - vault: nil where no master key is configured.
  ///   - trustDomain: of certificate authorities that are prepared without one.
  ///   - approvals: which transitions of tenants somebody else has to approve.
  ///   - listener: by whom certificates that imported authorities sign have to be taken.
  ///   - platformRoles: what platform roles may do: nobody gives one that can do more than itself.
  ///   - usage: what is counted and measured of tenants.
  ///   - decisions: nil: what policies answer is not recorded.
  public init(
    plane: ControlPlane, provisioner: Provisioner, rules: ResolutionRules,
    tokens: TokenTerms? = nil, envoy: EnvoyTerms? = nil, limits: RateLimitTerms? = nil,
    domains: DomainTerms? = nil, vault: SecretVault? = nil, trustDomain: String? = nil,
    approvals: TransitionApprovals = .none, listener: TLSContext? = nil,
    platformRoles: [String: [Permission]] = IdentityRules.defaultPlatformRoles,
    usage: UsageTerms = UsageTerms(), decisions: DecisionLog? = nil
  ) {
    let gate = Gate(plane: plane)
    let resolver = Resolver(rules)
    let turns = TenantTurns()
    let services: [[TenancyMethod]] = [
      TenantManagerService(
        plane: plane, provisioner: provisioner, plans: limits?.limiter.plans, approvals: approvals
      ).methods(gate),
      UsageService(
        plane: plane, provisioner: provisioner, limiter: limits?.limiter, terms: usage
      ).methods(gate),
      TenantDataService(plane: plane, provisioner: provisioner).methods(gate),
      ClusterService(provisioner: provisioner).methods(gate),
      OperationService(provisioner: provisioner).methods(gate),
      TenantResolverService(resolver: resolver, tokens: RequestTokens(tokens))
        .methods(gate),
      CheckService(decisions: decisions).methods(gate), ExplainService().methods(gate),
      PolicyListService().methods(gate),
      DecisionService(log: decisions, turns: turns).methods(gate),
      SimulateService(policies: PolicyService(plane: plane), log: decisions, turns: turns)
        .methods(gate),
      RoleService(plane: plane).methods(gate), GroupService(plane: plane).methods(gate),
      PolicyService(plane: plane).methods(gate),
      IdentityService().methods(gate), SecretService(vault: vault).methods(gate),
      TokenService(plane: plane, terms: tokens, signers: TokenSigners(vault)).methods(gate),
      AuditService(plane: plane).methods(gate),
      RequestCheckService(
        plane: plane, resolver: resolver, terms: envoy, plans: limits?.limiter.plans,
        requests
      ).methods(gate),
      RateLimitService(plane: plane, terms: limits, tally: requests).methods(gate),
      SettingDefinitionService(plane: plane).methods(gate),
      PlanService(plane: plane, limits: limits?.limiter.plans).methods(gate),
      FeatureFlagService(plane: plane).methods(gate),
      TenantConfigurationService(plane: plane, plans: limits?.limiter.plans, vault: vault)
        .methods(gate),
      WorkloadEntryService(plane: plane, platformRoles: platformRoles).methods(gate),
      TenantDomainService(plane: plane, terms: domains, baseDomains: rules.baseDomains)
        .methods(gate),
      CertificateAuthorityService(
        plane: plane, vault: vault, trustDomain: trustDomain, listener: listener
      ).methods(gate),
    ]
    methods = services.flatMap(\.self)
    self.gate = gate
    let missing = Set(Self.served.map(\.path)).subtracting(methods.map(\.path))
    precondition(missing.isEmpty, "not served: \(missing.sorted())")
  }

  /// Methods of other APIs that every gRPC server is expected to have: whoever may connect may call them, so
  /// they must disclose nothing of any tenant.
  public func alongside(_ methods: [TenancyMethod]) -> [TenancyMethod] {
    gate.connectionScoped(methods)
  }

  /// Judges streams again when what they were admitted by has changed. Until it runs, and after it has been
  /// cancelled or the control plane is closed, no stream is served.
  public func run() async { await gate.streams.run() }

  /// Returns when streams are served, which `run` sees to, or when that has ended. To be awaited before connections
  /// are taken.
  /// - Returns: whether they are served.
  @discardableResult
  public func untilStreamsAreServed() async -> Bool { await gate.streams.untilFollowed() }

  /// Certificates, CAs or CRLs were loaded anew: ends the streams of those that are not accepted any more. Looks
  /// at all of them, and may verify chains: not for event loops.
  public func reviewStreams() { gate.streams.reviewAll() }

  /// The same where only what lets in a tenant's callers is otherwise: looks at its streams alone, and for one whose
  /// streams are looked at all the time a moment later.
  public func reviewStreams(of tenant: TenantID) { gate.streams.review(touching: [tenant]) }
}

/// Whom a question is about that is asked for another, and how it was answered.
struct CallMark {
  let tag: CallTag
  var verdict = CallVerdict.byStatus
}

/// What an event loop keeps for the calls on it. Confined to it.
public final class ServiceLoop {
  private let reader: SnapshotReader
  /// Nil: tokens are not taken.
  let tokens: TokenJudge?
  /// Nil: HTTP requests are not judged.
  let forwarded: ForwardedLoop?

  /// Nil: what policies answer is not recorded.
  let decisions: DecisionShard?

  init(
    _ plane: ControlPlane, _ tokens: TokenJudge?, _ forwarded: ForwardedLoop? = nil,
    _ decisions: DecisionShard? = nil
  ) {
    reader = SnapshotReader(plane)
    self.tokens = tokens
    self.forwarded = forwarded
    self.decisions = decisions
  }

  /// What observers are told of the call that is answered, beside its status.
  var mark: CallMark?

  /// Leaves none behind.
  @inline(__always)
  func takeMark() -> CallMark? {
    guard let mark else { return nil }
    self.mark = nil
    return mark
  }

  /// The newest acknowledged state.
  @inline(__always)
  var snapshot: Snapshot { reader.snapshot }
}

/// A method as `tenantd` serves it, and a call of one.
public typealias TenancyMethod = ServiceMethod<TenancyDelegate>
typealias TenancyCall = AsyncCall<TenancyDelegate>

/// Turns peers into callers, and the runtime's events into log lines.
public struct TenancyDelegate: ServerDelegate {
  private let plane: ControlPlane
  private let makeLoop: @Sendable (ControlPlane) -> ServiceLoop
  private let identify: @Sendable (Connection) -> Result<Caller, IdentityRefusal>
  private let logger: Logger
  public let observer: (any ServerObserver)?

  /// - Parameters:
  ///   - tokens: nil: tokens are not taken.
  ///   - envoy: nil: HTTP requests are not judged.
  ///   - decisions: nil: what policies answer is not recorded.
  public init(
    plane: ControlPlane, rules: IdentityRules, tokens: TokenTerms? = nil,
    envoy: EnvoyTerms? = nil, decisions: DecisionLog? = nil, logger: Logger,
    observer: (any ServerObserver)? = nil
  ) {
    let makeLoop: @Sendable (ControlPlane) -> ServiceLoop = { plane in
      let judge = tokens.map { TokenJudge($0, rules, clock: SteadyTime.nanoseconds) }
      let forwarded = envoy.map {
        ForwardedLoop($0, rules, tokens: tokens, judge, clock: SteadyTime.nanoseconds)
      }
      return ServiceLoop(plane, judge, forwarded, decisions?.makeShard())
    }
    self.init(plane: plane, makeLoop: makeLoop, logger: logger, observer: observer) {
      connection in
      rules.caller(
        connection.peer, refusal: { connection.refusal() }, source: { connection.label })
    }
  }

  /// - Parameter identify: who makes a connection's calls.
  init(
    plane: ControlPlane,
    makeLoop: @escaping @Sendable (ControlPlane) -> ServiceLoop = { ServiceLoop($0, nil) },
    logger: Logger, observer: (any ServerObserver)? = nil,
    identify: @escaping @Sendable (Connection) -> Result<Caller, IdentityRefusal>
  ) {
    self.observer = observer
    self.plane = plane
    self.makeLoop = makeLoop
    self.identify = identify
    self.logger = logger
  }

  public func makeLoopContext() -> ServiceLoop { makeLoop(plane) }

  public func maintain(_ loop: ServiceLoop) {
    // Looking is enough: an idle loop would keep every record of an old revision alive.
    let snapshot = loop.snapshot
    loop.decisions?.sweep(snapshot, at: plane.now)
    loop.tokens?.sweep(at: plane.now)
    loop.forwarded?.sweep(at: plane.now)
  }

  public static let identityMetadata = [BearerToken.metadataName]

  public func callContext(
    of peer: Caller, _ metadata: borrowing CallMetadata, _ loop: ServiceLoop
  ) throws(RPCStatus) -> Caller {
    do throws(TokenDenial) {
      let found = try BearerToken.with(metadata) { token in
        Result { () throws(TokenDenial) in
          guard let judge = loop.tokens else { throw Self.takesNoTokens }
          return try judge.caller(
            presenting: token, peer, account: account(of: peer), loop.snapshot.state,
            at: plane.now)
        }
      }
      return found ?? peer
    } catch {
      let (path, id) = (metadata.path, Denials.requestID(in: metadata))
      Denials(plane: plane).note(error, peer, path: path, loop.snapshot, id)
      throw StatusMapping.status(of: error.error)
    }
  }

  /// Who sends one expects it to count.
  private static let takesNoTokens = TokenDenial(
    TenancyError(
      .unauthenticated, .tokensNotConfigured, "the server takes no tokens: it has none configured"))

  public func connectionOpened(_ connection: Connection) -> Caller? {
    switch identify(connection) {
    case .success(let caller):
      logger.debug(
        "connected", metadata: ["peer": "\(connection.label)", "subject": "\(caller.subject)"])
      return caller
    case .failure(let refusal):
      log(
        ServerEvent(kind: .peerRefused, connection: connection.label, detail: refusal.reason))
      return nil
    }
  }

  public func account(of caller: Caller) -> Int { CallerDirectory(plane).account(of: caller) }
  public func name(of caller: Caller) -> CallerName? { CallerDirectory(plane).name(of: caller) }
  public func tag(of connection: Caller) -> CallTag {
    Denials.tag(of: connection, plane.snapshot) ?? CallTag()
  }

  public func describe(_ status: RPCStatus) -> RPCStatus { StatusMapping.describe(status) }

  public func log(_ event: ServerEvent) {
    let level: Logger.Level =
      switch event.kind {
      case .listening: .info
      case .handshakeFailed, .outOfDescriptors, .peerRefused, .peerStalled, .protocolError: .warning
      case .internalError: .error
      }
    logger.log(
      level: level, "\(event.kind.rawValue)",
      metadata: ["connection": "\(event.connection)", "detail": "\(event.detail)"])
  }
}
