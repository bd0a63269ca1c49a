import TenancyDatabase
import Foundation
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// A store in a directory of its own, and what commands make in it.
final class SampleStore {
  let directory: TemporaryDirectory
  let path: String

  /// Three revisions: two tenants, a role, two assignments.
  init() throws {
    directory = try TemporaryDirectory()
    path = directory.file("tenancy.sqlite")
    let store = try SQLiteStore(path: path)
    defer { store.close() }
    var role = Sample.role("clerk")
    role.permissions = ["a:b"]
    try store.append([
      Self.creation(1, 1), Self.creation(2, 2),
      Sample.entry(
        3,
        [
          .putRole(Sample.id(1), role),
          .putAssignment(Sample.id(1), Self.assignment(7)),
          .putAssignment(Sample.id(1), Self.assignment(8)),
        ]),
    ])
  }

  /// The making of a tenant, with the name that it needs.
  static func creation(_ revision: UInt64, _ number: UInt64) -> LogEntry {
    var tenant = Sample.tenant(number)
    tenant.isolationModel = .database
    return Sample.entry(
      revision,
      [
        .putTenant(tenant), .reserveName(ReservedName(.slug, tenant.slug.text), tenant.id),
      ])
  }

  private static func assignment(_ number: UInt64) -> RoleAssignment {
    RoleAssignment(
      id: Sample.id(number).description, subject: "user:1", role: "clerk",
      createTime: Timestamp(nanoseconds: 1), expireTime: nil)
  }

  /// Runs SQL behind the store's back.
  func execute(_ sql: String) throws {
    let connection = try SQLiteConnection(path: path)
    try connection.execute("PRAGMA foreign_keys = OFF")
    try connection.execute(sql)
  }

  @discardableResult
  func backUp(_ name: String = "backup", replaces: Bool = false) throws -> BackupFile {
    try SQLiteBackup(of: path, to: directory.file(name), replaces: replaces).run()
  }

  func restore(
    _ name: String = "backup", to store: String? = nil, replaces: Bool = false,
    accepts: Bool = false
  ) throws -> SQLiteRestore.Report {
    try SQLiteRestore(
      from: directory.file(name), to: store ?? path, replaces: replaces, accepts: accepts
    ).run()
  }

  /// Names, sizes and contents of all files.
  func files() throws -> [String: Data] {
    let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
    return Dictionary(
      uniqueKeysWithValues: try names.map {
        ($0, try Data(contentsOf: URL(filePath: directory.file($0))))
      })
  }
}
