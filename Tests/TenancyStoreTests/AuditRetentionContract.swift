import TenancyDatabase
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// What `AuditedStore` promises of the removal of records, through the protocol only.
enum AuditRetentionContract {
  private static let one = AuditChain.tenant(Sample.id(1))
  private static let two = AuditChain.tenant(Sample.id(2))
  private static let chains = [one, two, .platform]

  /// Each record of a time of its own, in seconds.
  static func add(
    _ times: some Sequence<Int64>, to chains: [AuditChain], in store: any AuditedStore
  ) throws {
    for time in times {
      let note = AuditedStoreContract.note(time * 1_000_000_000, chains)
      try store.append([], audit: AuditedStoreContract.batch([note]))
    }
  }

  static func due(
    _ store: any AuditedStore, before seconds: Int64? = nil, longerThan length: UInt64? = nil,
    platformThan platform: UInt64 = 0
  ) throws -> [AuditChain: UInt64] {
    let length = length.map { AuditLength(tenants: $0, platform: platform) }
    let moment = seconds.map { Timestamp(nanoseconds: $0 * 1_000_000_000) }
    let found = try store.dueAuditBegins(before: moment, longerThan: length, limit: 100)
    #expect(Set(found.map(\.chain)).count == found.count)
    return Dictionary(uniqueKeysWithValues: found.map { ($0.chain, $0.floor.sequence) })
  }

