import TenancyTestSupport
import Testing

@testable import Tenancy

/// The indexes of a policy against the reference.
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
  private static let scopes = [
    "docs", "docs/a", "docs/a/*", "docs/a/b/*", "bills", "bills/a/b", "tenancy.roles",
  ]
  private static let resources: [String?] = [nil, "a", "a/b", "a/b/c", "ab", "b"]

  /// What kinds of things a policy has.
  enum Kind: CaseIterable {
    case flat, all
  }

  /// More than 64, so that sets of roles have several words.
  private static func roleID(_ random: inout SeededGenerator) -> String {
    random.chance(of: 1, in: 10)
      ? random.pick(["tenant-admin", "tenant-viewer"])
      : "role-\(Int.random(in: 0..<90, using: &random))"
  }

  private static func moment(_ random: inout SeededGenerator) -> Timestamp {
    Timestamp(nanoseconds: Sample.moment.nanoseconds + Int64.random(in: -3...3, using: &random))
  }

  private static func role(
    _ id: String, _ kind: Kind, _ random: inout SeededGenerator
  ) -> Role {
    var role = Sample.role(id, permissions.filter { _ in random.chance(of: 1, in: 6) })
    guard kind == .all else { return role }
    role.denials = permissions.filter { _ in random.chance(of: 1, in: 40) }
    // Of those behind it, so that none is its own ancestor; not all of them are there yet.
    role.parents = (0..<3).map { _ in roleID(&random) }.filter {
      $0 > id && random.chance(of: 1, in: 2)
    }
    return role
  }

  private static func terms(
    _ kind: Kind, _ random: inout SeededGenerator
  ) -> RoleAssignment.Terms {
    var terms = RoleAssignment.Terms()
    guard kind == .all else { return terms }
    if random.chance(of: 1, in: 3) { terms.scope = ResourceScope(parsing: random.pick(scopes)) }
    if random.chance(of: 1, in: 3) {
      terms.condition = random.pick(ReferencePolicy.conditions).text
    }
    return terms
  }

  private static func change(
    _ policy: inout TenantPolicy, _ model: inout ReferencePolicy, _ kind: Kind,
    _ random: inout SeededGenerator
  ) {
    let id = roleID(&random)
    let number = "\(Int.random(in: 0..<60, using: &random))"
    switch Int.random(in: 0..<10, using: &random) {
    case 0..<4:
      guard !id.hasPrefix("tenant") else { return }
      let role = role(id, kind, &random)
      policy.put(role)
      model.roles[id] = role
    case 4:
      policy.deleteRole(id)
      model.roles[id] = nil
    case 5..<9:
      let assignment = RoleAssignment(
        id: number, subject: random.pick(subjects), role: id, terms: terms(kind, &random),
        createTime: Sample.moment, expireTime: random.chance(of: 1, in: 2) ? nil : moment(&random))
      policy.put(assignment)
      model.assignments[number] = assignment
    default:
      policy.deleteAssignment(number)
      model.assignments[number] = nil
    }
  }

  private static func asked(_ random: inout SeededGenerator) -> ReferencePolicy.Asked {
    ReferencePolicy.Asked(
      subject: random.pick(subjects), permission: random.pick(questions),
      resource: random.pick(resources), level: random.pick([nil, 3, 4]), now: moment(&random))
  }

  private static func answer(
    _ policy: TenantPolicy, _ asked: ReferencePolicy.Asked
  ) -> (ReferencePolicy.Answer, role: String?) {
    let permission = asked.permission.utf8Span.span.bytes
    guard let colon = Permission.colon(in: permission) else { return (.notAllowed, nil) }
    let resource = asked.resource ?? ""
    var (attributes, budget) = (asked.attributes, WorkBudget.uncapped)
    let decision = policy.decide(
      Question(
        subject: asked.subject.utf8Span.span.bytes, permission: permission, colon: colon,
        resource: resource.utf8Span.span.bytes, now: asked.now), &attributes, &budget)
    return switch decision {
    case .allowed(let role): (.allowed, policy.roleID(number: role))
    case .denied(let role): (.denied, policy.roleID(number: role))
    case .notAllowed: (.notAllowed, nil)
    }
  }

  private static func expectEqual(
    _ policy: TenantPolicy, _ model: ReferencePolicy, _ random: inout SeededGenerator
  ) {
    for _ in 0..<12 {
      let asked = asked(&random)
      let (answer, role) = answer(policy, asked)
      #expect(answer == model.answer(asked), "\(asked)")
      // Who has the role alone, for all the rest being equal, is answered the same.
      if let role {
        var alone = model
        alone.assignments = model.assignments.filter {
          $0.value.role == role && $0.value.subject == asked.subject
        }
        #expect(alone.answer(asked) == answer, "\(asked) by \(role)")
      }
    }
    let (subject, now) = (random.pick(subjects), moment(&random))
    for text in permissions {
      guard let permission = Permission(parsing: text) else { continue }
      let found = policy.power(of: subject, at: now).holds(permission)
      // What is denied of a wildcard may be more than there is a name for.
      let expected = model.holds(permission, subject, at: now)
      #expect(
        permission.hasWildcard && policy.denies ? !found || expected : found == expected, "\(text)")
    }
  }

  @Test(arguments: 0..<4 as Range<UInt64>, Kind.allCases)
  func answersAreThoseOfTheReference(_ seed: UInt64, _ kind: Kind) {
    var random = SeededGenerator(seed: 900 + seed)
    var policy = TenantPolicy()
    var model = ReferencePolicy()
    var kept: (TenantPolicy, ReferencePolicy)?
    for step in 0..<1500 {
      Self.change(&policy, &model, kind, &random)
      if step % 5 == 0 { Self.expectEqual(policy, model, &random) }
      if step == 700 { kept = (policy, model) }
    }
    #expect(policy.roles.map(\.role.id) == policy.roles.map(\.role.id).sorted())
    #expect(policy.customRoleCount == model.roles.count)
    // Later changes leave an earlier copy alone.
    if let (policy, model) = kept {
      for _ in 0..<50 { Self.expectEqual(policy, model, &random) }
    }
    // Nothing is left of what has gone.
    for assignment in policy.assignments { policy.deleteAssignment(assignment.id) }
    for role in policy.roles where !role.isBuiltIn { policy.deleteRole(role.role.id) }
    #expect(policy.conditionCount == 0 && policy.family.isEmpty && !policy.denies)
  }

  /// Whatever is there: what denies more allows nothing more.
  @Test(arguments: 0..<4 as Range<UInt64>)
  func whatDeniesMoreAllowsNothingMore(_ seed: UInt64) {
    var random = SeededGenerator(seed: 40 + seed)
    var (policy, model) = (TenantPolicy(), ReferencePolicy())
    for _ in 0..<300 { Self.change(&policy, &model, .all, &random) }
    for _ in 0..<200 {
      var (changed, number) = (policy, Int.random(in: 0..<60, using: &random))
      switch Int.random(in: 0..<3, using: &random) {
      case 0:
        guard var role = model.roles.values.randomElement(using: &random) else { continue }
        role.denials = Set(role.denials + [random.pick(Self.questions)]).sorted()
        changed.put(role)
      case 1:
        var role = Sample.role("zz", [])
        role.denials = [random.pick(Self.questions)]
        changed.put(role)
        number += 1000
        changed.put(
          RoleAssignment(
            id: "\(number)", subject: random.pick(Self.subjects), role: "zz",
            terms: Self.terms(.all, &random), createTime: Sample.moment, expireTime: nil))
      default:
        // One that denies nothing is gone.
        guard let former = model.assignments["\(number)"],
          model.roles[former.role].map({ $0.denials.isEmpty && $0.parents.isEmpty }) ?? false
        else { continue }
        changed.deleteAssignment(former.id)
      }
      for _ in 0..<20 {
        let asked = Self.asked(&random)
        let (before, after) = (Self.answer(policy, asked).0, Self.answer(changed, asked).0)
        #expect(after != .allowed || before == .allowed, "\(asked)")
      }
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
