import TenancyWire

extension V1.SettingDefinition: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Name", name)
    fields.add("Description", description)
    fields.add("Type", type.shortName)
    fields.add("Default", defaultValue?.text() ?? "")
    fields.add("Range", Self.range(minimum.map { "\($0)" }, maximum.map { "\($0)" }))
    fields.add("Length", Self.range(minimumLength.map { "\($0)" }, maximumLength.map { "\($0)" }))
    fields.add("Allowed", each: allowedValues)
    fields.add("Secret", secret ? "yes: no value is taken" : "")
    fields.add("Editor", editor.shortName)
    fields.add("Since", sinceVersion)
    fields.add("Etag", etag)
    fields.add("Created", createTime?.text ?? "")
    fields.add("Updated", updateTime?.text ?? "")
    return fields.lines()
  }

  private static func range(_ least: String?, _ most: String?) -> String {
    guard least != nil || most != nil else { return "" }
    return "\(least ?? "") to \(most ?? "")"
  }
}

extension V1.ListSettingDefinitionsResponse: Presentable {
  func lines() -> [String] {
    var table = Table("SETTING", "TYPE", "DEFAULT", "EDITOR", "SINCE")
    for one in settingDefinitions {
      table.add(
        ResourceName.last(one.name), one.type.shortName, one.defaultValue?.text() ?? "",
        one.editor.shortName, one.sinceVersion)
    }
    return table.lines() + Paging.note(nextPageToken)
  }
}

extension V1.ListSettingConflictsResponse: Presentable {
  func lines() -> [String] {
    var table = Table("TENANT", "PROBLEM")
    for conflict in conflicts { table.add(conflict.tenant, conflict.description) }
    return table.lines() + Paging.note(nextPageToken)
  }
}
