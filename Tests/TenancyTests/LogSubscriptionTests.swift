import Synchronization
import TenancyTestSupport
import Testing

@testable import Tenancy

struct LogSubscriptionTests {
  private static func options(entries: Int = 1024, weight: Int = 4 << 20) -> ControlPlane.Options {
    var options = ControlPlane.Options()
    options.tail = LogTail.Limits(entries: entries, weight: weight)
    options.pause = { _ in }
    return options
  }

  /// Collects until it has so many, then ends.
  private static func collect(
    _ plane: ControlPlane, after revision: UInt64, count: Int
  ) async throws(TenancyError) -> [LogEntry] {
    var found: [LogEntry] = []
    var iterator = plane.subscribe(after: revision).makeAsyncIterator()
    while found.count < count, let entry = try await iterator.next() { found.append(entry) }
    return found
  }

  @Test func whatIsThereAndWhatComesIsGivenOnce() async throws {
    let test = try TestPlane()
    for number in 0..<3 { _ = try await test.plane.reserve("n\(number)") }
    let task = Task { try await Self.collect(test.plane, after: 1, count: 100) }
    for number in 3..<101 { _ = try await test.plane.reserve("n\(number)") }
    #expect(try await task.value == Array(test.store.log.dropFirst()))
    // All of it was in memory.
    #expect(test.store.reads == 0)
  }

  @Test func anEntryIsInTheStateWhenItIsGiven() async throws {
    let test = try TestPlane()
    let plane = test.plane
    let task = Task {
      var late = 0
      for try await entry in plane.subscribe(after: 0) {
        if plane.snapshot.state.revision < entry.revision { late += 1 }
        if entry.revision == 200 { break }
      }
      return late
    }
    for number in 0..<200 { _ = try await plane.reserve("n\(number)") }
    #expect(try await task.value == 0)
  }

  @Test func nothingIsGivenBeforeItIsDurable() async throws {
    let test = try TestPlane()
    let task = Task { try await Self.collect(test.plane, after: 0, count: 1) }
    let barrier = test.store.holdNextAppend()
    let write = test.plane.startReserving("a")
    await barrier.reached()
    #expect(test.plane.tail.size.entries == 0)
    barrier.open()
    #expect(await write.value == 0)
    #expect(try await task.value.map(\.revision) == [1])
    // A batch that fails is never given.
    test.store.failNextAppends(.refused(.unavailable))
    #expect(await test.plane.startReserving("b").value == nil)
    #expect(test.plane.tail.size.entries == 1)
  }

  @Test func theTailIsBounded() async throws {
    let test = try TestPlane(options: Self.options(entries: 10, weight: 1 << 20))
    for number in 0..<25 {
      _ = try await test.plane.reserve("n\(number)")
      #expect(test.plane.tail.size.entries == min(number + 1, 10))
    }
    let heavy = try TestPlane(options: Self.options(entries: 1000, weight: 100_000))
    var tenant = Sample.tenant(1)
    tenant.configuration.customSettings["x"] = .string(String(repeating: "x", count: 30_000))
    for _ in 0..<10 {
      try await heavy.put(tenant)
      #expect(heavy.plane.tail.size.weight <= 100_000)
    }
    #expect(heavy.plane.tail.size.entries == 3)
    // One that is larger than all of it is had from the store.
    tenant.configuration.customSettings["x"] = .string(String(repeating: "x", count: 300_000))
    try await heavy.put(tenant)
    #expect(heavy.plane.tail.size.entries == 0 && heavy.plane.tail.size.weight == 0)
    #expect(try await Self.collect(heavy.plane, after: 0, count: 11) == heavy.store.log)
  }

  @Test func whoLagsIsServedFromTheStore() async throws {
    let test = try TestPlane(options: Self.options(entries: 10))
    var iterator = test.plane.subscribe(after: 0).makeAsyncIterator()
    for number in 0..<100 { _ = try await test.plane.reserve("n\(number)") }
    var found: [LogEntry] = []
    while found.count < 100, let entry = try await iterator.next() { found.append(entry) }
    #expect(found == test.store.log)
    #expect(test.store.reads == 2)
    test.store.failNextEntries(.unavailable)
    let error = await refusal { () async throws(TenancyError) in
      try await Self.collect(test.plane, after: 0, count: 1)
    }
    #expect(error?.reason == .storeUnavailable && test.plane.isHealthy)
  }

