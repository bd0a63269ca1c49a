import TenancyTestSupport
import Testing

@testable import Tenancy

/// Who changed what of a tenant's configuration, what it was, and what becomes of it again.
struct ConfigurationHistoryTests {
  private let test: TestPlane
  private let tenants: TenantCommands
  private let settings: SettingCommands
  private let id = Sample.id(1)

  init() async throws {
    test = try TestPlane()
    tenants = TenantCommands(test.plane, actor: "alice", judge: .server)
    settings = SettingCommands(test.plane, actor: "alice", judge: .server)
    var tenant = Sample.tenant(1)
    tenant.configuration.shared = SharedConfiguration(tenantIdentifier: "t")
    try await test.put(tenant)
  }

  private var tenant: Tenant { get throws { try #require(test.plane.state.find(id)?.tenant) } }
  private var revision: UInt64 { test.plane.state.revision }

  @discardableResult
  private func configure(
    _ change: @escaping @Sendable (inout TenantConfiguration) -> Void
  ) async throws(TenancyError) -> UInt64 {
    var update = TenantCommands.Update(etag: "", mayMove: true)
    update.configuration = { (before) throws(TenancyError) in
      var after = before
      change(&after)
      return after
    }
    _ = try await tenants.update(id, update, action: "tenants.configure")
    return revision
  }

  private func history() async throws -> [RecordedEdit] {
    try await test.plane.configurationHistory(of: .tenant(id), limit: 100, by: .tenant(id))
  }

  private func plan(
    to revision: UInt64, _ change: (inout TenantCommands.Revert) -> Void = { _ in }
  ) -> TenantCommands.Revert {
    var revert = TenantCommands.Revert(to: revision, mayMove: true) { (after, _) in after }
    change(&revert)
    return revert
  }

  @discardableResult
  private func revert(
    to revision: UInt64, _ change: (inout TenantCommands.Revert) -> Void = { _ in }
  ) async throws(TenancyError) -> [SettingEdit] {
    try await tenants.revert(id, plan(to: revision, change), by: .tenant(id)).edits
  }

  @Test func whatIsChangedIsInTheHistoryAndNothingElse() async throws {
    let first = try await configure {
      $0.customSettings = ["a": .number(1), "b": .null]
      $0.featureFlags = ["f": true]
    }
    try await configure { $0.customSettings["a"] = .number(2) }
    try await configure { _ in }
    var update = TenantCommands.Update(etag: "", mayMove: true)
    update.displayName = "Other"
    _ = try await tenants.update(id, update, action: "tenants.update")
    let limit = try RequestLimit(name: "", requests: 5, period: .day, field: "l")
    try await test.plane.write(actor: "bob", action: "test") {
      [id] (transaction) throws(TenancyError) in
      guard var tenant = transaction.state.find(id)?.tenant else { return }
      tenant.configuration.limits = LimitSettings(plan: "gold", limits: [limit])
      transaction.emit(.putTenant(tenant), about: id)
    }
    let all = try await history()
    #expect(
      all.map { $0.edits.map(\.field) } == [
        ["limits.limits", "limits.plan"], ["custom_settings.a"],
        ["custom_settings.a", "custom_settings.b", "feature_flags.f"],
      ])
    #expect(all.map(\.actor) == ["bob", "alice", "alice"])
    #expect(all.last?.revision == first && all.last?.action == "tenants.configure")
    #expect(
      all[1].edits == [
        SettingEdit(field: "custom_settings.a", before: .number(1), after: .number(2))
      ])
    #expect(all[2].edits[1] == SettingEdit(field: "custom_settings.b", before: nil, after: .null))
    // It is no part of the log, whoever follows that.
    #expect(test.store.log.allSatisfy { $0.withoutSecrets.history.isEmpty })
  }

