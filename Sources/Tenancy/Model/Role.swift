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
  /// What its holders may not do, whatever other roles allow; as `permissions`.
  public var denials: [String]
  /// Ids of roles whose permissions and denials are this one's as well; sorted, without repeats.
  public var parents: [String]
  /// Ids of roles that no subject may hold beside this one; sorted, without repeats.
  public var exclusions: [String]
  /// Counts changes; the etag is made of it.
  public var version: UInt64
  /// When it was created.
  public let createTime: Timestamp
  /// Of the last change.
  public var updateTime: Timestamp

  /// Validates nothing: that is up to `RoleCommands`.
  public init(
    id: String, title: String, summary: String, permissions: [String], denials: [String] = [],
    parents: [String] = [], exclusions: [String] = [], version: UInt64, createTime: Timestamp,
    updateTime: Timestamp
  ) {
    self.id = id
    self.title = title
    self.summary = summary
    self.permissions = permissions
    self.denials = denials
    self.parents = parents
    self.exclusions = exclusions
    self.version = version
    self.createTime = createTime
    self.updateTime = updateTime
  }

  /// Names this version; an update that carries it fails if the role has changed since.
  public var etag: String { "v\(version)" }
}

/// That a subject holds a role in one tenant. Immutable, and in memory once however many lists it is in.
public final class RoleAssignment: Hashable, Ordered {
  /// Where, when and why a role is held.
  public struct Terms: Sendable {
    /// Of which resources; nil: of all.
    public var scope: ResourceScope?
    /// When, as an expression (`PolicyConditions`); empty: always.
    public var condition: String
    /// For people; may be empty.
    public var reason: String

    /// Unless told: of all resources, and always.
    public init(scope: ResourceScope? = nil, condition: String = "", reason: String = "") {
      self.scope = scope
      self.condition = condition
      self.reason = reason
    }

    /// Whether the role is held of some resources only, or at some times.
    public var isQualified: Bool { scope != nil || !condition.isEmpty }

    /// Whether these are for the same resources and under the same condition, byte by byte.
    func isQualified(as other: Self) -> Bool {
      scope.text.hasSameBytes(as: other.scope.text) && condition.hasSameBytes(as: other.condition)
    }
  }

  /// Unique within the tenant: canonical UUID text.
  public let id: String
  /// A SPIFFE ID, or another name of 1 to 256 bytes without spaces.
  public let subject: String
  /// The subject by the id of its tenant, whichever name it has in `subject`; other subjects as they are.
  let holder: String
  /// The role's id.
  public let role: String
  /// Where, when and why.
  public let terms: Terms
  /// The condition, if there is one and a policy has the assignment.
  let condition: CompiledCondition?
  /// When it was assigned.
  public let createTime: Timestamp
  /// From then on it grants nothing; nil: never.
  public let expireTime: Timestamp?
  public var orderKey: String { id }

  /// Validates nothing: that is up to `RoleCommands`. Whoever is named by a tenant's slug is held by that name.
  public convenience init(
    id: String, subject: String, role: String, terms: Terms = Terms(), createTime: Timestamp,
    expireTime: Timestamp?
  ) {
    self.init(
      id: id, subject: subject, holder: subject, role: role, terms: terms, condition: nil,
      createTime: createTime, expireTime: expireTime)
  }

  private init(
    id: String, subject: String, holder: String, role: String, terms: Terms,
    condition: CompiledCondition?, createTime: Timestamp, expireTime: Timestamp?
  ) {
    self.id = id
    self.subject = subject
    self.holder = holder
    self.role = role
    self.terms = terms
    self.condition = condition
    self.createTime = createTime
    self.expireTime = expireTime
  }

  public static func == (a: RoleAssignment, b: RoleAssignment) -> Bool {
    a.id == b.id && a.subject == b.subject && a.role == b.role
      && a.terms.isQualified(as: b.terms) && a.terms.reason.hasSameBytes(as: b.terms.reason)
      && a.createTime == b.createTime && a.expireTime == b.expireTime
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(id) }

  func held(by holder: String) -> RoleAssignment {
    holder == self.holder ? self : copy(holder: holder, condition: condition)
  }

  func compiled(_ condition: CompiledCondition?) -> RoleAssignment {
    condition === self.condition ? self : copy(holder: holder, condition: condition)
  }

  private func copy(holder: String, condition: CompiledCondition?) -> RoleAssignment {
    RoleAssignment(
      id: id, subject: subject, holder: holder, role: role, terms: terms, condition: condition,
      createTime: createTime, expireTime: expireTime)
  }
}
