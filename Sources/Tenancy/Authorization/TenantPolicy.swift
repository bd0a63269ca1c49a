/// Who may do what in one tenant. A value: changing a copy leaves the original alone.
///
/// Questions are answered by look-ups, lists by cursors: neither costs more where there is more.
public struct TenantPolicy: Sendable {
  /// A role, and by which number the tenant's sets of roles know it.
  public final class CompiledRole: Ordered, Numbered {
    /// The role as it is stored or built in.
    public let role: Role
    /// Whether every tenant has it, and nobody may change it.
    public let isBuiltIn: Bool
    let number: Int
    public var orderKey: String { role.id }

    init(_ role: Role, number: Int, isBuiltIn: Bool = false) {
      self.role = role
      self.number = number
      self.isBuiltIn = isBuiltIn
    }
  }

  /// A group, and by which number the tenant's sets of groups know it.
  public final class CompiledGroup: Ordered {
    /// The group as it is stored.
    public let group: SubjectGroup
    let number: Int
    public var orderKey: String { group.id }

    init(_ group: SubjectGroup, number: Int) { (self.group, self.number) = (group, number) }
  }

  /// Shared by all copies; one for all tenants that have neither roles nor assignments.
  private final class Shared: Sendable {
    let content: PolicyContent

    init(_ content: PolicyContent) { self.content = content }

    static let empty = Shared(PolicyContent())
  }

  private var shared = Shared.empty

  var content: PolicyContent { shared.content }

  /// A tenant's without custom roles and assignments: only the built-in roles are there.
  public init() {}

  // MARK: Questions

  /// A role that grants `question` to `subject` at `now`, or nil: denied.
  /// - Parameter colon: where the question's is (`Permission.colon(in:)`).
  public func grantingRole(
    subject: RawSpan, question: RawSpan, colon: Int, now: Timestamp, _ budget: inout WorkBudget
  ) -> CompiledRole? {
    shared.content.grantingRole(
      subject: subject, question: question, colon: colon, now: now, &budget)
  }

  /// Whether a role of `subject` grants everything that `permission` stands for, wildcards included.
  public func holds(
    _ permission: Permission, subject: String, now: Timestamp, _ budget: inout WorkBudget
  ) -> Bool {
    shared.content.holds(permission, subject: subject, now: now, &budget)
  }

  func nextEnd(of subject: String, after now: Timestamp) -> Timestamp? {
    shared.content.nextEnd(of: subject, after: now)
  }

  /// A role by its id, custom or built in.
  public func role(_ id: String) -> CompiledRole? { shared.content.role(id) }

  /// Roles that are not built in.
  public var customRoleCount: Int { shared.content.roles.count - BuiltInRoles.all.count }

  /// Assignments of all roles to all subjects, expired ones that are still stored included.
  public var assignmentCount: Int { shared.content.assignments.count }

  /// An assignment by its id.
  public func assignment(_ id: String) -> RoleAssignment? { shared.content.assignment(id) }

  /// The assignment that gives the role to the subject, named so; one by another name of its tenant is
  /// another.
  func assignment(of subject: String, holder: String, role: String) -> RoleAssignment? {
    var (list, budget) = (assignments(of: holder, role: role), WorkBudget.uncapped)
    while let found = list.next(&budget) {
      if found.subject == subject { return found }
    }
    return nil
  }

  /// How often a role is assigned.
  func assignmentCount(ofRole role: String) -> Int { shared.content.holders[role]?.count ?? 0 }

  // MARK: Lists

  /// Every role behind that of `id`, built-in ones too, in the order of their ids.
  public func roles(after id: String = "") -> Cursor<CompiledRole> {
    shared.content.roles.cursor(after: id)
  }

  /// Assignments in the order of their ids, which is the order of their making, behind that of `id`.
  public func assignments(after id: String = "") -> Cursor<RoleAssignment> {
    shared.content.assignments.cursor(after: id)
  }

  /// Those of one subject.
  public func assignments(of subject: String, after id: String = "") -> Cursor<RoleAssignment> {
    shared.content.holdings[subject]?.assignments(after: id) ?? Cursor()
  }

  /// Those of one subject and one role.
  public func assignments(
    of subject: String, role: String, after id: String = ""
  ) -> Cursor<RoleAssignment> {
    shared.content.holdings[subject]?.assignments(ofRole: role, after: id) ?? Cursor()
  }

  /// Those of one role.
  public func assignments(ofRole role: String, after id: String = "") -> Cursor<RoleAssignment> {
    shared.content.holders[role]?.cursor(after: id) ?? Cursor()
  }

  // MARK: Changes

  mutating func put(_ role: Role) { edit { $0.put(role) } }

  mutating func deleteRole(_ id: String) { edit { $0.deleteRole(id) } }

  mutating func put(_ assignment: RoleAssignment) { edit { $0.put(assignment) } }

  mutating func deleteAssignment(_ id: String) { edit { $0.deleteAssignment(id) } }

  mutating func put(_ group: SubjectGroup) {
    edit {
      $0.groups.put(group)
      $0.noteHoldings(of: group.subject)
    }
  }

  mutating func deleteGroup(_ id: String) { edit { $0.deleteGroup(id) } }

  mutating func put(_ member: GroupMember) { edit { $0.groups.put(member) } }

  /// After changes of groups and members, and before anybody asks.
  mutating func settle() {
    if !content.groups.isSettled { edit { $0.groups.settle() } }
  }

  mutating func deleteGroupMember(_ id: String) { edit { $0.groups.deleteMember(id) } }

  private mutating func edit(_ change: (inout PolicyContent) -> Void) {
    var content = shared.content
    // If nobody else has what was there, it need not be copied.
    shared = .empty
    change(&content)
    shared = Shared(content)
  }
}
