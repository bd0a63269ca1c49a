import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyRPCCore
@testable import TenancyServer

/// What checks cost, counted.
struct CheckWorkTests {
  private static let acme = Sample.tenant(1, "acme")
  /// Roles of the subject.
  private static let roles = 1000

  private let access: Access

  /// A subject that holds every role there can be, until some day.
  init() throws {
    func change(_ number: Int) -> [Change] {
      let role = Role(
        id: "role-\(number)", title: "", summary: "", permissions: ["docs:p\(number)"], version: 1,
        createTime: Sample.moment, updateTime: Sample.moment)
      let assignment = RoleAssignment(
        id: "\(number)", subject: "user:all", role: role.id, createTime: Sample.moment,
        expireTime: number == 0 ? nil : Sample.moment + Days(1))
      return [.putRole(Self.acme.id, role), .putAssignment(Self.acme.id, assignment)]
    }
    let other = Role(
      id: "other", title: "", summary: "", permissions: ["bills:pay"], version: 1,
      createTime: Sample.moment, updateTime: Sample.moment)
    let plane = try Sample.plane(
      [Self.acme], (0..<Self.roles - 1).flatMap(change) + [.putRole(Self.acme.id, other)])
    let record = plane.state.find("acme")
    access = Access(
      caller: Caller(
        .tenant(name: "acme"), subject: "x", source: .certificate, certificate: nil,
        rules: IdentityRules(trustDomains: [])),
      home: record, target: record, now: Sample.moment, snapshot: plane.snapshot)
  }

  private func batch(_ count: Int, _ permission: String) -> (TenancyError?, WorkBudget) {
    let item = V1.BatchCheckItem(subject: "user:all", permission: permission)
    let arena = Arena()
    let request = V1.BatchCheckRequest(
      tenant: "acme", items: Array(repeating: item, count: count)
    ).write(into: arena)
    var budget = WorkBudget(visits: CheckService.maximumVisits)
    var response = MessageBuilder<V1.BatchCheckResponse>(in: arena)
    var error: TenancyError?
    do throws(TenancyError) {
      let view = MessageView<V1.BatchCheckRequest>(request, in: arena)
      try CheckService().batch(
        access, view.items, RequestAttributes(), &budget, &response)
    } catch let refusal {
      error = refusal
    }
    return (error, budget)
  }

  @Test(arguments: ["docs:p0", "docs:other", "tenancy.tenants:delete"])
  func aBatchLooksAtSets(_ permission: String) {
    let (error, budget) = batch(CheckService.maximumBatch, permission)
    #expect(error == nil)
    #expect(budget.visits <= CheckService.maximumBatch * 16)
  }

  /// Another role has the permission, so that each of the subject's must be looked at.
  @Test func aBatchHasABudget() {
    let each = Self.roles - 1
    let fitting = CheckService.maximumVisits / each
    let (error, budget) = batch(fitting, "bills:pay")
    #expect(error == nil && budget.visits > each * (fitting - 1))
    let (over, spent) = batch(CheckService.maximumBatch, "bills:pay")
    #expect(over?.category == .invalidArgument)
    #expect(over?.violations.first?.field == "items")
    #expect(over?.message.contains("\(CheckService.maximumVisits)") ?? false)
    #expect(spent.visits < CheckService.maximumVisits + 2 * each)
  }

  @Test func aBatchHasALimit() {
    #expect(batch(CheckService.maximumBatch + 1, "docs:p0").0?.violations.first?.field == "items")
    #expect(batch(0, "docs:p0").0?.violations.first?.field == "items")
  }

  @Test func questionsHaveALength() {
    let part = String(repeating: "a", count: Permission.maximumPartLength)
    #expect(batch(1, "\(part):\(part)").0 == nil)
    let error = batch(1, "\(part):\(part)" + String(repeating: "é", count: 1 << 20)).0
    #expect(error?.violations.first?.field == "items[0].permission")
  }
}
