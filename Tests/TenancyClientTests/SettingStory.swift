import Tenancy
import TenancyClient
import TenancyRPC
import TenancyWire
import Testing

/// The life of a declared setting: made, read, listed, changed, held to, and deleted.
enum SettingStory {
  static func run(_ client: Stubs) async throws {
    let acme = try await client.create("acme")
    let settings = client.settings
    func configure(_ value: JSONValue) async throws -> V1.Tenant {
      try await client.tenants.updateTenantConfiguration(
        V1.UpdateTenantConfigurationRequest(
          name: acme.name,
          configuration: V1.TenantConfiguration(customSettings: ["max_users": value])))
    }
    let sent = V1.SettingDefinition(
      description: "Seats", type: .integer, defaultValue: .number(5), minimum: 1, maximum: 100,
      editor: .tenant, sinceVersion: "2.1")
    let made = try await settings.createSettingDefinition(
      V1.CreateSettingDefinitionRequest(
        settingDefinitionId: "max_users", settingDefinition: sent))
    #expect(made.name == "settingDefinitions/max_users" && made.createTime != nil)
    #expect(made.defaultValue == .number(5) && made.maximum == 100 && made.editor == .tenant)
    let refused = try await refusal { try await configure(.number(101)) }
    #expect(refused.code == .invalidArgument && refused.message.contains("must be at most 100"))
    _ = try await configure(.number(100))

    let got = try await settings.getSettingDefinition(
      V1.GetSettingDefinitionRequest(name: made.name))
    #expect(got == made)
    let list = try await settings.listSettingDefinitions(V1.ListSettingDefinitionsRequest())
    #expect(list.settingDefinitions == [made])
    let updated = try await settings.updateSettingDefinition(
      V1.UpdateSettingDefinitionRequest(
        settingDefinition: V1.SettingDefinition(name: made.name, maximum: 50, etag: made.etag)))
    #expect(updated.maximum == 50 && updated.minimum == 1 && updated.etag != made.etag)
    let conflicts = try await settings.listSettingConflicts(
      V1.ListSettingConflictsRequest(name: made.name))
    #expect(conflicts.conflicts.map(\.tenant) == [acme.name])

    _ = try await settings.deleteSettingDefinition(
      V1.DeleteSettingDefinitionRequest(name: made.name, etag: updated.etag))
    let gone = try await refusal {
      try await settings.getSettingDefinition(V1.GetSettingDefinitionRequest(name: made.name))
    }
    #expect(gone.code == .notFound)
    _ = try await configure(.string("any"))
  }
}
