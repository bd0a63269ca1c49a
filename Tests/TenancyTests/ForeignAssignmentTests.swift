import TenancyTestSupport
import Testing

@testable import Tenancy

/// Roles that an earlier version has assigned to other tenants' workloads.
struct ForeignAssignmentTests {
  private static let globex = Sample.id(2)
  private let state: ControlState

  private static let foreign = [
    "spiffe://a.example/tenant/globex/app", "spiffe://a.example/tenant/globex",
    "spiffe://a.example/tenant/former-globex/app", "spiffe://a.example/tenant/retired-globex/app",
    "spiffe://a.example/tenant/\(globex)/app", "spiffe://a.example/tenant/nobody/app",
    "spiffe://a.example/tenant/\(Sample.id(9))/app", "SPIFFE://a.example/tenant/acme/app",
    "spiffe:/a.example/tenant/acme", "spiffe://a.example//tenant/acme",
    "spiffe://a.example/tenant/acme/", "spiffe://a.example/tenant/./acme",
    "spiffe://a.example/tenant/%61cme/app", "spiffe://a.example/tenant", "spiffe://a.example",
    "spiffe://a.example/tenant/ACME/app",
  ]
  private static let own = [
    "spiffe://a.example/tenant/acme/app", "spiffe://a.example/tenant/former-acme/app2",
    "spiffe://a.example/tenant/\(Sample.id(1))/app3", "spiffe://b.example/tenant/acme",
    "spiffe://a.example/platform/admin", "spiffe://a.example/other/globex", "user:globex",
    "spiffe", "s", "service:a/tenant/globex",
  ]

  init() {
    let acme = Sample.id(1)
    let names = ["acme", "former-acme"].map { Change.reserveName(ReservedName(.slug, $0), acme) }
    let others = ["globex", "former-globex", "retired-globex"].map {
      Change.reserveName(ReservedName(.slug, $0), Self.globex)
    }
    let assignments = (Self.foreign + Self.own).enumerated().map { number, subject in
      Change.putAssignment(
        acme, Sample.assignment("a\(100 + number)", subject, role: "tenant-admin"))
    }
    var state = ControlState()
    let tenants = [Sample.tenant(1, slug: "acme"), Sample.tenant(2, slug: "globex")]
    state.apply(
      tenants.map(Change.putTenant) + names + others
        + [.retireSlug(Sample.slug("retired-globex"), Self.globex)] + assignments, revision: 1)
    self.state = state
  }

  private func grants(_ subject: String) throws -> Bool {
    let record = try #require(state.find(Sample.id(1)))
    let question = "tenancy.roles:create"
    var budget = WorkBudget.uncapped
    let holds = record.power(of: subject, at: Sample.moment).holds(Sample.permission(question))
    let granted =
      record.decide(
        Question(
          subject: subject.utf8Span.span.bytes, permission: question.utf8Span.span.bytes, colon: 13,
          now: Sample.moment), &budget
      ).allowingRole != nil
    #expect(holds == granted)
    return granted
  }

  @Test(arguments: foreign)
  func theyGrantNothing(_ subject: String) throws { #expect(try !grants(subject)) }

  @Test(arguments: own)
  func othersDo(_ subject: String) throws { #expect(try grants(subject)) }

  @Test func theyAreCountedAndNamed() {
    let found = Leftovers(in: state).foreignAssignments
    #expect(found.count == Self.foreign.count)
    #expect(found.examples.count == Leftovers.maximumExamples)
    #expect(found.examples.first?.hasSuffix("to \(Self.foreign[0])") == true)
  }
}
