import Foundation
import Tenancy
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
    for step in plane.steps(for: tenant) { try plane.perform(step, for: tenant) }
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
}
