import TenancyTestSupport
import Testing

@testable import Tenancy

/// Declared settings: what can be declared, and how tenants' settings are held to it.
struct SettingDefinitionTests {
  private let test: TestPlane
  private let commands: SettingCommands
  private let tenants: TenantCommands
  private let id = Sample.id(1)

  init() async throws {
    test = try TestPlane()
    commands = SettingCommands(test.plane, actor: "alice", judge: .server)
    tenants = TenantCommands(test.plane, actor: "alice")
    var tenant = Sample.tenant(1)
    tenant.configuration.shared = SharedConfiguration(tenantIdentifier: "t")
    try await test.put(tenant)
  }

  private var catalog: ConfigurationCatalog { test.plane.state.catalog }

  private func definition(
    _ name: String, _ type: SettingDefinition.ValueType = .integer,
    _ change: (inout SettingDefinition) -> Void = { _ in }
  ) -> SettingDefinition {
    var made = SettingDefinition(
      name: name, type: type, version: 7, createTime: Timestamp(nanoseconds: 0),
      updateTime: Timestamp(nanoseconds: 0))
    change(&made)
    return made
  }

  private func fields(
    _ type: SettingDefinition.ValueType = .integer, _ change: (inout SettingDefinition) -> Void
  ) async -> [String] {
    let new = definition("s", type, change)
    let error = await refusal { () async throws(TenancyError) in try await commands.create(new) }
    return error?.violations.map { $0.field.replacing("setting_definition.", with: "") } ?? []
  }

  private func set(
    _ settings: [String: JSONValue], platform: Bool = false
  ) async throws(TenancyError) -> Tenant {
    var update = TenantCommands.Update(etag: "", mayMove: platform)
    update.configuration = { (before) throws(TenancyError) in
      var after = before
      after.customSettings = settings
      return after
    }
    return try await tenants.update(id, update, action: "tenants.configure")
  }

  // MARK: Declaring

  @Test func oneIsDeclaredChangedAndGone() async throws {
    let made = try await commands.create(definition("max_users") { $0.maximum = 9 })
    #expect(made.version == 1 && made.createTime == test.clock.now && made.maximum == 9)
    #expect(catalog.setting("max_users") == made && catalog.settingCount == 1 && made.isSound)
    #expect(test.store.log.last?.action == "setting_definitions.create")
    #expect(test.store.log.last?.actor == "alice" && test.store.log.last?.tenants == [])
    #expect(test.store.log.last?.changes == [.putConfigurationItem(.setting(made))])

    let changed = try await commands.update("max_users", etag: "v1") { $0.maximum = 10 }
    #expect(changed.version == 2 && changed.etag == "v2" && catalog.setting("max_users") == changed)
    let revision = test.plane.state.revision
    let same = try await commands.update("max_users", etag: "") { $0.maximum = 10 }
    #expect(same == changed && test.plane.state.revision == revision)
    let tried = try await commands.update("max_users", etag: "", validateOnly: true) {
      $0.maximum = 11
    }
    #expect(tried.maximum == 11 && catalog.setting("max_users") == changed)

    let stale = await refusal { () async throws(TenancyError) in
      try await commands.delete("max_users", etag: "v1")
    }
    #expect(stale?.reason == .etagMismatch && stale?.category == .aborted)
    try await commands.delete("max_users", etag: "v2")
    #expect(catalog.setting("max_users") == nil && !catalog.hasSettings)
    let gone = await refusal { () async throws(TenancyError) in
      try await commands.update("max_users", etag: "") { _ in }
    }
    #expect(gone?.reason == .settingDefinitionNotFound)
  }

  @Test func aNameIsDeclaredOnce() async throws {
    _ = try await commands.create(definition("s"))
    let error = await refusal { () async throws(TenancyError) in
      try await commands.create(definition("s", .bool))
    }
    #expect(error?.reason == .settingDefinitionExists)
    let tried = try await commands.create(definition("t"), validateOnly: true)
    #expect(tried.version == 1 && catalog.setting("t") == nil)
  }

  @Test(arguments: ["", "1a", "_a", "a b", "a/b", "é", String(repeating: "a", count: 129)])
  func whatIsNoName(_ name: String) async {
    let error = await refusal { () async throws(TenancyError) in
      try await commands.create(definition(name))
    }
    #expect(error?.violations.map(\.field) == ["setting_definition_id"])
  }

