import TenancyTestSupport
import Testing

@testable import Tenancy

/// Lists about who may do what against all the questions that they answer at once.
struct PolicyListTests {
  private static let users = (0..<8).map { "user:\($0)" }
  private static let groups = (0..<70).map { "g\($0)" }
  private static let named = [
    "*:*", "*:read", "bills:pay", "bills:read", "docs:*", "docs:read", "docs:write",
    "tenancy.roles:*", "tenancy.roles:get",
  ]
  private static let questions = [
    "bills:pay", "bills:read", "docs:read", "docs:share", "docs:write", "tenancy.roles:get",
    "tenancy.roles:list",
  ]
  private static let scopes = [
    "docs", "docs/a", "docs/a/*", "docs/a/b", "docs/a/b/*", "bills", "bills/a/b", "tenancy.roles",
  ]
  private static let paths = ["", "a", "a/b", "a/b/c", "ab", "b"]
  private static let acme = Sample.tenant(1, slug: "acme")

  private static func moment(_ random: inout SeededGenerator) -> Timestamp {
    Timestamp(nanoseconds: Sample.moment.nanoseconds + Int64.random(in: -3...3, using: &random))
  }

  private static func some(
    _ all: [String], _ share: Int, _ random: inout SeededGenerator
  ) -> [String] { all.filter { _ in random.chance(of: 1, in: share) } }

  /// A tenant with roles that inherit and deny, and with groups in groups.
  private static func record(_ random: inout SeededGenerator) throws -> TenantRecord {
    var changes: [Change] = [.putTenant(acme)]
    let denies = random.chance(of: 2, in: 3)
    for number in 0..<80 {
      var role = Sample.role("r\(number)", some(named, 8, &random))
      if denies { role.denials = some(named, 60, &random) }
      if number > 0, random.chance(of: 1, in: 3) {
        role.parents = ["r\(Int.random(in: 0..<number, using: &random))"]
      }
      changes.append(.putRole(acme.id, role))
    }
    for group in groups { changes.append(.putGroup(acme.id, Sample.group(group))) }
    for number in 0..<60 {
      let outer = Int.random(in: 0..<groups.count, using: &random)
      let isGroup = outer > 0 && random.chance(of: 1, in: 3)
      let inner = isGroup ? Int.random(in: 0..<outer, using: &random) : 0
      let end = isGroup || random.chance(of: 1, in: 2) ? nil : moment(&random)
      changes.append(
        .putGroupMember(
          acme.id,
          Sample.member(
            "\(number)", isGroup ? "group:\(groups[inner])" : random.pick(users),
            of: groups[outer], expireTime: end)))
    }
    for number in 0..<Int.random(in: 0...50, using: &random) {
      var terms = RoleAssignment.Terms()
      if random.chance(of: 1, in: 2) { terms.scope = ResourceScope(parsing: random.pick(scopes)) }
      if random.chance(of: 1, in: 3) {
        terms.condition = random.pick(ReferencePolicy.conditions).text
      }
      let subject =
        random.chance(of: 1, in: 2) ? "group:\(random.pick(groups))" : random.pick(users)
      changes.append(
        .putAssignment(
          acme.id,
          RoleAssignment(
            id: "\(number)", subject: subject, role: "r\(Int.random(in: 0..<80, using: &random))",
            terms: terms, createTime: Sample.moment,
            expireTime: random.chance(of: 1, in: 2) ? nil : moment(&random))))
    }
    var state = ControlState()
    state.apply(changes, revision: 1)
    return try #require(state.find("acme"))
  }

  private static func attributes(_ random: inout SeededGenerator) -> RequestAttributes {
    var asked = ReferencePolicy.Asked(subject: "", permission: "", now: Sample.moment)
    asked.level = random.pick([nil, 3, 4])
    return asked.attributes
  }

  private static func role(
    _ record: TenantRecord, _ subject: String, _ permission: String, _ path: String,
    _ attributes: RequestAttributes, _ now: Timestamp
  ) -> String? {
    var (attributes, budget) = (attributes, WorkBudget.uncapped)
    guard let colon = Permission.colon(in: permission.utf8Span.span.bytes) else { return nil }
    return record.decide(
      Question(
        subject: subject.utf8Span.span.bytes, permission: permission.utf8Span.span.bytes,
        colon: colon, resource: path.utf8Span.span.bytes, now: now), &attributes, &budget
    ).allowingRole.map { record.policy.roleID(number: $0) }
  }

