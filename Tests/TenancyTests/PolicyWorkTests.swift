import TenancyTestSupport
import Testing

@testable import Tenancy

/// What questions cost, counted, where there is little and where there is much.
struct PolicyWorkTests {
  private static let sizes = [1_000, 100_000]

  /// As many assignments to others, and a subject that holds every role there can be.
  private static func policy(assignments count: Int, endingAt end: Timestamp? = nil) -> TenantPolicy
  {
    var policy = TenantPolicy()
    for number in 0..<RoleCommands.maximumRoles {
      policy.put(Sample.role("role-\(number)", ["docs:read-\(number)"]))
      policy.put(
        Sample.assignment("a\(number)", "user:all", role: "role-\(number)", expireTime: end))
    }
    for number in 0..<count {
      policy.put(Sample.assignment("b\(1_000_000 + number)", "user:\(number)", role: "role-0"))
    }
    return policy
  }

  private static func visits(_ policy: TenantPolicy, _ subject: String, _ question: String) -> Int {
    let bytes = question.utf8Span.span.bytes
    guard let colon = Permission.colon(in: bytes) else { return .max }
    var budget = WorkBudget()
    var attributes = RequestAttributes()
    _ = policy.decide(
      Question(
        subject: subject.utf8Span.span.bytes, permission: bytes, colon: colon, now: Sample.moment),
      &attributes, &budget)
    return budget.visits
  }

  /// The words of a set of all roles.
  private static let words = (RoleCommands.maximumRoles + BuiltInRoles.all.count + 63) / 64

  @Test(arguments: sizes)
  func aCheckLooksAtSetsAndNotAtAssignments(_ count: Int) {
    let policy = Self.policy(assignments: count)
    for question in ["docs:read-0", "docs:read-999", "docs:write", "tenancy.roles:get"] {
      for subject in ["user:all", "user:7", "nobody"] {
        #expect(Self.visits(policy, subject, question) <= Self.words)
      }
    }
  }

  @Test func whatHasEndedIsNotLookedAt() {
    let policy = Self.policy(assignments: 0, endingAt: Sample.moment)
    #expect(Self.visits(policy, "user:all", "docs:read-500") <= Self.words)
  }

  @Test func aWriterAsksSetsToo() {
    let policy = Self.policy(assignments: 1_000)
    let power = policy.power(of: "user:all", at: Sample.moment)
    #expect(!power.holds(Sample.permission("tenancy.roles:*")))
  }

  @Test(arguments: sizes)
  func aListBeginsAnywhere(_ count: Int) {
    let policy = Self.policy(assignments: count)
    let last = "b\(1_000_000 + count - 3)"
    for list in [
      policy.assignments(after: last), policy.assignments(ofRole: "role-0", after: last),
      policy.assignments(of: "user:all", after: "a997"),
    ] {
      var (cursor, budget) = (list, WorkBudget(visits: 50))
      var found = 0
      while cursor.next(&budget) != nil { found += 1 }
      #expect(found == 2 && cursor.isAtEnd && budget.visits == 2)
    }
  }

  @Test func aCursorGivesNoMoreThanTheBudget() {
    let policy = Self.policy(assignments: 100)
    for limit in [1, 7, 100] {
      var (cursor, budget) = (policy.assignments(), WorkBudget(visits: limit))
      var found = 0
      while cursor.next(&budget) != nil { found += 1 }
      #expect(found == limit && budget.isSpent && !cursor.isAtEnd)
    }
  }

  @Test func rolesAreInOrderWithoutSorting() {
    let policy = Self.policy(assignments: 0)
    var (cursor, budget) = (policy.roles(after: "role-998"), WorkBudget())
    var found: [String] = []
    while let role = cursor.next(&budget) { found.append(role.role.id) }
    #expect(found == ["role-999", "tenant-admin", "tenant-viewer"])
    #expect(budget.visits == 3)
  }

  @Test func namesThatAreTooLongAreNotRead() {
    let long = String(repeating: "a:", count: 1 << 20)
    #expect(Permission.colon(in: long.utf8Span.span.bytes) == nil)
    #expect(Permission(parsing: long) == nil)
    let part = String(repeating: "a", count: Permission.maximumPartLength)
    #expect(Permission(parsing: "\(part):\(part)") != nil)
    #expect(Permission(parsing: "\(part):\(part)a") == nil)
    #expect("\(part)".hasAtMost(characters: 64) && !"\(part)a".hasAtMost(characters: 64))
    #expect(String(repeating: "𝄞", count: 64).hasAtMost(characters: 64))
  }
}
