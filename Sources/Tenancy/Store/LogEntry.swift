/// One command's effect: a row of the revision log.
public struct LogEntry: Hashable, Sendable {
  /// Consecutive from 1.
  public let revision: UInt64
  public let time: Timestamp
  /// Who did it: a SPIFFE id, `uid:{n}` or `system`.
  public let actor: String
  /// What was done, such as `tenants.create`.
  public let action: String
  /// The tenants concerned, each once, in the order in which the changes first name them.
  public let tenants: [TenantID]
  public let changes: [Change]
  /// Not a part of the log: those who follow it do not see it.
  public let lease: LeaseAction?

  public init(
    revision: UInt64, time: Timestamp, actor: String, action: String, tenants: [TenantID],
    changes: [Change], lease: LeaseAction? = nil
  ) {
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
  public let revision: UInt64
  public let time: Timestamp

  public init(revision: UInt64, time: Timestamp) {
    self.revision = revision
    self.time = time
  }
}

/// Secrets are kept in the state and not in the log, which is read by more people and kept for longer.
extension LogEntry {
  /// As those who follow the log see it.
  public var withoutSecrets: LogEntry {
    guard lease != nil || changes.contains(where: \.concernsDatabase) else { return self }
    return LogEntry(
      revision: revision, time: time, actor: actor, action: action, tenants: tenants,
      changes: changes.map(\.withoutSecrets))
  }

  /// Whether something may be missing that only the store's state has.
  var mayLackSecrets: Bool {
    changes.contains { change in
      guard case .putTenant(let tenant) = change else { return false }
      return tenant.configuration.database?.password.isEmpty ?? false
    }
  }
}

extension Change {
  fileprivate var concernsDatabase: Bool {
    guard case .putTenant(let tenant) = self else { return false }
    return tenant.configuration.database != nil
  }

  fileprivate var withoutSecrets: Change {
    guard case .putTenant(var tenant) = self else { return self }
    if let database = tenant.configuration.database {
      tenant.configuration.database = database.withoutSecrets
    }
    return .putTenant(tenant)
  }
}

extension DatabaseConfiguration {
  /// Without the password, and without the connection string if there is one in it, in whichever of the
  /// notations of drivers: earlier versions took it.
  public var withoutSecrets: DatabaseConfiguration {
    DatabaseConfiguration(
      connectionString: hasSecretConnectionString ? "" : connectionString, username: username,
      password: "")
  }

  /// Whether the connection string holds a password of its own.
  public var hasSecretConnectionString: Bool { ConnectionStrings.holdsSecret(connectionString) }
}
