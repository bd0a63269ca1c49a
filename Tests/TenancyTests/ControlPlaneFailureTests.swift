import Synchronization
import TenancyTestSupport
import Testing

@testable import Tenancy

/// The control plane over a store that fails.
struct ControlPlaneFailureTests {
  private static func expectUnavailable(_ error: TenancyError?) {
    #expect(error?.category == .unavailable)
    #expect(error?.reason == .storeUnavailable)
    #expect(error?.retryAfterSeconds != nil)
  }

  @Test(arguments: [StoreError.Code.unavailable, .corrupt, .unknownOutcome])
  func aFailedAppendLeavesTheStateAndTheNextWriteWorks(_ code: StoreError.Code) async throws {
    let test = try TestPlane()
    _ = try await test.plane.reserve("before")
    let before = test.plane.snapshot
    test.store.failNextAppends(.refused(code))
    Self.expectUnavailable(
      await refusal { () async throws(TenancyError) in try await test.plane.reserve("a") })
    #expect(test.plane.snapshot === before)
    #expect(!test.plane.isHealthy)
    #expect(try await test.plane.reserve("b") == 1)
    #expect(test.plane.isHealthy)
    // A damaged store is read anew; what one has refused is nothing that the state could lack.
    #expect(test.store.loads == (code == .corrupt ? 2 : 1))
    #expect(test.store.log.map(\.action) == ["before", "b"])
    #expect(test.plane.has("before") && test.plane.has("b") && !test.plane.has("a"))
  }

  @Test func whatIsThereAfterALostAnswerIsAcknowledged() async throws {
    let test = try TestPlane()
    let reader = SnapshotReader(test.plane)
    test.store.failNextAppends(.lostAnswer)
    #expect(try await test.plane.reserve("a") == 0)
    #expect(test.plane.has("a") && test.plane.isHealthy && test.store.loads == 1)
    #expect(reader.snapshot.state.revision == 1)
    #expect(try await test.plane.reserve("b") == 1)
    #expect(test.store.log.map(\.revision) == [1, 2])
  }

  @Test func whatIsNotThereAfterALostAnswerIsRefused() async throws {
    let test = try TestPlane()
    test.store.failNextAppends(.lostBatch)
    Self.expectUnavailable(
      await refusal { () async throws(TenancyError) in try await test.plane.reserve("a") })
    #expect(!test.plane.isHealthy && test.store.log.isEmpty)
    #expect(try await test.plane.reserve("b") == 0)
  }

  /// What is visible may not be durable yet, such as on a standby.
  @Test func afterALostAnswerNothingIsAcknowledgedWithoutALaterDurableWrite() async throws {
    let test = try TestPlane()
    test.store.failNextAppends(.lostAnswer)
    test.store.failNextCheck(.unavailable)
    Self.expectUnavailable(
      await refusal { () async throws(TenancyError) in try await test.plane.reserve("a") })
    #expect(!test.plane.isHealthy && !test.plane.has("a"))
    // The next write is judged with what is in the store.
    #expect(try await test.plane.reserve("b") == 1)
    #expect(test.plane.has("a") && test.plane.has("b"))
  }

  @Test func aLostAnswerThatCantBeLookedUpIsUnknown() async throws {
    let test = try TestPlane()
    test.store.failNextAppends(.lostAnswer)
    test.store.failNextEntries(.unavailable)
    Self.expectUnavailable(
      await refusal { () async throws(TenancyError) in try await test.plane.reserve("a") })
    #expect(!test.plane.isHealthy && !test.plane.has("a"))
    #expect(try await test.plane.reserve("b") == 1)
    #expect(test.plane.has("a") && test.plane.isHealthy)
  }