  /// All pages, each of some size and with some budget.
  private static func all<Element>(
    _ random: inout SeededGenerator,
    _ page: (String, Int, inout WorkBudget) -> PolicyPage<Element>?
  ) throws -> [Element] {
    var (found, start) = ([Element](), "")
    for _ in 0..<2_000 {
      var budget = WorkBudget(visits: Int.random(in: 1...60, using: &random))
      let size = Int.random(in: 1...5, using: &random)
      let page = try #require(page(start, size, &budget))
      #expect(page.elements.count <= size)
      found += page.elements
      guard let next = page.next else { return found }
      #expect(next != start)
      start = next
    }
    Issue.record("the pages do not end")
    return found
  }

  // MARK: Subjects

  @Test(arguments: 0..<40 as Range<UInt64>)
  func subjectsAreThoseWhoAreAllowedIt(_ seed: UInt64) throws {
    var random = SeededGenerator(seed: 7_000 + seed)
    let record = try Self.record(&random)
    for _ in 0..<8 {
      let (question, path) = (random.pick(Self.questions), random.pick(Self.paths))
      let (now, attributes) = (Self.moment(&random), Self.attributes(&random))
      let found = try Self.all(&random) { start, size, budget in
        record.subjects(
          with: Sample.permission(question), on: path, attributes, at: now, after: start,
          size: size, &budget)
      }
      let expected = Self.users.compactMap { user in
        Self.role(record, user, question, path, attributes, now).map {
          ListedSubject(subject: user, role: $0)
        }
      }
      #expect(found.sorted { $0.subject < $1.subject } == expected, "\(question) of \(path)")
      let one = try Self.all(&random) { start, size, budget in
        record.subjects(
          with: Sample.permission(question), on: path, attributes, at: now, after: start,
          size: size, &budget, where: { $0 == "user:1" })
      }
      #expect(one == expected.filter { $0.subject == "user:1" })
    }
  }

  // MARK: Resources

  @Test(arguments: 0..<40 as Range<UInt64>)
  func resourcesAreThoseOfWhichItIsAllowed(_ seed: UInt64) throws {
    var random = SeededGenerator(seed: 7_100 + seed)
    let record = try Self.record(&random)
    for _ in 0..<12 {
      let (user, question) = (random.pick(Self.users), random.pick(Self.questions))
      let (now, attributes) = (Self.moment(&random), Self.attributes(&random))
      let isTold = random.chance(of: 1, in: 2)
      let found = try Self.all(&random) { start, size, budget in
        record.resources(
          of: user, Sample.permission(question), isTold ? attributes : nil, at: now, after: start,
          size: size, &budget)
      }
      #expect(found.map(\.resource.text) == Set(found.map(\.resource.text)).sorted())
      let type = String(question.prefix { $0 != ":" })
      for path in Self.paths {
        let asked = ResourceScope(parsing: path.isEmpty ? type : "\(type)/\(path)")
        let isAllowed = Self.role(record, user, question, path, attributes, now) != nil
        let may = found.contains { listed in
          Optional(listed.resource).contains(asked)
            && !listed.exclusions.contains {
              !$0.isConditional && Optional($0.resource).contains(asked)
            }
        }
        let does = found.contains { listed in
          !listed.isConditional && Optional(listed.resource).contains(asked)
            && !listed.exclusions.contains { Optional($0.resource).overlaps(asked) }
        }
        #expect(isAllowed ? may : !does, "\(user) \(question) of \(path), told: \(isTold)")
        // Nothing is open where attributes are told and there is one resource.
        if isTold, let one = found.first(where: { $0.id == path }) {
          #expect(isAllowed && !one.isConditional && one.exclusions.isEmpty)
        }
      }
    }
  }

  // MARK: Permissions

