/// A named set of permissions in one tenant.
public struct Role: Hashable, Sendable {
  public let id: String
  public var title: String
  public var summary: String
  /// Sorted, without repeats; each is `resource:action`, either part possibly `*`.
  public var permissions: [String]
  /// Counts changes; the etag is made of it.
  public var version: UInt64
  public let createTime: Timestamp
  public var updateTime: Timestamp

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

  public var etag: String { "v\(version)" }
}

/// That a subject holds a role in one tenant. Immutable, and in memory once however many lists it is in.
public final class RoleAssignment: Hashable, Ordered {
  /// Unique within the tenant: canonical UUID text.
  public let id: String
  public let subject: String
  /// The subject by the id of its tenant, whichever name it has in `subject`; other subjects as they are.
  let holder: String
  public let role: String
  public let createTime: Timestamp
  public let expireTime: Timestamp?
  public var orderKey: String { id }

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