  @Test func allOfItIsReverted() async throws {
    let empty = revision
    let first = try await configure {
      $0.customSettings = ["a": .number(1), "b": .null]
      $0.featureFlags = ["f": true, "g": false]
    }
    try await configure {
      $0.customSettings = ["a": .number(2), "c": .array([])]
      $0.featureFlags = ["g": true]
    }
    let before = try tenant
    let told = try await revert(to: first) { $0.validateOnly = true }
    #expect(try tenant == before && told.count == 5)
    let done = try await revert(to: first)
    #expect(done == told)
    #expect(try tenant.configuration.customSettings == ["a": .number(1), "b": .null])
    #expect(try tenant.configuration.featureFlags == ["f": true, "g": false])
    let last = try #require(try await history().first)
    #expect(last.action == "tenants.revert" && last.edits == done)
    // Again, there is nothing to do; and a revert can be reverted.
    #expect(try await revert(to: first).isEmpty)
    try await revert(to: last.revision - 1)
    #expect(try tenant.configuration == before.configuration)
    try await revert(to: empty) { $0.fields = ["custom_settings.a", "custom_settings.none"] }
    #expect(try tenant.configuration.customSettings == ["c": .array([])])
    let pasts = try await test.plane.pasts(
      of: .tenant(id), at: [empty, first], last: revision, by: .tenant(id))
    let differences = try tenant.configuration.differences(between: pasts[0], pasts[1])
    #expect(differences.map(\.field).count == 4 && differences.allSatisfy { $0.before == nil })
  }

