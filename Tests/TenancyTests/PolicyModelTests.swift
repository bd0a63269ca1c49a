import TenancyTestSupport
import Testing

@testable import Tenancy

/// Roles and assignments as a list, asked by looking at all of them.
private struct Model {
  var roles: [String: Role] = [:]
  var assignments: [String: RoleAssignment] = [:]

  func granting(_ question: Permission, _ subject: String, at now: Timestamp) -> Set<String> {
    roles(of: subject, at: now) { $0.grants(question) }
  }

  func covering(_ permission: Permission, _ subject: String, at now: Timestamp) -> Set<String> {
    roles(of: subject, at: now) { $0.covers(permission) }
  }

  private func roles(
    of subject: String, at now: Timestamp, where isGood: (PermissionSet) -> Bool
  ) -> Set<String> {
    let held = assignments.values.filter { assignment in
      guard assignment.subject == subject, assignment.expireTime.map({ $0 > now }) ?? true,
        let role = roles[assignment.role] ?? BuiltInRoles.byID[assignment.role]?.role
      else { return false }
      return isGood(PermissionSet(role.permissions.compactMap(Permission.init(parsing:))))
    }
    return Set(held.map(\.role))
  }
}

/// The indexes of a policy against the model.
struct PolicyModelTests {
  private static let subjects = ["user:1", "user:2", "ü"]
  private static let permissions = [
    "docs:read", "docs:write", "docs:*", "*:read", "*:*", "bills:read", "tenancy.roles:get",
    "tenancy.roles:*", "tenancy.tenants:get", "not a permission",
  ]
  private static let questions = [
    "docs:read", "docs:write", "bills:read", "bills:pay", "tenancy.roles:get",
    "tenancy.roles:list", "tenancy.tenants:get", "tenancy.assignments:list",
  ]

  /// More than 64, so that sets of roles have several words.
  private static func roleID(_ random: inout SeededGenerator) -> String {
    random.chance(of: 1, in: 10)
      ? random.pick(["tenant-admin", "tenant-viewer"])
      : "role-\(Int.random(in: 0..<90, using: &random))"
  }

  private static func moment(_ random: inout SeededGenerator) -> Timestamp {
    Timestamp(nanoseconds: Sample.moment.nanoseconds + Int64.random(in: -3...3, using: &random))
  }

  private static func change(
    _ policy: inout TenantPolicy, _ model: inout Model, _ random: inout SeededGenerator
  ) {
    let id = roleID(&random)
    let number = "\(Int.random(in: 0..<60, using: &random))"
    switch Int.random(in: 0..<10, using: &random) {
    case 0..<4:
      guard !id.hasPrefix("tenant") else { return }
      let held = permissions.filter { _ in random.chance(of: 1, in: 6) }
      let role = Sample.role(id, held)
      policy.put(role)
      model.roles[id] = role
    case 4:
      policy.deleteRole(id)
      model.roles[id] = nil
    case 5..<9:
      let assignment = Sample.assignment(
        number, random.pick(subjects), role: id,
        expireTime: random.chance(of: 1, in: 2) ? nil : moment(&random))
      policy.put(assignment)
      model.assignments[number] = assignment
    default:
      policy.deleteAssignment(number)
      model.assignments[number] = nil
    }
  }

  private static func expectEqual(
    _ policy: TenantPolicy, _ model: Model, _ random: inout SeededGenerator
  ) {
    let (subject, now) = (random.pick(subjects), moment(&random))
    var budget = WorkBudget()
    for text in questions {
      let question = Sample.permission(text)
      let bytes = text.utf8Span.span.bytes
      guard let colon = Permission.colon(in: bytes) else { return }
      let role = policy.grantingRole(
        subject: subject.utf8Span.span.bytes, question: bytes, colon: colon, now: now, &budget)
      let expected = model.granting(question, subject, at: now)
      #expect(role.map { expected.contains($0.role.id) } ?? expected.isEmpty, "\(text)")
    }
    for text in permissions {
      guard let permission = Permission(parsing: text) else { continue }
      let expected = !model.covering(permission, subject, at: now).isEmpty
      #expect(policy.holds(permission, subject: subject, now: now, &budget) == expected, "\(text)")
    }
  }

  @Test(arguments: 0..<4 as Range<UInt64>)
  func answersAreThoseOfTheModel(_ seed: UInt64) {
    var random = SeededGenerator(seed: 900 + seed)
    var policy = TenantPolicy()
    var model = Model()
    var kept: (TenantPolicy, Model)?
    for step in 0..<1500 {
      Self.change(&policy, &model, &random)
      if step % 5 == 0 { Self.expectEqual(policy, model, &random) }
      if step == 700 { kept = (policy, model) }
    }
    #expect(policy.roles.map(\.role.id) == policy.roles.map(\.role.id).sorted())
    #expect(policy.customRoleCount == model.roles.count)
    // Later changes leave an earlier copy alone.
    if let (policy, model) = kept {
      for _ in 0..<50 { Self.expectEqual(policy, model, &random) }
    }
  }

  @Test func setsOfRolesAreSets() {
    var random = SeededGenerator(seed: 7)
    var (set, other) = (RoleSet(), RoleSet())
    var (model, otherModel) = (Set<Int>(), Set<Int>())
    for _ in 0..<3000 {
      let number = Int.random(in: 0..<300, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0:
        set.insert(number)
        model.insert(number)
      case 1, 2:
        set.remove(number)
        model.remove(number)
      default:
        other.insert(number)
        otherModel.insert(number)
        if otherModel.count > 20 { (other, otherModel) = (RoleSet(), []) }
      }
      #expect(set.contains(number) == model.contains(number))
      #expect(set.isEmpty == model.isEmpty)
      #expect(set.firstCommon(with: other) == model.intersection(otherModel).min())
      var union = set
      union.formUnion(other)
      #expect(
        (0..<300).allSatisfy { union.contains($0) == (set.contains($0) || other.contains($0)) })
    }
  }
}
