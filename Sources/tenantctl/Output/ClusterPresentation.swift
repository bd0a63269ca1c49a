import TenancyWire

extension V1.ListClustersResponse: Presentable {
  func lines() -> [String] {
    var table = Table("CLUSTER", "REGION", "PLANS", "ISOLATION", "TENANTS", "AT MOST", "PROBLEM")
    for cluster in clusters {
      table.add(
        String(cluster.name.split(separator: "/").last ?? ""), cluster.region,
        cluster.plans.joined(separator: ","),
        cluster.isolationModels.map(\.shortName).joined(separator: ","),
        cluster.problem.isEmpty ? String(cluster.tenants) : "?",
        cluster.maximumTenants == 0 ? "" : String(cluster.maximumTenants), cluster.problem)
    }
    return table.lines()
  }
}

extension V1.AuditClusterResponse: Presentable {
  func lines() -> [String] {
    guard !findings.isEmpty else { return ["All is as it should be."] }
    var table = Table("WHAT", "TENANT", "REPAIRED", "DETAILS")
    for finding in findings {
      table.add(
        finding.kind.text, finding.tenant, finding.repaired ? "yes" : "no",
        finding.problem.isEmpty ? finding.details : "\(finding.details): \(finding.problem)")
    }
    return table.lines()
  }
}

extension V1.ClusterFinding.Kind {
  fileprivate var text: String {
    switch self {
    case .orphan: "orphan"
    case .missing: "missing"
    case .openLogin: "open login"
    case .closedLogin: "closed login"
    case .surplusLogin: "surplus login"
    case .strayRows: "stray rows"
    default: "\(rawValue)"
    }
  }
}

extension V1.TenantDataAccess: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Cluster", cluster)
    fields.add("Isolation", isolationModel.shortName)
    fields.add("Hosts", each: hosts)
    if categories.isEmpty { fields.add("TLS", tls ? "required" : "no") }
    fields.add("Database", database)
    fields.add("Search path", searchPath.joined(separator: ", "))
    fields.add("Tenant column", tenantIdentifier)
    fields.add("User", username)
    fields.add("Password", password)
    fields.add("Since", createTime?.text ?? "")
    if categories.isEmpty { return fields.lines() }
    var table = Table(
      "CATEGORY", "ISOLATION", "CLUSTER", "HOSTS", "TLS", "DATABASE", "SEARCH PATH",
      "TENANT COLUMN")
    for part in categories {
      table.add(
        part.category, part.isolationModel.shortName, part.cluster,
        part.hosts.joined(separator: ","), part.tls ? "required" : "no", part.database,
        part.searchPath.joined(separator: ","), part.tenantIdentifier)
    }
    return fields.lines() + [""] + table.lines()
  }
}
