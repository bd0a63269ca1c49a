public import Tenancy
public import TenancyRPC
import TenancyWire

/// Asks a platform's `tenancy.lifecycle.v1.TransitionApprovals` before tenants are moved. Thread-safe.
public struct RemoteApprover: TransitionApprover {
  private let channel: RPCChannel
  private let timeout: Duration
  private let now: @Sendable () -> Timestamp

  /// Characters of a reason. The rest is cut.
  static let maximumReason = 500

  /// - Parameters:
  ///   - channel: to the platform's service.
  ///   - timeout: for the whole answer.
  public init(
    _ channel: RPCChannel, timeout: Duration, now: @escaping @Sendable () -> Timestamp
  ) {
    self.channel = channel
    self.timeout = timeout
    self.now = now
  }

  public func approve(
    _ event: Lifecycle.Event, of tenant: Tenant, by actor: String
  ) async throws(TenancyError) {
    // What has no name is not asked for, and so not approved.
    guard let transition = LifecycleV1.Transition(event) else { throw Self.unavailable("unknown") }
    let request = LifecycleV1.ApproveTransitionRequest(
      tenant: V1.Tenant(tenant, former: [], at: now(), isPlatform: true), transition: transition,
      subject: actor)
    let answer: LifecycleV1.ApproveTransitionResponse
    do {
      answer = try await channel.unary(
        LifecycleV1.TransitionApprovals.approveTransition.method, request,
        options: RPCCallOptions(timeout: timeout))
    } catch {
      throw Self.unavailable((error as? RPCStatus).map { "\($0.code)" } ?? "UNKNOWN")
    }
    guard answer.approved else { throw Self.denied(answer.reason) }
  }

  private static func denied(_ reason: String) -> TenancyError {
    let why = String(
      String.UnicodeScalarView(
        reason.unicodeScalars.prefix(maximumReason).map { $0.value < 0x20 ? " " : $0 }))
    return TenancyError(
      .permissionDenied, .transitionDenied,
      why.isEmpty ? "the transition is not approved" : "the transition is not approved: \(why)")
  }

  private static func unavailable(_ code: String) -> TenancyError {
    TenancyError(
      .unavailable, .approvalUnavailable,
      "whoever has to approve the transition gave no answer: nothing was changed",
      metadata: ["status": code], retryAfterSeconds: 5)
  }
}

extension LifecycleV1.Transition {
  /// Nil for what nobody is asked for.
  init?(_ event: Lifecycle.Event) {
    switch event {
    case .provision: self = .provision
    case .deprovision: self = .deprovision
    case .activate: self = .activate
    case .deactivate: self = .deactivate
    case .beginMaintenance: self = .beginMaintenance
    case .endMaintenance: self = .endMaintenance
    case .delete: self = .delete
    case .undelete: self = .undelete
    case .purge: self = .purge
    case .provisioned, .provisioningFailed, .dataMissing, .dataFound, .purged: return nil
    }
  }
}
