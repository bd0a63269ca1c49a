import TenancyTestSupport
import Testing

@testable import Tenancy

private let acme = Sample.id(1)
private let globex = Sample.id(2)

@Sendable private func hash(_ bytes: [UInt8]) -> [UInt8] { [UInt8](repeating: 1, count: 32) }

@Suite struct AuditCostTests {
  private func records(_ note: AuditNote) -> [StoredAuditRecord] {
    AuditBatch([note], time: Timestamp(nanoseconds: 9), hash: hash).records(after: [:])
  }

  /// As many bytes as there are.
  @Test func itIsThatOfTheRecords() {
    for (home, tenants) in [(acme, [acme]), (acme, [globex]), (acme, [acme, globex]), (nil, [])]
      as [(TenantID?, [TenantID])]
    {
      let origin = AuditOrigin(
        home: home, subject: "s", credential: .certificate, credentialID: "c0ffee",
        source: "127.0.0.1:7443 <- 127.0.0.1:3", requestID: "r")
      let entry = LogEntry(
        revision: 1, time: Timestamp(nanoseconds: 3), actor: "a", action: "tenants.update",
        tenants: tenants, changes: [])
      let stored = records(AuditNote(entry, by: origin))
      let bytes = stored.reduce(0) { $0 + $1.bytes.count + AuditCost.rowBytes }
      #expect(AuditCost.bytes(origin, action: "tenants.update", tenants: tenants) == bytes)
    }
  }

  /// A write is charged for its records, in its own chain and in others'; `usage` says so.
  @Test func itIsChargedToWhoWrites() async throws {
    func used(audited: Bool) async throws -> Int {
      let store = MemoryStore()
      var options = ControlPlane.Options()
      if audited {
        options.auditor = Auditor(store, hash: hash, limits: DenialTable.Limits())
      }
      let test = try TestPlane(store, options: options)
      try await test.put(Sample.tenant(1))
      let id = Sample.id(1)
      try await test.plane.write(
        actor: "a", action: "test", terms: WriteTerms(payer: .tenant(id))
      ) { (transaction) throws(TenancyError) -> Void in
        transaction.origin = AuditOrigin(
          home: id, subject: String(repeating: "s", count: 1000), credential: .certificate)
        transaction.emit(.deleteRole(id, id: "x"), about: id)
      }
      let record = try #require(test.plane.state.find(id))
      return try #require(
        test.plane.usage(of: record).first { $0.quota == .logBytes }
      ).used
    }
    let more = try await used(audited: true) - used(audited: false)
    #expect((1300...1500).contains(more))
  }
}