  @Test func aReloadThatFailsRefusesWithoutRunningTheWrite() async throws {
    let steady = SteadyClock()
    var options = ControlPlane.Options()
    options.instant = { steady.now }
    let test = try TestPlane(options: options)
    test.store.failNextAppends(.refused(.corrupt))
    _ = await refusal { () async throws(TenancyError) in try await test.plane.reserve("a") }
    test.store.failNextLoad(.corrupt)
    let error = await refusal { () async throws(TenancyError) in
      try await test.plane.write(actor: "test", action: "never") {
        (_) throws(TenancyError) -> Void in
        Issue.record("the write ran against a state that may be old")
      }
    }
    Self.expectUnavailable(error)
    #expect(!test.plane.isHealthy && test.store.loads == 2)
    // It is not read again for each that comes.
    for _ in 0..<10 { #expect(await test.plane.startReserving("x").value == nil) }
    #expect(test.store.loads == 2)
    steady.advance(by: ControlPlane.loadInterval)
    #expect(try await test.plane.reserve("b") == 0)
    #expect(test.plane.isHealthy)
  }

  @Test func aStoreThatWorksAgainIsFoundWithoutAWrite() async throws {
    let test = try TestPlane()
    #expect(await test.plane.recover())
    #expect(test.store.loads == 1)
    test.store.failNextAppends(.lostAnswer)
    test.store.failNextEntries(.unavailable)
    _ = await refusal { () async throws(TenancyError) in try await test.plane.reserve("a") }
    // It is left to who writes, as long as somebody does.
    #expect(await !test.plane.recover())
    // It must be possible to read it and to write it.
    test.store.failNextCheck(.unavailable)
    #expect(await !test.plane.recover())
    test.store.failNextEntries(.unavailable)
    #expect(await !test.plane.recover())
    #expect(!test.plane.has("a"))
    #expect(await test.plane.recover())
    #expect(test.plane.isHealthy && test.plane.has("a"))
  }

  /// As on a full disk, with room for what is tried and none for what is written.
  @Test func aStoreThatTakesNoWriteWorksForNobodyUntilItTakesOne() async throws {
    let test = try TestPlane()
    _ = try await test.plane.reserve("before")
    let heard = Mutex<[Bool]>([])
    test.plane.observeHealth { failure in heard.withLock { $0.append(failure == nil) } }
    for number in 0..<50 {
      test.store.failNextAppends(.refused(.unavailable))
      #expect(await test.plane.startReserving("n\(number)").value == nil)
      #expect(await !test.plane.recover())
      // What changes nothing proves nothing.
      try await test.plane.write(actor: "test", action: "none") { (_) throws(TenancyError) in }
    }
    #expect(test.store.loads == 1)
    #expect(heard.withLock { $0 } == [true, false])
    #expect(try await test.plane.reserve("after") == 1)
    #expect(heard.withLock { $0 } == [true, false, true])
  }

  /// Also of what a start has found, which it has no entry of: one load, whatever fails after it.
  @Test(arguments: [MemoryStore.Failure.refused(.unavailable), .refused(.corrupt), .lostBatch])
  func aStoreThatFailsForLongIsLoadedOnce(_ failure: MemoryStore.Failure) async throws {
    let before = try TestPlane()
    _ = try await before.plane.reserve("before")
    let test = try TestPlane(MemoryStore(before.store.disk))
    for number in 0..<50 {
      test.store.failNextAppends(failure)
      #expect(await test.plane.startReserving("n\(number)").value == nil)
    }
    #expect(test.store.loads == 2)
    #expect(try await test.plane.reserve("after") == 1)
    #expect(test.store.loads == 2 && test.plane.has("before") && test.plane.has("after"))
  }

  /// What others have written meanwhile is taken from the log.
  @Test func aStoreThatHasFailedIsFollowedFromWhereTheStateEnds() async throws {
    let test = try TestPlane()
    let other = try TestPlane(MemoryStore(test.store.disk))
    _ = try await test.plane.reserve("a")
    test.store.failNextAppends(.refused(.unavailable))
    #expect(await test.plane.startReserving("b").value == nil)
    try await other.plane.catchUp()
    for name in ["x", "y"] { _ = try await other.plane.reserve(name) }
    #expect(try await test.plane.reserve("b") == 3)
    #expect(test.store.loads == 1 && test.plane.has("x") && test.plane.has("y"))
  }

  /// A failover may lose the end of the log, and another node write another end of it.
  @Test func aStoreWithAnotherHistoryIsLoaded() async throws {
    let test = try TestPlane()
    for name in ["a", "b"] { _ = try await test.plane.reserve(name) }
    let disk = MemoryLog()
    let other = try TestPlane(MemoryStore(disk))
    for name in ["a", "x", "y"] { _ = try await other.plane.reserve(name) }
    let contents = disk.state.withLock { $0 }
    test.store.disk.state.withLock { $0 = contents }
    test.store.failNextAppends(.refused(.unavailable))
    #expect(await test.plane.startReserving("c").value == nil)
    #expect(try await test.plane.reserve("c") == 3)
    #expect(test.store.loads == 2 && test.plane.has("x") && !test.plane.has("b"))
  }

  @Test func aClosedPlaneDoesNotTouchItsStore() async throws {
    let test = try TestPlane()
    test.store.failNextAppends(.refused(.unavailable))
    _ = await refusal { () async throws(TenancyError) in try await test.plane.reserve("a") }
    await test.plane.close()
    #expect(await !test.plane.recover())
    #expect(test.store.loads == 1)
  }

  @Test func theObserverHearsOfEachChange() async throws {
    let test = try TestPlane()
    let heard = Mutex<[Bool]>([])
    test.plane.observeHealth { failure in heard.withLock { $0.append(failure == nil) } }
    test.store.failNextAppends(.refused(.unavailable), .refused(.unavailable))
    for name in ["a", "b"] {
      _ = await refusal { () async throws(TenancyError) in try await test.plane.reserve(name) }
    }
    #expect(heard.withLock { $0 } == [true, false])
    #expect(await !test.plane.recover())
    #expect(await test.plane.recover())
    #expect(try await test.plane.reserve("c") == 0)
    #expect(heard.withLock { $0 } == [true, false, true])
  }

  @Test func aStartFailsWithTheStore() {
    let store = MemoryStore()
    store.failNextLoad(.corrupt)
    #expect(throws: StoreError.self) { _ = try TestPlane(store) }
  }

  @Test func aWholeBatchFailsTogether() async throws {
    let test = try TestPlane()
    let barrier = test.store.holdNextAppend()
    test.store.failNextAppends(nil, .refused(.unavailable))
    let first = test.plane.startReserving("first")
    await barrier.reached()
    let rest = (0..<10).map { test.plane.startReserving("n\($0)") }
    barrier.open()
    #expect(await first.value == 0)
    for write in rest { #expect(await write.value == nil) }
    #expect(test.store.log.map(\.action) == ["first"])
    #expect(test.plane.state.revision == 1)
  }

  /// What a write answers because of another that then fails would be about a state that never was.
  @Test func noAnswerComesOfAStateThatNeverWas() async throws {
    let test = try TestPlane()
    let plane = test.plane
    let barrier = test.store.holdNextAppend()
    test.store.failNextAppends(nil, .refused(.unavailable))
    let first = plane.startReserving("first")
    await barrier.reached()
    let second = plane.startReserving("taken")
    let third = Task.immediate {
      await refusal { () async throws(TenancyError) in
        try await plane.write(actor: "test", action: "third") {
          (transaction) throws(TenancyError) -> Void in
          guard transaction.state.owner(of: ReservedName(.slug, "taken")) == nil else {
            throw TenancyError(.alreadyExists, .nameTaken, "taken")
          }
        }
      }
    }
    barrier.open()
    _ = await first.value
    #expect(await second.value == nil)
    Self.expectUnavailable(await third.value)
    #expect(!plane.has("taken"))
  }
}
