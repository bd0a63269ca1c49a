import Tenancy
import TenancyWire

extension V1.Tenant: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Name", name)
    fields.add("Slug", slug)
    fields.add("Former slugs", each: formerSlugs.map(\.line))
    fields.add("Display name", displayName)
    fields.add("State", state.shortName)
    fields.add("Reason", stateReason)
    fields.add("Isolation", isolationModel.shortName)
    fields.add("Labels", each: Self.pairs(labels))
    fields.add("Annotations", each: Self.pairs(annotations))
    configuration?.add(to: &fields)
    fields.add("Epoch", String(epoch))
    fields.add("Etag", etag)
    fields.add("Created", createTime?.text ?? "")
    fields.add("Updated", updateTime?.text ?? "")
    fields.add("Back about", maintenanceEndTime?.text ?? "")
    fields.add("To be suspended", schedule?.suspendTime?.text ?? "")
    fields.add("Trial ends", schedule?.trialEndTime?.text ?? "")
    fields.add("To be deleted", schedule?.deleteTime?.text ?? "")
    fields.add("Legal hold", legalHold?.line ?? "")
    fields.add("Deleted", deleteTime?.text ?? "")
    fields.add("Purged after", purgeTime?.text ?? "")
    return fields.lines()
  }

  private static func pairs(_ pairs: [String: String]) -> [String] {
    pairs.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
  }
}

extension V1.FormerSlug {
  fileprivate var line: String {
    let last = lastUseTime.map { ", last \($0.text)" } ?? ""
    return "\(slug) (used \(recentUses) times in 7 days\(last))"
  }
}

extension V1.LegalHold {
  fileprivate var line: String {
    "\(reason) (since \(createTime?.text ?? "an unknown time"))"
  }
}

extension V1.TenantConfiguration {
  func add(to fields: inout Fields) {
    if let database {
      fields.add("Database", database.connectionString)
      fields.add("Database user", database.username)
      fields.add("Password", database.passwordSet ? "(stored)" : "")
    }
    fields.add("Schema", schema?.schemaName ?? "")
    fields.add("Tenant column", shared?.tenantIdentifier ?? "")
    fields.add(
      "Settings",
      each: (customSettings ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)" })
    fields.add("Secrets", each: secretSettings.map { "\($0.setting) = \($0.text)" })
    fields.add(
      "Flags",
      each: featureFlags.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)" })
    fields.add("Routes", each: routes.map(RouteText.text))
    fields.add("Plan", limits?.plan ?? "")
    fields.add("Region", placement?.region ?? "")
    fields.add("Cluster", placement?.cluster ?? "")
    fields.add("Categories", each: dataCategories.map(CategoryText.text))
    fields.add("Limits", each: (limits?.limits ?? []).map(LimitText.text))
  }
}

extension V1.ValidateTenantResponse: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Valid", valid ? "yes" : "no")
    fields.add("State", state.shortName)
    fields.add("Reason", reason)
    return fields.lines()
  }
}

extension V1.WhoAmIResponse: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Subject", subject)
    fields.add("Known by", source.shortName)
    fields.add("Tenant", tenant.isEmpty ? "" : "\(tenantSlug) (\(tenant))")
    fields.add("Platform roles", platformRoles.joined(separator: ", "))
    fields.add("Certificate", certificateFingerprint)
    fields.add("Expires", certificateExpireTime?.text ?? "")
    fields.add("Token id", tokenId)
    fields.add("Token expires", tokenExpireTime?.text ?? "")
    fields.add("Presented by", presentedBy)
    return fields.lines()
  }
}

/// Lists that come in pages.
enum Paging {
  /// A last line when there is more.
  static func note(_ token: String) -> [String] {
    token.isEmpty ? [] : ["There are more: --all shows them, --page-token \(token) goes on."]
  }
}
