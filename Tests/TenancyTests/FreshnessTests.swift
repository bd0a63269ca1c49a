import TenancyTestSupport
import Testing

@testable import Tenancy

@Suite(.timeLimit(.minutes(5))) struct ConsistencyTokenTests {
  private let disk = MemoryLog()
  private let one, other: TestPlane

  init() throws {
    one = try TestPlane(MemoryStore(disk))
    other = try TestPlane(MemoryStore(disk))
  }

  private func reach(
    _ token: ConsistencyToken, within wait: Duration? = nil
  ) async -> TenancyError? {
    await refusal { () async throws(TenancyError) in
      try await other.plane.reach(token, payer: .admitted("a"), by: wait.map { .now + $0 })
    }
  }

  @Test(arguments: [(0, 0), (1, 2), (UInt64.max, UInt64.max), (0x0123_4567_89AB_CDEF, 10)])
  func itsTextComesBack(_ store: UInt64, _ revision: UInt64) {
    let token = ConsistencyToken(store: store, revision: revision)
    #expect(token.text.utf8.count == 33)
    #expect(ConsistencyToken(parsing: token.text) == token)
  }

  @Test func otherTextsAreNone() {
    let text = ConsistencyToken(store: 1, revision: 2).text
    for wrong in [
      "", "1", "2" + text.dropFirst(), text + "0", String(text.dropLast()), text.uppercased() + "A",
      "1" + String(repeating: "A", count: 32), "1" + String(repeating: " ", count: 32),
      "1" + String(repeating: "é", count: 16),
    ] {
      #expect(ConsistencyToken(parsing: wrong) == nil, "\(wrong)")
    }
  }

  /// Nobody tells the other node.
  @Test func aReadWithATokenSeesWhatWasWrittenElsewhere() async throws {
    var behind = 0
    for number in 1...20 as ClosedRange<UInt64> {
      try await one.put(Sample.tenant(number))
      let token = one.plane.token
      // A look into the store for the read before may go on, and find this as well.
      if try !other.plane.hasReached(token) { behind += 1 }
      #expect(await reach(token) == nil)
      #expect(other.plane.state.find(Sample.id(number)) != nil)
      #expect(try other.plane.hasReached(token))
    }
    #expect(behind > 0 && other.plane.readers.isEmpty)
  }

  @Test func aRevisionThatTheStoreDoesNotHaveIsToldAtOnce() async throws {
    try await one.put(Sample.tenant(1))
    let token = ConsistencyToken(store: one.plane.token.store, revision: 2)
    let error = await reach(token)
    #expect(error?.category == .unavailable && error?.reason == .revisionNotReached)
    let foreign = await reach(ConsistencyToken(incarnation: "another", revision: 0))
    #expect(foreign?.category == .failedPrecondition && foreign?.reason == .tokenOfAnotherStore)
    #expect(other.plane.readers.isEmpty && other.plane.isHealthy)
  }

  @Test func whileTheStoreFailsItWaitsAndNotBeyondTheDeadline() async throws {
    try await one.put(Sample.tenant(1))
    other.store.failNextEntries(.unavailable)
    #expect(await reach(one.plane.token) == nil)
    try await one.put(Sample.tenant(2))
    for _ in 0..<1000 {
      other.store.failNextEntries(.unavailable)
      // Once it has failed, all is loaded anew.
      other.store.failNextLoad(.unavailable)
    }
    let error = await reach(one.plane.token, within: .milliseconds(100))
    #expect(error?.category == .unavailable && error?.reason == .revisionNotReached)
    #expect(await reach(one.plane.token, within: .zero)?.reason == .revisionNotReached)
    #expect(other.plane.readers.isEmpty)
  }

  @Test func whoWaitsIsBounded() async {
    let waiters = ReadWaiters(.init(total: 3, perCaller: 2))
    func wait(_ caller: String) -> Task<ReadWaiters.Verdict, Never> {
      Task.immediate {
        await waiters.wait(for: 5, .admitted(caller), isThere: { false }, look: {})
      }
    }
    let (first, second) = (wait("a"), wait("a"))
    #expect(await wait("a").value == .tooMany)
    let third = wait("b")
    #expect(await wait("c").value == .tooMany)
    second.cancel()
    #expect(await second.value == .cancelled)
    let fourth = wait("a")
    waiters.published(4)
    let number = waiters.beginLooking()
    let late = wait("late")
    #expect(await late.value == .tooMany)
    third.cancel()
    #expect(await third.value == .cancelled)
    let fifth = wait("b")
    // It came when the store was being looked into already.
    waiters.endLooking(upTo: number, at: 4)
    #expect(await first.value == .unknown)
    #expect(await fourth.value == .unknown)
    waiters.published(5)
    #expect(await fifth.value == .reached)
    #expect(waiters.isEmpty)
  }
}

