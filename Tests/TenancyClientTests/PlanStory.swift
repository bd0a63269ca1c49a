import Tenancy
import TenancyClient
import TenancyRPC
import TenancyWire
import Testing

/// Plans and flags: made, read, listed, changed, given to a tenant, explained, and deleted.
enum PlanStory {
  static func run(_ client: Stubs) async throws {
    let acme = try await client.create("acme")
    let plans = client.plans
    let made = try await plans.createPlan(
      V1.CreatePlanRequest(
        planId: "gold",
        plan: V1.Plan(
          displayName: "Gold", settings: ["seats": .number(50)], featureFlags: ["beta": true])))
    #expect(made.name == "plans/gold" && made.etag == "v1" && !made.readOnly)
    _ = try await client.tenants.updateTenantConfiguration(
      V1.UpdateTenantConfigurationRequest(
        name: acme.name,
        configuration: V1.TenantConfiguration(
          featureFlags: ["own": true], limits: V1.RequestLimits(plan: "gold"))))
    let got = try await plans.getPlan(V1.GetPlanRequest(name: made.name))
    #expect(got.tenants == 1 && got.settings == made.settings)
    let changed = try await plans.updatePlan(
      V1.UpdatePlanRequest(plan: V1.Plan(name: made.name, settings: ["seats": .number(60)])))
    let list = try await plans.listPlans(V1.ListPlansRequest())
    #expect(list.plans.filter { !$0.readOnly } == [changed])

    let configurations = client.configurations
    let effective = try await configurations.getEffectiveConfiguration(
      V1.GetEffectiveConfigurationRequest(name: acme.name))
    #expect(effective.plan == "gold" && effective.settings == ["seats": .number(60)])
    let explained = try await configurations.explainConfiguration(
      V1.ExplainConfigurationRequest(name: acme.name, setting: "seats"))
    #expect(explained.settings.first?.level == .plan)
    try await flags(client, acme)
    try await history(client, acme)

    let used = try await refusal {
      try await plans.deletePlan(V1.DeletePlanRequest(name: made.name))
    }
    #expect(used.code == .failedPrecondition)
    _ = try await client.tenants.updateTenantConfiguration(
      V1.UpdateTenantConfigurationRequest(
        name: acme.name, updateMask: GoogleProtobuf.FieldMask(paths: ["limits"])))
    _ = try await plans.deletePlan(V1.DeletePlanRequest(name: made.name))
  }

  private static func history(_ client: Stubs, _ acme: V1.Tenant) async throws {
    let ofPlan = try await client.plans.listPlanHistory(
      V1.ListPlanHistoryRequest(name: "plans/gold", setting: "custom_settings.seats"))
    #expect(ofPlan.changes.map(\.newValue) == [.number(60), .number(50)])
    let configurations = client.configurations
    let list = try await configurations.listSettingHistory(
      V1.ListSettingHistoryRequest(name: acme.name))
    #expect(list.changes.map(\.setting) == ["feature_flags.own", "limits.plan"])
    let revision = try #require(list.changes.first?.revision)
    let diff = try await configurations.diffTenantConfiguration(
      V1.DiffTenantConfigurationRequest(name: acme.name, fromRevision: revision - 1))
    #expect(diff.differences.map(\.newValue) == [.bool(true), .string("gold")])
    let reverted = try await configurations.revertTenantConfiguration(
      V1.RevertTenantConfigurationRequest(
        name: acme.name, revision: revision - 1, settings: ["feature_flags.own"]))
    #expect(reverted.changes.map(\.oldValue) == [.bool(true)])
    #expect(reverted.tenant?.configuration?.featureFlags == [:])
    let none = try await refusal {
      try await configurations.accessSecretSetting(
        V1.AccessSecretSettingRequest(name: acme.name, setting: "key"))
    }
    #expect(none.errorInfo?.reason == "SECRET_SETTING_NOT_FOUND")
  }

  private static func flags(_ client: Stubs, _ acme: V1.Tenant) async throws {
    let flags = client.flags
    let made = try await flags.createFeatureFlag(
      V1.CreateFeatureFlagRequest(
        featureFlagId: "new_ui", featureFlag: V1.FeatureFlag(rolloutBasisPoints: 10_000)))
    #expect(made.salt == "new_ui" && made.editor == .platform)
    let updated = try await flags.updateFeatureFlag(
      V1.UpdateFeatureFlagRequest(
        featureFlag: V1.FeatureFlag(name: made.name, subjects: ["user:al"])))
    let got = try await flags.getFeatureFlag(V1.GetFeatureFlagRequest(name: made.name))
    #expect(got == updated)
    let list = try await flags.listFeatureFlags(V1.ListFeatureFlagsRequest())
    #expect(list.featureFlags == [updated])
    let answer = try await client.configurations.evaluateFeatureFlags(
      V1.EvaluateFeatureFlagsRequest(name: acme.name, subject: "user:bo"))
    #expect(answer.flags.map(\.flag) == ["beta", "new_ui", "own"])
    #expect(answer.flags.map(\.reason) == [.plan, .rollout, .tenant])
    #expect(answer.flags.map(\.enabled) == [true, true, true])
    _ = try await flags.deleteFeatureFlag(V1.DeleteFeatureFlagRequest(name: made.name))
  }
}
