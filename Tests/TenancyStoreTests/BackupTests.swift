import TenancyDatabase
import Foundation
import Synchronization
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

@Suite struct BackupTests {
  private let sample: SampleStore

  init() throws { sample = try SampleStore() }

  @Test func itTellsWhatItHolds() throws {
    let made = try sample.backUp()
    let counts = made.manifest.counts
    #expect(made.manifest.revision == 3)
    #expect(counts.tenants == 2 && counts.roles == 1)
    #expect(counts.assignments == 2 && counts.logEntries == 3)
    #expect(made.manifest.schemaVersion == Migrations.latest)
    let store = try SQLiteStore(path: sample.path)
    defer { store.close() }
    #expect(made.manifest.incarnation?.id == store.incarnation.id)
    let verified = try BackupFile.verify(sample.directory.file("backup"))
    #expect(verified == made)
    let attributes = try FileManager.default.attributesOfItem(atPath: made.path)
    #expect(attributes[.posixPermissions] as? Int == 0o600)
  }

  /// SQLite itself, which knows nothing of what stands behind the last page, reads it too.
  @Test func itIsADatabase() throws {
    let made = try sample.backUp()
    let connection = try SQLiteConnection(reading: made.path, isStill: false)
    #expect(try connection.text("PRAGMA integrity_check") == "ok")
    #expect(try connection.integer("SELECT count(*) FROM tenants") == 2)
  }

  @Test func aClosedStoreIsLeftAsItWas() throws {
    let before = try sample.files()
    try sample.backUp()
    var after = try sample.files()
    after["backup"] = nil
    #expect(after == before)
  }

  /// While it is copied, it is written to. What is copied is one moment, no earlier than the start.
  @Test func aLiveStoreIsCopiedAsOfOneMoment() throws {
    let store = try SQLiteStore(path: sample.path)
    defer { store.close() }
    // Large enough for several portions.
    var padded = Sample.tenant(3)
    padded.isolationModel = .database
    padded.configuration.customSettings = [
      "padding": .string(String(repeating: "x", count: 4 << 20))
    ]
    try store.append([
      Sample.entry(
        4,
        [
          .putTenant(padded), .reserveName(ReservedName(.slug, padded.slug.text), padded.id),
        ])
    ])
    var next: UInt64 = 5
    var failures: [any Error] = []
    let backup = SQLiteBackup(
      of: sample.path, to: sample.directory.file("backup"), replaces: false
    ) { _, _ in
      // On the same thread as the copying: between two portions of it.
      do {
        try store.append([SampleStore.creation(next, next)])
        next += 1
      } catch { failures.append(error) }
    }
    let made = try backup.run()
    #expect(failures.isEmpty)
    #expect(next > 7, "it was copied in one portion")
    #expect(made.manifest.revision == 4)
    #expect(made.manifest.counts.tenants == 3)
    #expect(try store.load().revision == next - 1)
  }

  /// A server that was killed leaves its last writes in the log alone.
  @Test func whatAKilledServerLeftIsInIt() throws {
    let store = try SQLiteStore(path: sample.path)
    try store.append([SampleStore.creation(4, 4)])
    let other = try TemporaryDirectory()
    for (suffix, isKept) in [("", true), ("-wal", true), ("-shm", false)] where isKept {
      try FileManager.default.copyItem(
        atPath: sample.path + suffix, toPath: other.file("tenancy.sqlite") + suffix)
    }
    store.close()
    let path = other.file("tenancy.sqlite")
    #expect(try StoreCheck.run(path: path).revision == 4)
    #expect(!FileManager.default.fileExists(atPath: path + "-shm"))
    let made = try SQLiteBackup(of: path, to: other.file("backup"), replaces: false).run()
    #expect(made.manifest.revision == 4)
  }

  @Test func aFileThatIsThereIsReplacedOnlyWhenAsked() throws {
    let path = sample.directory.file("backup")
    try Data("precious".utf8).write(to: URL(filePath: path))
    expectError(.conflict) {
      _ = try SQLiteBackup(of: sample.path, to: path, replaces: false).run()
    }
    #expect(try Data(contentsOf: URL(filePath: path)) == Data("precious".utf8))
    try sample.backUp(replaces: true)
    #expect(try BackupFile.verify(path).manifest.revision == 3)
  }

