public import Logging
public import Tenancy
public import TenancyRPC
import TenancyWire

/// Everything that `tenantd` serves, as methods for the RPC runtime.
public enum TenancyService {
  /// - Precondition: the result serves every method of the API; one that is missing stops the start.
  /// - Parameter vault: nil where no master key is configured.
  public static func methods(
    plane: ControlPlane, provisioner: Provisioner, rules: ResolutionRules,
    vault: SecretVault? = nil
  ) -> [ServiceMethod] {
    let gate = Gate(plane: plane)
    let services: [[ServiceMethod]] = [
      TenantManagerService(plane: plane, provisioner: provisioner).methods(gate),
      TenantResolverService(resolver: Resolver(rules)).methods(gate),
      CheckService().methods(gate), RoleService(plane: plane).methods(gate),
      IdentityService().methods(gate), SecretService(vault: vault).methods(gate),
      AuditService(plane: plane).methods(gate),
    ]
    let methods = services.flatMap(\.self)
    let missing = Set(V1.methods.map(\.path)).subtracting(methods.map(\.path))
    precondition(missing.isEmpty, "not served: \(missing.sorted())")
    return methods
  }
}

/// Turns peers into callers, and the runtime's events into log lines.
public struct TenancyDelegate: ServerDelegate {
  private let plane: ControlPlane
  private let rules: IdentityRules
  private let logger: Logger
  public let observer: (any ServerObserver)?

  public init(
    plane: ControlPlane, rules: IdentityRules, logger: Logger,
    observer: (any ServerObserver)? = nil
  ) {
    self.observer = observer
    self.plane = plane
    self.rules = rules
    self.logger = logger
  }

  public func makeLoopState() -> AnyObject { SnapshotReader(plane) }

  public func maintainLoopState(_ state: AnyObject) {
    // Looking is enough: an idle loop would keep every record of an old revision alive.
    _ = (state as? SnapshotReader)?.snapshot
  }

  public func connectionOpened(_ connection: Connection) -> (any AnyObject & Sendable)? {
    let caller = rules.caller(
      connection.peer, refusal: { connection.refusal() }, source: { connection.label })
    switch caller {
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

  public func describe(_ status: RPCStatus) -> RPCStatus { StatusMapping.describe(status) }

  public func log(_ event: ServerEvent) {
    let level: Logger.Level =
      switch event.kind {
      case .listening, .stopped: .info
      case .handshakeFailed, .outOfDescriptors, .peerRefused, .peerStalled, .protocolError: .warning
      case .internalError: .error
      }
    logger.log(
      level: level, "\(event.kind.rawValue)",
      metadata: ["connection": "\(event.connection)", "detail": "\(event.detail)"])
  }
}
