import TenancyTestSupport
import Testing

@testable import Tenancy

/// Settings that are secret: sealed, told of by their versions alone, and gone with the tenant.
struct SecretSettingTests {
  private let sealer = TestSealer()
  private let test: TestPlane
  private let vault: SecretVault
  private let tenants: TenantCommands
  private let settings: SettingCommands
  private let id = Sample.id(1)

  init() async throws {
    test = try TestPlane(sealer: sealer)
    vault = SecretVault(test.plane, sealer)
    tenants = TenantCommands(test.plane, actor: "alice", judge: .server)
    settings = SettingCommands(test.plane, actor: "alice", judge: .server)
    try await vault.prepareKeys()
    var tenant = Sample.tenant(1)
    tenant.configuration.shared = SharedConfiguration(tenantIdentifier: "t")
    try await test.put(tenant)
    try await declare("key") { $0.editor = .tenant }
    try await declare("own")
  }

  private func declare(
    _ name: String, _ change: (inout SettingDefinition) -> Void = { _ in }
  ) async throws {
    var definition = SettingDefinition(
      name: name, type: .string, isSecret: true, createTime: Sample.moment,
      updateTime: Sample.moment)
    change(&definition)
    _ = try await settings.create(definition)
  }

  private var tenant: Tenant { get throws { try #require(test.plane.state.find(id)?.tenant) } }

  @discardableResult
  private func set(
    _ secrets: [String: String?], mayMove: Bool = true, clear: [String: JSONValue] = [:]
  ) async throws(TenancyError) -> Tenant {
    var update = TenantCommands.Update(etag: "", mayMove: mayMove)
    update.secrets = secrets.mapValues { $0.map { ClearSecret($0) } }
    update.configuration = { (before) throws(TenancyError) in
      var after = before
      after.customSettings.merge(clear) { $1 }
      return after
    }
    return try await tenants.update(id, update, action: "tenants.configure")
  }

  private func opened(_ name: String) async throws -> String? {
    try await vault.open(.setting(name), of: id)
      .map { String(decoding: $0.reveal(), as: UTF8.self) }
  }

  /// What was in the clear before is not told any more: who writes back what was told must not drop it.
  @Test func whatIsUntoldStaysUntilItIsNamed() async throws {
    var tenant = try self.tenant
    tenant.configuration.customSettings = [
      "key": .string("k"), "own": .string("o"), "other": .null,
    ]
    try await test.put(tenant)
    func replace(
      _ settings: [String: JSONValue], _ named: Set<String> = [], mayMove: Bool = true
    ) async throws(TenancyError) -> [String: JSONValue] {
      var update = TenantCommands.Update(etag: "", mayMove: mayMove)
      update.namedSettings = named
      update.configuration = { (before) throws(TenancyError) in
        var after = before
        after.customSettings = settings
        return after
      }
      return try await tenants.update(id, update, action: "tenants.configure").configuration
        .customSettings
    }
    // Also one that is the platform's, and of which a tenant's own administrator can't know.
    #expect(
      try await replace(["new": .null], mayMove: false)
        == ["key": .string("k"), "own": .string("o"), "new": .null])
    #expect(try await replace([:], ["own"]) == ["key": .string("k")])
    try await set(["key": "sealed"])
    #expect(try self.tenant.configuration.customSettings == [:])
  }

  @Test func oneIsSetReadReplacedSealedAnewAndRemoved() async throws {
    let first = try await set(["key": "hidden-1"]).configuration.secretSettings["key"]
    #expect(try await opened("key") == "hidden-1")
    #expect(try tenant.configuration.customSettings.isEmpty)
    let second = try await set(["key": "hidden-2", "own": "hidden-3"])
    let version = try #require(second.configuration.secretSettings["key"]?.reference.version)
    #expect(version > first?.reference.version ?? .max && version == second.version)
    #expect(try await opened("key") == "hidden-2")
    // Keys are replaced, and nobody sees a change.
    let former = try tenant
    let key = try await vault.rotateDataKey(actor: "alice", judge: .server)
    #expect(try await vault.resealAll() == 2)
    let resealed = try tenant
    #expect(resealed.version == former.version)
    #expect(
      resealed.configuration.secretSettings.values.allSatisfy { $0.reference.key == key })
    #expect(try await opened("key") == "hidden-2")
    #expect(try await opened("own") == "hidden-3")
    // What else changes leaves them alone, and so does the whole of the settings.
    try await set([:], clear: ["other": .bool(true)])
    #expect(try tenant.configuration.secretSettings == resealed.configuration.secretSettings)
    try await set(["key": nil])
    #expect(try await opened("key") == nil)
    #expect(try tenant.configuration.secretSettings.keys.sorted() == ["own"])
    #expect(test.store.disk.state.withLock { $0.secrets.sealed.count } == 1)
    let again = try await set(["key": nil])
    #expect(try again.version == tenant.version)
    for entry in test.store.log {
      #expect(!"\(entry.withoutSecrets)".contains("hidden-"))
    }
  }

