/// Somebody outside who is asked before a tenant is moved. Thread-safe.
public protocol TransitionApprover: Sendable {
  /// Asks, for a bounded time.
  /// - Parameter actor: who asks for the transition.
  /// - Throws: PERMISSION_DENIED with TRANSITION_DENIED if the answer is no; UNAVAILABLE with APPROVAL_UNAVAILABLE if
  ///   there is none. Only an answer is a yes.
  func approve(
    _ event: Lifecycle.Event, of tenant: Tenant, by actor: String
  ) async throws(TenancyError)
}

/// Which transitions need somebody's approval.
public struct TransitionApprovals: Sendable {
  private let events: Set<Lifecycle.Event>
  private let approver: (any TransitionApprover)?

  /// Events that can need it: what operators, the schedule and the end of a retention bring about.
  public static let events: [Lifecycle.Event] = [
    .provision, .deprovision, .activate, .deactivate, .beginMaintenance, .endMaintenance, .delete,
    .undelete, .purge,
  ]

  /// None does.
  public static let none = TransitionApprovals()

  private init() { (events, approver) = ([], nil) }

  /// - Parameter events: of `Self.events`.
  public init(_ events: Set<Lifecycle.Event>, by approver: any TransitionApprover) {
    self.events = events
    self.approver = approver
  }

  /// Whether somebody is asked.
  public func needs(_ event: Lifecycle.Event) -> Bool {
    approver != nil && events.contains(event)
  }

  /// Asks where it is needed. What is refused in any case is not asked for: it is refused of the tenant as it is known
  /// here, for of a newer one it might be possible, and nobody has approved that.
  /// - Parameter etag: that of the caller; empty: any.
  /// - Returns: the etag that the tenant must have still: the approval is for it as it was shown.
  /// - Throws: as `TransitionApprover.approve`; `.etagMismatch`.
  public func require(
    _ event: Lifecycle.Event, of tenant: Tenant, etag: String = "", by actor: String
  ) async throws(TenancyError) -> String {
    guard let approver, events.contains(event) else { return etag }
    try TenantCommands.require(etag, of: tenant)
    guard Lifecycle.next(tenant.state, event) != nil else { return tenant.etag }
    try await approver.approve(event, of: tenant, by: actor)
    return tenant.etag
  }
}