  @Test(arguments: ["tenancy.sqlite", "tenancy.sqlite-wal", "tenancy.sqlite.lock"])
  func theStoreItselfIsNoTarget(_ name: String) throws {
    let before = try sample.files()
    let path = sample.directory.file(name)
    expectError(.unavailable) {
      _ = try SQLiteBackup(of: sample.path, to: path, replaces: true).run()
    }
    #expect(try sample.files() == before)
  }

  @Test func whatIsNoStoreIsNotCopied() throws {
    let target = sample.directory.file("backup")
    func fails(_ code: StoreError.Code, _ store: String, to target: String) {
      expectError(code) { _ = try SQLiteBackup(of: store, to: target, replaces: false).run() }
    }
    fails(.unavailable, sample.directory.file("none"), to: target)
    fails(.unavailable, sample.path, to: sample.directory.file("none/backup"))
    let odd = sample.directory.file("odd")
    try Data(repeating: 0x41, count: 5000).write(to: URL(filePath: odd))
    fails(.corrupt, odd, to: target)
    try Data().write(to: URL(filePath: odd))
    fails(.unavailable, odd, to: target)
    try sample.execute("UPDATE tenants SET state = 'odd'")
    fails(.corrupt, sample.path, to: target)
    let names = try sample.files().keys.filter { $0.hasPrefix("backup") }
    #expect(names.isEmpty)
  }