  private static func head(
    _ sequence: UInt64, of chain: AuditChain, in store: any AuditedStore
  ) throws -> AuditHead {
    let record = try #require(
      try store.auditRecords(of: chain, after: sequence - 1, limit: 1).first)
    return AuditHead(sequence: record.sequence, hash: record.hash)
  }

  /// Removes the records up to one.
  static func trim(
    _ chain: AuditChain, after floor: AuditHead = .start, through sequence: UInt64,
    in store: any AuditedStore
  ) throws -> AuditTrim {
    AuditTrim(
      AuditBegin(chain: chain, floor: floor), through: try head(sequence, of: chain, in: store),
      oldestTime: Timestamp(nanoseconds: Int64(sequence + 1) * 1_000_000_000),
      last: try store.auditHead(of: chain)?.sequence ?? 0)
  }

  static func check(_ open: AuditedStoreContract.Open) throws {
    let store = try open()
    try add(1...20, to: [one, two], in: store)
    try add(21...40, to: [one], in: store)
    try checkDue(store)
    let before = try AuditedStoreContract.all(one, in: store)
    let first = try trim(one, through: 10, in: store)
    try store.trimAudit([first, try trim(two, through: 4, in: store)], nil)
    try expect(one, 11...40, Array(before.dropFirst(10)), in: store)
    try expect(two, 5...20, in: store)
    // A page from before the begin goes on there.
    #expect(try store.auditRecords(of: one, after: 3, limit: 2).map(\.sequence) == [11, 12])
    try checkRefusals(store, first)
    try checkEnds(store)
    store.close()

    let again = try open()
    defer { again.close() }
    #expect(try due(again, longerThan: 1)[one] == 10)
    try again.trimAudit(
      [try trim(one, after: try #require(first.through), through: 39, in: again)], nil)
    try add([41], to: [one], in: again)
    try expect(one, 40...41, in: again)
    #expect(try again.auditHead(of: one)?.sequence == 41)
    try checkLease(again)
  }

  private static func expect(
    _ chain: AuditChain, _ sequences: ClosedRange<UInt64>, _ records: [StoredAuditRecord]? = nil,
    in store: any AuditedStore
  ) throws {
    let found = try AuditedStoreContract.all(chain, in: store)
    #expect(found.map(\.sequence) == Array(sequences))
    if let records { #expect(found == records) }
    for (record, next) in zip(found, found.dropFirst()) {
      let input = AuditEncoding.hashInput(next.bytes, after: record.hash)
      #expect(AuditedStoreContract.hash(input) == next.hash)
    }
  }

  /// Notes of what time the oldest record is.
  private static func lookAt(_ chains: [AuditChain], in store: any AuditedStore) throws {
    let looked = chains.map {
      AuditTrim(
        AuditBegin(chain: $0, floor: .start), through: nil,
        oldestTime: Timestamp(nanoseconds: 1_000_000_000), last: 1)
    }
    try store.trimAudit(looked, nil)
  }

  private static func checkDue(_ store: any AuditedStore) throws {
    try lookAt([one, two], in: store)
    #expect(Set(try due(store, before: 1).keys).isDisjoint(with: [one, two]))
    #expect(Set(try due(store, before: 2).keys).isSuperset(of: [one, two]))
    #expect(try due(store, longerThan: 40)[one] == nil)
    #expect(try due(store, longerThan: 25)[one] == 0)
    #expect(try due(store, longerThan: 20)[two] == nil)
    #expect(try due(store) == [:])
    let length = AuditLength(tenants: 1, platform: 0)
    #expect(
      try store.dueAuditBegins(before: nil, longerThan: length, limit: 1).count == 1)
    // The platform's chain has 40 records, and as many as it may have.
    #expect(try due(store, longerThan: 5)[.platform] == 0)
    #expect(Set(try due(store, longerThan: 5, platformThan: 40).keys) == [one, two])
    #expect(try due(store, before: 2, longerThan: 5, platformThan: 40)[.platform] == 0)
  }

  /// All or nothing.
  private static func checkRefusals(_ store: any AuditedStore, _ done: AuditTrim) throws {
    let begin = AuditBegin(chain: two, floor: try #require(try head(of: two, in: store)))
    let fine = AuditTrim(
      begin, through: try head(6, of: two, in: store), oldestTime: Timestamp(nanoseconds: 1),
      last: 20)
    let floor = try #require(done.through)
    let other = AuditHead(sequence: 12, hash: floor.hash)
    let last = try #require(try store.auditHead(of: one))
    let beyond = AuditHead(sequence: 99, hash: last.hash)
    for through in [other, last, beyond] {
      let bad = AuditTrim(
        AuditBegin(chain: one, floor: floor), through: through,
        oldestTime: Timestamp(nanoseconds: 1), last: 40)
      expectError(.conflict) { try store.trimAudit([fine, bad], nil) }
    }
    // It was done already.
    expectError(.conflict) { try store.trimAudit([fine, done], nil) }
    try expect(one, 11...40, in: store)
    try expect(two, 5...20, in: store)
  }

  /// The floor of a chain of which some was removed.
  private static func head(of chain: AuditChain, in store: any AuditedStore) throws -> AuditHead? {
    try store.dueAuditBegins(
      before: nil, longerThan: AuditLength(tenants: 0, platform: 0), limit: 100
    )
    .first { $0.chain == chain }?.floor
  }

  private static func checkEnds(_ store: any AuditedStore) throws {
    let names = chains.sorted { "\($0)" < "\($1)" }
    let all = try store.auditEnds(after: nil, limit: 10)
    #expect(all.map(\.chain) == names)
    for end in all { #expect(try store.auditHead(of: end.chain) == end.head) }
    #expect(try store.auditEnds(after: names[0], limit: 1).map(\.chain) == [names[1]])
    #expect(try store.auditEnds(after: names[2], limit: 1) == [])
    // One that has just begun.
    let new = AuditChain.tenant(Sample.id(3))
    try add([1], to: [new], in: store)
    let end = try #require(try store.auditEnds(after: two, limit: 1).first)
    #expect(try end.chain == new && store.auditHead(of: new) == end.head)
  }

  /// Whoever has lost the lease removes nothing.
  private static func checkLease(_ store: any AuditedStore) throws {
    func take(_ revision: UInt64, _ holder: String, _ duration: Duration) throws {
      let entry = LogEntry(
        revision: revision, time: Timestamp(nanoseconds: 1), actor: "system", action: "take",
        tenants: [], changes: [],
        lease: .take(name: "l", holder: holder, lasting: duration))
      try store.append([entry])
    }
    try take(1, "a", .zero)
    try take(2, "b", .seconds(60))
    let begin = try #require(try head(of: two, in: store))
    let trim = try trim(two, after: begin, through: 6, in: store)
    let lost = LeaseHold(Lease(name: "l", fencingNumber: 1), lasting: .seconds(1))
    expectError(.leaseLost) { try store.trimAudit([trim], lost) }
    try expect(two, 5...20, in: store)
    let held = LeaseHold(Lease(name: "l", fencingNumber: 2), lasting: .seconds(60))
    try store.trimAudit([trim], held)
    try expect(two, 7...20, in: store)
  }
}

@Suite struct AuditRetentionTests {
  @Test func theStoreInMemoryKeepsItsPromises() throws {
    let disk = MemoryLog()
    try AuditRetentionContract.check { MemoryStore(disk) }
  }

  @Test func sqliteKeepsItsPromises() throws {
    let directory = try TemporaryDirectory()
    try AuditRetentionContract.check {
      try SQLiteStore(path: directory.file("control.db"), isAudited: false)
    }
  }

  /// Nor is there a need for a row of a chain of one record, which stays.
  @Test func aWriteNotesOnlyWhatIsNeeded() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("control.db")
    let store = try SQLiteStore(path: path, isAudited: false)
    defer { store.close() }
    let chain = AuditChain.tenant(Sample.id(1))
    let rows = "SELECT coalesce(sum(latest), 0) FROM audit_chains WHERE chain = '\(chain)'"
    var noted: [Int64] = []
    let connection = try SQLiteConnection(path: path)
    for time in Int64(1)...34 {
      try AuditRetentionContract.add([time], to: [chain], in: store)
      noted.append(try connection.integer(rows))
    }
    #expect(
      noted == [0] + Array(repeating: 2, count: 14) + Array(repeating: 16, count: 16) + [
        32, 32, 32,
      ])
    // More than one in the first transaction.
    let other = AuditChain.tenant(Sample.id(2))
    let notes = (1...2).map { AuditedStoreContract.note($0, [other]) }
    try store.append([], audit: AuditedStoreContract.batch(notes))
    #expect(try AuditRetentionContract.due(store, before: 100)[other] == 0)
  }

  /// A chain of which only the last is left costs nothing until there are more, which then are found at once.
  @Test func whatIsLeftAloneIsNotLookedAtAgain() throws {
    let directory = try TemporaryDirectory()
    let store = try SQLiteStore(path: directory.file("control.db"), isAudited: false)
    defer { store.close() }
    let chain = AuditChain.tenant(Sample.id(1))
    try AuditRetentionContract.add(1...2, to: [chain], in: store)
    let trim = try AuditRetentionContract.trim(chain, through: 1, in: store)
    try store.trimAudit([trim], nil)
    #expect(try AuditRetentionContract.due(store, before: 100)[chain] == 1)
    let begin = AuditBegin(chain: chain, floor: try #require(trim.through))
    let alone = AuditTrim(begin, through: nil, oldestTime: nil, last: 2)
    try store.trimAudit([alone], nil)
    #expect(try AuditRetentionContract.due(store, before: 100)[chain] == nil)
    try AuditRetentionContract.add([3], to: [chain], in: store)
    #expect(try AuditRetentionContract.due(store, before: 100)[chain] == 1)
    // What was found out before another record came is no news.
    try store.trimAudit([alone], nil)
    #expect(try AuditRetentionContract.due(store, before: 100)[chain] == 1)
    let looked = AuditTrim(
      begin, through: nil, oldestTime: Timestamp(nanoseconds: 2_000_000_000), last: 3)
    try store.trimAudit([looked], nil)
    #expect(try AuditRetentionContract.due(store, before: 2)[chain] == nil)
    #expect(try AuditRetentionContract.due(store, before: 3)[chain] == 1)
  }

  /// What is to be removed is found by an index, and what others have is not touched.
  @Test(
    arguments: [AuditQuery.old(.sqlite), AuditQuery.long(.sqlite)]
      + [.noteAuditBegin, .moveAuditBegin, .removeAuditRecords].map { (one: StateStatement) in
        one.sql(.sqlite)
      })
  func othersChainsCostNothing(_ sql: String) throws {
    let directory = try TemporaryDirectory()
    try SQLiteStore(path: directory.file("control.db"), isAudited: false).close()
    let connection = try SQLiteConnection(path: directory.file("control.db"))
    var steps: [String] = []
    try connection.prepare("EXPLAIN QUERY PLAN \(sql)").read([]) {
      steps.append($0.text(3) ?? "")
      return true
    }
    #expect(steps.contains { $0.hasPrefix("SEARCH audit_") && $0.contains(" USING ") })
    #expect(!steps.contains { $0.hasPrefix("SCAN") || $0.contains("TEMP B-TREE") }, "\(steps)")
  }

  /// A store of the version before has no rows of its chains.
  @Test func chainsOfAnEarlierVersionAreFound() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("control.db")
    let chain = AuditChain.tenant(Sample.id(1))
    let former = try SQLiteStore(path: path, isAudited: false)
    try AuditRetentionContract.add(1...3, to: [chain], in: former)
    former.close()
    try SQLiteConnection(path: path).execute(
      "DROP TABLE audit_chains; PRAGMA user_version = \(Migrations.firstWithAuditBegins - 1)")
    let store = try SQLiteStore(path: path, isAudited: false)
    defer { store.close() }
    #expect(try AuditRetentionContract.due(store, before: 1)[chain] == 0)
    #expect(try AuditRetentionContract.due(store, longerThan: 2)[chain] == 0)
    #expect(try store.auditEnds(after: nil, limit: 9).count == 2)
  }
}
