import TenancyTestSupport
import Testing

@testable import Tenancy

/// Groups and memberships as lists, asked by looking at all of them.
private struct Model {
  var groups: [String: SubjectGroup] = [:]
  var members: [String: GroupMember] = [:]
  var roles: [String: Role] = [:]
  var assignments: [String: RoleAssignment] = [:]

  /// The groups that a subject is directly in.
  private func direct(_ subject: String, at now: Timestamp) -> Set<String> {
    let isGroup = subject.hasPrefix("group:")
    return Set(
      members.values.filter { member in
        member.member == subject && groups[member.group] != nil
          && (member.expireTime.map { $0 > now && !isGroup } ?? true)
      }.map(\.group))
  }

  func groups(of subject: String, at now: Timestamp) -> Set<String> {
    var (found, waiting) = (Set<String>(), direct(subject, at: now))
    while let next = waiting.popFirst() {
      if found.insert(next).inserted { waiting.formUnion(direct("group:\(next)", at: now)) }
    }
    return found
  }

  func grants(_ question: String, _ subject: String, at now: Timestamp) -> Bool {
    let holders = groups(of: subject, at: now).map { "group:\($0)" } + [subject]
    return assignments.values.contains { assignment in
      holders.contains(assignment.subject) && (assignment.expireTime.map { $0 > now } ?? true)
        && (roles[assignment.role]?.permissions.contains(question) ?? false)
    }
  }

  /// When something may change by itself.
  func nextEnd(of subject: String, after now: Timestamp) -> Timestamp? {
    let holders = groups(of: subject, at: now).map { "group:\($0)" } + [subject]
    let ends =
      members.values.filter { $0.member == subject && groups[$0.group] != nil }
      .map(\.expireTime)
      + assignments.values.filter { holders.contains($0.subject) && roles[$0.role] != nil }
      .map(\.expireTime)
    return ends.compactMap(\.self).filter { $0 > now }.min()
  }
}

/// The index of groups against the model.
struct GroupIndexTests {
  /// More than 64, so that sets of groups have several words.
  private static let count = 80
  private static let users = (0..<6).map { "user:\($0)" }

  private static func moment(_ random: inout SeededGenerator) -> Timestamp {
    Timestamp(nanoseconds: Sample.moment.nanoseconds + Int64.random(in: -3...3, using: &random))
  }

  private static func number(_ random: inout SeededGenerator) -> Int {
    // Some of them often, so that groups have several members and memberships.
    random.chance(of: 1, in: 2)
      ? Int.random(in: 0..<12, using: &random) : Int.random(in: 0..<count, using: &random)
  }

  private static func change(
    _ policy: inout TenantPolicy, _ model: inout Model, _ random: inout SeededGenerator
  ) {
    let (number, key) = (number(&random), "\(Int.random(in: 0..<150, using: &random))")
    switch Int.random(in: 0..<24, using: &random) {
    case 0..<6:
      let group = Sample.group("g\(number)", title: "\(number)")
      policy.put(group)
      model.groups[group.id] = group
    case 6:
      policy.deleteGroup("g\(number)")
      model.groups["g\(number)"] = nil
    case 7..<12:
      // Only into those of greater numbers: no cycles.
      let inner = Int.random(in: 0..<count, using: &random)
      guard inner < number else { return }
      put(Sample.member(key, "group:g\(inner)", of: "g\(number)"), &policy, &model)
    case 12..<15:
      let end = random.chance(of: 1, in: 2) ? nil : moment(&random)
      put(
        Sample.member(key, random.pick(users), of: "g\(number)", expireTime: end), &policy, &model)
    case 15, 16:
      policy.deleteGroupMember(key)
      model.members[key] = nil
    case 17..<22:
      let end = random.chance(of: 1, in: 2) ? nil : moment(&random)
      let subject = random.chance(of: 1, in: 5) ? random.pick(users) : "group:g\(number)"
      let assignment = Sample.assignment(key, subject, role: "r\(number % 5)", expireTime: end)
      policy.put(assignment)
      model.assignments[key] = assignment
    case 22:
      policy.deleteAssignment(key)
      model.assignments[key] = nil
    default:
      let role = Sample.role("r\(number % 5)", ["docs:read\(number % 3)", "docs:write"])
      policy.put(role)
      model.roles[role.id] = role
    }
  }