  @Test func whatIsCompactedIsOutOfRange() async throws {
    let test = try TestPlane(options: Self.options(entries: 4))
    for number in 0..<20 { _ = try await test.plane.reserve("n\(number)") }
    try test.store.compact(through: 10)
    for revision in [0, 9] as [UInt64] {
      let error = await refusal { () async throws(TenancyError) in
        try await Self.collect(test.plane, after: revision, count: 1)
      }
      #expect(error?.category == .outOfRange && error?.reason == .revisionCompacted)
      #expect(error?.metadata["oldest_revision"] == "10")
    }
    #expect(try await Self.collect(test.plane, after: 10, count: 10).map(\.revision).first == 11)
    // Who holds what is gone goes on with it, and then is told; and after that, nothing.
    var iterator = test.plane.subscribe(after: 10).makeAsyncIterator()
    #expect(try await iterator.next()?.revision == 11)
    for number in 20..<40 { _ = try await test.plane.reserve("n\(number)") }
    try test.store.compact(through: 30)
    for revision in 12...20 as ClosedRange<UInt64> {
      #expect(try await iterator.next()?.revision == revision)
    }
    await #expect(throws: TenancyError.self) { try await iterator.next() }
    #expect(try await iterator.next() == nil)
  }

  @Test func aRevisionThatIsYetToComeIsWaitedFor() async throws {
    let test = try TestPlane()
    let task = Task { try await Self.collect(test.plane, after: 5, count: 2) }
    for number in 0..<7 { _ = try await test.plane.reserve("n\(number)") }
    #expect(try await task.value.map(\.revision) == [6, 7])
  }

  @Test func cancellingEndsIt() async throws {
    let test = try TestPlane()
    let waiting = Task { try await Self.collect(test.plane, after: 0, count: 1) }
    while test.plane.tail.waiters == 0 { await Task.yield() }
    waiting.cancel()
    #expect(try await waiting.value.isEmpty)
    #expect(test.plane.tail.waiters == 0)
    let plane = test.plane
    let before = Task {
      while !Task.isCancelled { await Task.yield() }
      return try await Self.collect(plane, after: 0, count: 1)
    }
    before.cancel()
    #expect(try await before.value.isEmpty)
  }

  @Test func closingEndsItAfterWhatIsThere() async throws {
    let test = try TestPlane(options: Self.options(entries: 10))
    let waiting = Task { try await Self.collect(test.plane, after: 0, count: 100) }
    while test.plane.tail.waiters == 0 { await Task.yield() }
    for number in 0..<5 { _ = try await test.plane.reserve("n\(number)") }
    await test.plane.close()
    #expect(try await waiting.value == test.store.log)
    #expect(try await Self.collect(test.plane, after: 2, count: 100).count == 3)
    #expect(try await Self.collect(test.plane, after: 9, count: 100).isEmpty)
    let late = try TestPlane(options: Self.options(entries: 2))
    for number in 0..<5 { _ = try await late.plane.reserve("n\(number)") }
    await late.plane.close()
    #expect(try await Self.collect(late.plane, after: 0, count: 100).isEmpty)
  }

