import TenancyTestSupport
import Testing

@testable import Tenancy

/// A state that is loaded is the one that its changes make one by one.
struct StateLoadingTests {
  private static let now = Timestamp(nanoseconds: 5)

  /// What a store may hold, of tenants of all kinds.
  private static func history(_ random: inout SeededGenerator, tenants: UInt64) -> StateModel {
    var model = StateModel()
    for number in 0..<tenants {
      var tenant = Sample.tenant(number)
      let name = "n-\(number)"
      model.apply(.reserveName(ReservedName(.slug, tenant.slug.text), tenant.id))
      if random.chance(of: 1, in: 2) {
        tenant.configuration.shared = SharedConfiguration(
          tenantIdentifier: random.pick([name, tenant.id.description]))
        model.apply(
          .reserveName(
            ReservedName(
              .tenantIdentifier, tenant.configuration.shared?.tenantIdentifier ?? ""), tenant.id))
      }
      if random.chance(of: 1, in: 3) {
        tenant.configuration.schema = SchemaConfiguration(schemaName: "s\(number)")
        model.apply(.reserveName(ReservedName(.schema, "s\(number)"), tenant.id))
      }
      if random.chance(of: 1, in: 3) {
        tenant.configuration.database = DatabaseConfiguration(
          connectionString: "postgresql://h/d\(number % 5)", username: "u",
          password: SecretReference(version: 1, key: KeyID(high: 1, low: number)))
      }
      if random.chance(of: 1, in: 4) {
        tenant.tokenKeys = [Sample.key("a"), Sample.key("b")]
        for target: Revocation.Target in [.token(name), .subject(name), .tenant] {
          model.apply(
            .putRevocation(
              tenant.id,
              Revocation(
                target: target, before: now, expireTime: Timestamp(nanoseconds: Int64(number)))))
        }
      }
      model.apply(.putTenant(tenant))
      if random.chance(of: 1, in: 3) {
        model.apply(.reserveName(ReservedName(.slug, "former-\(number)"), tenant.id))
        if random.chance(of: 1, in: 2) {
          model.apply(.retireSlug(Sample.slug("former-\(number)"), tenant.id))
        }
      }
      for step in ["one", "two"] where random.chance(of: 1, in: 2) {
        model.apply(.putProvisioningStep(tenant.id, name: step))
      }
      if random.chance(of: 1, in: 4) {
        model.apply(.putRole(tenant.id, Sample.role("clerk", ["docs:read"])))
        model.apply(.putAssignment(tenant.id, Sample.assignment("a-\(number)", role: "clerk")))
      }
      if random.chance(of: 1, in: 4) {
        for group in ["eng", "all"] { model.apply(.putGroup(tenant.id, Sample.group(group))) }
        model.apply(.putGroupMember(tenant.id, Sample.member("m1", "group:eng", of: "all")))
        model.apply(.putGroupMember(tenant.id, Sample.member("m2", "user:1", of: "eng")))
      }
      if random.chance(of: 1, in: 4) {
        model.apply(
          .rememberRequest(
            RememberedRequest(
              actor: "uid:0", requestID: name, digest: "", tenant: tenant.id,
              time: Timestamp(nanoseconds: Int64(number % 7)))))
      }
    }
    return model
  }

  /// Everything that a state answers of these tenants.
  private static func answers(_ state: ControlState, _ model: StateModel) -> [String] {
    var (tenants, budget) = (state.tenants(), WorkBudget.uncapped)
    var answers = ["\(state.revision) \(state.tenantCount) \(state.requests.count)"]
    while let record = tenants.next(&budget) {
      let former = record.formerSlugs.map(\.slug.text)
      let (roles, assignments) = (record.policy.customRoleCount, record.policy.assignmentCount)
      answers.append(
        "\(record.tenant) \(record.idText) \(record.provisionedSteps.sorted()) \(former) "
          + "\(roles) \(assignments) \(record.footprint) \(groups(of: "user:1", record)) "
          + "\(record.revocations.all().all)")
      answers.append("\(state.find(record.idText) === record)")
      answers.append("\(state.find(record.tenant.slug.text) === record)")
      let place = record.tenant.configuration.database?.place
      answers.append("\(place.flatMap { state.owner(of: $0) }?.description ?? "")")
    }
    for name in model.names.keys.sorted(by: {
      ($0.kind.rawValue, $0.text) < ($1.kind.rawValue, $1.text)
    }) {
      let former = state.formerSlug(name.text)?.tenant
      answers.append(
        "\(name) \(state.owner(of: name)?.description ?? "") \(former?.description ?? "")")
      let found = state.find(name.text.utf8Span.span.bytes, at: now)
      answers.append("\(found?.idText ?? "")")
    }
    for request in model.requests.values.sorted(by: { $0.requestID < $1.requestID }) {
      answers.append("\(state.request(request.requestID, of: request.actor) == request)")
    }
    return answers + ["\(state.requests.oldest(1, of: nil).first?.requestID ?? "")"]
  }

