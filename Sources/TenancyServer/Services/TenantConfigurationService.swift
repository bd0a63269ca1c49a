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

  let plane: ControlPlane
  /// Nil: tenants' requests are not limited.
  var plans: LimitPlans?
  /// Nil where no master key is configured.
  var vault: SecretVault?

  private func history(_ access: Access) -> SettingHistory {
    SettingHistory(plane: plane, catalog: access.snapshot.state.catalog)
  }

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.TenantConfigurations
    return [
      gate.async(API.getEffectiveConfiguration) { (access, _) throws(TenancyError) in
        let tenant = try access.requireTarget().tenant
        let effective = EffectiveConfiguration(of: tenant, access.snapshot.state.catalog)
        var settings: [String: JSONValue] = [:]
        for name in effective.settings() where effective.secret(of: name) == nil {
          settings[name] = effective.value(of: name)?.value
        }
        return V1.EffectiveConfiguration(
          name: "\(TenantNames.collection)\(tenant.id)",
          plan: tenant.configuration.limits?.plan ?? "", settings: settings, etag: effective.etag,
          secretSettings: tenant.configuration.secretSettings.map {
            V1.SecretSetting($1, named: $0)
          }.sorted { $0.setting < $1.setting })
      },
      gate.async(API.explainConfiguration) { (access, request) throws(TenancyError) in
        try explain(access, request)
      },
      gate.async(API.evaluateFeatureFlags) { (access, request) throws(TenancyError) in
        try evaluate(access, request)
      },
      gate.async(API.listSettingHistory) { (access, request) async throws(TenancyError) in
        try await history(access).list(
          .tenant(access.requireTarget().tenant.id), setting: request.setting,
          size: request.pageSize, token: request.pageToken, by: access.payer)
      },
      gate.async(API.diffTenantConfiguration) { (access, request) async throws(TenancyError) in
        try await history(access).diff(
          access.requireTarget(), request, in: access.snapshot.state, by: access.payer)
      },
      gate.async(API.revertTenantConfiguration, revert),
      gate.async(API.accessSecretSetting) { (access, request) async throws(TenancyError) in
        try await SecretSettings(plane: plane, vault: vault).read(request, access)
      },
    ]
  }

  // MARK: Reverting

  private func revert(
    _ access: Access, _ request: V1.RevertTenantConfigurationRequest
  ) async throws(TenancyError) -> V1.RevertTenantConfigurationResponse {
    let target = try access.requireTarget().tenant.id
    let isPlatform = access.caller.isPlatform
    let limits = LimitsChange(plans: plans, isPlatform: isPlatform)
    var revert = TenantCommands.Revert(to: request.revision, mayMove: isPlatform) {
      (after, before) throws(TenancyError) in
      try limits.apply(after, to: before, isNamed: true)
    }
    let id = request.requestId
    guard id.isEmpty || RequestIDs.isWellFormed(id) else {
      throw .invalid("request_id", "must be a UUID")
    }
    revert.fields = request.settings
    revert.etag = request.etag
    revert.validateOnly = request.validateOnly
    if !id.isEmpty {
      revert.requestID = id
      revert.digest = RequestIDs.digest(
        of: V1.RevertTenantConfigurationRequest(
          name: "\(target)", revision: request.revision, settings: request.settings))
    }
    let commands = TenantCommands(
      plane, actor: access.caller.subject, judge: try access.requireJudge(), plans: plans)
    let (tenant, edits) = try await commands.revert(target, revert, by: access.payer)
    return V1.RevertTenantConfigurationResponse(
      tenant: V1.Tenant(
        tenant.withoutValues(ofSecretsIn: plane.state.catalog),
        former: plane.state.find(target)?.formerSlugs ?? [], at: plane.now,
        for: access.caller),
      changes: edits.map { V1.SettingDifference(plane.state.catalog.telling($0)) })
  }

  // MARK: Settings

  private func explain(
    _ access: Access, _ request: V1.ExplainConfigurationRequest
  ) throws(TenancyError) -> V1.ExplainConfigurationResponse {
    let tenant = try access.requireTarget().tenant
    let catalog = access.snapshot.state.catalog
    let effective = EffectiveConfiguration(of: tenant, catalog)
    func explanation(_ name: String) -> V1.SettingExplanation {
      let (sayings, hides) = (effective.sayings(of: name), effective.hides(name))
      let secret = effective.secret(of: name).map { V1.SecretSetting($0, named: name) }
      let counting = secret == nil ? sayings.first { $0.problem == nil } : nil
      return V1.SettingExplanation(
        setting: name, value: counting?.value,
        level: secret != nil
          ? .tenant : counting.map { V1.ConfigurationLevel($0.level) } ?? .unspecified,
        declared: catalog.setting(name) != nil,
        levels: (secret.map { [V1.ConfigurationLevelValue(level: .tenant, secret: $0)] } ?? [])
          + sayings.map { saying in
            V1.ConfigurationLevelValue(
              level: V1.ConfigurationLevel(saying.level), value: hides ? nil : saying.value,
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