  @Test func secretsAreLeftOut() async throws {
    let test = try TestPlane()
    var tenant = Sample.tenant(1)
    tenant.configuration.database = DatabaseConfiguration(
      connectionString: "postgres://u:hidden@db/x", username: "u",
      password: SecretReference(version: 1, key: KeyID(high: 1, low: 2)))
    try await test.put(tenant)
    let (id, reference) = (tenant.id, SecretReference(version: 1, key: KeyID(high: 1, low: 2)))
    let key = WrappedDataKey(
      id: reference.key, masterKey: reference.key, wrapped: Array("hidden".utf8),
      createTime: Timestamp(nanoseconds: 1), state: .active)
    try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      transaction.emit(.putDataKey(key))
      transaction.emit(
        .putSecret(
          id, .databasePassword, reference, SealedSecret(bytes: Array("hidden".utf8))), about: id)
    }
    let entries = try await Self.collect(test.plane, after: 0, count: 2)
    #expect(!"\(entries)".contains("\(Array("hidden".utf8))"))
    guard case .putSecret(_, _, reference, nil) = entries[1].changes[1] else {
      Issue.record("\(entries[1])")
      return
    }
    #expect(!"\(entries)".contains("hidden"))
    #expect(test.plane.state.find(tenant.id)?.tenant == tenant)
  }

  /// What comes of a failure is in the store only; and what the store has lost can't be gone on from.
  @Test func whatIsLoadedAnewLeavesNoGap() async throws {
    let test = try TestPlane()
    var iterator = test.plane.subscribe(after: 0).makeAsyncIterator()
    _ = try await test.plane.reserve("a")
    #expect(try await iterator.next()?.revision == 1)
    test.store.failNextAppends(.lostAnswer)
    test.store.failNextEntries(.unavailable)
    #expect(await test.plane.startReserving("b").value == nil)
    _ = try await test.plane.reserve("c")
    #expect(try await iterator.next()?.action == "b")
    #expect(try await iterator.next()?.action == "c")
    test.store.disk.state.withLock { state in
      state.entries.removeLast()
      state.model.revision = 2
    }
    test.store.failNextAppends(.refused(.unavailable))
    #expect(await test.plane.startReserving("d").value == nil)
    #expect(await !test.plane.recover())
    #expect(await test.plane.recover())
    let error = await refusal { () async throws(TenancyError) in try await iterator.next() }
    #expect(error?.category == .outOfRange && error?.metadata["oldest_revision"] == "2")
  }

  /// After a failover that has lost the end of the log, others may have gone on by as much and more.
  @Test func aLogThatWentOnOtherwiseIsAnother() async throws {
    let test = try TestPlane()
    var iterator = test.plane.subscribe(after: 0).makeAsyncIterator()
    _ = try await test.plane.reserve("a")
    _ = try await test.plane.reserve("b")
    #expect(try await iterator.next()?.action == "a")
    #expect(try await iterator.next()?.action == "b")
    test.store.disk.state.withLock { state in
      let lost = state.entries.removeLast()
      for (revision, action) in [(lost.revision, "other"), (lost.revision + 1, "more")] {
        state.entries.append(
          LogEntry(
            revision: revision, time: lost.time, actor: "other node", action: action, tenants: [],
            changes: []))
      }
      state.model.revision = lost.revision + 1
    }
    test.store.failNextAppends(.refused(.unavailable))
    #expect(await test.plane.startReserving("c").value == nil)
    #expect(await !test.plane.recover())
    #expect(await test.plane.recover())
    let error = await refusal { () async throws(TenancyError) in try await iterator.next() }
    #expect(error?.category == .outOfRange)
    var anew = test.plane.subscribe(after: 3).makeAsyncIterator()
    _ = try await test.plane.reserve("d")
    #expect(try await anew.next()?.action == "d")
  }

  private final class Count: Sendable {
    private let count = Atomic(0)
    var value: Int { count.load(ordering: .relaxed) }
    func add() { count.add(1, ordering: .relaxed) }
  }

  /// Writers on two nodes; subscribers on both that are fast, slow, late or cancelled: each sees the log from
  /// where it began, without a gap and without anything twice.
  @Test(arguments: 1...6 as ClosedRange<UInt64>)
  func everySubscriberSeesTheLog(_ seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    let disk = MemoryLog()
    let nodes = try (0..<2).map { _ in
      try TestPlane(
        MemoryStore(disk), options: Self.options(entries: random.pick([3, 8, 64, 1024])))
    }
    let total = 300
    let written = Count()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<total {
        let plane = random.pick(nodes).plane
        group.addTask {
          while true {
            do throws(TenancyError) {
              _ = try await plane.reserve("n\(number)")
              break
            } catch {
              guard error.reason == .writeConflict else { throw error }
            }
          }
          written.add()
        }
      }
      for node in nodes {
        group.addTask {
          while written.value < total {
            try await node.plane.catchUp()
            await Task.yield()
          }
          try await node.plane.catchUp()
        }
      }
      for number in 0..<24 {
        let plane = random.pick(nodes).plane
        let start = UInt64(number.isMultiple(of: 2) ? 0 : Int.random(in: 0...total, using: &random))
        let (slowness, lateness) = (random.pick([0, 0, 1, 20]), random.pick([0, 100, 2000]))
        let isCancelled = random.chance(of: 1, in: 4)
        group.addTask {
          for _ in 0..<lateness { await Task.yield() }
          let reading = Task {
            var found: [LogEntry] = []
            var iterator = plane.subscribe(after: start).makeAsyncIterator()
            while Int(start) + found.count < total, let entry = try await iterator.next() {
              found.append(entry)
              for _ in 0..<slowness { await Task.yield() }
            }
            return found
          }
          if isCancelled {
            for _ in 0..<(lateness / 2 + 50) { await Task.yield() }
            reading.cancel()
          }
          let found = try await reading.value
          let log = disk.state.withLock { $0.entries.dropFirst(Int(start)) }
          #expect(isCancelled || found.count == log.count)
          #expect(found == Array(log.prefix(found.count)))
        }
      }
      try await group.waitForAll()
    }
    #expect(disk.state.withLock { $0.entries.count } == total)
    for node in nodes { #expect(node.plane.tail.waiters == 0) }
  }
}
