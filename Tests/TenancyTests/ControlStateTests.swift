import TenancyTestSupport
import Testing

@testable import Tenancy

struct ControlStateTests {
  private static let actors = ["uid:0", "uid:1"]
  private static let ids = ["a", "b", "c", "d"]

  private static func change(_ model: StateModel, _ random: inout SeededGenerator) -> Change {
    let number = UInt64.random(in: 0..<12, using: &random)
    var tenant = model.tenants[Sample.id(number)] ?? Sample.tenant(number)
    let id = random.pick(ids)
    guard model.tenants[tenant.id] != nil else { return .putTenant(tenant) }
    switch Int.random(in: 0..<16, using: &random) {
    case 11: return .putGroup(tenant.id, Sample.group(id))
    case 12: return .deleteGroup(tenant.id, id: id)
    case 13:
      return .putGroupMember(
        tenant.id, Sample.member(id, "user:\(random.pick(ids))", of: random.pick(ids)))
    case 14: return .deleteGroupMember(tenant.id, id: id)
    case 0, 1: return .putRole(tenant.id, Sample.role(id, ["docs:\(id)"]))
    case 2: return .deleteRole(tenant.id, id: id)
    case 3, 4:
      return .putAssignment(
        tenant.id, Sample.assignment(id, "user:\(random.pick(ids))", role: random.pick(ids)))
    case 5: return .deleteAssignment(tenant.id, id: id)
    case 6: return .putProvisioningStep(tenant.id, name: id)
    case 7: return .clearProvisioningSteps(tenant.id)
    case 8: return .reserveName(ReservedName(.schema, "\(id)\(number)"), tenant.id)
    case 9:
      return .rememberRequest(
        RememberedRequest(
          payer: random.pick([nil, Sample.id(1), tenant.id]), actor: random.pick(actors),
          requestID: id, digest: "d", tenant: random.pick([nil, tenant.id]), resource: id,
          time: Timestamp(nanoseconds: Int64.random(in: 0..<100, using: &random))))
    case 10:
      return .forgetRequests(
        before: Timestamp(nanoseconds: Int64.random(in: 0..<50, using: &random)),
        of: random.pick([nil, Sample.id(1), tenant.id]))
    default:
      // Slugs move to and fro within one tenant; no tenant ever takes another's.
      tenant.slug = Sample.slug("tenant-\(number)-\(id)")
      tenant.version += 1
      return .putTenant(tenant)
    }
  }

