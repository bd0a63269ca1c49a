/// A named set of permissions in one tenant.
public struct Role: Hashable, Sendable {
  /// Unique within the tenant: 1 to 63 of a-z, 0-9 and `-`, the first a letter. Never changes.
  public let id: String
  /// For people; may be empty.
  public var title: String
  /// For people; may be empty.
  public var summary: String
  /// Sorted, without repeats; each is `resource:action`, either part possibly `*`.
  public var permissions: [String]
  /// Counts changes; the etag is made of it.
  public var version: UInt64
  /// When it was created.
  public let createTime: Timestamp
  /// Of the last change.
  public var updateTime: Timestamp

  /// Validates nothing: that is up to `RoleCommands`.
  public init(
    id: String, title: String, summary: String, permissions: [String], version: UInt64,
    createTime: Timestamp, updateTime: Timestamp
  ) {
    self.id = id
    self.title = title
    self.summary = summary
    self.permissions = permissions
    self.version = version
    self.createTime = createTime
    self.updateTime = updateTime
  }

  /// Names this version; an update that carries it fails if the role has changed since.
  public var etag: String { "v\(version)" }
}

/// That a subject holds a role in one tenant. Immutable, and in memory once however many lists it is in.
public final class RoleAssignment: Hashable, Ordered {
  /// Unique within the tenant: canonical UUID text.
  public let id: String
  /// A SPIFFE ID, or another name of 1 to 256 bytes without spaces.
  public let subject: String
  /// The subject by the id of its tenant, whichever name it has in `subject`; other subjects as they are.
  let holder: String
  /// The role's id.
  public let role: String
  /// When it was assigned.
  public let createTime: Timestamp
  /// From then on it grants nothing; nil: never.
  public let expireTime: Timestamp?
  public var orderKey: String { id }

  /// Validates nothing: that is up to `RoleCommands`. Whoever is named by a tenant's slug is held by that name.
  public convenience init(
    id: String, subject: String, role: String, createTime: Timestamp, expireTime: Timestamp?
  ) {
    self.init(
      id: id, subject: subject, holder: subject, role: role, createTime: createTime,
      expireTime: expireTime)
  }

  init(
    id: String, subject: String, holder: String, role: String, createTime: Timestamp,
    expireTime: Timestamp?
  ) {
    self.id = id
    self.subject = subject
    self.holder = holder
    self.role = role
    self.createTime = createTime
    self.expireTime = expireTime
  }

  public static func == (a: RoleAssignment, b: RoleAssignment) -> Bool {
    a.id == b.id && a.subject == b.subject && a.role == b.role && a.createTime == b.createTime
      && a.expireTime == b.expireTime
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(id) }

  func held(by holder: String) -> RoleAssignment {
    holder == self.holder
      ? self
      : RoleAssignment(
        id: id, subject: subject, holder: holder, role: role, createTime: createTime,
        expireTime: expireTime)
  }
}
