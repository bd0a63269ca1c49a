import TenancyDatabase
import Foundation
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// What the embedded data plane says of data that is not as it made it.
@Suite("The embedded data plane")
struct SQLiteDataPlaneTests {
  private let directory: TemporaryDirectory
  private let tenant: Tenant

  init() throws {
    directory = try TemporaryDirectory()
    var tenant = Sample.tenant(1)
    tenant.isolationModel = .shared
    tenant.configuration.schema = nil
    tenant.configuration.database = nil
    tenant.configuration.shared = SharedConfiguration(tenantIdentifier: "t1")
    self.tenant = tenant
  }

  private var file: String { "\(directory.path)/shared.sqlite" }

  private func provisioned() throws -> SQLiteDataPlane {
    let plane = try SQLiteDataPlane(directory: directory.path)
    for step in plane.steps(for: tenant) { try plane.perform(step, for: tenant, nil) }
    #expect(try plane.missing(among: [tenant]).isEmpty)
    return plane
  }

  @Test func aRowThatIsNotThereIsLost() throws {
    let plane = try provisioned()
    try SQLiteConnection(path: file).execute("DELETE FROM tenancy_tenants")
    #expect(try plane.missing(among: [tenant])[tenant.id]?.contains("row") == true)
    try SQLiteConnection(path: file).execute("DROP TABLE tenancy_tenants")
    #expect(try plane.missing(among: [tenant]).keys.contains(tenant.id))
  }

  @Test func aFileThatIsNoDatabaseIsLost() throws {
    let plane = try provisioned()
    for suffix in ["-wal", "-shm"] { unlink(file + suffix) }
    try Data(repeating: 1, count: 8192).write(to: URL(filePath: file))
    #expect(try plane.missing(among: [tenant]).keys.contains(tenant.id))
  }

  /// Its tenants would be taken out of service for nothing.
  @Test func aFileThatCannotBeOpenedNowIsNot() throws {
    let plane = try provisioned()
    for suffix in ["", "-wal", "-shm"] { unlink(file + suffix) }
    #expect(mkdir(file, 0o700) == 0)
    #expect(throws: SQLiteError.self) { try plane.missing(among: [tenant]) }
  }

  /// Of so many, rows are not looked for one by one.
  @Test(arguments: [99, 300])
  func lostRowsAreFoundAmongMany(_ count: UInt64) throws {
    let plane = try provisioned()
    let tenants = (1...count).map { number in
      var tenant = Sample.tenant(number)
      tenant.isolationModel = .shared
      tenant.configuration.shared = SharedConfiguration(tenantIdentifier: "t\(number)")
      return tenant
    }
    let connection = try SQLiteConnection(path: file)
    try connection.execute("DELETE FROM tenancy_tenants; BEGIN")
    let insert = try connection.prepare("INSERT INTO tenancy_tenants VALUES (?, ?)")
    for tenant in tenants.reversed() {
      try insert.run([
        .text(tenant.configuration.shared?.tenantIdentifier ?? ""), .id(tenant.id),
      ])
    }
    try connection.execute("COMMIT")
    #expect(try plane.missing(among: tenants).isEmpty)
    #expect(try plane.missing(among: tenants + [tenants[0]]).isEmpty)
    try connection.execute(
      """
      DELETE FROM tenancy_tenants WHERE tenant_identifier = 't3';
      UPDATE tenancy_tenants SET tenant_identifier = 'other' WHERE tenant_identifier = 't5';
      UPDATE tenancy_tenants SET tenant_id = 'x' WHERE tenant_identifier = 't7';
      INSERT INTO tenancy_tenants VALUES ('more', 'none')
      """)
    let missing = try plane.missing(among: tenants)
    #expect(Set(missing.keys) == Set([3, 5, 7].map { Sample.id($0) }))
    #expect(missing.values.allSatisfy { $0.contains("row") })
    #expect(try plane.missing(among: [tenants[0], tenants[2]]).keys.count == 1)
    // Far more rows than tenants.
    try connection.execute("UPDATE tenancy_tenants SET rowid = 100000 WHERE tenant_id = 'none'")
    #expect(Set(try plane.missing(among: tenants).keys) == Set(missing.keys))
  }
}
