public import Logging
public import Tenancy
public import TenancyRPC
import TenancyWire

/// Everything that `tenantd` serves, as methods for the RPC runtime. Thread-safe.
public struct TenancyService: Sendable {
  /// Every method of the API.
  public let methods: [TenancyMethod]
  private let gate: Gate

  /// - Precondition: every method of the API has its handler here; one that is missing stops the start.
  /// - Parameter vault: nil where no master key is configured.
  public init(
    plane: ControlPlane, provisioner: Provisioner, rules: ResolutionRules,
    vault: SecretVault? = nil
  ) {
    let gate = Gate(plane: plane)
    let services: [[TenancyMethod]] = [
      TenantManagerService(plane: plane, provisioner: provisioner).methods(gate),
      TenantResolverService(resolver: Resolver(rules)).methods(gate),
      CheckService().methods(gate), RoleService(plane: plane).methods(gate),
      IdentityService().methods(gate), SecretService(vault: vault).methods(gate),
      AuditService(plane: plane).methods(gate),
    ]
    methods = services.flatMap(\.self)
    self.gate = gate
    let missing = Set(V1.methods.map(\.path)).subtracting(methods.map(\.path))
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
}

/// A method as `tenantd` serves it, and a call of one.
public typealias TenancyMethod = ServiceMethod<TenancyDelegate>
typealias TenancyCall = AsyncCall<TenancyDelegate>

/// Turns peers into callers, and the runtime's events into log lines.
public struct TenancyDelegate: ServerDelegate {
  private let plane: ControlPlane
  private let identify: @Sendable (Connection) -> Result<Caller, IdentityRefusal>
  private let logger: Logger
  public let observer: (any ServerObserver)?

  public init(
    plane: ControlPlane, rules: IdentityRules, logger: Logger,
    observer: (any ServerObserver)? = nil
  ) {
    self.init(plane: plane, logger: logger, observer: observer) { connection in
      rules.caller(
        connection.peer, refusal: { connection.refusal() }, source: { connection.label })
    }
  }

  /// - Parameter identify: who makes a connection's calls.
  init(
    plane: ControlPlane, logger: Logger, observer: (any ServerObserver)? = nil,
    identify: @escaping @Sendable (Connection) -> Result<Caller, IdentityRefusal>
  ) {
    self.observer = observer
    self.plane = plane
    self.identify = identify
    self.logger = logger
  }

  public func makeLoopContext() -> SnapshotReader { SnapshotReader(plane) }

  public func maintain(_ loop: SnapshotReader) {
    // Looking is enough: an idle loop would keep every record of an old revision alive.
    _ = loop.snapshot
  }

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
