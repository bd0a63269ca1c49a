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
    /// Of `role.permissions`, and of its denied ones: those on this framework's own API.
    let reservedPermissions, reservedDenials: [String]
    public var orderKey: String { role.id }

    init(_ role: Role, number: Int, isBuiltIn: Bool = false) {
      self.role = role
      self.number = number
      self.isBuiltIn = isBuiltIn
      reservedPermissions = role.permissions.filter { Permission.isReserved($0) }
      reservedDenials = role.denials.filter { Permission.isReserved($0) }
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
    // What most questions look at is in front, and together.
    private let held, exact: WordTable
    private let isPlain: Bool
    let content: PolicyContent
    let revision: UInt64

    init(_ content: PolicyContent, revision: UInt64 = 0) {
      self.revision = revision
      held = content.held
      exact = content.grants.exact.words
      isPlain = content.isPlain
      self.content = content
    }

    static let empty = Shared(PolicyContent())

    func decide(
      _ question: borrowing Question, _ attributes: inout RequestAttributes,
      _ budget: inout WorkBudget
    ) -> Decision {
      guard let word = held.find(question.subject) else { return .notAllowed }
      if isPlain, word != .max, !Permission.isReserved(question.permission) {
        let roles = exact.find(question.permission) ?? 0
        if roles != RoleSetTable.elsewhere {
          budget.visit()
          let allowing = word & roles
          return allowing == 0 ? .notAllowed : .allowed(role: allowing.trailingZeroBitCount)
        }
      }
      return content.decide(question, holding: word, &attributes, &budget)
    }
  }

  private var shared = Shared.empty

  var content: PolicyContent { shared.content }

  /// The revision that changed it last; of what was loaded, that of the whole store.
  public var revision: UInt64 { shared.revision }

  /// A tenant's without custom roles and assignments: only the built-in roles are there.
  public init() {}

  // MARK: Questions

  /// Whether the policy allows what is asked. The zero of everything denies.
  public func decide(
    _ question: borrowing Question, _ attributes: inout RequestAttributes,
    _ budget: inout WorkBudget
  ) -> Decision {
    shared.decide(question, &attributes, &budget)
  }

  /// Why it does or does not.
  func explain(
    _ question: borrowing Question, _ attributes: inout RequestAttributes,
    _ budget: inout WorkBudget
  ) -> DecisionExplanation {
    shared.content.explain(question, &attributes, &budget)
  }

  /// Whether any role denies anything.
  public var denies: Bool { shared.content.denies }

  /// What a subject may give away.
  public func power(of subject: String, at now: Timestamp) -> SubjectPower {
    unsafe SubjectPower(shared.content, of: subject.utf8Span.span.bytes, at: now)
  }

  /// Which of its roles inherit from which.
  var family: RoleFamily { shared.content.family }

  /// Which of its roles no subject may hold together.
  var exclusions: RoleExclusions { shared.content.exclusions }

  /// A role by its number, which is not another's while this copy lives.
  public func role(number: Int) -> CompiledRole? { shared.content.role(number: number) }

  /// The id of a role by its number; empty where there is none.
  public func roleID(number: Int) -> String { role(number: number)?.role.id ?? "" }

  /// Texts of conditions that it has.
  var conditionCount: Int { shared.content.conditionCount }

  /// Whether a condition of this text is there.
  func hasCondition(_ text: String) -> Bool { shared.content.hasCondition(text) }

  /// What a subject holds, by what it is held by.
  func holdings(of holder: String) -> Holdings? { shared.content.holdings[holder] }

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

  /// The assignment that gives the role to the subject, named so, for the same resources and under the same
  /// condition; one by another name of its tenant is another.
  func assignment(
    of subject: String, holder: String, role: String, _ terms: RoleAssignment.Terms
  ) -> RoleAssignment? {
    var (list, budget) = (assignments(of: holder, role: role), WorkBudget.uncapped)
    while let found = list.next(&budget) {
      if found.subject == subject, found.terms.isQualified(as: terms) { return found }
    }
    return nil
  }

  /// Groups that hold roles.
  var holdingGroupCount: Int { shared.content.holdingGroups.count }

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

  package mutating func put(_ role: Role) { edit { $0.put(role) } }

  mutating func deleteRole(_ id: String) { edit { $0.deleteRole(id) } }

  package mutating func put(_ assignment: RoleAssignment) { edit { $0.put(assignment) } }

  mutating func deleteAssignment(_ id: String) { edit { $0.deleteAssignment(id) } }

  mutating func put(_ group: SubjectGroup) {
    edit { $0.put(group) }
  }

  mutating func deleteGroup(_ id: String) { edit { $0.deleteGroup(id) } }

  mutating func put(_ member: GroupMember) { edit { $0.put(member) } }

  /// After changes of groups and members, and before anybody asks.
  mutating func settle() {
    if !content.groups.isSettled { edit { $0.settleGroups() } }
  }

  /// The same in a revision, which has changed it if it is not as it was.
  mutating func settle(in revision: UInt64, since former: TenantPolicy) {
    settle()
    if shared !== former.shared { shared = Shared(content, revision: revision) }
  }

  mutating func deleteGroupMember(_ id: String) { edit { $0.deleteGroupMember(id) } }

  private mutating func edit(_ change: (inout PolicyContent) -> Void) {
    let revision = shared.revision
    var content = shared.content
    // If nobody else has what was there, it need not be copied.
    shared = .empty
    change(&content)
    shared = Shared(content, revision: revision)
  }
}
