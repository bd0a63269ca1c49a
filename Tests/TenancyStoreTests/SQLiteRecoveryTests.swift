import TenancyDatabase
import Foundation
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// Damages the write-ahead log as a crash may leave it, and opens what is left.
@Suite struct SQLiteRecoveryTests {
  private let directory: TemporaryDirectory
  private static let frame = 24 + 4096
  private static let header = 32

  init() throws { directory = try TemporaryDirectory() }

  /// With padding, the log has been copied into the file and begun anew several times, and old frames
  /// lie behind the new ones.
  @Test(arguments: [(padding: 0, batches: 30), (padding: 60_000, batches: 300)])
  func aLogCutAnywhereGivesAPrefixOfTheBatches(padding: Int, batches: Int) throws {
    let crash = try crashedStore(padding: padding, batches: batches)
    let frames = (crash.log.count - Self.header) / Self.frame
    #expect(frames > 30)
    var cuts = [0, 1, Self.header - 1, Self.header, crash.log.count - 1, crash.log.count]
    var random = SeededGenerator(seed: 1)
    for number in stride(from: 0, to: frames, by: max(1, frames / 60)) {
      let start = Self.header + number * Self.frame
      cuts += [start, start + 1, start + 24, start + Self.frame - 1]
      cuts.append(start + Int.random(in: 0..<Self.frame, using: &random))
    }
    var last: UInt64 = 0
    for cut in cuts.sorted() where cut <= crash.log.count {
      let revision = try recover(crash, log: crash.log.prefix(cut))
      #expect(revision >= last, "a longer log gives less, at \(cut)")
      last = revision
    }
    #expect(last == crash.lastRevision)
  }

  @Test func aLogWithABadByteGivesAPrefixOfTheBatches() throws {
    let crash = try crashedStore(padding: 0, batches: 30)
    var random = SeededGenerator(seed: 2)
    for _ in 0..<100 {
      var log = crash.log
      log[Int.random(in: 0..<log.count, using: &random)] ^=
        1 << UInt8.random(in: 0..<8, using: &random)
      _ = try recover(crash, log: log)
    }
  }

  /// A crash before the first commit may leave an empty file, or one without tables.
  @Test func anEmptyFileIsANewStore() throws {
    let path = directory.file("empty.db")
    #expect(FileManager.default.createFile(atPath: path, contents: nil))
    #expect(try SQLiteStore(path: path, isAudited: false).load().revision == 0)
    let bare = directory.file("bare.db")
    #expect(FileManager.default.createFile(atPath: bare, contents: nil))
    #expect(try SQLiteConnection(path: bare).text("PRAGMA journal_mode = WAL") == "wal")
    #expect(try SQLiteStore(path: bare, isAudited: false).load().revision == 0)
  }

  /// The files as a killed process leaves them, and the states after each batch.
  private struct Crash {
    let database, log: Data
    let states: [UInt64: StateModel]
    let lastRevision: UInt64
  }

  private func crashedStore(padding: Int, batches: Int) throws -> Crash {
    let path = directory.file("live.db")
    let store = try SQLiteStore(path: path, isAudited: false)
    defer { store.close() }
    var random = SeededGenerator(seed: 3)
    var history = RandomHistory()
    history.padding = padding
    var states = [UInt64(0): StateModel()]
    // What was copied into the file is in a log that is whole: only one of which nothing was copied can be cut.
    var count = 0
    while try count < batches || isCopied(logOf: path) {
      try store.append(history.nextBatch(using: &random))
      states[history.state.revision] = history.state
      count += 1
    }
    return Crash(
      database: try Data(contentsOf: URL(filePath: path)),
      log: try Data(contentsOf: URL(filePath: path + "-wal")), states: states,
      lastRevision: history.state.revision)
  }

  /// Whether frames of the log were copied into the file (`nBackfill`: SQLite, "WAL-mode File Format", 2.2).
  private func isCopied(logOf path: String) throws -> Bool {
    let index = try Data(contentsOf: URL(filePath: path + "-shm"))
    return index.dropFirst(96).prefix(4).contains { $0 != 0 }
  }

  /// Opens a copy with the given log, checks that it holds a prefix and works, and returns how much.
  private func recover(_ crash: Crash, log: Data) throws -> UInt64 {
    let path = directory.file("copy.db")
    try crash.database.write(to: URL(filePath: path))
    try log.write(to: URL(filePath: path + "-wal"))
    let store = try SQLiteStore(path: path, isAudited: false)
    defer { store.close() }
    let state = try loadedState(store)
    #expect(state == crash.states[state.revision], "not a prefix at \(log.count)")
    try store.append([Sample.entry(state.revision + 1, [])])
    return state.revision
  }
}
