import TenancyDatabase
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// What the platform declares, in a file: what others have done to it, and how it gets there.
struct ConfigurationStoreTests {
  private let directory: TemporaryDirectory
  private let path: String

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.file("store.sqlite")
    let store = try SQLiteStore(path: path)
    try store.append([
      Sample.entry(
        1,
        [
          ContractConfiguration.setting("n", .integer), ContractConfiguration.plan("p"),
          ContractConfiguration.flag("f"),
        ].map(Change.putConfigurationItem))
    ])
    store.close()
  }

  private func execute(_ sql: String) throws {
    try SQLiteConnection(path: path).execute(sql)
  }

  @Test(arguments: [
    "UPDATE configuration_items SET id = 'm' WHERE id = 'n'",
    "UPDATE configuration_items SET kind = 'x'", "UPDATE configuration_items SET document = '{}'",
    "UPDATE configuration_items SET document = replace(document, '\"requests\":5', '\"requests\":0')",
    "UPDATE configuration_items SET document = replace(document, '\"rollout\":7', '\"rollout\":70000')",
    "UPDATE configuration_items SET document = replace(document, 'integer', 'bool')",
    "UPDATE configuration_items SET document = replace(document, '-1.5', '2e9')",
    "UPDATE configuration_items SET document = replace(document, 'n\"', '1\"'), id = '1' WHERE id = 'n'",
  ])
  func oneThatIsDoctoredIsNotServed(_ change: String) throws {
    try execute(change)
    let error = #expect(throws: StoreError.self) {
      let store = try SQLiteStore(path: path)
      defer { store.close() }
      _ = try store.load()
    }
    let told = error?.description ?? ""
    #expect(error?.code == .corrupt && told.contains("configuration_items"), "\(told)")
    let report = try StoreCheck.run(path: path)
    #expect(report.findings.contains { $0.description.contains("configuration_items") })
  }

  @Test func aStoreOfTheVersionBeforeGoesOn() throws {
    let before = Migrations.firstWithConfigurationItems - 1
    try execute("DROP TABLE configuration_items; PRAGMA user_version = \(before)")
    let report = try StoreCheck.run(path: path)
    #expect(report.schemaVersion == before)
    #expect(report.isSound, "\(report.findings)")
    let store = try SQLiteStore(path: path)
    defer { store.close() }
    let item = ContractConfiguration.plan("m")
    try store.append([Sample.entry(2, [.putConfigurationItem(item)])])
    #expect(try store.load().changes == [.putConfigurationItem(item)])
  }
}
