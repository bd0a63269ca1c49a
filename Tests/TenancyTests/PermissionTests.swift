import TenancyTestSupport
import Testing

@testable import Tenancy

struct PermissionTests {
  @Test(arguments: [
    ("a:b", "a", "b"), ("docs.v1:read_all-0", "docs.v1", "read_all-0"), ("*:read", "*", "read"),
    ("docs:*", "docs", "*"), ("*:*", "*", "*"), ("tenancy.roles:*", "tenancy.roles", "*"),
  ])
  func accepts(_ text: String, _ resource: String, _ action: String) {
    let permission = Permission(parsing: text)
    #expect(permission?.resource == resource)
    #expect(permission?.action == action)
    #expect(permission?.text == text)
  }

  @Test(arguments: [
    "", ":", "a", "a:", ":a", "a:b:c", "a::b", "A:b", "a:B", "a b:c", "a:b ", "**:a", "a*:b",
    "a:*b", "tenancy.*:get", "ä:b", "a:b\n", "a\0:b", "a/b:c", "a:b\u{301}",
  ])
  func refuses(_ text: String) {
    #expect(Permission(parsing: text) == nil)
    #expect(Permission.colon(in: text.utf8Span.span.bytes) == nil)
  }

  @Test(arguments: [(64, true), (65, false)])
  func partsHaveALimit(_ length: Int, _ isGood: Bool) {
    let part = String(repeating: "a", count: length)
    for text in ["\(part):b", "b:\(part)"] {
      #expect((Permission(parsing: text) != nil) == isGood)
      #expect((Permission.colon(in: text.utf8Span.span.bytes) != nil) == isGood)
    }
  }

  @Test(arguments: ["*:a", "a:*", "*:*"])
  func questionsHaveNoWildcards(_ text: String) {
    #expect(Permission.colon(in: text.utf8Span.span.bytes) == nil)
    #expect(!PermissionSet([Sample.permission(text)]).grants(Sample.permission(text)))
  }

  @Test func aQuestionIsWellFormedWhereItParsesWithoutWildcards() {
    var random = SeededGenerator(seed: 4)
    for _ in 0..<20_000 {
      let text = (0..<Int.random(in: 0...6, using: &random)).reduce(into: "") { text, _ in
        text += random.pick(["a", "b", ":", "*", ".", "A", " ", "é"])
      }
      let parsed = Permission(parsing: text)
      let isQuestion = parsed.map { $0.resource != "*" && $0.action != "*" } ?? false
      #expect((Permission.colon(in: text.utf8Span.span.bytes) != nil) == isQuestion, "\(text)")
    }
  }
}

/// Permission sets against the rule as one would say it.
struct PermissionSetTests {
  static let resources = [
    "docs", "doc", "docs.v1", "tenancy", "tenancyx", "tenancy.roles", "tenancy.tenants", "tenancy.",
  ]
  static let actions = ["read", "write", "rea", "get", "*"]

  static let everyPermission = (resources + ["*"]).flatMap { resource in
    actions.map { Sample.permission("\(resource):\($0)") }
  }
  static let everyQuestion = everyPermission.filter { !$0.hasWildcard }

  /// A wildcard resource stands for every resource outside the reserved namespace.
  static func grants(_ held: Permission, _ question: Permission) -> Bool {
    let resource =
      held.resource == question.resource
      || held.resource == "*" && !question.resource.hasPrefix("tenancy.")
    return resource && (held.action == question.action || held.action == "*")
  }

  @Test func grantsAndCoversAsTheModelDoes() {
    var random = SeededGenerator(seed: 5)
    for _ in 0..<1500 {
      let held = (0..<Int.random(in: 0...5, using: &random)).map { _ in
        random.pick(Self.everyPermission)
      }
      let set = PermissionSet(held)
      for question in Self.everyQuestion {
        let expected = held.contains { Self.grants($0, question) }
        #expect(set.grants(question) == expected, "\(held.map(\.text)) \(question.text)")
        #expect(set.covers(question) == expected)
      }
    }
  }

  /// What is covered may be given away: it must never grant what the set does not.
  @Test func whatIsCoveredGrantsNothingMore() {
    var random = SeededGenerator(seed: 6)
    for _ in 0..<300 {
      let held = (0..<Int.random(in: 0...5, using: &random)).map { _ in
        random.pick(Self.everyPermission)
      }
      let set = PermissionSet(held)
      for given in Self.everyPermission where set.covers(given) {
        for question in Self.everyQuestion where Self.grants(given, question) {
          #expect(set.grants(question), "\(held.map(\.text)) \(given.text) \(question.text)")
        }
      }
      for permission in held { #expect(set.covers(permission)) }
    }
  }

  @Test(arguments: ["*:*", "*:get"])
  func wildcardsNeverReachTheReservedNamespace(_ text: String) {
    let set = PermissionSet([Sample.permission(text)])
    #expect(set.grants(Sample.permission("docs:get")))
    #expect(!set.grants(Sample.permission("tenancy.tenants:get")))
    #expect(!set.covers(Sample.permission("tenancy.tenants:get")))
    #expect(!set.covers(Sample.permission("tenancy.tenants:*")))
  }

  @Test func theEmptySetGrantsNothing() {
    let set = PermissionSet([])
    #expect(Self.everyPermission.allSatisfy { !set.grants($0) && !set.covers($0) })
  }
}

/// Roles and assignments of one tenant as questions meet them.
struct TenantPolicyTests {
  private static func granting(
    _ policy: TenantPolicy, _ subject: String, _ question: String, at now: Timestamp
  ) -> String? {
    let bytes = question.utf8Span.span.bytes
    guard let colon = Permission.colon(in: bytes) else { return nil }
    var budget = WorkBudget()
    var attributes = RequestAttributes()
    return policy.decide(
      Question(subject: subject.utf8Span.span.bytes, permission: bytes, colon: colon, now: now),
      &attributes, &budget
    ).allowingRole.map { policy.roleID(number: $0) }
  }

  @Test func anAssignmentEndsAtItsMoment() {
    var policy = TenantPolicy()
    policy.put(Sample.role("reader", ["docs:read"]))
    let end = Sample.moment
    policy.put(Sample.assignment("1", expireTime: end))
    let before = Timestamp(nanoseconds: end.nanoseconds - 1)
    #expect(Self.granting(policy, "user:1", "docs:read", at: before) == "reader")
    #expect(Self.granting(policy, "user:1", "docs:read", at: end) == nil)
    #expect(Self.granting(policy, "user:2", "docs:read", at: before) == nil)
    #expect(Self.granting(policy, "user:1", "docs:write", at: before) == nil)
  }

  @Test func changingACopyLeavesTheOriginal() {
    var policy = TenantPolicy()
    policy.put(Sample.role("reader", ["docs:read"]))
    policy.put(Sample.assignment("1"))
    var copy = policy
    copy.deleteAssignment("1")
    copy.put(Sample.role("reader", ["docs:write"]))
    #expect(Self.granting(policy, "user:1", "docs:read", at: Sample.moment) == "reader")
    #expect(Self.granting(copy, "user:1", "docs:write", at: Sample.moment) == nil)
    #expect(copy.assignments.isEmpty && copy.assignments(of: "user:1").isAtEnd)
  }

  @Test func anAssignmentOfADeletedRoleGrantsNothing() {
    var policy = TenantPolicy()
    policy.put(Sample.role("reader", ["docs:read"]))
    policy.put(Sample.assignment("1"))
    policy.deleteRole("reader")
    #expect(Self.granting(policy, "user:1", "docs:read", at: Sample.moment) == nil)
  }
}
