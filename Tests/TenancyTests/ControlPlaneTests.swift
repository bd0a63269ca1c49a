import TenancyTestSupport
import Testing

@testable import Tenancy

extension ControlPlane {
  /// A write of one name, begun at once: it waits in line when this returns.
  func startReserving(_ name: String, for id: TenantID = Sample.id(1)) -> Task<UInt64?, Never> {
    Task.immediate {
      do throws(TenancyError) {
        return try await reserve(name, for: id)
      } catch {
        return nil
      }
    }
  }

  /// Writes one name; returns the revision that the write was judged against.
  func reserve(_ name: String, for id: TenantID = Sample.id(1)) async throws(TenancyError) -> UInt64
  {
    try await write(actor: "test", action: name) { (transaction) throws(TenancyError) in
      transaction.emit(.reserveName(ReservedName(.slug, name), id), about: id)
      return transaction.state.revision
    }
  }

  func has(_ name: String) -> Bool { state.owner(of: ReservedName(.slug, name)) != nil }
}

struct ControlPlaneTests {
  private let limits = WriteLimits()

  @Test func aWriteIsInTheStoreAndInTheStateWhenItReturns() async throws {
    let test = try TestPlane()
    #expect(try await test.plane.reserve("a") == 0)
    #expect(test.plane.has("a"))
    #expect(test.plane.state.revision == 1)
    let entry = try #require(test.store.log.first)
    #expect(entry.revision == 1)
    #expect(entry.actor == "test")
    #expect(entry.action == "a")
    #expect(entry.tenants == [Sample.id(1)])
    #expect(entry.time == test.clock.now)
    #expect(entry.changes == [.reserveName(ReservedName(.slug, "a"), Sample.id(1))])
  }

  @Test func anEntryTellsAllTenantsThatItConcerns() async throws {
    let test = try TestPlane()
    for numbers in [[1, 2, 1], [2, 2, 1, 3, 3]] as [[UInt64]] {
      try await test.plane.write(actor: "test", action: "several") {
        (transaction) throws(TenancyError) in
        for number in numbers {
          transaction.emit(.clearProvisioningSteps(Sample.id(number)), about: Sample.id(number))
        }
      }
    }
    #expect(
      test.store.log.map(\.tenants) == [
        [Sample.id(1), Sample.id(2)], [Sample.id(2), Sample.id(1), Sample.id(3)],
      ])
  }

  @Test func aStartLoadsWhatTheStoreHas() async throws {
    let test = try TestPlane()
    _ = try await test.plane.reserve("a")
    let again = try TestPlane(test.store)
    #expect(again.plane.has("a"))
    #expect(again.plane.state.revision == 1)
    #expect(try await again.plane.reserve("b") == 1)
  }

  @Test func aWriteThatThrowsOrEmitsNothingCommitsNothing() async throws {
    let test = try TestPlane()
    let plane = test.plane
    let error = await refusal { () async throws(TenancyError) in
      try await plane.write(actor: "test", action: "no") { (transaction) throws(TenancyError) in
        transaction.emit(
          .reserveName(ReservedName(.slug, "a"), Sample.id(1)), about: Sample.id(1))
        throw .tenantNotFound
      }
    }
    #expect(error?.reason == .tenantNotFound)
    let answer = try await plane.write(actor: "test", action: "no") { _ in 7 }
    #expect(answer == 7)
    #expect(test.store.log.isEmpty && test.store.batches.isEmpty)
    #expect(plane.state.revision == 0 && !plane.has("a"))
  }

  @Test func writesThatWaitAreCommittedInGroups() async throws {
    let test = try TestPlane()
    let barrier = test.store.holdNextAppend()
    let first = test.plane.startReserving("first")
    await barrier.reached()
    let rest = (0..<(limits.batch + 88)).map { test.plane.startReserving("n\($0)") }
    barrier.open()
    #expect(await first.value == 0)
    for (offset, write) in rest.enumerated() { #expect(await write.value == UInt64(offset) + 1) }
    #expect(test.store.batches == [1, limits.batch, 88])
  }

  @Test func oneWriteOverTheLimitIsRefused() async throws {
    let test = try TestPlane()
    let barrier = test.store.holdNextAppend()
    let first = test.plane.startReserving("first")
    await barrier.reached()
    let waiting = (0..<limits.waiting).map { test.plane.startReserving("n\($0)") }
    let error = await refusal { () async throws(TenancyError) in
      try await test.plane.reserve("over")
    }
    #expect(error?.category == .resourceExhausted)
    #expect(error?.reason == .limitReached)
    #expect(error?.retryAfterSeconds != nil)
    barrier.open()
    #expect(await first.value == 0)
    for write in waiting { #expect(await write.value != nil) }
    #expect(!test.plane.has("over"))
    #expect(test.store.log.count == limits.waiting + 1)
    _ = try await test.plane.reserve("over")
  }

  @Test func concurrentWritesAreEachAcknowledgedOnce() async throws {
    let plane = try TestPlane()
    let revisions = await withTaskGroup(of: UInt64?.self) { group in
      for number in 0..<800 {
        group.addTask { await plane.plane.startReserving("n\(number)").value }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    // Each was judged against a state of its own: with all the writes before it.
    #expect(Set(revisions.compactMap { $0 }) == Set(0..<800))
    #expect(Set(plane.store.log.map(\.action)).count == 800)
    #expect(plane.plane.state.revision == 800)
  }

  @Test func readersNeverSeeWhatIsNotAcknowledged() async throws {
    let test = try TestPlane()
    let reader = SnapshotReader(test.plane)
    let barrier = test.store.holdNextAppend()
    let write = test.plane.startReserving("a")
    await barrier.reached()
    #expect(!test.plane.has("a"))
    #expect(reader.snapshot.state.revision == 0)
    barrier.open()
    #expect(await write.value == 0)
    #expect(test.plane.has("a"))
    #expect(reader.snapshot.state.revision == 1)
    #expect(reader.snapshot.state.owner(of: ReservedName(.slug, "a")) == Sample.id(1))
    // One for each revision, and none of another reader's.
    #expect(reader.snapshot === reader.snapshot)
    #expect(reader.snapshot !== SnapshotReader(test.plane).snapshot)
  }

  @Test func aSnapshotThatIsHeldDoesNotChange() async throws {
    let test = try TestPlane()
    _ = try await test.plane.reserve("a")
    let held = test.plane.snapshot
    _ = try await test.plane.reserve("b")
    #expect(held.state.revision == 1)
    #expect(held.state.owner(of: ReservedName(.slug, "b")) == nil)
  }

  @Test func closingWaitsForWritesAndRefusesLaterOnes() async throws {
    let test = try TestPlane()
    let barrier = test.store.holdNextAppend()
    let first = test.plane.startReserving("first")
    await barrier.reached()
    let second = test.plane.startReserving("second")
    let closing = Task.immediate { await test.plane.close() }
    let late = await refusal { () async throws(TenancyError) in
      try await test.plane.reserve("late")
    }
    #expect(late?.category == .unavailable)
    #expect(test.store.closings == 0)
    barrier.open()
    await closing.value
    #expect(await first.value == 0)
    #expect(await second.value == 1)
    #expect(test.store.closings == 1)
    #expect(test.store.log.map(\.action) == ["first", "second"])
    let later = await refusal { () async throws(TenancyError) in
      try await test.plane.reserve("later")
    }
    #expect(later?.reason == .storeUnavailable)
  }
}