  @Test func itsHistoryIsOneOfVersions() async throws {
    let empty = test.plane.state.revision
    try await set(["key": "hidden-1"], clear: ["a": .number(1)])
    let first = test.plane.state.revision
    try await set(["key": "hidden-2"])
    try await set(["key": nil])
    let all = try await test.plane.configurationHistory(of: .tenant(id), limit: 9, by: .server)
    let edits = all.flatMap(\.edits).filter { $0.field == "custom_settings.key" }
    #expect(edits.map(\.versionAfter) == [nil, 3, 2] && edits.map(\.versionBefore) == [3, 2, nil])
    #expect(edits.allSatisfy { $0.isSecret && $0.before == nil && $0.after == nil })
    #expect(!"\(all)".contains("hidden-"))
    let pasts = try await test.plane.pasts(
      of: .tenant(id), at: [empty, first], last: test.plane.state.revision, by: .server)
    let differences = try tenant.configuration.differences(between: pasts[0], pasts[1])
    #expect(differences.map(\.field) == ["custom_settings.a", "custom_settings.key"])
    #expect(differences.map(\.versionAfter) == [nil, 2])
    // It stays when the rest is reverted, and naming it is a mistake.
    try await set(["key": "hidden-3"])
    var revert = TenantCommands.Revert(to: empty, mayMove: true) { (after, _) in after }
    _ = try await tenants.revert(id, revert, by: .server)
    #expect(try tenant.configuration.customSettings.isEmpty)
    #expect(try await opened("key") == "hidden-3")
    revert.fields = ["custom_settings.a", "custom_settings.key"]
    let refused = await refusal { [revert] () async throws(TenancyError) in
      try await tenants.revert(id, revert, by: .server)
    }
    #expect(refused?.violations.map(\.field) == ["settings[1]"])
  }

  @Test func whatDoesNotFitIsToldAtOnceAndWithoutIt() async throws {
    try await declare("short") { $0.maximumLength = 3 }
    let refused = await refusal { () async throws(TenancyError) in
      try await set([
        "short": "hidden-long", "key": "", "none": "hidden", "\u{212A}ey": "hidden",
        "own": String(repeating: "x", count: SecretSetting.maximumBytes + 1),
      ])
    }
    #expect(
      refused?.violations.map(\.field) == [
        "configuration.secret_values.\u{212A}ey", "configuration.secret_values.key",
        "configuration.secret_values.none", "configuration.secret_values.own",
        "configuration.secret_values.short",
      ])
    let told = String(describing: refused) + "\(refused?.violations ?? [])"
    #expect(!told.contains("hidden"))
    // In the clear it has no value, and by the tenant's own it is set only if it is theirs.
    let clear = await refusal { () async throws(TenancyError) in
      try await set([:], clear: ["key": "hidden"])
    }
    #expect(clear?.violations.map(\.field) == ["configuration.custom_settings.key"])
    let notOwn = await refusal { () async throws(TenancyError) in
      try await set(["key": "hidden", "own": "hidden"], mayMove: false)
    }
    #expect(notOwn?.reason == .settingNotOwn)
    #expect(notOwn?.violations.map(\.field) == ["configuration.secret_values.own"])
    try await set(["key": "hidden"], mayMove: false)
    let number = await refusal { () async throws(TenancyError) in
      try await settings.create(
        SettingDefinition(
          name: "number", type: .number, isSecret: true, createTime: Sample.moment,
          updateTime: Sample.moment))
    }
    #expect(number?.violations.map(\.field) == ["setting_definition.secret"])
  }

  @Test func thereAreSoMany() async throws {
    var names: [String] = []
    for number in 0...SecretSetting.maximumCount {
      names.append("n\(number)")
      try await declare("n\(number)")
    }
    try await set(Dictionary(uniqueKeysWithValues: names.dropLast().map { ($0, "x") }))
    let more = await refusal { [names] () async throws(TenancyError) in
      try await set([names[SecretSetting.maximumCount]: "x"])
    }
    #expect(more?.violations.map(\.field) == ["configuration.secret_values"])
    try await set(["n0": "y"])
  }

  @Test func aTenantThatIsMadeHasNoSecretsOfAnother() async throws {
    try await set(["key": "hidden-1"])
    var new = TenantCommands.NewTenant(
      slug: "copy", displayName: "Copy", isolationModel: .shared,
      configuration: try tenant.configuration)
    new.configuration.shared = nil
    new.secrets = ["own": ClearSecret("hidden-2")]
    let made = try await tenants.create(new, validateOnly: false)
    #expect(made.configuration.secretSettings.keys.sorted() == ["own"])
    let found = try await vault.open(.setting("own"), of: made.id)
    #expect(found?.reveal() == Array("hidden-2".utf8))
  }

  @Test func withoutAMasterKeyThereAreNone() async throws {
    let other = try TestPlane()
    let settings = SettingCommands(other.plane, actor: "alice", judge: .server)
    _ = try await settings.create(
      SettingDefinition(
        name: "key", type: .string, isSecret: true, createTime: Sample.moment,
        updateTime: Sample.moment))
    var tenant = Sample.tenant(1)
    tenant.configuration.shared = SharedConfiguration(tenantIdentifier: "t")
    try await other.put(tenant)
    let commands = TenantCommands(other.plane, actor: "alice", judge: .server)
    let refused = await refusal { [id] () async throws(TenancyError) in
      var update = TenantCommands.Update(etag: "", mayMove: true)
      update.secrets = ["key": ClearSecret("x")]
      return try await commands.update(id, update, action: "tenants.configure")
    }
    #expect(refused?.reason == .secretsNotConfigured)
  }
}
