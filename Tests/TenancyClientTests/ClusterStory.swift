import TenancyWire
import Testing

/// Of a server without clusters; `test_clusters` has one.
enum ClusterStory {
  static func run(_ client: Stubs) async throws {
    let acme = try await client.createActive("acme")
    let none = try await refusal {
      try await client.data.getTenantDataAccess(V1.GetTenantDataAccessRequest(name: acme.name))
    }
    #expect(none.errorInfo?.reason == "DATA_NOT_IN_CLUSTER")
    let rotated = try await refusal {
      try await client.data.rotateTenantDataLogin(V1.RotateTenantDataLoginRequest(name: acme.name))
    }
    #expect(rotated.errorInfo?.reason == "DATA_NOT_IN_CLUSTER")
    let retired = try await refusal {
      try await client.data.retireTenantDataLogin(V1.RetireTenantDataLoginRequest(name: acme.name))
    }
    #expect(retired.errorInfo?.reason == "DATA_NOT_IN_CLUSTER")
    #expect(try await client.clusters.listClusters(V1.ListClustersRequest()).clusters == [])
    let unknown = try await refusal {
      try await client.clusters.auditCluster(V1.AuditClusterRequest(name: "clusters/one"))
    }
    #expect(unknown.code == .notFound && unknown.errorInfo?.reason == "CLUSTER_NOT_FOUND")
    let bad = try await refusal {
      try await client.clusters.auditCluster(V1.AuditClusterRequest(name: "clusters/a/b"))
    }
    #expect(bad.code == .invalidArgument)
  }
}