  @Test(arguments: 0..<40 as Range<UInt64>)
  func permissionsAreThoseThatAreAllowed(_ seed: UInt64) throws {
    var random = SeededGenerator(seed: 7_200 + seed)
    let record = try Self.record(&random)
    for _ in 0..<12 {
      let (user, now) = (random.pick(Self.users), Self.moment(&random))
      let attributes = Self.attributes(&random)
      let place = ResourceScope(
        parsing: random.pick(["", "docs", "docs/a", "docs/a/b", "tenancy.roles", "bills/a/b"]))
      let isTold = random.chance(of: 1, in: 2)
      let found = try Self.all(&random) { start, size, budget in
        record.permissions(
          of: user, on: place, isTold ? attributes : nil, at: now, after: start, size: size,
          &budget)
      }
      #expect(found.map(\.permission) == Set(found.map(\.permission)).sorted())
      for question in Self.questions {
        let permission = Sample.permission(question)
        let covering = found.filter { Sample.permission($0.permission).contains(permission) }
        if let type = place?.type, type != permission.resource {
          #expect(covering.allSatisfy { Sample.permission($0.permission).resource == "*" })
          continue
        }
        for path in place?.path.map({ [$0] }) ?? Self.paths {
          let isAllowed = Self.role(record, user, question, path, attributes, now) != nil
          let asked = ResourceScope(
            parsing: permission.resource + (path.isEmpty ? "" : "/\(path)"))
          let may = covering.filter { listed in
            listed.grants.contains { $0.assignment.terms.scope.contains(asked) }
          }
          let does = may.filter { listed in
            listed.denials.isEmpty
              && listed.grants.contains {
                !$0.isConditional && $0.assignment.terms.scope.contains(asked)
              }
          }
          #expect(
            isAllowed ? !may.isEmpty : does.isEmpty,
            "\(user) \(question) of \(path) in \(place.text), told: \(isTold)")
          if isTold, place?.path != nil, found.contains(where: { $0.permission == question }) {
            #expect(isAllowed, "\(user) \(question) of \(path)")
          }
        }
      }
    }
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func actionsAreThoseThatAreAllowed(_ seed: UInt64) throws {
    var random = SeededGenerator(seed: 7_300 + seed)
    let record = try Self.record(&random)
    for type in ["docs", "bills", "tenancy.roles", "other"] {
      let (user, path) = (random.pick(Self.users), random.pick(Self.paths))
      let (now, attributes) = (Self.moment(&random), Self.attributes(&random))
      let found = try Self.all(&random) { start, size, budget in
        record.actions(
          of: user, onType: type, path, attributes, at: now, after: start, size: size, &budget)
      }
      let known = record.policy.roles.flatMap(\.role.permissions).compactMap {
        Permission(parsing: $0)
      }.filter {
        $0.action != "*" && ($0.resource == type || ($0.resource == "*" && type != "tenancy.roles"))
      }
      let expected = Set(known.map(\.action)).sorted().filter {
        Self.role(record, user, "\(type):\($0)", path, attributes, now) != nil
      }
      #expect(found == expected, "\(user) \(type) \(path)")
    }
  }

  /// What is compared is something.
  @Test func theListsAreNotEmpty() throws {
    var random = SeededGenerator(seed: 7_400)
    var (subjects, permissions, denials, resources, exclusions) = (0, 0, 0, 0, 0)
    for _ in 0..<20 {
      let record = try Self.record(&random)
      for (user, question) in zip(Self.users, Self.questions) {
        subjects += try Self.all(&random) {
          record.subjects(
            with: Sample.permission(question), on: "a/b", RequestAttributes(), at: Sample.moment,
            after: $0, size: $1, &$2)
        }.count
        let held = try Self.all(&random) {
          record.permissions(
            of: user, on: nil, nil, at: Sample.moment, after: $0, size: $1, &$2)
        }
        permissions += held.count
        denials += held.count { !$0.denials.isEmpty }
        let listed = try Self.all(&random) {
          record.resources(
            of: user, Sample.permission(question), nil, at: Sample.moment, after: $0, size: $1,
            &$2)
        }
        resources += listed.count
        exclusions += listed.count { !$0.exclusions.isEmpty }
      }
    }
    #expect(
      min(subjects, permissions, denials, resources, exclusions) > 0,
      "\(subjects) \(permissions) \(denials) \(resources) \(exclusions)")
  }

  // MARK: Places

  @Test func whatScopesHaveInCommon() throws {
    let scopes = try Self.scopes.map { try #require(ResourceScope(parsing: $0)) }
    for one in scopes {
      #expect(one.contains(one) && Optional<ResourceScope>.none.contains(one))
      for other in scopes where one.contains(other) {
        for third in scopes where other.contains(third) { #expect(one.contains(third)) }
      }
    }
    func contains(_ one: String, _ other: String) throws -> Bool {
      let one = try #require(ResourceScope(parsing: one))
      return one.contains(try #require(ResourceScope(parsing: other)))
    }
    for (one, other) in [("a", "a/b"), ("a", "a/b/*"), ("a/b/*", "a/b/c"), ("a/b/*", "a/b/c/*")] {
      let (there, back) = (try contains(one, other), try contains(other, one))
      #expect(there && !back)
    }
    for (one, other) in [("a/b", "a/b/*"), ("a/b/*", "a/b"), ("a/b/*", "a/bc"), ("a", "ab/c")] {
      let there = try contains(one, other)
      #expect(!there)
    }
    for text in ["r.1.x", "g.70.", "r.0.a.b"] {
      #expect(SubjectList.Place(parsing: text)?.text == text)
    }
    for text in ["", "r", "r.1", "x.1.a", "r.-1.a", "r.99999999999.a"] {
      #expect(SubjectList.Place(parsing: text) == nil)
    }
  }
}