  /// Each byte that is another is found, wherever it is.
  @Test func aFlippedBitIsFound() throws {
    let path = try sample.backUp().path
    let good = try Data(contentsOf: URL(filePath: path))
    var random = SeededGenerator(seed: 4)
    var places = (0..<100).map { _ in Int.random(in: 0..<good.count, using: &random) }
    places += [0, 18, 100, good.count - 1, good.count - 2, good.count - 65, good.count - 66]
    places += (0..<60).map { good.count - 67 - $0 * 5 }
    for place in places {
      var bad = good
      bad[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      try bad.write(to: URL(filePath: path))
      #expect(throws: StoreError.self, "at \(place)") { _ = try BackupFile.verify(path) }
    }
  }

  @Test func aPartIsFound() throws {
    let path = try sample.backUp().path
    let good = try Data(contentsOf: URL(filePath: path))
    for count in [0, 1, 64, 65, 4096, good.count / 2, good.count - 66, good.count - 1] {
      try good.prefix(count).write(to: URL(filePath: path))
      #expect(throws: StoreError.self, "\(count)") { _ = try BackupFile.verify(path) }
    }
    try (good + Data("\n".utf8)).write(to: URL(filePath: path))
    expectError(.corrupt) { _ = try BackupFile.verify(path) }
  }

  /// A manifest that does not tell the truth of what is before it.
  @Test(arguments: [
    (#""revision":3"#, #""revision":4"#), (#""tenants":2"#, #""tenants":3"#),
    (#""assignments":2"#, #""assignments":1"#), (#""logEntries":3"#, #""logEntries":9"#),
    (#""schemaVersion":"#, #""schemaVersion":1"#), (#""format":1"#, #""format":2"#),
  ])
  func aManifestOfAnotherIsFound(_ text: String, _ other: String) throws {
    let path = try sample.backUp().path
    let bytes = try Data(contentsOf: URL(filePath: path))
    let start = try #require(bytes.range(of: Data(text.utf8), options: .backwards))
    var doctored = bytes.dropLast(65)
    doctored.replaceSubrange(start, with: Data(other.utf8))
    try doctored.write(to: URL(filePath: path))
    let digest = try FileBytes(path).digest(upTo: UInt64(doctored.count))
    try (doctored + Data("\(digest)\n".utf8)).write(to: URL(filePath: path))
    expectError(.corrupt) { _ = try BackupFile.verify(path) }
  }

  /// A copy put in place by hand would answer as the store, of an earlier moment.
  @Test func aBackupIsNotServed() throws {
    try sample.backUp()
    let error = #expect(throws: StoreError.self) {
      try SQLiteStore(path: sample.directory.file("backup"))
    }
    #expect(error?.description.contains("tenantctl restore") == true)
    #expect(throws: StoreError.self) {
      try SQLiteStore.acceptRestored(path: sample.directory.file("backup"))
      _ = try SQLiteStore(path: sample.directory.file("backup"))
    }
  }

  /// Issuers elsewhere know of no epochs: what they have issued by now is void, and nothing else is lost.
  @Test func aRestoreMovesWhatTokensOfOthersAreJudgedBy() throws {
    let store = try SQLiteStore(path: sample.path)
    var (plain, trusting) = (Sample.tenant(5), Sample.tenant(7))
    trusting.authentication = SampleSettings.all()
    trusting.tokenHorizon = Timestamp(nanoseconds: 7)
    (plain.isolationModel, trusting.isolationModel) = (.database, .database)
    try store.append([
      Sample.entry(
        4,
        [plain, trusting].flatMap { tenant in
          [
            .putTenant(tenant), .reserveName(ReservedName(.slug, tenant.slug.text), tenant.id),
          ]
        })
    ])
    store.close()
    try sample.backUp()
    let path = sample.directory.file("second.sqlite")
    let report = try sample.restore(to: path, accepts: true)
    let restored = try SQLiteStore(path: path)
    defer { restored.close() }
    let state = try ControlState(restored.load())
    let revision = report.incarnation.firstRevision
    for tenant in [plain, trusting] {
      let found = try #require(state.find(tenant.id)?.tenant)
      #expect(
        found.tokenHorizon.map { $0 > Timestamp(nanoseconds: 1_600_000_000 * 1_000_000_000) }
          == true)
      #expect(found.epoch == revision)
      var expected = tenant.authentication
      if !expected.isDefault { expected.version = revision }
      #expect(found.authentication == expected && found.tokenKeys == tenant.tokenKeys)
    }
    #expect(try StoreCheck.run(path: path).isSound)
  }

  @Test func keysStayWhereAHorizonIsAdded() throws {
    let connection = try SQLiteConnection(path: sample.path)
    try connection.execute(#"UPDATE tenants SET token_keys = '[{"a":1}]'"#)
    try SQLiteRestore.moveHorizons(connection, to: 5, .counter(6))
    let text = try connection.text("SELECT token_keys FROM tenants")
    #expect(text == #"{"horizon":5,"keys":[{"a":1}]}"#)
  }

  /// Clusters may have gone on since the backup was made.
  @Test func loginsAreNeitherOpenNorClosedAfterARestore() throws {
    let connection = try SQLiteConnection(path: sample.path)
    for (before, after) in [
      (#"{"dataLogin":{"number":1}}"#, "CHANGING"),
      (#"{"dataLogin":{"number":1,"standing":"CLOSED"}}"#, "CHANGING"), (#"{"keys":[]}"#, ""),
    ] {
      try connection.execute("UPDATE tenants SET token_keys = '\(before)'")
      try SQLiteRestore.moveHorizons(connection, to: 5, .counter(6))
      let standing = try connection.text(
        "SELECT coalesce(json_extract(token_keys, '$.dataLogin.standing'), '') FROM tenants")
      #expect(standing == after)
    }
  }

  /// Before the new program migrates a store, it is backed up by it.
  @Test func aStoreOfTheVersionBeforeIsCopiedToo() throws {
    let before = Migrations.firstWithTokens - 1
    try sample.execute(
      "DROP TABLE incarnations; DROP TABLE workload_entries; DROP TABLE tenant_domains;"
        + "PRAGMA user_version = \(before)")
    let made = try sample.backUp()
    #expect(made.manifest.schemaVersion == before && made.manifest.incarnation == nil)
    let path = sample.directory.file("second.sqlite")
    let report = try sample.restore(to: path, accepts: true)
    #expect(report.incarnation.number == 2)
    let store = try SQLiteStore(path: path)
    defer { store.close() }
    #expect(store.incarnation.id == report.incarnation.id)
    #expect(try StoreCheck.run(path: path).isSound)
  }
}
