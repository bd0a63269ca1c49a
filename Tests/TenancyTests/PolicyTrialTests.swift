import TenancyTestSupport
import Testing

@testable import Tenancy

/// Changes that are tried answer as those that are made.
struct PolicyTrialTests {
  private let test: TestPlane
  private let id = Sample.id(1)

  init() async throws {
    var quotas = TenantQuotas()
    quotas.residentBytes = 10_000
    test = try TestPlane(options: ControlPlane.Options(quotas: quotas))
    try await test.put(Sample.tenant(1))
  }

  private func commands(holding held: String = "*:*") -> PolicyCommands {
    let judge = WriteJudge(payer: .platform("operator"), requestBytes: 0) {
      (_, _) throws(TenancyError) in
    }
    let set = PermissionSet([Sample.permission(held)])
    let power: RoleCommands.Power = { _ in { held == "*:*" || set.covers($0) } }
    return PolicyCommands(
      RoleCommands(test.plane, actor: "alice", tenant: id, judge: judge, power: power),
      GroupCommands(test.plane, actor: "alice", tenant: id, judge: judge, power: power))
  }

  private func tried(
    _ changes: [PolicyChange], holding held: String = "*:*"
  ) throws(TenancyError) -> TenantRecord {
    try commands(holding: held).tried(changes, on: test.plane.state, at: test.clock.now)
  }

  private static let roles = ["a", "b", "c", "d"]
  private static let groups = ["g", "h"]
  private static let permissions = ["docs:read", "docs:write", "docs:*", "tenancy.roles:list"]
  private static let subjects = ["user:1", "user:2", "group:g"]

  private func ids<Element>(_ list: Cursor<Element>, _ id: (Element) -> String) -> [String] {
    var (list, budget, found) = (list, WorkBudget.uncapped, [String]())
    while let next = list.next(&budget) { found.append(id(next)) }
    return found
  }

  private func change(_ random: inout SeededGenerator) -> PolicyChange {
    let (role, group) = (random.pick(Self.roles), random.pick(Self.groups))
    let policy = test.plane.state.find(id)?.policy ?? TenantPolicy()
    var terms = RoleAssignment.Terms()
    if random.chance(of: 1, in: 3) { terms.scope = ResourceScope(parsing: "docs/a/*") }
    switch Int.random(in: 0..<12, using: &random) {
    case 0..<4:
      return .putRole(
        Role(
          id: role, title: "", summary: "",
          permissions: Self.permissions.filter { _ in random.chance(of: 1, in: 2) },
          denials: Self.permissions.filter { _ in random.chance(of: 1, in: 8) },
          parents: Self.roles.filter { _ in random.chance(of: 1, in: 8) },
          exclusions: Self.roles.filter { _ in random.chance(of: 1, in: 60) }, version: 0,
          createTime: Sample.moment, updateTime: Sample.moment))
    case 4..<7:
      return .putAssignment(
        subject: random.pick(Self.subjects), role: role, terms: terms, expireTime: nil)
    case 7: return .putGroup(id: group, title: "", summary: "")
    case 8: return .putMember(random.pick(Self.subjects), group: group, expireTime: nil)
    case 9:
      let all = ids(policy.assignments(), \.id)
      return .deleteAssignment(id: all.isEmpty ? "none" : random.pick(all))
    case 10:
      let all = ids(policy.groupMembers(of: group), \.id)
      return .deleteMember(id: all.isEmpty ? "none" : random.pick(all))
    default: return random.chance(of: 1, in: 2) ? .deleteRole(id: role) : .deleteGroup(id: group)
    }
  }

  private func answer(
    _ record: TenantRecord, _ subject: String, _ permission: String, _ resource: String
  ) -> String {
    var (attributes, budget) = (RequestAttributes(), WorkBudget.uncapped)
    let found = record.explain(
      subject: subject, permission: permission, resource: resource, at: Sample.moment,
      &attributes, &budget)
    switch found?.decision {
    case .allowed(let role): return "allowed \(record.policy.roleID(number: role))"
    case .denied(let role): return "denied \(record.policy.roleID(number: role))"
    case .notAllowed: return "not allowed"
    case nil: return "no question"
    }
  }

  private func answers(_ record: TenantRecord) -> [String] {
    Self.subjects.flatMap { subject in
      ["docs:read", "docs:write", "docs:x", "tenancy.roles:list"].flatMap { permission in
        ["", "a/1", "b"].map { answer(record, subject, permission, $0) }
      }
    }
  }

  @Test(arguments: 0..<12) func aTrialAgreesWithWhatIsDone(_ seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    var (done, refused) = (0, 0)
    for _ in 0..<80 {
      let changes = (0..<Int.random(in: 1...2, using: &random)).map { _ in change(&random) }
      let before = (try #require(test.plane.state.find(id)), test.plane.state.revision)
      let trial: Result<TenantRecord, TenancyError>
      do throws(TenancyError) {
        trial = .success(try tried(changes))
      } catch {
        trial = .failure(error)
      }
      // Nothing is kept of it.
      #expect(test.plane.state.revision == before.1)
      let error = await refusal { () async throws(TenancyError) in
        _ = try await commands().apply(changes, basis: nil)
      }
      let real = try #require(test.plane.state.find(id))
      switch trial {
      case .success(let would):
        done += 1
        #expect(error == nil)
        #expect(answers(would) == answers(real))
      case .failure(let expected):
        refused += 1
        #expect(error?.reason == expected.reason && error?.message == expected.message)
        #expect(answers(real) == answers(before.0))
      }
    }
    #expect(done > 10 && refused > 5)
  }

  @Test func whatWouldBeRefusedIs() async throws {
    func refused(
      _ id: String, _ permissions: [String] = [], holding held: String = "*:*"
    ) -> TenancyError? {
      let role = Role(
        id: id, title: "", summary: "", permissions: permissions, version: 0,
        createTime: Sample.moment, updateTime: Sample.moment)
      do throws(TenancyError) {
        _ = try tried([.putRole(role)], holding: held)
        return nil
      } catch {
        return error
      }
    }
    #expect(refused("a") == nil)
    #expect(refused("a", ["x"])?.violations.first?.field == "changes[0].put_role.permissions[0]")
    #expect(
      refused("a", ["tenancy.roles:list"], holding: "docs:read")?.reason == .permissionMissing)
    let long = (0..<100).map { "docs.\($0):\(String(repeating: "a", count: 64))" }
    #expect(refused("big", long)?.metadata["quota"] == Quota.residentBytes.name)
    #expect(test.plane.state.find(id)?.policy.role("a") == nil)
  }
}
