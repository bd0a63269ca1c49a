import TenancyClient
import TenancyRPC
import TenancyWire
import Testing

/// The life of registration entries: made, read, listed by owner, deleted, and gone with their tenant.
enum WorkloadStory {
  static func run(_ client: Stubs) async throws {
    let acme = try await client.createActive("acme")
    let workloads = client.workloads
    func create(_ entry: V1.WorkloadEntry) async throws -> V1.WorkloadEntry {
      try await workloads.createWorkloadEntry(V1.CreateWorkloadEntryRequest(entry: entry))
    }
    func list(_ owner: String) async throws -> [V1.WorkloadEntry] {
      try await workloads.listWorkloadEntries(V1.ListWorkloadEntriesRequest(owner: owner)).entries
    }
    let sent = V1.WorkloadEntry(
      tenant: "tenants/acme", path: "web/frontend",
      selectors: V1.WorkloadSelectors(
        uid: 0, gid: 7, binaryPath: "/usr/bin/web", systemdUnit: "web.service", node: "n1"),
      lifetime: GoogleProtobuf.Duration(seconds: 600), hint: "internal")
    let web = try await create(sent)
    #expect(web.tenant == acme.name && web.createTime != nil)
    #expect(web.selectors == sent.selectors && web.lifetime == sent.lifetime)
    let gateway = try await create(
      V1.WorkloadEntry(path: "resolver/envoy", selectors: V1.WorkloadSelectors(uid: 9)))
    #expect(gateway.tenant.isEmpty && gateway.lifetime?.seconds == 3_600)
    let again = try await refusal { try await create(sent) }
    #expect(again.code == .alreadyExists)

    #expect(
      try await workloads.getWorkloadEntry(V1.GetWorkloadEntryRequest(name: web.name)) == web)
    #expect(try await list("") == [web, gateway])
    #expect(try await list("acme") == [web])
    #expect(try await list("platform") == [gateway])

    _ = try await workloads.deleteWorkloadEntry(V1.DeleteWorkloadEntryRequest(name: gateway.name))
    let gone = try await refusal {
      try await workloads.getWorkloadEntry(V1.GetWorkloadEntryRequest(name: gateway.name))
    }
    #expect(gone.code == .notFound)
    _ = try await client.tenants.deleteTenant(V1.DeleteTenantRequest(name: acme.name))
    #expect(try await list("").isEmpty)
  }
}
