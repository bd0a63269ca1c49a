/// What a write sees and does.
public struct Transaction {
  /// The newest state, earlier writes of the same batch included.
  public let state: ControlState
  /// The time of the write, the same for everything in it.
  public let now: Timestamp
  private(set) var changes: [Change] = []
  /// The tenants that the changes are about, each once.
  private(set) var tenants: [TenantID] = []
  /// What the entry does to a lease.
  var lease: LeaseAction?
  /// Who asked, where it is not the server itself.
  var origin: AuditOrigin?
  /// What the audit trail is to know of the change besides.
  var remark = ""
  /// What is done to configurations.
  var history: [ConfigurationEdit] = []
  /// See `ConfigurationEdit.request`.
  var historyRequest = ""
  /// Who holds roles that may exclude each other is looked at within this.
  var holderLooks = WorkBudget(visits: RoleRules.maximumLooks)
  /// The request that asked for it.
  private(set) var remembered: RememberedRequest?

  init(state: ControlState, now: Timestamp) {
    self.state = state
    self.now = now
  }

  /// Adds a change, about this tenant.
  public mutating func emit(_ change: Change, about tenant: TenantID) {
    concern(tenant)
    changes.append(change)
  }

  mutating func concern(_ tenant: TenantID) {
    if tenants.last != tenant, !tenants.contains(tenant) { tenants.append(tenant) }
  }

  /// Remembers that this is what a request has asked for.
  mutating func remember(_ request: RememberedRequest) {
    remembered = request
    if let tenant = request.tenant { concern(tenant) }
  }

  /// More is to be done for the request: it is not remembered yet.
  mutating func leaveUnfinished() { remembered = nil }

  /// Says which id the change has given to something, for whoever repeats the request.
  mutating func give(id resource: String) { remembered?.resource = resource }

  /// Adds a change that is about no tenant.
  public mutating func emit(_ change: Change) { changes.append(change) }

  /// One of several steps, on what those before it have made.
  func step(on working: ControlState) -> Transaction {
    var step = Transaction(state: working, now: now)
    step.holderLooks = holderLooks
    return step
  }

  /// Adds what a step has emitted.
  mutating func take(_ step: Transaction, about tenant: TenantID) {
    holderLooks = step.holderLooks
    for change in step.changes { emit(change, about: tenant) }
  }

  mutating func discard() {
    (changes, tenants, lease, history, remembered) = ([], [], nil, [], nil)
  }
}
