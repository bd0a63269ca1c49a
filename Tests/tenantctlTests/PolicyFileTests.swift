import Foundation
import Tenancy
import TenancyWire
import Testing

@testable import tenantctl

@Suite struct PolicyFileTests {
  private let head = "apiVersion: tenancy/v1\nkind: Policy\n"

  private func problems(_ text: String) throws -> [String] {
    try PolicyReader.read(text, file: "f").problems.map(\.description)
  }

  private func policy(_ text: String) throws -> PolicyFile {
    let (policy, problems) = try PolicyReader.read(head + text, file: "f")
    #expect(problems == [])
    return try #require(policy)
  }

  // MARK: Reading and writing

  /// The same each time.
  private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state ^ (state >> 29)
    }
  }

  private static let texts = [
    "", "yes", "~", "1e5", "0x1F", "a: #b", " two\nlines\n", "'\"", "- a", "\u{202E}x", "é", "null",
  ]
  private static let ends: [GoogleProtobuf.Timestamp?] = [
    nil, GoogleProtobuf.Timestamp(seconds: 4_000_000_000, nanos: 5),
  ]

  private static func random(_ seed: UInt64) -> PolicyFile {
    var random = Seeded(state: seed)
    func text() -> String { texts.randomElement(using: &random) ?? "" }
    func end() -> GoogleProtobuf.Timestamp? { ends.randomElement(using: &random) ?? nil }
    func some(_ all: [String]) -> [String] { all.filter { _ in Bool.random(using: &random) } }
    var policy = PolicyFile()
    for at in 0..<Int.random(in: 0...5, using: &random) {
      policy.roles.append(
        FleetRole(
          id: "r\(at)", title: text(), description: text(),
          permissions: some(["*:*", "a:*", "a:b", "x.y_z-1:read"]),
          deniedPermissions: some(["*:c", "a:b"]), parents: some((0..<at).map { "r\($0)" })))
    }
    for at in 0..<Int.random(in: 0...4, using: &random) {
      let members =
        some(["user:a", "user:é", "svc", "1"]).map { FleetMember(subject: $0, expireTime: end()) }
        + some((0..<at).map { "group:g\($0)" }).map { FleetMember(subject: $0) }
      policy.groups.append(
        FleetGroup(id: "g\(at)", title: text(), description: text(), members: members))
    }
    for subject in some(["user:a", "true", "no"] + policy.groups.map { "group:\($0.id)" }) {
      guard let role = (policy.roles.map(\.id) + ["tenant-viewer"]).randomElement(using: &random)
      else { continue }
      policy.assignments.append(
        FleetAssignment(
          subject: subject, role: role, expireTime: end(),
          resource: some(["docs/7/*"]).first ?? "",
          condition: some(["context.level > 1.0\n  && subject.id != 'x'"]).first ?? "",
          reason: text()))
    }
    for at in 0..<Int.random(in: 0...3, using: &random) {
      policy.tests.append(
        PolicyTest(
          name: "\(at) \(text())", subject: "user:a", permission: "a:b",
          resource: some(["7"]).first ?? "",
          subjectAttributes: Bool.random(using: &random) ? ["n": .string(text())] : nil,
          context: Bool.random(using: &random) ? ["level": .number(2)] : nil, time: end(),
          isAllowed: Bool.random(using: &random), because: some(["tenant-viewer"]).first ?? ""))
    }
    return policy
  }

  @Test(arguments: 0..<200)
  func whatIsWrittenReadsAsItWas(_ seed: Int) throws {
    let wanted = Self.random(UInt64(seed))
    let text = try PolicyWriter.text(wanted)
    let (read, problems) = try PolicyReader.read(text, file: "f")
    #expect(problems == [], "\(text)")
    let policy = try #require(read)
    #expect(try PolicyWriter.text(policy) == text)
    #expect(PolicyDifference(from: wanted, to: policy).changes == [])
    #expect(PolicyDifference(from: policy.sorted, to: wanted).changes == [])
    for (before, after) in zip(wanted.tests, policy.tests) {
      var after = after
      (after.line, after.column) = (0, 0)
      #expect(before == after)
    }
  }

  // MARK: Problems

  @Test func allThatIsWrongIsToldWithItsPlace() throws {
    let text = """
      apiVersion: tenancy/v1
      kind: Polcy
      roles:
      - id: reader
        permisions: [docs:read]
        permissions: [docs:read, docs]
        parents: [raeder2, writer]
      - id: writer
        parents: [ reader2 ]
      - id: reader2
      groups:
      - id: Eng
        members: [user:a, user:a, group:none]
      assignments:
      - subject: user:a
        role: writr
        resource: docs//x
        condition: 1 +
      - subject: a b
        role: reader
        expires: tomorrow
      tests:
      - name: t
        subject: user:a
        permission: docs:*
        expect: alowed
        because: nobody
      """
    #expect(
      try problems(text) == [
        "f:2:7: kind: 'Policy' is expected, not 'Polcy'",
        "f:5:3: roles[0].permisions: there is no such member; did you mean 'permissions'?",
        "f:6:28: roles[0].permissions[1]: 'docs' is not resource:action",
        "f:7:13: roles[0].parents[0]: there is no role 'raeder2'; did you mean 'reader2'?",
        "f:12:7: groups[0].id: the id of a group: 1 to 63 of a-z, 0-9 and '-', starting with a letter, "
          + "and not everyone",
        "f:13:21: groups[0].members[1]: 'user:a' is in the group twice",
        "f:13:29: groups[0].members[2]: there is no group 'none'",
        "f:16:3: assignments[0].role: there is no role 'writr'; did you mean 'writer'?",
        "f:17:13: assignments[0].resource: TYPE, TYPE/PATH or TYPE/PATH/* is expected",
        "f:18:14: assignments[0].condition: 1:4: found the end; expected a value",
        "f:19:3: assignments[1].subject: 1 to 256 bytes without control characters or spaces",
        "f:21:12: assignments[1].expires: a time such as 2027-01-31T12:00:00Z is expected",
        "f:25:15: tests[0].permission: resource:action without * is expected",
        "f:26:11: tests[0].expect: allowed or denied is expected; did you mean 'allowed'?",
        "f:27:3: tests[0].because: there is no role 'nobody'",
      ])
  }

  @Test(arguments: [
    ("", "f:1:1: it holds no policy"),
    ("a: [", "f:2:1: not YAML: while parsing a flow node did not find expected node content"),
    ("[]", "f:1:1: a mapping of names to values is expected"),
  ])
  func whatIsNoPolicy(_ text: String, _ problem: String) throws {
    #expect(try problems(text) == [problem])
  }

  /// Parts of a chain, each of which names the one before it.
  private static func chain(_ one: (Int) -> String) -> String {
    (0..<12).map(one).joined(separator: ", ")
  }

  private static let roleChain = chain { at -> String in
    let parent = at > 0 ? "r\(at - 1)" : ""
    return "{id: r\(at), parents: [\(parent)]}"
  }

  private static let groupChain = chain { at -> String in
    let member = at > 0 ? "'group:g\(at - 1)'" : ""
    return "{id: g\(at), members: [\(member)]}"
  }

  private static let exclusive = "roles: [{id: a, excludedRoles: [b]}, {id: b}]\n"
  private static let long = String(repeating: "x", count: 201)

  private static let refused: [(String, String)] = [
    (
      "roles: [{id: a, parents: [b]}, {id: b, parents: [a]}]",
      "inherits from itself: a from b from a"
    ),
    (
      "groups: [{id: a, members: ['group:b']}, {id: b, members: ['group:a']}]",
      "contains itself: a contains b contains a"
    ),
    ("roles: [{id: tenant-admin}]", "every tenant has the role 'tenant-admin'"),
    ("\(exclusive)assignments: [{subject: u, role: a}, {subject: u, role: b}]", "beside"),
    (
      "\(exclusive)groups: [{id: g}]\nassignments: [{subject: 'group:g', role: a}]",
      "not assigned to groups"
    ),
    ("assignments: [{subject: 'GROUP:x', role: tenant-viewer}]", "begins like a group"),
    (
      "groups: [{id: a}, {id: b, members: [{subject: 'group:a', expires: 2100-01-01T00:00:00Z}]}]",
      "there is no end"
    ),
    ("roles: [\(roleChain)]", "levels at most"), ("groups: [\(groupChain)]", "8 deep"),
    ("roles: [{id: a, title: \(long)}]", "at most 200"),
  ]

  @Test(arguments: refused)
  func whatAServerRefuses(_ text: String, _ words: String) throws {
    let problems = try problems(head + text)
    #expect(problems.contains { $0.contains(words) }, "\(problems)")
    #expect(problems.allSatisfy { $0.hasPrefix("f:") && $0.split(separator: ":").count > 3 })
  }

  @Test func whatIsTooManyIsRefused() throws {
    let conditions = (0..<65).map {
      "{subject: u, role: tenant-viewer, condition: context.n > \($0).0}"
    }
    let problems = try problems(head + "assignments: [\(conditions.joined(separator: ", "))]")
    #expect(problems.contains { $0.contains("'u' has 65 roles under conditions; at most 64") })
  }

  // MARK: Tests

  private let tested = """
    roles:
    - {id: reader, permissions: [docs:read]}
    - {id: chief, permissions: [docs:write], parents: [reader]}
    - {id: quiet, deniedPermissions: [docs:write]}
    groups:
    - {id: staff, members: [user:a, {subject: user:b, expires: '2030-01-01T00:00:00Z'}]}
    - {id: all, members: [group:staff]}
    assignments:
    - {subject: group:all, role: reader}
    - {subject: user:a, role: chief, condition: 'context.level > 1.0'}
    - {subject: user:c, role: chief, resource: docs/7/*}
    - {subject: user:c, role: quiet, resource: docs/7/locked}

    """

  @Test func testsAreAnsweredAsAServerAnswers() throws {
    let policy = try policy(
      tested + """
        tests:
        - {name: 1, subject: user:a, permission: docs:read, expect: allowed, because: reader}
        - {name: 2, subject: user:a, permission: docs:write, context: {level: 2}, expect: allowed, because: chief}
        - {name: 3, subject: user:a, permission: docs:write, context: {level: 1}, expect: denied}
        - {name: 4, subject: user:a, permission: docs:write, expect: denied}
        - {name: 5, subject: user:b, permission: docs:read, time: '2029-12-31T23:59:59Z', expect: allowed}
        - {name: 6, subject: user:b, permission: docs:read, time: '2030-01-01T00:00:00Z', expect: denied}
        - {name: 7, subject: user:c, permission: docs:read, resource: 7/x, expect: allowed, because: reader}
        - {name: 8, subject: user:c, permission: docs:write, resource: 7/locked, expect: denied, because: quiet}
        - {name: 9, subject: user:c, permission: docs:read, resource: 8/x, expect: denied}
        - {name: 10, subject: user:d, permission: docs:read, expect: denied}
        """)
    let run = PolicyTestRun(policy, file: "f")
    #expect(run.failures.map(\.test.name) == [])
    #expect(run.lines() == ["10 passed, 0 failed"])
  }

  @Test func whatIsNotAsExpectedIsExplained() throws {
    let policy = try policy(
      tested + """
        tests:
        - {name: one, subject: user:c, permission: docs:write, resource: 7/locked, expect: allowed}
        - {name: two, subject: user:d, permission: docs:write, expect: allowed}
        - {name: three, subject: user:a, permission: docs:read, expect: allowed, because: quiet}
        """)
    #expect(
      PolicyTestRun(policy, file: "f").lines() == [
        "f:16:3: one: user:c docs:write 7/locked", "    expected: allowed",
        "    answer:   denied by the role quiet",
        "      user:c has quiet, which denies docs:write: applies",
        "      user:c has chief, which allows docs:write: applies",
        "f:17:3: two: user:d docs:write", "    expected: allowed",
        "    answer:   denied: no role allows it",
        "      it lacks a role that allows it: chief",
        "f:18:3: three: user:a docs:read", "    expected: allowed because of the role quiet",
        "    answer:   allowed by the role reader",
        "      group:all has reader, which allows docs:read: applies",
        "      user:a has chief from reader, which allows docs:read: "
          + "the condition has no result: context.level > 1.0",
        "0 passed, 3 failed",
      ])
  }

  // MARK: Schema

  private func json(_ text: String) throws -> JSONValue {
    let reader = try FleetReader(FleetNotes(file: "f"))
    var found: JSONValue?
    reader.each(text) { found = $0.json(reader.resolver) }
    return try #require(found)
  }

  @Test func theSchemaTakesWhatIsValid() throws {
    let schema = PolicyForm(try json(PolicySchema.text))
    let article = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../Sources/Tenancy/Tenancy.docc/PolicyFiles.md")
    let lines = try String(contentsOf: article, encoding: .utf8).split(
      separator: "\n", omittingEmptySubsequences: false)
    let block = lines.drop { $0 != "    apiVersion: tenancy/v1" }.prefix {
      $0.isEmpty || $0.hasPrefix("    ")
    }
    let example = block.map { $0.dropFirst(4) }.joined(separator: "\n")
    #expect(try problems(example) == [])
    #expect(schema.problems(try json(example)) == [])
    for seed in 0..<50 {
      let text = try PolicyWriter.text(Self.random(UInt64(seed)))
      #expect(schema.problems(try json(text)) == [])
    }
  }

  @Test(arguments: [
    "colour: 1", "roles: [{id: A}]", "roles: [{title: x}]", "roles: {}", "tests: [{name: x}]",
    "roles: [{id: a, permissions: [docs]}]", "groups: [{id: a, members: [1]}]",
    "assignments: [{subject: 'a b', role: a}]",
    "assignments: [{subject: a, role: a, expires: now}]",
  ])
  func theSchemaRefusesWhatIsNot(_ text: String) throws {
    let schema = PolicyForm(try json(PolicySchema.text))
    #expect(!schema.problems(try json(head + text)).isEmpty)
  }

  // MARK: Differences

  @Test func whatDiffers() throws {
    let old = try policy(tested)
    let new = try policy(
      """
      roles:
      - {id: reader, title: R, permissions: [docs:read, docs:list]}
      - {id: chief, permissions: [docs:write]}
      - {id: added}
      groups:
      - {id: staff, members: [user:b, user:z]}
      - {id: all, members: [group:staff]}
      assignments:
      - {subject: group:all, role: reader, reason: why}
      - {subject: user:c, role: chief, resource: docs/7/*}
      """)
    let lines = PolicyDifference(from: old, to: new).lines()
    #expect(
      lines == [
        "~ role reader", "    title:  -> R", "    permissions: + docs:list", "~ role chief",
        "    parents: - reader", "+ role added", "- role quiet", "~ member user:b of staff",
        #"    expires: "2030-01-01T00:00:00Z" -> "without end""#, "+ member user:z of staff",
        "- member user:a of staff", "~ assignment reader.group:all", "    reason:  -> why",
        "- assignment chief.user:a if context.level > 1.0",
        "- assignment quiet.user:c of docs/7/locked", "2 to create, 4 to change, 4 to delete",
      ])
    #expect(PolicyDifference(from: new, to: new).lines() == ["No differences."])
  }
}
