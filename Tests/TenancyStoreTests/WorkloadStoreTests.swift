import TenancyDatabase
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// Registration entries in a file: what others have done to them, and how they get there.
struct WorkloadStoreTests {
  private let directory: TemporaryDirectory
  private let path: String
  private let tenant: Tenant = {
    var tenant = Sample.tenant(1)
    // Of which nothing else is needed, so that the row is sound.
    tenant.isolationModel = .database
    return tenant
  }()

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.file("store.sqlite")
    let store = try SQLiteStore(path: path)
    let entry = ContractWorkloads.entry(2, tenant: tenant.id, .init(userID: 7, groupID: 8))
    try store.append([
      Sample.entry(
        1,
        [
          .putTenant(tenant), .reserveName(ReservedName(.slug, tenant.slug.text), tenant.id),
          .putWorkloadEntry(entry),
        ])
    ])
    store.close()
  }

  private func execute(_ sql: String) throws {
    try SQLiteConnection(path: path).execute(sql)
  }

  /// Who reads less than was registered gives the identity to those who were not meant.
  @Test(arguments: [
    #"selectors = '{}'"#, #"selectors = '{"gid":8}'"#, #"selectors = '{"uid":-1}'"#,
    #"selectors = '{"uid":4294967295}'"#, #"selectors = '{"uid":65534}'"#,
    #"selectors = '{"uid":7,"systemdUnit":""}'"#, #"selectors = '{"binaryPath":"bin/x"}'"#,
    #"selectors = '{"binaryPath":"/bin/../x"}'"#, "selectors = 'null'", "lifetime = 0",
    "lifetime = 86401", "path = ''", "path = '../x'", "path = 'a//b'", "hint = char(10)",
    "id = 'x'", "tenant_id = NULL, path = 'a/b/c'",
    "tenant_id = '\(Sample.id(9))'",
  ])
  func oneThatIsDoctoredIsNotServed(_ change: String) throws {
    try execute("PRAGMA foreign_keys = OFF; UPDATE workload_entries SET \(change)")
    let error = #expect(throws: StoreError.self) {
      let store = try SQLiteStore(path: path)
      defer { store.close() }
      _ = try store.load()
    }
    let told = error?.description ?? ""
    #expect(error?.code == .corrupt && told.contains("workload_entries"), "\(told)")
    let report = try StoreCheck.run(path: path)
    #expect(report.findings.contains { $0.description.contains("workload_entries") })
  }

  @Test func aStoreOfTheVersionBeforeGoesOn() throws {
    let before = Migrations.firstWithWorkloads - 1
    try execute("DROP TABLE workload_entries; PRAGMA user_version = \(before)")
    let report = try StoreCheck.run(path: path)
    #expect(report.schemaVersion == before)
    #expect(report.isSound, "\(report.findings)")
    let store = try SQLiteStore(path: path)
    defer { store.close() }
    let entry = ContractWorkloads.entry(3, tenant: tenant.id, .init(userID: 9))
    try store.append([Sample.entry(2, [.putWorkloadEntry(entry)])])
    #expect(try ControlState(store.load()).workloads.find(entry.id) == entry)
  }
}
