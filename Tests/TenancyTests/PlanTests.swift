import TenancyTestSupport
import Testing

@testable import Tenancy

/// The platform's plans: what can be one, who has it, and what becomes of its tenants' settings and limits.
struct PlanTests {
  private let test: TestPlane
  private let commands: PlanCommands
  private let settings: SettingCommands
  private let tenants: TenantCommands
  private let limits: LimitPlans
  private let id = Sample.id(1)

  init() async throws {
    test = try TestPlane()
    let limit = try RequestLimit(name: "", requests: 10, period: .second, field: "l")
    limits = try LimitPlans(["usual": [limit], "filed": [limit]], usual: "usual")
    commands = PlanCommands(test.plane, actor: "alice", judge: .server, limits: limits)
    settings = SettingCommands(test.plane, actor: "alice", judge: .server)
    tenants = TenantCommands(test.plane, actor: "alice", judge: .server, plans: limits)
    var tenant = Sample.tenant(1)
    tenant.configuration.shared = SharedConfiguration(tenantIdentifier: "t")
    try await test.put(tenant)
  }

  private var catalog: ConfigurationCatalog { test.plane.state.catalog }
  private var tenant: Tenant { get throws { try #require(test.plane.state.find(id)?.tenant) } }

  private func plan(_ name: String, _ change: (inout Plan) -> Void = { _ in }) -> Plan {
    var plan = Plan(
      name: name, createTime: Timestamp(nanoseconds: 0), updateTime: Timestamp(nanoseconds: 0))
    change(&plan)
    return plan
  }

  private func configure(
    _ change: @escaping @Sendable (inout TenantConfiguration) -> Void
  ) async throws(TenancyError) {
    var update = TenantCommands.Update(etag: "", mayMove: true)
    update.configuration = { (before) throws(TenancyError) in
      var after = before
      change(&after)
      return after
    }
    _ = try await tenants.update(id, update, action: "tenants.configure")
  }

  private func give(_ plan: String) async throws(TenancyError) {
    try await configure { $0.limits = plan.isEmpty ? nil : LimitSettings(plan: plan) }
  }

  @Test func oneIsMadeChangedAndGone() async throws {
    let made = try await commands.create(plan("gold") { $0.settings = ["seats": .number(9)] })
    #expect(made.version == 1 && catalog.plan("gold") == made && made.isSound)
    #expect(test.store.log.last?.changes == [.putConfigurationItem(.plan(made))])
    let changed = try await commands.update("gold", etag: "v1") { $0.title = "Gold" }
    #expect(changed.version == 2 && changed.title == "Gold" && changed.settings == made.settings)
    let stale = await refusal { () async throws(TenancyError) in
      try await commands.update("gold", etag: "v1") { $0.title = "" }
    }
    #expect(stale?.reason == .etagMismatch)
    try await commands.delete("gold", etag: "v2")
    #expect(catalog.planCount == 0)
    let gone = await refusal { () async throws(TenancyError) in
      try await commands.delete("gold", etag: "")
    }
    #expect(gone?.reason == .planNotFound)
  }

  @Test func thoseOfTheConfigurationFileAreReadOnly() async {
    let taken = await refusal { () async throws(TenancyError) in
      try await commands.create(plan("filed"))
    }
    #expect(taken?.reason == .planExists)
    for action in [true, false] {
      let error = await refusal { () async throws(TenancyError) in
        if action {
          _ = try await commands.update("filed", etag: "") { _ in }
        } else {
          try await commands.delete("filed", etag: "")
        }
      }
      #expect(error?.reason == .planReadOnly && error?.category == .failedPrecondition)
    }
  }

  @Test func whatIsNoPlan() async throws {
    func fields(_ name: String = "p", _ change: (inout Plan) -> Void = { _ in }) async -> [String] {
      let new = plan(name, change)
      let error = await refusal { () async throws(TenancyError) in try await commands.create(new) }
      return error?.violations.map(\.field) ?? []
    }
    for name in ["", "A", "a.b", String(repeating: "a", count: 33)] {
      #expect(await fields(name) == ["plan_id"])
    }
    #expect(await fields { $0.title = "a\u{7}" } == ["plan.display_name"])
    let long = JSONValue.string(String(repeating: "x", count: Plan.maximumContentBytes))
    #expect(await fields { $0.settings = ["a": long] } == ["plan.settings"])
    #expect(await fields { $0.featureFlags = ["": true] } == ["plan.feature_flags"])
    let limit = try RequestLimit(name: "", requests: 10, period: .second, field: "l")
    #expect(await fields { $0.limits = [limit, limit] } == ["plan.limits"])
    _ = try await settings.create(
      SettingDefinition(
        name: "seats", type: .integer, createTime: Sample.moment, updateTime: Sample.moment))
    #expect(await fields { $0.settings = ["seats": .bool(true)] } == ["plan.settings.seats"])
  }

  @Test func aTenantNamesOneThatThereIs() async throws {
    let unknown = await refusal { () async throws(TenancyError) in try await give("gold") }
    #expect(unknown?.violations.map(\.field) == ["configuration.limits.plan"])
    try await give("filed")
    let configuration = try tenant.configuration
    #expect(catalog.tenants(of: "filed") == 1 && catalog.plan(of: configuration) == nil)
    _ = try await commands.create(plan("gold"))
    try await give("gold")
    #expect(catalog.tenants(of: "filed") == 0 && catalog.tenants(of: "gold") == 1)
    let used = await refusal { () async throws(TenancyError) in
      try await commands.delete("gold", etag: "")
    }
    #expect(used?.reason == .planInUse && used?.metadata["tenants"] == "1")
    try await give("")
    try await commands.delete("gold", etag: "")
    // As a store that is loaded has it.
    try await give("filed")
    let loaded = ControlState(try test.store.load())
    #expect(loaded.catalog.tenants(of: "filed") == 1 && loaded.catalog.planCount == 0)
  }

  /// Neither among many plans, settings and flags, nor among many tenants that have one.
  @Test func aChangeCostsTheSameAmongMany() {
    func cost(among count: UInt64) -> Int {
      var state = ControlState()
      func put(_ number: UInt64) -> [Change] {
        var tenant = Sample.tenant(number)
        tenant.configuration.limits = LimitSettings(plan: "p\(number % 7)")
        let definition = SettingDefinition(
          name: "s\(number)", type: .bool, createTime: Sample.moment, updateTime: Sample.moment)
        let flag = FeatureFlag(
          name: "f\(number)", createTime: Sample.moment, updateTime: Sample.moment)
        let items: [ConfigurationItem] = [
          .plan(plan("p\(number)")), .setting(definition), .flag(flag),
        ]
        return [.putTenant(tenant)] + items.map(Change.putConfigurationItem)
      }
      state.apply((1...count).flatMap(put), revision: 1)
      // Trees are as deep as chance has it: of several changes the one that costs least.
      let costs = (1...9 as ClosedRange<UInt64>).map { next in
        var after = state
        after.apply(put(count + next), revision: 2)
        return after.unsharedNodes(with: state)
      }
      return costs.min() ?? .max
    }
    #expect(cost(among: 5_000) <= cost(among: 200) + 16)
  }

  @Test func whoHasNoLimitsHasPlansStill() async throws {
    let bare = TenantCommands(test.plane, actor: "alice", judge: .server)
    func give(_ plan: String) async throws(TenancyError) {
      var update = TenantCommands.Update(etag: "", mayMove: true)
      update.configuration = { (before) throws(TenancyError) in
        var after = before
        after.limits = LimitSettings(plan: plan)
        return after
      }
      _ = try await bare.update(id, update, action: "tenants.configure")
    }
    let error = await refusal { () async throws(TenancyError) in try await give("gold") }
    #expect(error?.reason == .limitsNotConfigured)
    _ = try await commands.create(plan("gold"))
    try await give("gold")
    #expect(catalog.tenants(of: "gold") == 1)
  }

  // MARK: What comes of it

  @Test func theNearestLevelCounts() async throws {
    _ = try await settings.create(
      SettingDefinition(
        name: "seats", type: .integer, defaultValue: .number(1), maximum: 100,
        createTime: Sample.moment, updateTime: Sample.moment))
    func value(_ name: String = "seats") throws -> String? {
      EffectiveConfiguration(of: try tenant, catalog).value(of: name).map {
        "\($0.level) \($0.value)"
      }
    }
    #expect(try value() == "platform 1")
    _ = try await commands.create(
      plan("gold") { $0.settings = ["seats": .number(50), "free": .string("x")] })
    try await give("gold")
    #expect(try value() == "plan 50")
    #expect(try value("free") == "plan \"x\"")
    try await configure { $0.customSettings = ["seats": .number(60)] }
    #expect(try value() == "tenant 60")
    // What does not fit any more is passed over, and is told.
    _ = try await settings.update("seats", etag: "") { $0.maximum = 55 }
    #expect(try value() == "plan 50")
    let sayings = EffectiveConfiguration(of: try tenant, catalog).sayings(of: "seats")
    #expect(sayings.map(\.level) == [.tenant, .plan, .platform])
    #expect(sayings.map(\.problem) == ["must be at most 55", nil, nil])
    #expect(EffectiveConfiguration(of: try tenant, catalog).settings() == ["free", "seats"])
    #expect(try value("none") == nil)
  }

  /// Nobody keeps the tenant's own people from setting what is not declared.
  @Test func aPlanCountsFirstWhereNothingIsDeclared() async throws {
    _ = try await commands.create(
      plan("gold") { ($0.settings, $0.featureFlags) = (["seats": .number(5)], ["paid": false]) })
    try await give("gold")
    try await configure {
      ($0.customSettings, $0.featureFlags) = (
        ["seats": .number(900), "own": .null], ["paid": true]
      )
    }
    func effective() throws -> EffectiveConfiguration {
      EffectiveConfiguration(of: try tenant, catalog)
    }
    #expect(try effective().value(of: "seats")?.value == .number(5))
    #expect(try effective().sayings(of: "seats").map(\.level) == [.plan, .tenant])
    #expect(try effective().value(of: "own")?.level == .tenant)
    #expect(try effective().flag("paid")?.isOn == false)
    _ = try await settings.create(
      SettingDefinition(
        name: "seats", type: .integer, createTime: Sample.moment, updateTime: Sample.moment))
    _ = try await FlagCommands(test.plane, actor: "alice", judge: .server).create(
      FeatureFlag(name: "paid", createTime: Sample.moment, updateTime: Sample.moment))
    #expect(try effective().value(of: "seats")?.value == .number(900))
    #expect(try effective().flag("paid")?.level == .tenant)
  }

  @Test func whateverChangesItChangesItsEtag() async throws {
    var etags: [String] = []
    func note() throws {
      let etag = EffectiveConfiguration(of: try tenant, catalog).etag
      #expect(!etags.contains(etag))
      etags.append(etag)
      // As after a restart.
      let loaded = ControlState(try test.store.load())
      let found = try #require(loaded.find(id)?.tenant)
      #expect(EffectiveConfiguration(of: found, loaded.catalog).etag == etag)
    }
    let definition = SettingDefinition(
      name: "seats", type: .integer, createTime: Sample.moment, updateTime: Sample.moment)
    let flags = FlagCommands(test.plane, actor: "alice", judge: .server)
    try note()
    _ = try await commands.create(plan("gold"))
    try await give("gold")
    try note()
    _ = try await commands.update("gold", etag: "") { $0.settings = ["seats": .number(1)] }
    try note()
    _ = try await settings.create(definition)
    try note()
    _ = try await settings.update("seats", etag: "") { $0.maximum = 5 }
    try note()
    try await settings.delete("seats", etag: "")
    test.clock.advance(seconds: 1)
    _ = try await settings.create(definition)
    try note()
    _ = try await flags.create(
      FeatureFlag(name: "beta", createTime: Sample.moment, updateTime: Sample.moment))
    try note()
    try await flags.delete("beta", etag: "")
    // What is as it was has the etag that it had.
    #expect(EffectiveConfiguration(of: try tenant, catalog).etag == etags[etags.count - 2])
  }

  @Test func itsLimitsAreInPlaceOfTheUsual() async throws {
    func limit(_ name: String, _ requests: Int64, _ period: RequestLimit.Period) -> RequestLimit {
      RequestLimit(name: name, requests: requests, per: period, burst: requests)
    }
    let gold = plan("gold") {
      $0.limits = [limit("requests", 99, .second), limit("requests", 5, .day), limit("x", 1, .day)]
    }
    let own = LimitSettings(plan: "gold")
    #expect(
      limits.limits(of: own, gold) == [
        limit("requests", 99, .second), limit("requests", 5, .day),
      ])
    #expect(limits.limits(of: own, plan("gold")) == limits.limits(of: nil))
    #expect(
      limits.limits(of: own) == nil && limits.limits(of: LimitSettings(plan: "x"), gold) == nil)
    let nearer = LimitSettings(plan: "gold", limits: [limit("requests", 1, .second)])
    #expect(
      limits.limits(of: nearer, gold) == [
        limit("requests", 5, .day), limit("requests", 1, .second),
      ])
  }
}
