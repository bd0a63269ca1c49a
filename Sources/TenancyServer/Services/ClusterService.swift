import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.Clusters`.
struct ClusterService: Sendable {
  let provisioner: Provisioner

  func methods(_ gate: Gate) -> [TenancyMethod] {
    [
      gate.async(V1.Clusters.listClusters) { (_, _) throws(TenancyError) in
        V1.ListClustersResponse(clusters: await provisioner.clusters().map(V1.Cluster.init))
      },
      gate.async(V1.Clusters.auditCluster) { (access, request) throws(TenancyError) in
        let findings = try await provisioner.audit(
          cluster: try Self.cluster(named: request.name), repairs: request.repair,
          actor: access.caller.subject,
          judge: try access.requireJudge().validating(only: request.validateOnly))
        return V1.AuditClusterResponse(findings: findings.map(V1.ClusterFinding.init))
      },
    ]
  }

  private static func cluster(named name: String) throws(TenancyError) -> String {
    let prefix = "clusters/"
    let text = name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
    guard PlacementSettings.isName(text) else {
      throw .invalid("name", "clusters/{name}, or the name alone")
    }
    return text
  }
}

extension V1.Cluster {
  fileprivate init(_ status: ClusterStatus) {
    let rules = status.cluster.rules
    self.init(
      name: "clusters/\(status.cluster.name)", region: rules.region, plans: rules.plans.sorted(),
      isolationModels: IsolationModel.allCases.filter(rules.models.contains)
        .map(V1.IsolationModel.init),
      maximumTenants: Int64(rules.maximumTenants ?? 0), tenants: Int64(status.tenants ?? 0),
      problem: status.problem)
  }
}

extension V1.ClusterFinding {
  fileprivate init(_ finding: ClusterFinding) {
    self.init(
      kind: Kind(finding.kind), tenant: finding.tenant.map { "tenants/\($0)" } ?? "",
      details: finding.details,
      repaired: finding.isRepaired, problem: finding.problem)
  }
}

extension V1.ClusterFinding.Kind {
  fileprivate init(_ kind: ClusterFinding.Kind) {
    switch kind {
    case .orphan: self = .orphan
    case .missing: self = .missing
    case .openLogin: self = .openLogin
    case .closedLogin: self = .closedLogin
    case .surplusLogin: self = .surplusLogin
    case .strayRows: self = .strayRows
    }
  }
}
