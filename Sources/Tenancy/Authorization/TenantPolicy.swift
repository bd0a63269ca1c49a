/// Who may do what in one tenant. A value: changing a copy leaves the original alone.
public struct TenantPolicy: Sendable {
  /// A role, ready for questions.
  public final class CompiledRole: Sendable {
    public let role: Role
    public let isBuiltIn: Bool
    let permissions: PermissionSet

    public func covers(_ permission: Permission) -> Bool { permissions.covers(permission) }

    init(_ role: Role, isBuiltIn: Bool = false) {
      self.role = role
      self.isBuiltIn = isBuiltIn
      permissions = PermissionSet(role.permissions.compactMap(Permission.init(parsing:)))
    }
  }

  private var rolesByID: [String: CompiledRole] = [:]
  private var subjects = ByteTable<[RoleAssignment]>()
  /// In order of their ids, which is the order of their making.
  public private(set) var assignments: [RoleAssignment] = []

  public init() {}

  // MARK: Questions

  /// The role that grants `question` to `subject` at `now`, or nil: denied.
  public func grantingRole(
    subject: RawSpan, question: RawSpan, colon: Int, now: Timestamp
  ) -> CompiledRole? {
    guard let held = subjects.find(subject) else { return nil }
    for assignment in held {
      if let end = assignment.expireTime, end <= now { continue }
      if let role = role(assignment.role), role.permissions.grants(question, colon: colon) {
        return role
      }
    }
    return nil
  }

  public func role(_ id: String) -> CompiledRole? { rolesByID[id] ?? BuiltInRoles.byID[id] }

  /// Every role, built-in ones too, in order of their ids.
  public var roles: [CompiledRole] {
    (Array(rolesByID.values) + BuiltInRoles.byID.values).sorted { $0.role.id < $1.role.id }
  }

  public var customRoleCount: Int { rolesByID.count }

  public func assignments(of subject: String) -> [RoleAssignment] { subjects[subject] ?? [] }

  public func assignment(_ id: String) -> RoleAssignment? {
    position(of: id).map { assignments[$0] }
  }

  public func isAssigned(_ role: String) -> Bool { assignments.contains { $0.role == role } }

  // MARK: Changes

  mutating func put(_ role: Role) { rolesByID[role.id] = CompiledRole(role) }

  mutating func deleteRole(_ id: String) { rolesByID[id] = nil }

  mutating func put(_ assignment: RoleAssignment) {
    deleteAssignment(assignment.id)
    let at = assignments.firstIndexAfterAll { $0.id < assignment.id }
    assignments.insert(assignment, at: at)
    subjects[assignment.subject, default: []].append(assignment)
  }

  mutating func deleteAssignment(_ id: String) {
    guard let position = position(of: id) else { return }
    let subject = assignments.remove(at: position).subject
    let left = (subjects[subject] ?? []).filter { $0.id != id }
    subjects[subject] = left.isEmpty ? nil : left
  }

  private func position(of id: String) -> Int? {
    let at = assignments.firstIndexAfterAll { $0.id < id }
    return at < assignments.count && assignments[at].id == id ? at : nil
  }
}

extension ByteTable {
  subscript(key: String, default fallback: @autoclosure () -> Value) -> Value {
    get { self[key] ?? fallback() }
    set { self[key] = newValue }
  }
}

extension Array {
  /// Binary search in an array whose elements that satisfy `isBefore` all come first.
  func firstIndexAfterAll(_ isBefore: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if isBefore(self[middle]) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// Roles that every tenant has. They are not stored.
public enum BuiltInRoles {
  public static let admin = make(
    "tenant-admin", "Tenant administrator", "Manages the tenant's settings, roles and assignments.",
    [
      "tenancy.assignments:*", "tenancy.authorization:*", "tenancy.roles:*",
      "tenancy.tenants:configure", "tenancy.tenants:get", "tenancy.tenants:list",
      "tenancy.tenants:resolve", "tenancy.tenants:update",
    ])
  public static let viewer = make(
    "tenant-viewer", "Tenant viewer", "Reads the tenant's settings, roles and assignments.",
    [
      "tenancy.assignments:list", "tenancy.authorization:check", "tenancy.roles:get",
      "tenancy.roles:list", "tenancy.tenants:get", "tenancy.tenants:list",
      "tenancy.tenants:resolve",
    ])

  static let byID = [admin.role.id: admin, viewer.role.id: viewer]

  private static func make(
    _ id: String, _ title: String, _ summary: String, _ permissions: [String]
  ) -> TenantPolicy.CompiledRole {
    let epoch = Timestamp(nanoseconds: 0)
    return TenantPolicy.CompiledRole(
      Role(
        id: id, title: title, summary: summary, permissions: permissions, version: 1,
        createTime: epoch, updateTime: epoch),
      isBuiltIn: true)
  }
}
