import Tenancy
import TenancyCrypto
import TenancyRPC
import TenancyWire

/// `tenancy.v1.TenantConfigurations`.
struct TenantConfigurationService: Sendable {
  /// Flags of one request, at most.
  static let maximumFlags = 100
  /// Bytes of a flag's or a setting's name: it is not looked for if it is longer.
  private static let maximumNameBytes = 1_024

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.TenantConfigurations
    return [
      gate.async(API.getEffectiveConfiguration) { (access, _) throws(TenancyError) in
        let tenant = try access.requireTarget().tenant
        let effective = EffectiveConfiguration(of: tenant, access.snapshot.state.catalog)
        var settings: [String: JSONValue] = [:]
        for name in effective.settings() { settings[name] = effective.value(of: name)?.value }
        return V1.EffectiveConfiguration(
          name: "\(TenantNames.collection)\(tenant.id)",
          plan: tenant.configuration.limits?.plan ?? "", settings: settings, etag: effective.etag)
      },
      gate.async(API.explainConfiguration) { (access, request) throws(TenancyError) in
        try explain(access, request)
      },
      gate.async(API.evaluateFeatureFlags) { (access, request) throws(TenancyError) in
        try evaluate(access, request)
      },
    ]
  }

  // MARK: Settings

  private func explain(
    _ access: Access, _ request: V1.ExplainConfigurationRequest
  ) throws(TenancyError) -> V1.ExplainConfigurationResponse {
    let tenant = try access.requireTarget().tenant
    let catalog = access.snapshot.state.catalog
    let effective = EffectiveConfiguration(of: tenant, catalog)
    func explanation(_ name: String) -> V1.SettingExplanation {
      let sayings = effective.sayings(of: name)
      let counting = sayings.first { $0.problem == nil }
      return V1.SettingExplanation(
        setting: name, value: counting?.value,
        level: counting.map { V1.ConfigurationLevel($0.level) } ?? .unspecified,
        declared: catalog.setting(name) != nil,
        levels: sayings.map { saying in
          V1.ConfigurationLevelValue(
            level: V1.ConfigurationLevel(saying.level), value: saying.value,
            problem: saying.problem ?? "")
        })
    }
    if !request.setting.isEmpty {
      guard request.setting.utf8.count <= Self.maximumNameBytes else {
        throw .invalid("setting", "longer than \(Self.maximumNameBytes) bytes")
      }
      return V1.ExplainConfigurationResponse(settings: [explanation(request.setting)])
    }
    return V1.ExplainConfigurationResponse(settings: effective.settings().map(explanation))
  }

  // MARK: Flags

  private func evaluate(
    _ access: Access, _ request: V1.EvaluateFeatureFlagsRequest
  ) throws(TenancyError) -> V1.EvaluateFeatureFlagsResponse {
    let tenant = try access.requireTarget().tenant
    guard request.subject.isEmpty || FeatureFlag.isSubject(request.subject) else {
      throw .invalid("subject", "at most \(FeatureFlag.maximumSubjectBytes) bytes")
    }
    guard request.flags.count <= Self.maximumFlags else {
      throw .invalid("flags", "more than \(Self.maximumFlags)")
    }
    for (index, name) in request.flags.enumerated()
    where name.utf8.count > SettingDefinition.maximumNameBytes {
      throw .invalid(
        "flags[\(index)]", "longer than \(SettingDefinition.maximumNameBytes) bytes")
    }
    let catalog = access.snapshot.state.catalog
    let effective = EffectiveConfiguration(of: tenant, catalog)
    let names = request.flags.isEmpty ? effective.flags() : request.flags
    var flags = names.map { name in
      evaluation(of: name, effective, catalog, tenant.id, request.subject)
    }
    if !access.caller.isPlatform {
      flags = flags.map(Self.untold)
      if request.flags.isEmpty { flags.removeAll { $0.reason == .unspecified } }
    }
    return V1.EvaluateFeatureFlagsResponse(flags: flags)
  }

  /// What those who are not the platform's are told: neither who is listed nor how a flag is rolled out, and of a flag
  /// that is off by what is declared not even that there is one.
  private static func untold(_ full: V1.FeatureFlagEvaluation) -> V1.FeatureFlagEvaluation {
    guard full.reason == .listed || full.reason == .rollout else { return full }
    return V1.FeatureFlagEvaluation(
      flag: full.flag, enabled: full.enabled, reason: full.enabled ? .rollout : .unspecified)
  }

  private func evaluation(
    of name: String, _ effective: EffectiveConfiguration, _ catalog: ConfigurationCatalog,
    _ tenant: TenantID, _ subject: String
  ) -> V1.FeatureFlagEvaluation {
    if let said = effective.flag(name) {
      return V1.FeatureFlagEvaluation(
        flag: name, enabled: said.isOn, reason: said.level == .tenant ? .tenant : .plan)
    }
    guard let flag = catalog.flag(name) else { return V1.FeatureFlagEvaluation(flag: name) }
    switch flag.evaluate(tenant, subject, digest: SHA256Digest.bytes) {
    case .listed: return V1.FeatureFlagEvaluation(flag: name, enabled: true, reason: .listed)
    case .rollout(let bucket, let isOn):
      return V1.FeatureFlagEvaluation(
        flag: name, enabled: isOn, reason: .rollout, bucket: bucket)
    }
  }
}

extension V1.ConfigurationLevel {
  init(_ level: ConfigurationLevel) {
    switch level {
    case .platform: self = .platform
    case .plan: self = .plan
    case .tenant: self = .tenant
    }
  }
}
