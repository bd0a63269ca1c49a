import Foundation
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

@Suite struct RestoreTests {
  private let sample: SampleStore

  init() throws {
    sample = try SampleStore()
    try sample.backUp()
  }

  @Test func whatWasBackedUpIsBack() throws {
    let before = try stored(sample.path)
    let path = sample.directory.file("second.sqlite")
    let report = try sample.restore(to: path, accepts: true)
    #expect(report.replaced == nil && report.incarnation.replacedID == nil)
    let after = try stored(path)
    #expect(
      after.changes.map(StateModel.withoutVersions)
        == before.changes.map(StateModel.withoutVersions))
    #expect(after.revision == report.incarnation.firstRevision)
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    #expect(attributes[.posixPermissions] as? Int == 0o600)
    #expect(try StoreCheck.run(path: path).isSound)
  }

  /// In the platform's chain, which goes on from what the backup had.
  @Test func theRestoreIsAudited() throws {
    let path = sample.directory.file("second.sqlite")
    let former = try SQLiteStore(path: sample.path)
    let formerID = former.incarnationID
    former.close()
    let report = try sample.restore(to: path, accepts: true)
    let store = try SQLiteStore(path: path)
    defer { store.close() }
    let stored = try #require(try store.auditRecords(of: .platform, after: 0, limit: 9).last)
    guard case .event(let event) = AuditEncoding.decode(stored.bytes)?.content else {
      Issue.record("no event")
      return
    }
    #expect(event.action == "store.restore" && event.origin.subject.hasPrefix("uid:"))
    #expect(event.named == report.incarnation.id && event.named == store.incarnationID)
    #expect(event.origin.source.hasPrefix("backup of \(formerID) at revision 3, made "))
    #expect(event.revision == report.incarnation.firstRevision)
    #expect(try StoreCheck.run(path: path).isSound)
  }

  /// Etags, epochs and revisions of what is given up must never be taken for those of what comes.
  @Test func nothingOfTheFormerStoreMatchesByAccident() throws {
    let store = try SQLiteStore(path: sample.path)
    var later = Sample.tenant(1)
    later.isolationModel = .database
    later.version = 9
    later.epoch = 9
    try store.append((4...9).map { Sample.entry($0, [.putTenant(later)]) })
    let former = store.incarnation
    store.close()
    let report = try sample.restore(replaces: true, accepts: true)
    #expect(report.incarnation.inheritedRevision == 3)
    #expect(report.incarnation.firstRevision == 10)
    #expect(report.incarnation.replacedRevision == 9)
    #expect(report.incarnation.replacedID == former.id)
    #expect(report.incarnation.id != former.id)
    let restored = try SQLiteStore(path: sample.path)
    defer { restored.close() }
    let state = try restored.load()
    #expect(state.revision == 10)
    for change in state.changes {
      switch change {
      case .putTenant(let tenant): #expect(tenant.version == 10 && tenant.epoch == 10)
      case .putRole(_, let role): #expect(role.version == 10)
      default: break
      }
    }
    try restored.append([SampleStore.creation(11, 5)])
  }

  @Test func theFormerStoreIsKept() throws {
    let store = try SQLiteStore(path: sample.path)
    try store.append([SampleStore.creation(4, 4)])
    store.close()
    let report = try sample.restore(replaces: true, accepts: true)
    let aside = try #require(report.replaced)
    #expect(try stored(aside).revision == 4)
  }

  /// Also one that can't be read, after which the new revisions keep a distance that no store has gone.
  @Test func aBrokenStoreIsReplacedToo() throws {
    try Data(repeating: 0x41, count: 5000).write(to: URL(filePath: sample.path))
    let report = try sample.restore(replaces: true, accepts: true)
    #expect(report.incarnation.replacedRevision == nil)
    #expect(report.incarnation.firstRevision >= 3 + 1 + SQLiteRestore.leastDistance)
    let aside = try #require(report.replaced)
    #expect(try Data(contentsOf: URL(filePath: aside)).first == 0x41)
    #expect(try StoreCheck.run(path: sample.path).isSound)
  }

  @Test func theDistanceGrowsWithTime() {
    func first(_ former: UInt64?, _ seconds: UInt64) -> UInt64 {
      SQLiteRestore.first(after: 100, former: former, secondsSince: seconds)
    }
    #expect(first(40, 1_000) == 101)
    #expect(first(100, 1_000) == 101)
    #expect(first(4_000, 1_000) == 4_001)
    #expect(first(nil, 0) == 101 + SQLiteRestore.leastDistance)
    #expect(first(nil, 60) == first(nil, 0) + 60 * SQLiteRestore.revisionsPerSecond)
    #expect(first(nil, .max) < UInt64(Int64.max) / 2)
  }

  @Test func aStoreIsReplacedOnlyWhenAsked() throws {
    let before = try sample.files()
    expectError(.conflict) { _ = try sample.restore() }
    var after = try sample.files()
    after["tenancy.sqlite.lock"] = before["tenancy.sqlite.lock"]
    #expect(after == before)
  }

  @Test func aStoreThatIsOpenIsNotReplaced() throws {
    let store = try SQLiteStore(path: sample.path)
    defer { store.close() }
    expectError(.unavailable) { _ = try sample.restore(replaces: true) }
    try store.append([SampleStore.creation(4, 4)])
    #expect(try store.load().revision == 4)
  }

  @Test func aBackupThatIsNotWholePutsNothingInPlace() throws {
    let path = sample.directory.file("backup")
    var bytes = try Data(contentsOf: URL(filePath: path))
    bytes[5_000] ^= 1
    try bytes.write(to: URL(filePath: path))
    let before = try sample.files()
    expectError(.corrupt) { _ = try sample.restore(replaces: true) }
    #expect(try sample.files() == before)
  }

  /// A copy of a store, made by whatever other means, has nothing that tells whether it is whole.
  @Test func aPlainDatabaseIsNoBackup() throws {
    try FileManager.default.copyItem(atPath: sample.path, toPath: sample.directory.file("copy"))
    expectError(.corrupt) {
      _ = try sample.restore("copy", to: sample.directory.file("second.sqlite"))
    }
  }

  @Test func itIsServedWhenTheOperatorSaysSo() throws {
    _ = try sample.restore(replaces: true)
    for _ in 0..<2 {
      let error = #expect(throws: StoreError.self) { try SQLiteStore(path: sample.path) }
      #expect(error?.description.contains("--accept-restored") == true)
    }
    try SQLiteStore.acceptRestored(path: sample.path)
    try SQLiteStore(path: sample.path).close()
    // Nothing to accept: nothing happens.
    try SQLiteStore.acceptRestored(path: sample.path)
    try SQLiteStore.acceptRestored(path: sample.directory.file("none"))
    #expect(!FileManager.default.fileExists(atPath: sample.directory.file("none")))
    try SQLiteStore(path: sample.path).close()
  }

  /// Between the renames: the former store may be half gone by then.
  @Test func aRestoreThatWasCutShortIsFinishedFirst() throws {
    let waiting = sample.path + SQLiteRestore.waiting
    try FileManager.default.copyItem(atPath: sample.path, toPath: waiting)
    let error = #expect(throws: StoreError.self) { try SQLiteStore(path: sample.path) }
    #expect(error?.description.contains("cut short") == true)
    #expect(try !StoreCheck.run(path: sample.path).isSound)
    _ = try sample.restore(replaces: true, accepts: true)
    #expect(!FileManager.default.fileExists(atPath: waiting))
    try SQLiteStore(path: sample.path).close()
  }

  @Test func aRestoredStoreIsBackedUpAndRestoredAgain() throws {
    for _ in 0..<3 {
      let report = try sample.restore(replaces: true, accepts: true)
      #expect(report.incarnation.number == 2)
      try sample.backUp("second", replaces: true)
      let again = try sample.restore("second", replaces: true, accepts: true)
      #expect(again.incarnation.number == 3)
      #expect(again.incarnation.firstRevision > report.incarnation.firstRevision)
      #expect(try StoreCheck.run(path: sample.path).isSound)
    }
  }

  /// The gap in the log is no loss, wherever its begin is removed to.
  @Test(arguments: [1, 2, 3, 5, 8, 9, 10] as [UInt64])
  func theLogOfARestoredStoreIsCompacted(_ revision: UInt64) throws {
    let former = try SQLiteStore(path: sample.path)
    try former.append((4...7).map { SampleStore.creation($0, $0) })
    former.close()
    let report = try sample.restore(replaces: true, accepts: true)
    #expect(report.incarnation.firstRevision == 8)
    for isAgain in [false, true] {
      let store = try SQLiteStore(path: sample.path)
      defer { store.close() }
      if !isAgain { try store.append((9...10).map { SampleStore.creation($0, $0) }) }
      try store.compact(through: revision)
      #expect(try store.load().revision == 10)
      let floor = max(revision, 8)
      #expect(
        try store.entries(after: floor, limit: 9).map(\.revision) == Array((floor...10).dropFirst())
      )
      expectError(.compacted(floor: floor)) { _ = try store.entries(after: floor - 1, limit: 9) }
    }
    let check = try StoreCheck.run(path: sample.path)
    #expect(check.isSound, "\(check.findings)")
  }

  private func stored(_ path: String) throws -> StoredState {
    let store = try SQLiteStore(path: path)
    defer { store.close() }
    return try store.load()
  }
}

extension StateModel {
  /// A change but for what a restore raises.
  static func withoutVersions(_ change: Change) -> Change {
    switch change {
    case .putTenant(var tenant):
      tenant.version = 1
      tenant.epoch = 1
      tenant.tokenHorizon = nil
      return .putTenant(tenant)
    case .putRole(let id, var role):
      role.version = 1
      return .putRole(id, role)
    default: return change
    }
  }
}
