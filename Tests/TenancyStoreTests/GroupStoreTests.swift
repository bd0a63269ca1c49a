import TenancyDatabase
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// Groups in a file: how they get there, and what is found in it.
struct GroupStoreTests {
  private let directory: TemporaryDirectory
  private let path: String

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.file("store.sqlite")
  }

  private func make(_ changes: [Change]) throws {
    var tenant = Sample.tenant(1)
    // Of which nothing else is needed, so that the row is sound.
    tenant.isolationModel = .database
    let all = [
      Change.putTenant(tenant), .reserveName(ReservedName(.slug, tenant.slug.text), tenant.id),
    ]
    let store = try SQLiteStore(path: path)
    defer { store.close() }
    try store.append([Sample.entry(1, all + changes)])
  }

  @Test func aStoreOfTheVersionBeforeGoesOn() throws {
    try make([])
    let before = Migrations.firstWithGroups - 1
    try SQLiteConnection(path: path).execute(
      "DROP TABLE groups; DROP TABLE group_members; PRAGMA user_version = \(before)")
    let report = try StoreCheck.run(path: path)
    #expect(report.schemaVersion == before)
    #expect(report.isSound, "\(report.findings)")
    let store = try SQLiteStore(path: path)
    defer { store.close() }
    let id = Sample.id(1)
    try store.append([
      Sample.entry(
        2,
        [
          .putGroup(id, Sample.group("eng")),
          .putGroupMember(id, Sample.member(Sample.id(5).description)),
        ])
    ])
    let policy = try #require(try ControlState(store.load()).find(id)?.policy)
    #expect(policy.group("eng") == Sample.group("eng") && policy.groupMemberCount == 1)
  }

  @Test func aCheckFindsWhatIsWrong() throws {
    let id = Sample.id(1)
    let members = [("eng", "group:all"), ("all", "group:eng")].enumerated().map { at, member in
      Change.putGroupMember(
        id, Sample.member(Sample.id(UInt64(5 + at)).description, member.1, of: member.0))
    }
    try make(["eng", "all"].map { .putGroup(id, Sample.group($0)) } + members)
    let report = try StoreCheck.run(path: path)
    let found = report.findings.map(\.description)
    #expect(found.count == 1 && found.first?.contains("contains itself") == true, "\(found)")
  }
}