  private static func groups(of subject: String, _ record: TenantRecord) -> String {
    let all = record.policy.groups().all.map(\.group.id)
    var budget = WorkBudget.uncapped
    let groups = record.policy.content.groups(
      of: subject.utf8Span.span.bytes, at: now, &budget)
    return "\(all) \(groups?.count ?? 0)"
  }

  private static func applied(_ changes: [Change]) -> ControlState {
    var state = ControlState()
    state.apply(changes, revision: 7)
    return state
  }

  @Test(arguments: [0, 1, 2, 31, 32, 33, 400, 1100] as [UInt64])
  func isTheSameAsOneByOne(_ tenants: UInt64) {
    var random = SeededGenerator(seed: tenants)
    let model = Self.history(&random, tenants: tenants)
    let loaded = ControlState(StoredState(revision: 7, changes: model.changes))
    let expected = Self.answers(Self.applied(model.changes), model)
    #expect(Self.answers(loaded, model) == expected)
    #expect(expected.count > tenants)
  }

  /// Stores promise an order, and that nothing takes back what comes before it.
  @Test func anyOrderOfChangesIsLoaded() {
    var random = SeededGenerator(seed: 1)
    let model = Self.history(&random, tenants: 40)
    var changes = model.changes
    changes.append(.deleteAssignment(Sample.id(3), id: "a-3"))
    changes.append(.clearProvisioningSteps(Sample.id(5)))
    changes.append(.forgetRevocations(Sample.id(6), before: Timestamp(nanoseconds: .max)))
    changes.append(.putTenant(Sample.tenant(2)))
    let reversed: [Change] = model.tenants.values.map(Change.putTenant) + changes
    for changes in [changes, reversed, changes + [.putTenant(Sample.tenant(50))]] {
      let loaded = ControlState(StoredState(revision: 7, changes: changes))
      #expect(Self.answers(loaded, model) == Self.answers(Self.applied(changes), model))
    }
  }

  @Test(arguments: [0, 1, 12, 13, 500, 5000])
  func aTableOfManyIsThatOfEach(_ count: Int) {
    var each = ByteTable<Int>()
    let keys = (0..<count).map { "key-\($0)" }
    for (value, key) in keys.enumerated() { each[key] = value }
    // The last of a key stays.
    let entries = keys.map { ($0, -1) } + keys.enumerated().map { ($1, $0) }
    var table = ByteTable(entries)
    #expect(table.count == count)
    for (value, key) in keys.enumerated() where table[key] != value {
      Issue.record("\(key): \(String(describing: table[key]))")
    }
    #expect(table["other"] == nil)
    for key in keys.dropLast() { table[key] = nil }
    #expect(table.entries.map(\.key) == Array(keys.suffix(1)))
  }

  @Test func keysOfATableOfManyAreBytes() {
    let table = ByteTable([("é", 1), ("e\u{301}", 2)])
    #expect(table["é"] == 1 && table["e\u{301}"] == 2 && table.count == 2)
  }

  @Test(arguments: [0, 1, 16, 17, 3000] as [UInt64])
  func positionsAreThoseOfTheirOrder(_ count: UInt64) {
    var positions = TenantPositions()
    let ids = (0..<count).map(Sample.id)
    for id in ids where !positions.append(id) { Issue.record("\(id) is there") }
    for id in ids where positions.append(id) { Issue.record("\(id) is there twice") }
    #expect(ids.map { positions.find($0) } == ids.indices.map { $0 })
    #expect(positions.ids == ids)
    #expect(positions.find(Sample.id(count)) == nil)
  }
}