  private static func expectEqual(_ state: ControlState, _ model: StateModel) {
    #expect(state.allTenants.map(\.tenant) == model.tenants.values.sorted { $0.id < $1.id })
    for number in 0..<UInt64(12) {
      let id = Sample.id(number)
      let tenant = model.tenants[id]
      #expect(state.find(id)?.tenant == tenant)
      #expect(state.find(id.description)?.tenant == tenant)
      for slug in ["tenant-\(number)"] + ids.map({ "tenant-\(number)-\($0)" }) {
        #expect(state.find(slug)?.tenant == (tenant?.slug.text == slug ? tenant : nil))
      }
      if let record = state.find(id) { expectEqual(record, model) }
      for name in ids.map({ ReservedName(.schema, "\($0)\(number)") }) {
        #expect(state.owner(of: name) == model.names[name])
        #expect(state.owner(of: ReservedName(.slug, name.text)) == nil)
      }
    }
    for payer in [nil] + (0..<UInt64(12)).map(Sample.id) {
      let all = model.requests.values.filter { $0.payer == payer }.sorted { $0.order < $1.order }
      #expect(state.requests.count(of: payer) == all.count)
      #expect(state.requests.oldest(100, of: payer) == all)
      for request in all { #expect(state.request(request.key) == request) }
    }
    let ofTenants = model.requests.values.filter { $0.payer != nil }.sorted { $0.order < $1.order }
    #expect(state.requests.oldestOfTenants(1_000) == ofTenants)
    #expect(state.requests.countOfTenants == ofTenants.count)
    #expect(state.requests.count == model.requests.count)
  }

  private static func expectEqual(_ record: TenantRecord, _ model: StateModel) {
    let id = record.tenant.id
    #expect(record.idText == id.description)
    let roles = model.roles.filter { $0.key.tenant == id }.values
    #expect(
      record.policy.roles.filter { !$0.isBuiltIn }.map(\.role) == roles.sorted { $0.id < $1.id })
    #expect(record.policy.customRoleCount == roles.count)
    let groups = model.groups.filter { $0.key.tenant == id }.values
    #expect(record.policy.groups().all.map(\.group) == groups.sorted { $0.id < $1.id })
    let members = model.groupMembers.filter { $0.key.tenant == id }.values
    #expect(record.policy.groupMembers().all == members.sorted { $0.id < $1.id })
    let assignments = model.assignments.filter { $0.key.tenant == id }.values
    #expect(record.policy.assignments == assignments.sorted { $0.id < $1.id })
    for subject in ids.map({ "user:\($0)" }) {
      #expect(
        record.policy.assignments(of: subject).all
          == assignments.filter { $0.subject == subject }.sorted { $0.id < $1.id })
    }
    for role in ids {
      #expect(
        record.policy.assignments(ofRole: role).all
          == assignments.filter { $0.role == role }.sorted { $0.id < $1.id })
      for subject in ids.map({ "user:\($0)" }) {
        #expect(
          record.policy.assignments(of: subject, role: role).all
            == assignments.filter { $0.role == role && $0.subject == subject }
            .sorted { $0.id < $1.id })
      }
      #expect(
        record.policy.assignment(role) == model.assignments[StateModel.Key(tenant: id, id: role)])
    }
    #expect(record.provisionedSteps == Set(model.steps.filter { $0.tenant == id }.map(\.id)))
  }

  @Test(arguments: 0..<4 as Range<UInt64>)
  func aHistoryMakesWhatTheModelSays(_ seed: UInt64) {
    var random = SeededGenerator(seed: 300 + seed)
    var state = ControlState()
    var model = StateModel()
    var history: [Change] = []
    var kept: (ControlState, StateModel)?
    for revision in 1...UInt64(250) {
      let changes = (0..<Int.random(in: 0...4, using: &random)).map { _ in
        let change = Self.change(model, &random)
        model.apply(change)
        return change
      }
      history += changes
      state.apply(changes, revision: revision)
      #expect(state.revision == revision)
      if revision % 50 == 0 { Self.expectEqual(state, model) }
      if revision == 100 { kept = (state, model) }
    }
    // Later changes leave an earlier state alone.
    if let (state, model) = kept { Self.expectEqual(state, model) }
    // All at once, as a store loads it, makes the same.
    var loaded = ControlState()
    loaded.apply(history, revision: 250)
    Self.expectEqual(loaded, model)
  }

  @Test func aTenantIsFoundByItsNewSlugOnly() {
    var tenant = Sample.tenant(1, slug: "old")
    var state = Sample.state([tenant])
    let before = state
    tenant.slug = Sample.slug("new")
    state.apply([.putTenant(tenant)], revision: 2)
    #expect(state.find("old") == nil)
    #expect(state.find("new")?.tenant == tenant)
    #expect(state.find(tenant.id)?.tenant == tenant)
    #expect(before.find("old")?.tenant.slug.text == "old")
    #expect(before.find("new") == nil)
    tenant.slug = Sample.slug("old")
    state.apply([.putTenant(tenant)], revision: 3)
    #expect(state.find("old")?.tenant == tenant)
    #expect(state.find("new") == nil)
  }

  @Test func changesOfUnknownTenantsDoNothing() {
    var state = ControlState()
    state.apply(
      [
        .putRole(Sample.id(1), Sample.role("a")),
        .putAssignment(Sample.id(1), Sample.assignment("a")),
        .putProvisioningStep(Sample.id(1), name: "a"),
      ], revision: 1)
    #expect(state.tenants.isEmpty)
    #expect(state.revision == 1)
  }

  @Test func positionsFollowIDs() {
    let state = Sample.state([Sample.tenant(2), Sample.tenant(4)])
    #expect((1...4).map { state.tenants(after: Sample.id($0)).all.count } == [2, 1, 1, 0])
    #expect(state.tenants().all.count == 2)
  }
}
