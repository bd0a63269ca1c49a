import Synchronization
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
    #expect(test.store.loads == 2)
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
    let test = try TestPlane()
    test.store.failNextAppends(.refused(.unavailable))
    _ = await refusal { () async throws(TenancyError) in try await test.plane.reserve("a") }
    test.store.failNextLoad(.corrupt)
    let error = await refusal { () async throws(TenancyError) in
      try await test.plane.write(actor: "test", action: "never") {
        (_) throws(TenancyError) -> Void in
        Issue.record("the write ran against a state that may be old")
      }
    }
    Self.expectUnavailable(error)
    #expect(!test.plane.isHealthy)
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
    // It must be possible to read it and to write it.
    test.store.failNextCheck(.unavailable)
    #expect(await !test.plane.recover())
    test.store.failNextLoad(.unavailable)
    #expect(await !test.plane.recover())
    #expect(!test.plane.has("a"))
    #expect(await test.plane.recover())
    #expect(test.plane.isHealthy && test.plane.has("a"))
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
    #expect(heard.withLock { $0 } == [true, false, true, false])
    #expect(await test.plane.recover())
    #expect(try await test.plane.reserve("c") == 0)
    #expect(heard.withLock { $0 } == [true, false, true, false, true])
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
