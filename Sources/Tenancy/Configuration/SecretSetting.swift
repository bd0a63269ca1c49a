/// A setting's value of a tenant's own that is sealed: that there is one, and nothing of it.
public struct SecretSetting: Hashable, Sendable, Codable {
  /// A tenant has so many at most.
  public static let maximumCount = 64
  /// Bytes of a value, at most.
  public static let maximumBytes = 8 * 1024

  /// Which sealed secret it is: see `SecretPurpose.setting`. Its version grows each time that a value is set.
  public var reference: SecretReference
  /// When it was set.
  public let setTime: Timestamp
  /// Of the value.
  public let byteCount: Int

  /// - Parameter byteCount: of the value, which is counted as what is stored.
  public init(reference: SecretReference, setTime: Timestamp, byteCount: Int) {
    self.reference = reference
    self.setTime = setTime
    self.byteCount = byteCount
  }

  private enum Key: String, CodingKey { case reference, setTime, byteCount }

  /// - Throws: `DecodingError` for what is none.
  public init(from decoder: any Decoder) throws {
    let box = try decoder.container(keyedBy: Key.self)
    self.init(
      reference: try box.decode(SecretReference.self, forKey: .reference),
      setTime: Timestamp(nanoseconds: try box.decode(Int64.self, forKey: .setTime)),
      byteCount: try box.decode(Int.self, forKey: .byteCount))
  }

  public func encode(to encoder: any Encoder) throws {
    var box = encoder.container(keyedBy: Key.self)
    try box.encode(reference, forKey: .reference)
    try box.encode(setTime.nanoseconds, forKey: .setTime)
    try box.encode(byteCount, forKey: .byteCount)
  }
}

extension SettingDefinition {
  /// Why a tenant can't have a secret, for people: of it nothing but what is asked for.
  /// - Returns: nil where it fits.
  func problem(withSecret secret: ClearSecret) -> String? {
    guard isSecret else { return "is not declared to be a secret" }
    guard type == .string else { return "is not declared to be a STRING, as a secret has to be" }
    guard secret.byteCount > 0 else { return "can't be empty: name it in the mask to remove it" }
    guard secret.byteCount <= SecretSetting.maximumBytes else {
      return "more than \(SecretSetting.maximumBytes) bytes"
    }
    guard let text = String(validating: secret.reveal(), as: UTF8.self) else {
      return "must be text"
    }
    return problem(withText: text)
  }
}

extension ConfigurationCatalog {
  /// Judges the secrets that a request sets (nil: removes), all of them at once.
  /// - Parameter isPlatform: whether a platform identity asks.
  /// - Throws: PERMISSION_DENIED with SETTING_NOT_OWN for those that only the platform may change, which its violations
  ///   name.
  func check(
    secrets: [String: ClearSecret?], of former: TenantConfiguration, isPlatform: Bool,
    _ checks: inout FieldChecks
  ) throws(TenancyError) {
    var refused: [TenancyError.FieldViolation] = []
    for (name, secret) in secrets.sorted(by: { $0.key < $1.key }) where !checks.isFull {
      let field =
        "configuration.secret_values.\(name.prefix(bytes: SettingDefinition.maximumNameBytes))"
      let definition = SettingDefinition.isName(name) ? setting(name) : nil
      // What nobody declares any more is the platform's.
      let isPlatforms =
        definition.map { $0.editor == .platform } ?? (former.secretSettings[name] != nil)
      if isPlatforms, !isPlatform {
        refused.append(.init(field: field, description: "is the platform's to change"))
      } else if let secret {
        let problem =
          definition.map { $0.problem(withSecret: secret) } ?? "is not declared to be a secret"
        if let problem { checks.note(.invalid(field, problem)) }
      }
    }
    let count = secrets.count { $0.value != nil && former.secretSettings[$0.key] == nil }
    if count > 0, former.secretSettings.count + count > SecretSetting.maximumCount {
      checks.note(
        .invalid("configuration.secret_values", "more than \(SecretSetting.maximumCount)"))
    }
    guard let first = refused.first else { return }
    throw TenancyError(
      .permissionDenied, .settingNotOwn, "\(first.field) \(first.description)",
      metadata: ["field": first.field],
      violations: Array(refused.prefix(FieldChecks.maximumViolations)))
  }
}

extension ConfigurationCatalog {
  /// Keeps values in the clear of settings that were declared to be secret since, for they are not told any more: whoever
  /// writes back what was read has never seen them.
  /// - Parameter named: those that go where they are not sent.
  func keepUntold(
    of before: TenantConfiguration, in after: inout TenantConfiguration, but named: Set<String>
  ) {
    guard hasSecrets else { return }
    for (name, value) in before.customSettings
    where after.customSettings[name] == nil && !named.contains(name) {
      if setting(name)?.isSecret ?? false { after.customSettings[name] = value }
    }
  }

  /// What of an edit may be told: of what is declared a secret by now, no value that it had in the clear before.
  public func telling(_ edit: SettingEdit) -> SettingEdit {
    guard !edit.isSecret, edit.before != nil || edit.after != nil,
      edit.field.hasPrefix(ConfigurationField.settings)
    else { return edit }
    let name = String(edit.field.dropFirst(ConfigurationField.settings.count))
    guard setting(name)?.isSecret ?? false else { return edit }
    return SettingEdit(
      field: edit.field, versionBefore: edit.before.map { _ in 0 },
      versionAfter: edit.after.map { _ in 0 })
  }
}

extension TenantCommands {
  /// Seals secrets for a tenant as it is about to be stored, and makes it refer to them.
  /// - Parameter secrets: nil: removed.
  /// - Returns: what is to be emitted behind the tenant itself.
  /// - Throws: FAILED_PRECONDITION where there is nothing to seal them with.
  static func seal(
    _ secrets: [String: ClearSecret?], into tenant: inout Tenant, at now: Timestamp,
    _ sealer: (any SecretSealer)?
  ) throws(TenancyError) -> [Change] {
    var changes: [Change] = []
    for (name, secret) in secrets.sorted(by: { $0.key < $1.key }) {
      let purpose = SecretPurpose.setting(name)
      guard let secret else {
        if tenant.configuration.secretSettings.removeValue(forKey: name) != nil {
          changes.append(.deleteSecret(tenant.id, purpose))
        }
        continue
      }
      guard let sealer else {
        throw TenancyError(
          .failedPrecondition, .secretsNotConfigured,
          "configuration.secret_values can't be stored: the server has no master key to seal them "
            + "with (secrets.master_key in its configuration)")
      }
      do throws(SecretError) {
        let sealed = try sealer.seal(
          secret, for: SecretPlace(tenant: tenant.id, purpose: purpose), version: tenant.version)
        tenant.configuration.secretSettings[name] = SecretSetting(
          reference: sealed.reference, setTime: now, byteCount: secret.byteCount)
        // It is not to be found in the clear any more, if it was once.
        tenant.configuration.customSettings[name] = nil
        changes.append(.putSecret(tenant.id, purpose, sealed.reference, sealed.sealed))
      } catch {
        throw TenancyError(
          .internalError, .secretsFailed, "a secret can't be sealed: \(error)")
      }
    }
    return changes
  }
}
