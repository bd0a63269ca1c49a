/// A set of subjects of one tenant, which is a subject itself: what it is assigned its members hold.
public struct SubjectGroup: Hashable, Sendable {
  /// What stands before the id of a group where it is a subject.
  public static let subjectPrefix = "group:"
  /// An id that no group has: it is kept for what all subjects hold.
  static let reservedID = "everyone"

  /// Unique within the tenant: 1 to 63 of a-z, 0-9 and `-`, the first a letter. Never changes.
  public let id: String
  /// For people; may be empty.
  public var title: String
  /// For people; may be empty.
  public var summary: String
  /// Counts changes; the etag is made of it.
  public var version: UInt64
  /// When it was created.
  public let createTime: Timestamp
  /// Of the last change.
  public var updateTime: Timestamp

  /// Validates nothing: that is up to `GroupCommands`.
  public init(
    id: String, title: String, summary: String, version: UInt64, createTime: Timestamp,
    updateTime: Timestamp
  ) {
    self.id = id
    self.title = title
    self.summary = summary
    self.version = version
    self.createTime = createTime
    self.updateTime = updateTime
  }

  /// Names this version; an update that carries it fails if the group has changed since.
  public var etag: String { "v\(version)" }

  /// The group as a subject.
  public var subject: String { Self.subject(id) }

  /// Whether it can be the id of a group.
  public static func isID(_ text: String) -> Bool {
    RoleCommands.isRoleID(text) && text != reservedID
  }

  /// A group as a subject.
  static func subject(_ id: String) -> String { subjectPrefix + id }

  /// The id in a subject that is a group; nil for all others. It may be the id of none.
  public static func id(in subject: String) -> String? {
    guard subject.utf8.starts(with: subjectPrefix.utf8) else { return nil }
    return String(decoding: subject.utf8.dropFirst(subjectPrefix.utf8.count), as: UTF8.self)
  }

  /// Whether a subject is, or in other cases would be read as, a group.
  public static func isGroup(_ subject: String) -> Bool {
    subject.utf8.prefix(subjectPrefix.utf8.count).lazy.map { $0 | 0x20 }
      .elementsEqual(subjectPrefix.utf8)
  }
}

/// That a subject, which may be a group, is directly in a group of its tenant. Immutable, and in memory once however
/// many lists it is in.
public final class GroupMember: Hashable, Ordered {
  /// Unique within the tenant: canonical UUID text.
  public let id: String
  /// The group's id.
  public let group: String
  /// A subject as in assignments, or `group:{id}`.
  public let member: String
  /// The member by the id of its tenant, whichever name it has in `member`; other subjects as they are.
  let holder: String
  /// When it was added.
  public let createTime: Timestamp
  /// From then on it is no member; nil: never.
  public let expireTime: Timestamp?
  public var orderKey: String { id }

  /// Validates nothing: that is up to `GroupCommands`. Whoever is named by a tenant's slug is held by that name.
  public convenience init(
    id: String, group: String, member: String, createTime: Timestamp, expireTime: Timestamp?
  ) {
    self.init(
      id: id, group: group, member: member, holder: member, createTime: createTime,
      expireTime: expireTime)
  }

  init(
    id: String, group: String, member: String, holder: String, createTime: Timestamp,
    expireTime: Timestamp?
  ) {
    self.id = id
    self.group = group
    self.member = member
    self.holder = holder
    self.createTime = createTime
    self.expireTime = expireTime
  }

  public static func == (a: GroupMember, b: GroupMember) -> Bool {
    a.id == b.id && a.group == b.group && a.member == b.member && a.createTime == b.createTime
      && a.expireTime == b.expireTime
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(id) }

  func held(by holder: String) -> GroupMember {
    holder == self.holder
      ? self
      : GroupMember(
        id: id, group: group, member: member, holder: holder, createTime: createTime,
        expireTime: expireTime)
  }
}