  @Test func aRevertIsJudgedByWhatIsDeclaredNow() async throws {
    let first = try await configure {
      $0.customSettings = ["seats": .number(500), "theme": "neon", "free": .bool(true)]
    }
    try await configure { $0.customSettings = ["seats": .number(5), "theme": "dark"] }
    for (name, type) in [("seats", SettingDefinition.ValueType.integer), ("theme", .string)] {
      var definition = SettingDefinition(
        name: name, type: type, createTime: Sample.moment, updateTime: Sample.moment)
      if type == .integer { definition.maximum = 100 } else { definition.allowedValues = ["dark"] }
      _ = try await settings.create(definition)
    }
    let before = try tenant
    let refused = await refusal { () async throws(TenancyError) in try await revert(to: first) }
    #expect(
      refused?.violations.map(\.field) == [
        "configuration.custom_settings.seats", "configuration.custom_settings.theme",
      ])
    #expect(try tenant == before)
    try await revert(to: first) { $0.fields = ["custom_settings.free"] }
    #expect(try tenant.configuration.customSettings["free"] == .bool(true))
    // The tenant's own identities change what is theirs.
    let notOwn = await refusal { () async throws(TenancyError) in
      try await revert(to: 1) {
        $0.mayMove = false
        $0.fields = ["custom_settings.theme"]
      }
    }
    #expect(notOwn?.reason == .settingNotOwn)
  }

  @Test func theSameRequestIsCarriedOutOnce() async throws {
    let first = try await configure { $0.customSettings = ["a": .number(1)] }
    try await configure { $0.customSettings = ["a": .number(2)] }
    let ask: (inout TenantCommands.Revert) -> Void = { ($0.requestID, $0.digest) = ("id", "d") }
    #expect(try await revert(to: first, ask).count == 1)
    try await configure { $0.customSettings = ["a": .number(3)] }
    #expect(try await revert(to: first, ask).isEmpty)
    #expect(try tenant.configuration.customSettings == ["a": .number(3)])
    let reused = await refusal { () async throws(TenancyError) in
      try await revert(to: first) { ($0.requestID, $0.digest) = ("id", "other") }
    }
    #expect(reused?.reason == .requestReused)
    let stale = await refusal { () async throws(TenancyError) in
      try await revert(to: first) { $0.etag = "v1" }
    }
    #expect(stale?.reason == .etagMismatch)
  }

  /// Whoever has heard no answer has the etag of before.
  @Test func aRepetitionIsKnownBeforeItIsJudged() async throws {
    let first = try await configure { $0.customSettings = ["a": .number(1)] }
    try await configure { $0.customSettings = ["a": .number(2)] }
    let etag = try tenant.etag
    let ask: (inout TenantCommands.Revert) -> Void = {
      ($0.requestID, $0.digest, $0.etag) = ("id", "d", etag)
    }
    #expect(try await revert(to: first, ask).count == 1)
    #expect(try await revert(to: first, ask).isEmpty)
    // What has changed nothing is not done later, either.
    let idle: (inout TenantCommands.Revert) -> Void = { ($0.requestID, $0.digest) = ("idle", "d") }
    let version = try tenant.version
    #expect(try await revert(to: first, idle).isEmpty)
    #expect(try tenant.version == version)
    try await configure { $0.customSettings = ["a": .number(3)] }
    #expect(try await revert(to: first, idle).isEmpty)
    #expect(try tenant.configuration.customSettings == ["a": .number(3)])
  }

  @Test func whatIsGoneIsNotGuessed() async throws {
    let large = String(repeating: "x", count: 60_000)
    let first = try await configure { $0.customSettings = ["a": .string("first")] }
    for number in 0..<9 {
      try await configure { $0.customSettings = ["a": .string("\(number)" + large)] }
    }
    let oldest = try #require(try await history().last)
    #expect(!oldest.isFirst)
    let gone = await refusal { () async throws(TenancyError) in try await revert(to: first) }
    #expect(gone?.reason == .revisionCompacted)
    #expect(gone?.metadata["oldest_revision"] == "\(oldest.revision - 1)")
    try await revert(to: oldest.revision - 1)
    #expect(try tenant.configuration.customSettings["a"] == oldest.edits.first?.before)
    let future = await refusal { () async throws(TenancyError) in
      try await revert(to: revision + 1)
    }
    #expect(future?.violations.map(\.field) == ["revision"])
    let odd = await refusal { () async throws(TenancyError) in
      try await revert(to: 0) { $0.fields = ["database", "custom_settings.", "limits.plan"] }
    }
    #expect(odd?.violations.map(\.field) == ["revision", "settings[0]", "settings[1]"])
  }

  /// The history is on the account of who changes something.
  @Test func aFloodIsChargedToItsTenant() async throws {
    let large = String(repeating: "x", count: 60_000)
    let judge = WriteJudge(payer: .tenant(id), requestBytes: 0) { (_, _) throws(TenancyError) in }
    let own = TenantCommands(test.plane, actor: "mallory", judge: judge)
    var reason: TenancyError.Reason?
    for number in 0..<2_000 where reason == nil {
      var update = TenantCommands.Update(etag: "", mayMove: false)
      update.configuration = { (before) throws(TenancyError) in
        var after = before
        after.customSettings["a"] = .string("\(number)" + large)
        return after
      }
      do throws(TenancyError) {
        _ = try await own.update(id, update, action: "tenants.configure")
      } catch {
        reason = error.reason
      }
    }
    #expect(reason == .limitReached)
    let kept = test.store.disk.state.withLock { $0.history[.tenant(id)] ?? [] }
    #expect(kept.reduce(0) { $0 + $1.bytes } < ConfigurationEdit.maximumBytes + 200_000)
  }

  /// "é" of one letter and of two are equal in Swift.
  @Test func otherBytesAreAnotherValue() async throws {
    let (one, two) = ("caf\u{E9}", "cafe\u{301}")
    #expect(one == two)
    let first = try await configure { $0.customSettings["a"] = .array([.string(one)]) }
    try await configure { $0.customSettings["a"] = .array([.string(two)]) }
    guard case .array(let values)? = try tenant.configuration.customSettings["a"],
      case .string(let stored)? = values.first
    else { return #expect(Bool(false), "no text") }
    #expect(stored.utf8.elementsEqual(two.utf8))
    #expect(try await revert(to: first).count == 1)
    var update = TenantCommands.Update(etag: "", mayMove: true)
    update.displayName = one
    let before = try await tenants.update(id, update, action: "tenants.update").version
    update.displayName = two
    let after = try await tenants.update(id, update, action: "tenants.update")
    #expect(after.version == before + 1 && after.displayName.utf8.elementsEqual(two.utf8))
    #expect(try await tenants.update(id, update, action: "tenants.update").version == after.version)
  }

  @Test func aPlanHasAHistory() async throws {
    let plans = PlanCommands(test.plane, actor: "alice", judge: .server, limits: .standard)
    let unknown = await refusal { () async throws(TenancyError) in
      try await plans.create(
        Plan(
          name: "gold",
          limits: [RequestLimit(name: "reqests", requests: 1, per: .second, burst: 1)],
          createTime: Sample.moment, updateTime: Sample.moment))
    }
    #expect(unknown?.violations.map(\.field) == ["plan.limits[0].name"])
    _ = try await plans.create(
      Plan(
        name: "gold", settings: ["a": .string("e\u{301}")], createTime: Sample.moment,
        updateTime: Sample.moment))
    let changed = try await plans.update("gold", etag: "") { $0.settings["a"] = .string("\u{E9}") }
    #expect(changed.version == 2)
    let all = try await test.plane.configurationHistory(
      of: .plan("gold"), limit: 5, by: .platform("alice"))
    #expect(all.map(\.revision) == [revision, revision - 1])
    try await plans.delete("gold", etag: "")
    let rest = try await test.plane.configurationHistory(
      of: .plan("gold"), limit: 5, by: .platform("alice"))
    #expect(rest.isEmpty)
  }
}
