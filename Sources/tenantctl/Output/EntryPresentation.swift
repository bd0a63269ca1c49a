import TenancyWire

extension V1.WorkloadEntry: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Name", name)
    fields.add("Owner", owner)
    fields.add("Path", path)
    fields.add("Selectors", each: selectors?.texts ?? [])
    fields.add("Lifetime", lifetime.map { "\($0.seconds) s" } ?? "")
    fields.add("Hint", hint)
    fields.add("Created", createTime?.text ?? "")
    return fields.lines()
  }

  fileprivate var owner: String { tenant.isEmpty ? "platform" : tenant }
}

extension V1.WorkloadSelectors {
  /// One for each.
  fileprivate var texts: [String] {
    let all: [(String, String?)] = [
      ("uid", uid.map { "\($0)" }), ("gid", gid.map { "\($0)" }), ("binary", binaryPath),
      ("unit", systemdUnit), ("node", node),
    ]
    return all.compactMap { name, value in
      value.flatMap { $0.isEmpty ? nil : "\(name)=\($0)" }
    }
  }
}

extension V1.ListWorkloadEntriesResponse: Presentable {
  func lines() -> [String] {
    var table = Table("ENTRY", "OWNER", "PATH", "SECONDS", "SELECTORS")
    for entry in entries {
      table.add(
        ResourceName.last(entry.name), ResourceName.last(entry.owner), entry.path,
        entry.lifetime.map { "\($0.seconds)" } ?? "",
        entry.selectors?.texts.joined(separator: " ") ?? "")
    }
    return table.lines() + Paging.note(nextPageToken)
  }
}
