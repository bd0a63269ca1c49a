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

  private var judge: WriteJudge {
    WriteJudge(payer: .platform("operator"), requestBytes: 0) { (_, _) throws(TenancyError) in }
  }

  private func commands(_ trial: PolicyTrial?, holding held: String = "*:*") -> RoleCommands {
    let set = PermissionSet([Sample.permission(held)])
    return RoleCommands(
      test.plane, actor: "alice", tenant: id, judge: judge, trial: trial
    ) { _ in
      { held == "*:*" || set.covers($0) }
    }
  }

  private static let roles = ["a", "b", "c", "d"]
  private static let permissions = ["docs:read", "docs:write", "docs:*", "tenancy.roles:list"]
  private static let subjects = ["user:1", "user:2", "group:g"]

  /// Does the same to what is tried and to what is real.
  private func step(
    _ random: inout SeededGenerator, _ trial: PolicyTrial
  ) async -> (TenancyError?, TenancyError?) {
    let (kind, id) = (Int.random(in: 0..<10, using: &random), random.pick(Self.roles))
    let parents = Self.roles.filter { _ in random.chance(of: 1, in: 5) }
    let excluded = Self.roles.filter { _ in random.chance(of: 1, in: 20) }
    let permissions = Self.permissions.filter { _ in random.chance(of: 1, in: 2) }
    let denials = Self.permissions.filter { _ in random.chance(of: 1, in: 8) }
    let subject = random.pick(Self.subjects)
    var terms = RoleAssignment.Terms()
    if random.chance(of: 1, in: 3) { terms.scope = ResourceScope(parsing: "docs/a/*") }
    let place = Int.random(in: 0..<4, using: &random)
    func perform(_ trial: PolicyTrial?) async -> TenancyError? {
      await refusal { () async throws(TenancyError) in
        let commands = commands(trial)
        switch kind {
        case 0..<4:
          try await commands.putRole(
            id: id, title: "", summary: "", permissions: permissions, denials: denials,
            parents: parents, exclusions: excluded)
        case 4..<8:
          _ = try await commands.assign(
            subject: subject, role: id, terms: terms, expireTime: nil)
        case 8:
          let record = trial.map { $0.find(self.id) } ?? test.plane.state.find(self.id)
          var (list, budget) = (
            record?.policy.assignments(of: subject) ?? Cursor(), WorkBudget.uncapped
          )
          var found: [RoleAssignment] = []
          while let next = list.next(&budget) { found.append(next) }
          // Ids are not the same.
          found.sort { ($0.role, $0.terms.scope.text) < ($1.role, $1.terms.scope.text) }
          guard place < found.count else { return }
          try await commands.unassign(id: found[place].id)
        default: try await commands.deleteRole(id: id, etag: "", force: true)
        }
      }
    }
    return (await perform(trial), await perform(nil))
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

  @Test(arguments: 0..<12) func aTrialAgreesWithWhatIsDone(_ seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    // Something is there before.
    for _ in 0..<10 { _ = await step(&random, PolicyTrial(test.plane.state, at: test.clock.now)) }
    let trial = PolicyTrial(test.plane.state, at: test.clock.now)
    for _ in 0..<30 {
      let (tried, done) = await step(&random, trial)
      #expect(tried?.reason == done?.reason && tried?.message == done?.message)
      let would = try #require(trial.find(id))
      let real = try #require(test.plane.state.find(id))
      for subject in Self.subjects {
        for permission in ["docs:read", "docs:write", "docs:x", "tenancy.roles:list"] {
          for resource in ["", "a/1", "b"] {
            #expect(
              answer(would, subject, permission, resource)
                == answer(real, subject, permission, resource))
          }
        }
      }
    }
  }

  @Test func nothingIsKept() async throws {
    let (log, revision) = (test.store.log, test.plane.state.revision)
    let trial = PolicyTrial(test.plane.state, at: test.clock.now)
    try await commands(trial).putRole(
      id: "r", title: "", summary: "", permissions: ["a:b"], denials: [], parents: [],
      exclusions: [])
    #expect(trial.find(id)?.policy.role("r") != nil)
    #expect(test.plane.state.find(id)?.policy.role("r") == nil)
    #expect(test.store.log == log && test.plane.state.revision == revision)
  }

  @Test func whatWouldBeRefusedIs() async throws {
    let trial = PolicyTrial(test.plane.state, at: test.clock.now)
    func put(
      _ id: String, _ permissions: [String] = [], parents: [String] = [],
      holding held: String = "*:*"
    ) async -> TenancyError? {
      await refusal { () async throws(TenancyError) in
        try await commands(trial, holding: held).putRole(
          id: id, title: "", summary: "", permissions: permissions, denials: [],
          parents: parents, exclusions: [])
      }
    }
    #expect(await put("No")?.violations.first?.field == "role_id")
    #expect(await put("a", ["x"])?.violations.first?.field == "role.permissions[0]")
    #expect(
      await put("a", ["tenancy.roles:list"], holding: "docs:read")?.reason == .permissionMissing)
    #expect(await put("a") == nil)
    #expect(await put("b", parents: ["a"]) == nil)
    #expect(await put("a", parents: ["b"])?.violations.first?.field == "role.parents")
    let long = (0..<100).map { "docs.\($0):\(String(repeating: "a", count: 64))" }
    #expect(await put("big", long)?.metadata["quota"] == Quota.residentBytes.name)
    let missing = await refusal { () async throws(TenancyError) in
      try await commands(trial).unassign(id: "none")
    }
    #expect(missing?.reason == .assignmentNotFound)
  }
}