/// What asking for what there is not costs.
@Suite(.timeLimit(.minutes(5))) struct ForgedTokenTests {
  private let test: TestPlane

  init() throws { test = try TestPlane() }

  private func reach(_ payer: ReadPayer) async -> TenancyError? {
    let token = ConsistencyToken(store: test.plane.token.store, revision: 1000)
    return await refusal { () async throws(TenancyError) in
      try await test.plane.reach(token, payer: payer, by: nil)
    }
  }

  /// The writer is at work all the time.
  @Test func itIsAnsweredWithoutTheWriter() async throws {
    let barrier = test.store.holdNextAppend()
    let write = Task.immediate { try await test.put(Sample.tenant(1)) }
    await barrier.reached()
    #expect(await reach(.admitted("a"))?.reason == .revisionNotReached)
    barrier.open()
    try await write.value
  }

  @Test func theStoreIsAskedForAllTogetherAndNotTooOften() async throws {
    let began = ContinuousClock.now
    for _ in 0..<5 {
      await withTaskGroup { group in
        for number in 0..<20 {
          group.addTask { #expect(await reach(.admitted("\(number)")) != nil) }
        }
      }
    }
    let most = began.duration(to: .now) / ReadWaiters.Limits().lookInterval + 1
    #expect(test.store.reads >= 1 && Double(test.store.reads) <= most)
    #expect(test.plane.readers.totals.unknown == 100)
  }

  @Test func aNodeTellsHowItGetsOn() async throws {
    try await test.put(Sample.tenant(1))
    _ = await reach(.admitted("a"))
    let lease = try await test.plane.take("a", holder: "me", lasting: .seconds(9))
    _ = try await test.plane.take("b", holder: "other", lasting: .seconds(9))
    _ = try await test.plane.take("c", holder: "me", lasting: .zero)
    var counts = try await test.plane.leaseCounts(of: "me")
    #expect(counts == LeaseCounts(own: 1, others: 1, expired: 1))
    try await test.plane.release(lease)
    counts = try await test.plane.leaseCounts(of: "me")
    #expect(counts == LeaseCounts(own: 0, others: 1, expired: 1))
    let status = test.plane.nodeStatus
    #expect(status.revision == 5 && status.isHealthy && !status.isStale)
    #expect(status.waits.unknown == 1 && status.waits.looks == 1 && status.waits.waiting == 0)
    // The age is counted from when the state was proven current.
    let before = test.plane.nodeStatus.age
    #expect(test.plane.nodeStatus.age >= before)
    await test.plane.confirmCurrent()
  }

  @Test func strangersHaveASmallPartForThemselves() async {
    let waiters = ReadWaiters(.init(total: 5, perCaller: 4, strangers: 2, perStranger: 1))
    func wait(_ payer: ReadPayer) -> Task<ReadWaiters.Verdict, Never> {
      Task.immediate { await waiters.wait(for: 5, payer, isThere: { false }, look: {}) }
    }
    let (first, second) = (wait(.stranger("a")), wait(.stranger("b")))
    #expect(await wait(.stranger("a")).value == .tooMany)
    #expect(await wait(.stranger("c")).value == .tooMany)
    let admitted = (0..<3).map { _ in wait(.admitted("a")) }
    #expect(await wait(.admitted("a")).value == .tooMany)
    first.cancel()
    #expect(await first.value == .cancelled)
    let third = wait(.stranger("c"))
    waiters.published(5)
    for task in admitted + [second, third] { #expect(await task.value == .reached) }
    let totals = waiters.totals
    #expect(totals.reached == 5 && totals.refused == 3 && totals.cancelled == 1)
    #expect(waiters.isEmpty)
  }
}

@Suite struct StalenessTests {
  private func plane(_ maximum: Duration?) throws -> TestPlane {
    var options = ControlPlane.Options()
    options.maximumStaleness = maximum
    return try TestPlane(options: options)
  }

  private func isStale(_ test: TestPlane) -> Bool { test.plane.isStale(at: test.plane.now) }

  @Test func itIsCountedFromWhenTheStateWasKnownToBeCurrent() async throws {
    let test = try plane(.seconds(60))
    test.clock.advance(seconds: 60)
    #expect(!isStale(test))
    test.clock.advance(seconds: 1)
    #expect(isStale(test))
    // To read is not enough: a deposed server lets itself be read.
    try await test.plane.catchUp()
    #expect(isStale(test))
    for code in [StoreError.Code.unavailable, .unknownOutcome] {
      test.store.failNextCheck(code)
      #expect(await !test.plane.confirmCurrent())
      #expect(isStale(test))
    }
    #expect(await test.plane.confirmCurrent())
    #expect(!isStale(test))
    // It was seen a moment ago, so that nothing is asked.
    test.store.failNextCheck(.unavailable)
    #expect(await test.plane.confirmCurrent(ifNotWithin: .seconds(600)))
    #expect(test.plane.isHealthy)
    #expect(await test.plane.confirmCurrent())
    #expect(!test.plane.isHealthy)
    #expect(await test.plane.confirmCurrent(ifNotWithin: .seconds(600)))
    #expect(test.plane.isHealthy)
    test.clock.advance(seconds: 61)
    try await test.put(Sample.tenant(1))
    #expect(!isStale(test))
  }

  /// It looks old then, and is seen anew at once.
  @Test func aClockThatIsSetAheadSilencesNobodyForLong() async throws {
    let test = try plane(.seconds(60))
    test.clock.advance(seconds: 365 * 86_400)
    #expect(isStale(test))
    #expect(await test.plane.confirmCurrent(ifNotWithin: .seconds(15)))
    #expect(!isStale(test))
    test.clock.advance(seconds: -365 * 86_400)
    #expect(await test.plane.confirmCurrent(ifNotWithin: .seconds(15)))
  }

  @Test func aWriteThatFailsProvesNothing() async throws {
    let test = try plane(.seconds(60))
    test.clock.advance(seconds: 61)
    test.store.failNextAppends(.refused(.unavailable))
    _ = await refusal { () async throws(TenancyError) in
      try await test.plane.write(actor: "test", action: "test") {
        (transaction) throws(TenancyError) in
        transaction.emit(.putTenant(Sample.tenant(1)), about: Sample.id(1))
      }
    }
    #expect(isStale(test))
  }

  /// The clock on the wall is set back, and time passes all the same.
  @Test func aClockThatIsSetBackDoesNotHideIt() async throws {
    let test = try plane(.milliseconds(1))
    test.clock.advance(seconds: -3600)
    try await Task.sleep(for: .milliseconds(2))
    test.store.failNextCheck(.unavailable)
    await test.plane.confirmCurrent()
    #expect(isStale(test))
  }

  @Test func aStoreOfOneNodeIsNeverStale() async throws {
    let test = try plane(nil)
    test.clock.advance(seconds: 1_000_000_000)
    await test.plane.confirmCurrent()
    #expect(!isStale(test))
  }
}
