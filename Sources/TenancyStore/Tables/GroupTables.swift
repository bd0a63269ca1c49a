internal import Tenancy

/// Groups of subjects, and who is in them.
enum GroupTables {
  /// A program that does not know of groups would take from their members what they hold, and leave them behind when the
  /// tenant is purged.
  static let sqlite = """
    CREATE TABLE IF NOT EXISTS groups (
      tenant_id TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      id TEXT NOT NULL,
      title TEXT NOT NULL,
      summary TEXT NOT NULL,
      version INTEGER NOT NULL,
      create_time INTEGER NOT NULL,
      update_time INTEGER NOT NULL,
      PRIMARY KEY (tenant_id, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE IF NOT EXISTS group_members (
      tenant_id TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      id TEXT NOT NULL,
      group_id TEXT NOT NULL,
      member TEXT NOT NULL,
      create_time INTEGER NOT NULL,
      expire_time INTEGER,
      PRIMARY KEY (tenant_id, id)
    ) STRICT, WITHOUT ROWID;
    """

  static let postgreSQL = """
    CREATE TABLE groups (
      tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      id TEXT COLLATE "C" NOT NULL,
      title TEXT COLLATE "C" NOT NULL,
      summary TEXT COLLATE "C" NOT NULL,
      version BIGINT NOT NULL,
      create_time BIGINT NOT NULL,
      update_time BIGINT NOT NULL,
      PRIMARY KEY (tenant_id, id)
    );

    CREATE TABLE group_members (
      tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      id TEXT COLLATE "C" NOT NULL,
      group_id TEXT COLLATE "C" NOT NULL,
      member TEXT COLLATE "C" NOT NULL,
      create_time BIGINT NOT NULL,
      expire_time BIGINT,
      PRIMARY KEY (tenant_id, id)
    );
    """
}

extension Table {
  static let groups = Table(
    name: "groups",
    columns: [
      .text("tenant_id"), .text("id"), .text("title"), .text("summary"), .integer("version"),
      .integer("create_time"), .integer("update_time"),
    ], keyCount: 2)

  static let groupMembers = Table(
    name: "group_members",
    columns: [
      .text("tenant_id"), .text("id"), .text("group_id"), .text("member"),
      .integer("create_time"), .nullable(.integer("expire_time")),
    ], keyCount: 2)
}

/// A group as the log has it.
struct GroupDocument: Codable {
  let id, title, summary: String
  let version: UInt64
  let createTime, updateTime: Int64

  init(_ group: SubjectGroup) {
    id = group.id
    title = group.title
    summary = group.summary
    version = group.version
    createTime = group.createTime.nanoseconds
    updateTime = group.updateTime.nanoseconds
  }

  var group: SubjectGroup {
    SubjectGroup(
      id: id, title: title, summary: summary, version: version,
      createTime: Timestamp(nanoseconds: createTime),
      updateTime: Timestamp(nanoseconds: updateTime))
  }

  static func write(_ group: SubjectGroup, to json: inout JSONText) throws(StoreError) {
    try json.object { json throws(StoreError) in
      json.pair("createTime", group.createTime)
      json.pairs(("id", group.id), ("summary", group.summary), ("title", group.title))
      json.pair("updateTime", group.updateTime)
      json.pair("version", group.version)
    }
  }
}

/// A membership in a group as the log has it.
struct GroupMemberDocument: Codable {
  let id, group, member: String
  let createTime: Int64
  let expireTime: Int64?

  init(_ member: GroupMember) {
    id = member.id
    group = member.group
    self.member = member.member
    createTime = member.createTime.nanoseconds
    expireTime = member.expireTime?.nanoseconds
  }

  var content: GroupMember {
    GroupMember(
      id: id, group: group, member: member, createTime: Timestamp(nanoseconds: createTime),
      expireTime: expireTime.map(Timestamp.init(nanoseconds:)))
  }

  static func write(_ member: GroupMember, to json: inout JSONText) throws(StoreError) {
    try json.object { json throws(StoreError) in
      json.pair("createTime", member.createTime)
      json.pair("expireTime", member.expireTime)
      json.pairs(("group", member.group), ("id", member.id), ("member", member.member))
    }
  }
}

/// What every write of groups makes sure of. Sees groups before members.
struct GroupAudit {
  private struct Key: Hashable {
    let tenant: TenantID
    let id: String
  }

  private var groups: Set<Key> = []
  /// Of groups that are in others: these, and the row that says so.
  private var parents: [Key: [(group: Key, member: String)]] = [:]

  mutating func check(
    _ group: SubjectGroup, of tenant: TenantID, _ row: AuditRow
  ) throws(StoreError) {
    // First of all: members of a group that is wrong are not wrong for that.
    try row.require(
      groups.insert(Key(tenant: tenant, id: group.id)).inserted, "it is there twice")
    try row.require(SubjectGroup.isID(group.id), "it is no id of a group")
  }

  mutating func check(
    _ member: GroupMember, of tenant: TenantID, _ row: AuditRow
  ) throws(StoreError) {
    try row.require(TenantID(parsing: member.id) != nil, "its id is none")
    let group = Key(tenant: tenant, id: member.group)
    try row.require(groups.contains(group), "the tenant has no group \(member.group)")
    try row.require(RoleCommands.isSubject(member.member), "its member is none")
    guard SubjectGroup.isGroup(member.member) else { return }
    let inner = SubjectGroup.id(in: member.member).map { Key(tenant: tenant, id: $0) }
    guard let inner, groups.contains(inner) else {
      throw row.corruption("the tenant has no group \(member.member)")
    }
    try row.require(member.expireTime == nil, "a group's membership in another ends")
    parents[inner, default: []].append((group, member.id))
  }

  /// What needs all rows: no group contains itself.
  func finish() throws(StoreError) {
    var clear: Set<Key> = []
    for start in parents.keys.sorted(by: { ($0.tenant, $0.id) < ($1.tenant, $1.id) }) {
      try visit(start, &clear)
    }
  }

  /// Goes from a group to all that contain it. However deep that is, it takes no deeper a stack.
  private func visit(_ start: Key, _ clear: inout Set<Key>) throws(StoreError) {
    var way: [(group: Key, next: Int)] = [(start, 0)]
    var onWay: Set<Key> = [start]
    while let (group, next) = way.last {
      let above = parents[group] ?? []
      guard next < above.count, !clear.contains(group) else {
        clear.insert(group)
        onWay.remove(group)
        way.removeLast()
        continue
      }
      way[way.count - 1].next += 1
      let (parent, member) = above[next]
      guard onWay.insert(parent).inserted else {
        throw AuditRow("group_members", group.tenant, member)
          .corruption("the group \(parent.id) contains itself")
      }
      way.append((parent, 0))
    }
  }
}
