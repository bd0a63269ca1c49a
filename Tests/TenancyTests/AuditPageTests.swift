import TenancyTestSupport
import Testing

@testable import Tenancy

/// Pages of audit records that nobody waits for any more, on a store that answers when the test lets it.
@Suite struct AuditPageTests {
  private let test: TestPlane
  private let reader = WritePayer.tenant(Sample.id(1))

  init() throws {
    let store = MemoryStore()
    let auditor = Auditor(
      store, hash: { [UInt8](repeating: UInt8(truncatingIfNeeded: $0.count), count: 32) },
      limits: DenialTable.Limits())
    test = try TestPlane(store, options: ControlPlane.Options(auditor: auditor))
  }

  private func startReading() -> Task<TenancyError?, Never> {
    Task.immediate { [plane = test.plane, reader] in
      await refusal { () async throws(TenancyError) in
        try await plane.auditRecords(of: .platform, after: 0, limit: 10, by: reader)
      }
    }
  }

  @Test func whoHasGoneWaitsForNothing() async {
    let barrier = test.store.holdNextAuditRead()
    let underWay = startReading()
    await barrier.reached()
    let waiting = startReading()
    underWay.cancel()
    waiting.cancel()
    // The store has not answered yet.
    #expect(await underWay.value?.category == .cancelled)
    #expect(await waiting.value?.category == .cancelled)
    barrier.open()
    #expect(await startReading().value == nil)
    // The one that was under way, and the last.
    #expect(test.store.auditReads == 2)
  }

  @Test func whoHasGoneBeforeIsNotReadFor() async {
    let gone = Task { [plane = test.plane, reader] in
      while !Task.isCancelled { await Task.yield() }
      return await refusal { () async throws(TenancyError) in
        try await plane.auditRecords(of: .platform, after: 0, limit: 10, by: reader)
      }
    }
    gone.cancel()
    #expect(await gone.value?.category == .cancelled)
    #expect(await startReading().value == nil)
    #expect(test.store.auditReads == 1)
  }

  /// Closing waits for the page that is under way, and not for those behind it.
  @Test func aClosedPlaneReadsNoMorePages() async {
    let barrier = test.store.holdNextAuditRead()
    let underWay = startReading()
    await barrier.reached()
    let waiting = startReading()
    await test.plane.close()
    barrier.open()
    _ = await underWay.value
    #expect(await waiting.value?.category == .unavailable)
    #expect(await startReading().value?.category == .unavailable)
    #expect(test.store.auditReads == 1)
  }
}
