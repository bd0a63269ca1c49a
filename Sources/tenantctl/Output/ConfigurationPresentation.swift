import Tenancy
import TenancyWire

extension V1.Plan: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Name", name)
    fields.add("Display name", displayName)
    fields.add(
      "Settings", each: (settings ?? [:]).sorted { $0.key < $1.key }.map { "\($0)=\($1)" })
    fields.add(
      "Flags", each: featureFlags.sorted { $0.key < $1.key }.map { "\($0)=\($1)" })
    fields.add("Limits", each: limits.map(LimitText.text(of:)))
    fields.add("Read only", readOnly ? "yes: of the server's configuration" : "")
    fields.add("Tenants", "\(tenants)")
    fields.add("Etag", etag)
    fields.add("Created", createTime?.text ?? "")
    fields.add("Updated", updateTime?.text ?? "")
    return fields.lines()
  }
}

extension V1.ListPlansResponse: Presentable {
  func lines() -> [String] {
    var table = Table("PLAN", "TENANTS", "SETTINGS", "FLAGS", "LIMITS", "NAME")
    for plan in plans {
      table.add(
        ResourceName.last(plan.name), "\(plan.tenants)", "\(plan.settings?.count ?? 0)",
        "\(plan.featureFlags.count)", plan.limits.map(LimitText.text(of:)).joined(separator: "; "),
        plan.displayName)
    }
    return table.lines() + Paging.note(nextPageToken)
  }
}

extension V1.FeatureFlag: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Name", name)
    fields.add("Description", description)
    fields.add("Rollout", rollout)
    fields.add("Tenants", each: tenants)
    fields.add("Subjects", each: subjects)
    fields.add("Salt", salt)
    fields.add("Editor", editor.shortName)
    fields.add("Etag", etag)
    fields.add("Created", createTime?.text ?? "")
    fields.add("Updated", updateTime?.text ?? "")
    return fields.lines()
  }

  /// In percent.
  fileprivate var rollout: String {
    let (whole, rest) = rolloutBasisPoints.quotientAndRemainder(dividingBy: 100)
    return rest == 0 ? "\(whole) %" : "\(whole).\(rest < 10 ? "0" : "")\(rest) %"
  }
}

extension V1.ListFeatureFlagsResponse: Presentable {
  func lines() -> [String] {
    var table = Table("FLAG", "ROLLOUT", "TENANTS", "SUBJECTS", "EDITOR")
    for flag in featureFlags {
      table.add(
        ResourceName.last(flag.name), flag.rollout, "\(flag.tenants.count)",
        "\(flag.subjects.count)", flag.editor.shortName)
    }
    return table.lines() + Paging.note(nextPageToken)
  }
}

extension V1.EvaluateFeatureFlagsResponse: Presentable {
  func lines() -> [String] {
    var table = Table("FLAG", "ON", "REASON", "BUCKET")
    for flag in flags {
      table.add(
        flag.flag, flag.enabled ? "yes" : "no", flag.reason.shortName,
        flag.reason == .rollout ? "\(flag.bucket)" : "")
    }
    return table.lines()
  }
}

extension V1.EffectiveConfiguration: Presentable {
  func lines() -> [String] {
    var table = Table("SETTING", "VALUE")
    for (name, value) in (settings ?? [:]).sorted(by: { $0.key < $1.key }) {
      table.add(name, value.text())
    }
    for secret in secretSettings { table.add(secret.setting, secret.text) }
    return table.lines()
  }
}

extension V1.SecretSetting {
  /// In place of a value.
  var text: String { "(secret, version \(version), set \(setTime?.text ?? ""))" }
}

extension V1.AccessSecretSettingResponse: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Setting", secret?.setting ?? "")
    fields.add("Value", value)
    fields.add("Version", "\(secret?.version ?? 0)")
    fields.add("Set", secret?.setTime?.text ?? "")
    return fields.lines()
  }
}

extension V1.ExplainConfigurationResponse: Presentable {
  func lines() -> [String] {
    var table = Table("SETTING", "VALUE", "LEVEL", "COUNTS")
    for setting in settings {
      for level in setting.levels {
        let counts = level.problem.isEmpty && level.level == setting.level
        table.add(
          setting.setting, level.secret?.text ?? level.value?.text() ?? "", level.level.shortName,
          level.problem.isEmpty ? (counts ? "yes" : "no") : "no: \(level.problem)")
      }
      if setting.levels.isEmpty { table.add(setting.setting, "", "", "no level has a value") }
    }
    return table.lines()
  }
}

extension V1.ListSettingHistoryResponse: Presentable {
  func lines() -> [String] {
    var table = Table("REVISION", "TIME", "ACTOR", "SETTING", "OLD", "NEW")
    for change in changes {
      table.add(
        "\(change.revision)", change.time?.text ?? "", change.actor, change.setting,
        SecretText.value(change.oldValue, change.secret, change.oldVersion),
        SecretText.value(change.newValue, change.secret, change.newVersion))
    }
    return table.lines() + Paging.note(nextPageToken)
  }
}

extension V1.DiffTenantConfigurationResponse: Presentable {
  func lines() -> [String] { differences.lines() }
}

extension V1.RevertTenantConfigurationResponse: Presentable {
  func lines() -> [String] { changes.lines() }
}

extension [V1.SettingDifference] {
  fileprivate func lines() -> [String] {
    var table = Table("SETTING", "OLD", "NEW")
    for one in self {
      table.add(
        one.setting, SecretText.value(one.oldValue, one.secret, one.oldVersion),
        SecretText.value(one.newValue, one.secret, one.newVersion))
    }
    return table.lines()
  }
}

/// A value as tables show it.
private enum SecretText {
  static func value(_ value: JSONValue?, _ isSecret: Bool, _ version: UInt64) -> String {
    guard isSecret else { return value?.text() ?? "" }
    return version == 0 ? "" : "(secret, version \(version))"
  }
}
