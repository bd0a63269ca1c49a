import Tenancy
import TenancyRPC
import TenancyWire

/// Answers tenants' values of secret settings.
struct SecretSettings: Sendable {
  let plane: ControlPlane
  /// Nil where no master key is configured.
  let vault: SecretVault?

  func read(
    _ request: V1.AccessSecretSettingRequest, _ access: Access
  ) async throws(TenancyError) -> V1.AccessSecretSettingResponse {
    let id = try access.requireTarget().tenant.id
    let name = request.setting
    guard SettingDefinition.isName(name) else { throw .invalid("setting", "is no setting's name") }
    let judge = try access.requireJudge()
    let before = try find(name, of: id, access)
    guard let vault else {
      throw TenancyError(
        .failedPrecondition, .secretsNotConfigured,
        "the server has no master key (secrets.master_key in its configuration)")
    }
    let opened: ClearSecret?
    do throws(StoreError) {
      opened = try await vault.open(.setting(name), of: id)
    } catch {
      throw TenancyError(
        .unavailable, .storeUnavailable, "the secret can't be read now", retryAfterSeconds: 1)
    }
    guard let clear = opened else { throw Self.notFound }
    // What has changed meanwhile, on whichever node, was acknowledged as changed.
    try await plane.catchUp()
    try judge.judge(on: plane.state, at: plane.now)
    let after = try find(name, of: id, access)
    guard after.reference.version == before.reference.version else {
      throw TenancyError(
        .aborted, .writeConflict, "it was set again meanwhile", retryAfterSeconds: 1)
    }
    guard let value = String(validating: clear.reveal(), as: UTF8.self) else {
      throw TenancyError(.internalError, .secretsFailed, "the secret is no text")
    }
    plane.noteAllowed(
      by: Denials.origin(access.caller, home: access.home?.tenant.id, ""),
      action: "tenants.accessSecretSetting", target: id,
      remark: "\(name) version \(after.reference.version)")
    return V1.AccessSecretSettingResponse(
      value: value, secret: V1.SecretSetting(after, named: name))
  }

  /// By the newest state.
  private func find(
    _ name: String, of id: TenantID, _ access: Access
  ) throws(TenancyError) -> SecretSetting {
    let state = plane.state
    guard let tenant = state.find(id)?.tenant, !tenant.state.isGone else { throw .tenantNotFound }
    // What nobody declares any more is the platform's: it was not for the tenant to see.
    if !access.caller.isPlatform, state.catalog.setting(name)?.editor != .tenant {
      throw TenancyError(
        .permissionDenied, .settingNotOwn, "the secret is the platform's",
        metadata: ["field": "setting"],
        violations: [.init(field: "setting", description: "is the platform's")])
    }
    guard let secret = tenant.configuration.secretSettings[name] else { throw Self.notFound }
    return secret
  }

  private static let notFound = TenancyError(
    .notFound, .secretSettingNotFound, "the tenant has no value of the secret setting")
}
