import TenancyWire
import Testing

/// What a tenant's chain tells of a change, and the platform's of that chain.
enum AuditStory {
  static func run(_ client: Stubs) async throws {
    let name = try await client.create("acme").name
    let listed = try await client.audit.listAuditRecords(V1.ListAuditRecordsRequest(parent: name))
    let first = try #require(listed.records.first)
    #expect(first.action == "tenants.create")
    #expect(first.decision == .allowed)
    #expect(name == "tenants/\(first.tenant)" && first.chain == first.tenant)
    #expect(first.revision > 0 && first.count == 1 && !first.subject.isEmpty)

    let exported = try await client.audit.exportAuditRecords(
      V1.ExportAuditRecordsRequest(parent: name))
    #expect(exported.records.map(\.sequence) == listed.records.map(\.sequence))

    let streamed = try await client.audit.streamAuditRecords(
      V1.StreamAuditRecordsRequest(parent: name)
    ) { pages in
      var records: [V1.ExportedAuditRecord] = []
      for try await page in pages {
        #expect(page.chain == exported.chain)
        records += page.records
      }
      return records
    }
    #expect(streamed == exported.records)
    let later = try await client.audit.streamAuditRecords(
      V1.StreamAuditRecordsRequest(parent: name, afterSequence: streamed.last?.sequence ?? 0)
    ) { pages in try await pages.next() }
    #expect(later == nil)

    let platform = try await client.audit.listAuditRecords(V1.ListAuditRecordsRequest())
    let heads = platform.records.flatMap(\.heads)
    #expect(heads.last?.tenant == first.tenant)
    #expect(heads.last?.sequence == exported.records.last?.sequence)
  }
}
