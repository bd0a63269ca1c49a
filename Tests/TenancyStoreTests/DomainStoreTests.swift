import TenancyDatabase
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// Domains in a file: what others have done to them, and how they get there.
struct DomainStoreTests {
  private let directory: TemporaryDirectory
  private let path: String

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.file("store.sqlite")
    let store = try SQLiteStore(path: path)
    var changes: [Change] = []
    for number in 1...2 as ClosedRange<UInt64> {
      var tenant = Sample.tenant(number)
      // Of which nothing else is needed, so that the row is sound.
      tenant.isolationModel = .database
      changes += [
        .putTenant(tenant), .reserveName(ReservedName(.slug, tenant.slug.text), tenant.id),
      ]
    }
    changes.append(.putDomain(ContractDomains.domain("a.net", of: Sample.id(1), by: .dns)))
    changes.append(.putDomain(ContractDomains.domain("a.net", of: Sample.id(2))))
    try store.append([Sample.entry(1, changes)])
    store.close()
  }

  private func execute(_ sql: String) throws {
    try SQLiteConnection(path: path).execute(sql)
  }

  /// Who serves it would answer for a tenant that has shown nothing.
  @Test(arguments: [
    "UPDATE tenant_domains SET verify_time = 1, method = 'http'",
    "UPDATE tenant_domains SET method = NULL", "UPDATE tenant_domains SET method = 'mail'",
    "UPDATE tenant_domains SET method = 'dns'", "UPDATE tenant_domains SET name = 'A.net'",
    "UPDATE tenant_domains SET name = 'localhost'", "UPDATE tenant_domains SET proof = ''",
    "UPDATE tenant_domains SET token = 'x'",
    "UPDATE tenant_domains SET tenant_id = '\(Sample.id(9))' WHERE verify_time IS NULL",
  ])
  func oneThatIsDoctoredIsNotServed(_ change: String) throws {
    try execute("PRAGMA foreign_keys = OFF; DROP INDEX verified_domains; \(change)")
    let error = #expect(throws: StoreError.self) {
      let store = try SQLiteStore(path: path)
      defer { store.close() }
      _ = try store.load()
    }
    let told = error?.description ?? ""
    #expect(error?.code == .corrupt && told.contains("tenant_domains"), "\(told)")
    let report = try StoreCheck.run(path: path)
    #expect(report.findings.contains { $0.description.contains("tenant_domains") })
  }

  @Test func aStoreOfTheVersionBeforeGoesOn() throws {
    let before = Migrations.firstWithDomains - 1
    try execute("DROP TABLE tenant_domains; PRAGMA user_version = \(before)")
    let report = try StoreCheck.run(path: path)
    #expect(report.schemaVersion == before)
    #expect(report.isSound, "\(report.findings)")
    let store = try SQLiteStore(path: path)
    defer { store.close() }
    let domain = ContractDomains.domain("b.net", of: Sample.id(1), by: .http)
    try store.append([Sample.entry(2, [.putDomain(domain)])])
    #expect(try ControlState(store.load()).domains.holder(of: domain.name) == domain)
  }
}
