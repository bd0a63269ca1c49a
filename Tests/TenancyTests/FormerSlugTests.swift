import TenancyTestSupport
import Testing

@testable import Tenancy

struct FormerSlugTests {
  private let test: TestPlane
  private let id: TenantID

  /// A tenant that was `old` and is `new`.
  init() async throws {
    test = try TestPlane()
    let commands = TenantCommands(test.plane, actor: "test")
    id = try await commands.create(
      .init(
        slug: "old", displayName: "Acme", isolationModel: .shared,
        configuration: TenantConfiguration()), validateOnly: false
    ).id
    try await rename("new")
  }

  private func rename(_ slug: String) async throws {
    var update = TenantCommands.Update(etag: "", mayMove: true)
    update.slug = slug
    _ = try await TenantCommands(test.plane, actor: "test").update(id, update, action: "test")
  }

  private func retire(_ slug: String) async throws(TenancyError) {
    _ = try await TenantCommands(test.plane, actor: "test").retire(slug: slug, of: id, etag: "")
  }

  private func find(_ name: String, of home: TenantID? = nil, in state: ControlState? = nil)
    -> TenantID?
  {
    (state ?? test.plane.state).find(
      name.utf8Span.span.bytes, at: test.clock.now, of: home)?.tenant.id
  }

  private func uses(_ slug: String) -> UInt64? {
    test.plane.state.formerSlug(slug)?.recentUses(at: test.clock.now).count
  }

  /// As a start makes it.
  private func loaded() throws -> ControlState { try TestPlane(test.store).plane.state }

  @Test func aFormerSlugStandsForItsTenantUntilItIsRetired() async throws {
    #expect(find("old") == id && find("new") == id)
    #expect(find("old", in: try loaded()) == id)
    try await retire("old")
    #expect(find("old") == nil && find("new") == id)
    #expect(find("old", in: try loaded()) == nil)
    #expect(test.plane.state.owner(of: ReservedName(.slug, "old")) == id)
    let error = await refusal { () async throws(TenancyError) in try await retire("old") }
    #expect(error?.reason == .slugNotFound)
    let current = await refusal { () async throws(TenancyError) in try await retire("new") }
    #expect(current?.reason == .slugNotFound)
  }

  @Test func aSlugThatIsTakenAgainIsCurrentAndThenAFormerOneAgain() async throws {
    try await retire("old")
    try await rename("old")
    #expect(test.plane.state.find("old")?.formerSlugs.map(\.slug.text) == ["new"])
    try await rename("third")
    for state in [test.plane.state, try loaded()] {
      #expect(state.find(id)?.formerSlugs.map(\.slug.text) == ["new", "old"])
      #expect(find("old", in: state) == id && find("new", in: state) == id)
    }
  }

  /// What would be refused once the slug is retired.
  @Test func namesOfOneselfAndSubjectsAreUsesToo() throws {
    let record = try #require(test.plane.state.find(id))
    let isNamed = record.isNamed("old".utf8Span.span.bytes, at: test.clock.now)
    #expect(isNamed && uses("old") == 1)
    let (subject, question) = ("spiffe://a.example/tenant/old/app", "docs:read")
    var budget = WorkBudget()
    let granted = record.decide(
      Question(
        subject: subject.utf8Span.span.bytes, permission: question.utf8Span.span.bytes, colon: 4,
        now: test.clock.now), &budget
    ).allowingRole
    #expect(granted == nil && uses("old") == 2)
  }

  @Test func usesOfTheLastSevenDaysAreCounted() {
    #expect(uses("old") == 0)
    for _ in 0..<3 { _ = find("old") }
    #expect(uses("old") == 3 && uses("new") == nil)
    // Other tenants' callers do not find it, and count for nothing.
    #expect(find("old", of: Sample.id(9)) == nil)
    #expect(uses("old") == 3)
    test.clock.advance(seconds: 86_400)
    _ = find("old", of: id)
    #expect(uses("old") == 4)
    test.clock.advance(seconds: 6 * 86_400)
    #expect(uses("old") == 1)
    test.clock.advance(seconds: 86_400)
    #expect(uses("old") == 0)
  }

  @Test func whatASubjectHoldsFollowsItsTenant() async throws {
    let commands = RoleCommands(test.plane, actor: "test", tenant: id, judge: .server) { _ in
      { _ in true }
    }
    _ = try await commands.createRole(
      id: "reader", title: "", summary: "", permissions: ["docs:read"])
    func subject(_ name: String) -> String { "spiffe://a.example/tenant/\(name)/app" }
    let given = try await commands.assign(subject: subject("old"), role: "reader", expireTime: nil)
    #expect(given.subject == subject("old"))
    let again = await refusal { () async throws(TenancyError) in
      try await commands.assign(subject: subject("old"), role: "reader", expireTime: nil)
    }
    #expect(again?.reason == .assignmentExists)
    for state in [test.plane.state, try loaded()] {
      #expect(holders(subject, state) == ["old", "new", id.description])
    }
    // By another name it is given once more, and each gift is taken back by itself.
    let more = try await commands.assign(subject: subject("new"), role: "reader", expireTime: nil)
    try await commands.unassign(id: more.id)
    try await rename("third")
    try await retire("old")
    for state in [test.plane.state, try loaded()] {
      #expect(holders(subject, state) == ["new", "third", id.description])
    }
  }

  /// The names by which the subject may read.
  private func holders(_ subject: (String) -> String, _ state: ControlState) -> [String] {
    let question = "docs:read"
    return ["old", "new", "third", "other", id.description].filter { name in
      var budget = WorkBudget()
      let subject = subject(name)
      return state.find(id)?.decide(
        Question(
          subject: subject.utf8Span.span.bytes, permission: question.utf8Span.span.bytes, colon: 4,
          now: test.clock.now), &budget
      ).allowingRole != nil
    }
  }

  @Test(arguments: [
    ("spiffe://a/tenant/acme/x/y", "acme"), ("spiffe://a/tenant/acme", "acme"),
    ("spiffe://a/tenant/", nil), ("spiffe://a/tenants/acme", nil), ("spiffe://a", nil),
    ("spiffe:///tenant/acme", nil), ("user:acme", nil), ("", nil), ("s", nil),
    ("spiffe://a/platform/tenant/acme", nil), ("Spiffe://a/tenant/acme", nil),
  ])
  func namesOfTenantsInSubjects(_ subject: String, _ name: String?) {
    let range = TenantSubject.name(in: subject.utf8Span.span.bytes)
    #expect(range.map { TenantSubject.name($0, of: subject) } == name)
  }
}
