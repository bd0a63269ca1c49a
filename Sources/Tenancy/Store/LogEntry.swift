/// One command's effect: a row of the revision log.
public struct LogEntry: Hashable, Sendable {
  /// Consecutive from 1.
  public let revision: UInt64
  /// When it was judged, by the clock of the node that wrote it.
  public let time: Timestamp
  /// Who did it: a SPIFFE id, `uid:{n}` or `system`.
  public let actor: String
  /// What was done, such as `tenants.create`.
  public let action: String
  /// The tenants concerned, each once, in the order in which the changes first name them.
  public let tenants: [TenantID]
  /// In the order in which they are to be applied.
  public let changes: [Change]
  /// Not a part of the log: those who follow it do not see it.
  public let lease: LeaseAction?
  /// What it does to configurations, of each owner once. Not a part of the log either.
  public let history: [ConfigurationEdit]

  /// - Parameters:
  ///   - lease: what the entry does to a lease, if anything.
  ///   - history: what it does to configurations, of each owner once.
  public init(
    revision: UInt64, time: Timestamp, actor: String, action: String, tenants: [TenantID],
    changes: [Change], lease: LeaseAction? = nil, history: [ConfigurationEdit] = []
  ) {
    self.history = history
    self.revision = revision
    self.time = time
    self.actor = actor
    self.action = action
    self.tenants = tenants
    self.changes = changes
    self.lease = lease
  }
}

/// Where an entry of the log is, without what it says.
public struct LogMark: Hashable, Sendable {
  /// Consecutive from 1.
  public let revision: UInt64
  /// That of the entry.
  public let time: Timestamp

  /// Of an entry that is, or was, in the log.
  public init(revision: UInt64, time: Timestamp) {
    self.revision = revision
    self.time = time
  }
}

/// Secrets are kept in the store and not in the log, which is read by more people and kept for longer: it says
/// which they are.
extension LogEntry {
  /// As those who follow the log see it.
  public var withoutSecrets: LogEntry {
    guard lease != nil || !history.isEmpty || changes.contains(where: \.mayHoldSecrets) else {
      return self
    }
    return LogEntry(
      revision: revision, time: time, actor: actor, action: action, tenants: tenants,
      changes: changes.map(\.withoutSecrets))
  }
}

extension Change {
  fileprivate var mayHoldSecrets: Bool {
    switch self {
    case .putTenant(let tenant): tenant.configuration.database != nil
    case .putSecret, .putDataKey: true
    case .putRole, .deleteRole, .putAssignment, .deleteAssignment, .putGroup, .deleteGroup,
      .putGroupMember, .deleteGroupMember, .putProvisioningStep,
      .clearProvisioningSteps, .reserveName, .retireSlug, .rememberRequest, .forgetRequests,
      .deleteSecret, .putRevocation, .forgetRevocations, .putWorkloadEntry, .deleteWorkloadEntry,
      .putDomain, .deleteDomain, .putAuthority, .deleteAuthority, .putConfigurationItem,
      .deleteConfigurationItem, .putOperation, .deleteOperations:
      false
    }
  }

  fileprivate var withoutSecrets: Change {
    switch self {
    case .putTenant(var tenant):
      if let database = tenant.configuration.database {
        tenant.configuration.database = database.withoutSecrets
      }
      return .putTenant(tenant)
    case .putSecret(let tenant, let purpose, let reference, _):
      return .putSecret(tenant, purpose, reference, nil)
    case .putDataKey(let key):
      return .putDataKey(
        WrappedDataKey(
          id: key.id, masterKey: key.masterKey, wrapped: [], createTime: key.createTime,
          state: key.state))
    case .putRole, .deleteRole, .putAssignment, .deleteAssignment, .putGroup, .deleteGroup,
      .putGroupMember, .deleteGroupMember, .putProvisioningStep,
      .clearProvisioningSteps, .reserveName, .retireSlug, .rememberRequest, .forgetRequests,
      .deleteSecret, .putRevocation, .forgetRevocations, .putWorkloadEntry, .deleteWorkloadEntry,
      .putDomain, .deleteDomain, .putAuthority, .deleteAuthority, .putConfigurationItem,
      .deleteConfigurationItem, .putOperation, .deleteOperations:
      return self
    }
  }
}

extension DatabaseConfiguration {
  /// Without the connection string if there is a password in it, in whichever of the notations of drivers:
  /// earlier versions took it.
  public var withoutSecrets: DatabaseConfiguration {
    DatabaseConfiguration(
      connectionString: hasSecretConnectionString ? "" : connectionString, username: username,
      password: password)
  }

  /// Whether the connection string holds a password of its own.
  public var hasSecretConnectionString: Bool { ConnectionStrings.holdsSecret(connectionString) }
}