  @Test func boundsThatDoNotFitTheType() async {
    #expect(await fields(.string) { $0.minimum = 1 } == ["minimum"])
    #expect(await fields(.bool) { $0.maximumLength = 1 } == ["maximum_length"])
    #expect(await fields(.number) { $0.allowedValues = ["a"] } == ["allowed_values"])
    #expect(await fields { ($0.minimum, $0.maximum) = (2, 1) } == ["maximum"])
    #expect(await fields { $0.maximum = .nan } == ["maximum"])
    #expect(
      await fields(.string) { ($0.minimumLength, $0.maximumLength) = (2, 1) } == ["maximum_length"])
  }

  @Test func limitsOfADefinition() async {
    let text = String(repeating: "x", count: 129)
    #expect(await fields(.string) { $0.allowedValues = [text] } == ["allowed_values[0]"])
    #expect(await fields(.string) { $0.allowedValues = ["a", "a"] } == ["allowed_values[1]"])
    #expect(
      await fields(.string) { $0.allowedValues = (0...64).map { "\($0)" } } == ["allowed_values"])
    #expect(
      await fields { $0.summary = String(repeating: "x", count: 501) } == ["description"])
    #expect(await fields { $0.summary = "a\nb" } == ["description"])
    #expect(
      await fields { $0.sinceVersion = String(repeating: "1", count: 33) } == ["since_version"])
    let long = String(repeating: "x", count: SettingDefinition.maximumDefaultBytes)
    #expect(await fields(.json) { $0.defaultValue = .string(long) } == ["default_value"])
  }

  @Test func aDefaultFits() async throws {
    #expect(await fields { $0.defaultValue = .string("1") } == ["default_value"])
    #expect(await fields(.json) { $0.defaultValue = .null } == ["default_value"])
    #expect(
      await fields(.string) { ($0.isSecret, $0.defaultValue) = (true, .string("x")) }
        == ["default_value"])
    let made = try await commands.create(definition("s") { $0.defaultValue = .number(1) })
    let error = await refusal { () async throws(TenancyError) in
      try await commands.update(made.name, etag: "") { $0.minimum = 2 }
    }
    #expect(error?.violations.map(\.field) == ["setting_definition.default_value"])
  }

  @Test func thereAreOnlySoMany() async throws {
    for number in 0..<SettingDefinition.maximumCount {
      _ = try await commands.create(definition("s\(number)"))
    }
    let error = await refusal { () async throws(TenancyError) in
      try await commands.create(definition("more"))
    }
    #expect(error?.reason == .limitReached && error?.metadata["quota"] == "setting-definitions")
    #expect(catalog.settings(after: "s998").all.map(\.name) == ["s999"])
  }

  // MARK: Tenants' values

  @Test func aWriteIsHeldToThem() async throws {
    _ = try await commands.create(definition("n") { ($0.maximum, $0.editor) = (9, .tenant) })
    _ = try await commands.create(definition("b", .bool) { $0.editor = .tenant })
    let error = await refusal { () async throws(TenancyError) in
      try await set(["n": .number(10), "b": .string("x"), "free": .array([.null])])
    }
    #expect(error?.category == .invalidArgument)
    #expect(
      error?.violations == [
        .init(field: "configuration.custom_settings.b", description: "must be true or false"),
        .init(field: "configuration.custom_settings.n", description: "must be at most 9"),
      ])
    let settings: [String: JSONValue] = ["n": .number(9), "free": .array([.null])]
    #expect(try await set(settings).configuration.customSettings == settings)
  }

  @Test func aNewTenantIsHeldToThem() async throws {
    _ = try await commands.create(definition("n"))
    func create(_ value: JSONValue) async throws(TenancyError) -> Tenant {
      try await tenants.create(
        .init(
          slug: "new", displayName: "New", isolationModel: .shared,
          configuration: TenantConfiguration(customSettings: ["n": value])), validateOnly: false)
    }
    let error = await refusal { () async throws(TenancyError) in try await create(.null) }
    #expect(error?.violations.map(\.field) == ["configuration.custom_settings.n"])
    #expect(try await create(.number(1)).configuration.customSettings == ["n": .number(1)])
  }

  @Test func thePlatformsAreNotTheTenantsToChange() async throws {
    _ = try await commands.create(definition("seats"))
    let declared: [String: JSONValue] = ["seats": .number(5), "free": .number(1)]
    _ = try await set(declared, platform: true)
    // Another value, none, and a new one: each is a change.
    for settings in [["seats": .number(6), "free": .number(1)], ["free": .number(1)], [:]]
      as [[String: JSONValue]]
    {
      let error = await refusal { () async throws(TenancyError) in try await set(settings) }
      #expect(error?.category == .permissionDenied && error?.reason == .settingNotOwn)
      #expect(error?.violations.map(\.field) == ["configuration.custom_settings.seats"])
    }
    // What was read may be sent back, with a change elsewhere.
    let sent: [String: JSONValue] = ["seats": .number(5), "free": .number(2)]
    #expect(try await set(sent).configuration.customSettings == sent)
    _ = try await set(["free": .number(2)], platform: true)
    let first = await refusal { () async throws(TenancyError) in try await set(sent) }
    #expect(first?.reason == .settingNotOwn)
  }

  @Test func aValueThatDoesNotFitAnyMoreStaysUntilItIsWritten() async throws {
    _ = try await set(["n": .string("old")], platform: true)
    _ = try await commands.create(definition("n") { $0.editor = .tenant })
    let sent: [String: JSONValue] = ["n": .string("old"), "other": .bool(true)]
    #expect(try await set(sent).configuration.customSettings == sent)
    let error = await refusal { () async throws(TenancyError) in
      try await set(["n": .string("new")])
    }
    #expect(error?.violations.map(\.field) == ["configuration.custom_settings.n"])
    #expect(try await set([:]).configuration.customSettings.isEmpty)
  }
}
