import TenancyTestSupport
import Testing

@testable import Tenancy

/// Orders and groups of tenants against what looking at all of them gives, after random changes and after loading.
struct TenantListingTests {
  private static let orders = TenantOrder.Field.allCases.flatMap { field in
    [TenantOrder(field), TenantOrder(field, isDescending: true)]
  }
  private static let groups: [TenantGroup?] =
    [nil, .state(.active), .state(.deleted), .isolationModel(.hybrid)]
    + ["a", "pro", "none"].map(TenantGroup.plan)
    + [("a", "1"), ("a", "10"), ("a", ""), ("b", "1")].map { .label(key: $0.0, value: $0.1) }
    + ["t", "t1", "t1-", "u"].map(TenantGroup.slugPrefix)

  @Test(arguments: 0..<6 as Range<UInt64>)
  func listingsAreWhatLookingAtAllGives(_ seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var state = ControlState()
    var model: [TenantID: Tenant] = [:]
    for revision in 1...40 as ClosedRange<UInt64> {
      let before = (state, model)
      let changes = (0..<Int.random(in: 1...12, using: &random)).map { _ in
        let tenant = Self.tenant(UInt64.random(in: 0..<80, using: &random), &random)
        model[tenant.id] = tenant.state == .purged ? nil : tenant
        return Change.putTenant(tenant)
      }
      state.apply(changes, revision: revision)
      if revision % 8 == 0 {
        Self.expect(state, model, &random)
        // A copy does not change under its reader.
        Self.expect(before.0, before.1, &random)
      }
    }
    let loaded = ControlState(
      StoredState(
        revision: 40,
        tables: [model.values.sorted { $0.id < $1.id }.map(Change.putTenant)]))
    Self.expect(loaded, model, &random)
    state.apply(
      model.keys.map { id in
        var tenant = model[id] ?? Sample.tenant(0)
        tenant.state = .purged
        return .putTenant(tenant)
      }, revision: 41)
    Self.expect(state, [:], &random)
  }

  private static func expect(
    _ state: ControlState, _ model: [TenantID: Tenant], _ random: inout SeededGenerator
  ) {
    for order in orders {
      for group in groups {
        guard group.map({ ControlState.hasOrder(order, of: $0) }) ?? true else { continue }
        let expected = model.values.filter { tenant in group.map { tenant.isOf($0) } ?? true }
          .sorted { isBefore($0, $1, order) }
        if let group, expected.count < 25 {
          #expect(state.estimatedCount(of: group) == expected.count)
        }
        #expect(
          walk(state.listing(order, of: group)) == expected.map(\.id), "\(order) \(group as Any)")
        // From any place on, also of one that is gone by now.
        for tenant in expected.shuffled(using: &random).prefix(4) {
          var place = order.place(of: tenant)
          if random.chance(of: 1, in: 4) {
            place = TenantListPlace(id: Sample.id(1000), text: place.text)
          }
          let rest = expected.filter { order.comes($0, after: place) }
          #expect(walk(state.listing(order, of: group, after: place)) == rest.map(\.id))
        }
      }
    }
  }

  private static func isBefore(_ a: Tenant, _ b: Tenant, _ order: TenantOrder) -> Bool {
    func bytes(_ text: String, _ other: String) -> Bool? {
      let (one, another) = (Array(text.utf8), Array(other.utf8))
      return one == another ? nil : one.lexicographicallyPrecedes(another)
    }
    let isLess =
      switch order.field {
      case .createTime: nil as Bool?
      case .updateTime: a.updateTime == b.updateTime ? nil : a.updateTime < b.updateTime
      case .slug: bytes(a.slug.text, b.slug.text)
      case .displayName: bytes(a.displayName, b.displayName)
      }
    return (isLess ?? (a.id < b.id)) != order.isDescending && a.id != b.id
  }

  private static func walk(_ listing: TenantListing) -> [TenantID] {
    var (listing, budget, found) = (listing, WorkBudget.uncapped, [TenantID]())
    while let record = listing.next(&budget) { found.append(record.tenant.id) }
    #expect(listing.isAtEnd)
    return found
  }

  private static func tenant(_ number: UInt64, _ random: inout SeededGenerator) -> Tenant {
    var tenant = Tenant(
      id: Sample.id(number), slug: Sample.slug("t\(number % 9)-\(number)"),
      displayName: random.pick(["", "a", "ab", "b", "é", "e\u{301}", "Ab"]),
      state: random.pick(TenantState.allCases),
      isolationModel: random.pick(IsolationModel.allCases),
      configuration: TenantConfiguration(), version: 1, epoch: 1, createTime: Sample.moment,
      updateTime: Timestamp(nanoseconds: Int64.random(in: -2...5, using: &random)))
    if random.chance(of: 1, in: 3) {
      tenant.slug = Sample.slug("u\(number)-\(Int.random(in: 0..<9, using: &random))")
    }
    let plan = random.pick(["", "a", "pro"])
    if random.chance(of: 1, in: 2) { tenant.configuration.limits = LimitSettings(plan: plan) }
    if random.chance(of: 1, in: 2) { tenant.metadata.labels["a"] = random.pick(["", "1", "10"]) }
    if random.chance(of: 1, in: 4) { tenant.metadata.labels["b"] = random.pick(["1", "2"]) }
    return tenant
  }

  /// What lists of a few look at does not depend on how many there are.
  @Test(arguments: [1_000, 50_000])
  func aPageLooksAtWhatItShows(_ count: Int) {
    var state = ControlState()
    state.apply(
      (0..<UInt64(count)).map { number in
        var tenant = Sample.tenant(number)
        tenant.metadata.labels = ["kind": number % 100 == 0 ? "rare" : "usual"]
        return .putTenant(tenant)
      }, revision: 1)
    for order in Self.orders {
      var (listing, budget) = (state.listing(order), WorkBudget())
      for _ in 0..<5 { _ = listing.next(&budget) }
      #expect(budget.visits <= 10)
    }
    let rare = TenantGroup.label(key: "kind", value: "rare")
    var (listing, budget) = (state.listing(TenantOrder(.createTime), of: rare), WorkBudget())
    for _ in 0..<5 {
      #expect(listing.next(&budget)?.tenant.metadata.labels == ["kind": "rare"])
    }
    #expect(budget.visits == 10)
    // Beyond a few hundred they are not counted.
    #expect(state.estimatedCount(of: rare) == (count == 1_000 ? 10 : count / 2))
  }
}

extension Tenant {
  fileprivate func isOf(_ group: TenantGroup) -> Bool {
    switch group {
    case .state(let state): self.state == state
    case .isolationModel(let model): isolationModel == model
    case .plan(let plan): configuration.limits?.plan == plan
    case .label(let key, let value): metadata.labels[key] == value
    case .slugPrefix(let prefix): slug.text.hasPrefix(prefix)
    }
  }
}