  private static func put(
    _ member: GroupMember, _ policy: inout TenantPolicy, _ model: inout Model
  ) {
    policy.put(member)
    model.members[member.id] = member
  }

  private static func names(
    _ policy: TenantPolicy, of subject: String, at now: Timestamp
  ) -> Set<String> {
    var budget = WorkBudget.uncapped
    var names = Set<String>()
    let groups = policy.content.groups(of: subject.utf8Span.span.bytes, at: now, &budget)
    #expect(groups.map { !$0.isEmpty } ?? true)
    groups?.forEach { number in
      names.insert(String(policy.content.groups.subject(number)?.dropFirst(6) ?? "?"))
    }
    return names
  }

  private static func expectEqual(
    _ policy: TenantPolicy, _ model: Model, _ random: inout SeededGenerator
  ) {
    let now = moment(&random)
    for subject in [random.pick(users), "group:g\(number(&random))"] {
      #expect(names(policy, of: subject, at: now) == model.groups(of: subject, at: now))
      var budget = WorkBudget.uncapped
      for question in ["docs:read0", "docs:read1", "docs:read2", "docs:write"] {
        let expected = model.grants(question, subject, at: now)
        let bytes = question.utf8Span.span.bytes
        var attributes = RequestAttributes()
        let decision = policy.decide(
          Question(subject: subject.utf8Span.span.bytes, permission: bytes, colon: 4, now: now),
          &attributes, &budget)
        #expect((decision.allowingRole != nil) == expected)
        #expect(
          policy.power(of: subject, at: now).holds(Sample.permission(question)) == expected
        )
      }
      if !subject.hasPrefix("group:") {
        #expect(
          policy.nextEnd(of: subject, after: now) == model.nextEnd(of: subject, after: now))
      }
    }
  }

  @Test(arguments: 0..<6 as Range<UInt64>)
  func answersAreThoseOfTheModel(_ seed: UInt64) {
    var random = SeededGenerator(seed: 4_000 + seed)
    var (policy, model) = (TenantPolicy(), Model())
    var kept: (TenantPolicy, Model)?
    for step in 0..<3000 {
      Self.change(&policy, &model, &random)
      // Once for one change or for several.
      if step % 5 == 0 || random.chance(of: 1, in: 3) { policy.settle() }
      if step % 5 == 0 { Self.expectEqual(policy, model, &random) }
      if step == 1500 {
        policy.settle()
        kept = (policy, model)
      }
    }
    #expect(policy.groups().all.map(\.group) == model.groups.values.sorted { $0.id < $1.id })
    #expect(policy.groupMembers().all == model.members.values.sorted { $0.id < $1.id })
    for id in (0..<Self.count).map({ "g\($0)" }) {
      let expected = model.members.values.filter { $0.group == id }.sorted { $0.id < $1.id }
      #expect(policy.groupMembers(of: id).all == expected)
      let subject = "group:\(id)"
      let within = model.members.values.filter { $0.member == subject }.sorted { $0.id < $1.id }
      #expect(policy.memberships(of: subject).all == within)
      #expect(
        policy.memberships(of: subject, in: "g70").all == within.filter { $0.group == "g70" })
    }
    // Later changes leave an earlier copy alone.
    if let (policy, model) = kept {
      for _ in 0..<50 { Self.expectEqual(policy, model, &random) }
    }
  }

  /// A store's rows come in the order of their keys, a log's in that of time.
  @Test func theOrderOfChangesMakesNoDifference() {
    var random = SeededGenerator(seed: 5)
    let groups = (0..<20).map { Sample.group("g\($0)") }
    let members = (0..<60).compactMap { number -> GroupMember? in
      let (inner, outer) = (number % 19, number * 7 % 20)
      guard inner < outer else { return nil }
      return Sample.member("m\(number)", "group:g\(inner)", of: "g\(outer)")
    }
    var sets: [[Set<String>]] = []
    for _ in 0..<5 {
      var policy = TenantPolicy()
      var changes: [(inout TenantPolicy) -> Void] = []
      for group in groups { changes.append { $0.put(group) } }
      for member in members { changes.append { $0.put(member) } }
      changes.shuffle(using: &random)
      for change in changes { change(&policy) }
      policy.settle()
      sets.append(groups.map { Self.names(policy, of: $0.subject, at: Sample.moment) })
    }
    #expect(sets.allSatisfy { $0 == sets[0] })
    #expect(sets[0].contains { $0.count > 3 })
  }

  /// No command lets one in; nobody waits for an answer for ever for it.
  @Test func aCycleEnds() {
    var policy = TenantPolicy()
    for number in 0..<3 {
      policy.put(Sample.group("g\(number)"))
      policy.put(Sample.member("m\(number)", "group:g\(number)", of: "g\((number + 1) % 3)"))
    }
    policy.put(Sample.member("self", "group:g0", of: "g0"))
    policy.put(Sample.member("u", "user:1", of: "g0"))
    policy.settle()
    #expect(Self.names(policy, of: "user:1", at: Sample.moment) == ["g0", "g1", "g2"])
    policy.deleteGroupMember("m1")
    policy.settle()
    #expect(Self.names(policy, of: "user:1", at: Sample.moment) == ["g0", "g1"])
  }

  // MARK: Costs

  @Test(arguments: [10, 20_000])
  func aMemberAmongManyCopiesWhatItTouches(_ count: Int) {
    var before = PolicyContent()
    for number in 0..<100 { before.put(Sample.group("g\(number)")) }
    for number in 0..<count {
      before.put(
        Sample.member("m\(1_000_000 + number)", "user:\(number)", of: "g\(number % 100)"))
    }
    let nodes = (0..<9).map { number in
      let id = "m\(1_000_000 + number * count / 8)x"
      var after = before
      after.put(Sample.member(id, "user:new-\(number)", of: "g\(number)"))
      let added = after.unsharedNodes(with: before)
      after.deleteGroupMember(id)
      return max(added, after.unsharedNodes(with: before))
    }
    #expect(nodes.sorted()[4] <= 20)
  }

  /// However many groups there are that they are not in.
  @Test(arguments: [0, 100, 900])
  func aQuestionLooksAtTheSubjectsGroupsOnly(_ others: Int) {
    var policy = TenantPolicy()
    policy.put(Sample.role("r", ["docs:read"]))
    for number in 0..<others {
      policy.put(Sample.group("a\(number)"))
      policy.put(Sample.assignment("a\(number)", "group:a\(number)", role: "r"))
      policy.put(Sample.member("a\(number)", "user:other", of: "a\(number)"))
    }
    policy.put(Sample.group("z"))
    policy.put(Sample.assignment("z", "group:z", role: "r"))
    policy.put(Sample.member("z", "user:1", of: "z"))
    let question = "docs:read".utf8Span.span.bytes
    for (subject, isGranted) in [("user:1", true), ("user:none", false)] {
      var budget = WorkBudget.uncapped
      var attributes = RequestAttributes()
      let decision = policy.decide(
        Question(
          subject: subject.utf8Span.span.bytes, permission: question, colon: 4, now: Sample.moment),
        &attributes, &budget)
      #expect((decision.allowingRole != nil) == isGranted)
      #expect(budget.visits <= (isGranted ? 20 : 0))
    }
  }

  @Test func setsAreIntersected() {
    var random = SeededGenerator(seed: 8)
    for _ in 0..<200 {
      var sets = [RoleSet(), RoleSet()]
      var models = [Set<Int>(), Set<Int>()]
      for _ in 0..<30 {
        let (which, number) = (Int.random(in: 0..<2, using: &random), number(&random))
        sets[which].insert(number)
        models[which].insert(number)
      }
      var common = sets[0]
      common.formIntersection(sets[1])
      var found: [Int] = []
      common.forEach { found.append($0) }
      let expected = models[0].intersection(models[1])
      #expect(found == expected.sorted())
      #expect(common.lowest == expected.min() && common.count == expected.count)
      #expect(common.isEmpty == expected.isEmpty)
      #expect(common.isSubset(of: sets[0]) && common.isSubset(of: sets[1]))
      #expect(sets[0].isSubset(of: sets[1]) == models[0].isSubset(of: models[1]))
    }
  }

  private func number(_ random: inout SeededGenerator) -> Int {
    Int.random(in: 0..<(random.chance(of: 1, in: 2) ? 20 : 300), using: &random)
  }
}
