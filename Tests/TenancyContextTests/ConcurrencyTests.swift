import Dispatch
import NIOCore
import NIOPosix
import Synchronization
import Tenancy
import TenancyContext
import Testing

/// Many tenants at once, by each way in which code is run: never another's, and none only where that is said.
struct ConcurrencyTests {
  private static let tenants = (1...32).map { Sample.context(UInt8($0)) }

  /// In the context of each at once.
  private func forEach(
    _ body: @escaping @Sendable (TenantContext) async throws -> Void
  ) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for context in Self.tenants {
        group.addTask {
          try await TenantContext.with(context) {
            for _ in 0..<20 {
              await Task.yield()
              try await body(context)
            }
          }
        }
      }
      try await group.waitForAll()
    }
  }

  private static func expect(_ context: TenantContext) throws {
    #expect(try TenantContext.require().tenant == context.tenant)
  }

  private actor Counter {
    var seen: [TenantID: Int] = [:]

    func note() throws {
      seen[try TenantContext.require().tenant.id, default: 0] += 1
    }
  }

  @Test func childTasksGroupsAndActors() async throws {
    let counter = Counter()
    try await forEach { context in
      async let child: Void = Self.expect(context)
      try await child
      try await withThrowingTaskGroup(of: TenantID.self) { group in
        for _ in 0..<4 {
          group.addTask {
            await Task.yield()
            return try TenantContext.require().tenant.id
          }
        }
        for try await id in group { #expect(id == context.tenant.id) }
      }
      try await Task {
        await Task.yield()
        try Self.expect(context)
      }.value
      try await counter.note()
      try Self.expect(context)
    }
    #expect(await counter.seen.count == Self.tenants.count)
    #expect(await counter.seen.values.allSatisfy { $0 == 20 })
  }

  @Test func aDetachedTaskHasNoneUnlessItIsCarried() async throws {
    try await forEach { context in
      #expect(await Task.detached { TenantContext.current?.tenant }.value == nil)
      let carried = TenantContext.carrying { try TenantContext.require().tenant }
      let seen = try await Task.detached { try carried() }.value
      #expect(seen == context.tenant)
      let waiting = TenantContext.carrying { (number: Int) async throws in
        await Task.yield()
        return (try TenantContext.require().tenant, number + 1)
      }
      let (tenant, number) = try await Task.detached { try await waiting(6) }.value
      #expect(tenant == context.tenant && number == 7)
    }
    // Made where there is none, it has none elsewhere.
    let empty = TenantContext.carrying { TenantContext.current?.tenant }
    let seen = try TenantContext.with(Self.tenants[0]) { try empty() }
    #expect(seen == nil)
  }

  @Test func sequences() async throws {
    try await forEach { context in
      let (stream, continuation) = AsyncStream.makeStream(of: TenantID?.self)
      let producer = Task {
        for _ in 0..<5 {
          await Task.yield()
          continuation.yield(TenantContext.current?.tenant.id)
        }
        continuation.finish()
      }
      for await produced in stream {
        #expect(produced == context.tenant.id)
        try Self.expect(context)
      }
      await producer.value
    }
  }

  @Test func continuationsAndQueues() async throws {
    let queue = DispatchQueue(label: "callbacks", attributes: .concurrent)
    try await forEach { context in
      let (there, carried): (TenantDetails?, TenantDetails?) =
        await withCheckedContinuation { continuation in
          let read = TenantContext.carrying { TenantContext.current?.tenant }
          queue.async {
            continuation.resume(returning: (TenantContext.current?.tenant, try? read()))
          }
        }
      // A queue's thread has no task.
      #expect(there == nil && carried == context.tenant)
      try Self.expect(context)
    }
  }

  @Test func eventLoops() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    try await forEach { context in
      let loop = group.next()
      let read = TenantContext.carrying { TenantContext.current?.tenant }
      let there = try await loop.submit { TenantContext.current?.tenant }.get()
      #expect(there == nil)
      let hopped = try await loop.submit { try read() }
        .hop(to: group.next())
        .flatMapThrowing { first in (first, try read()) }
        .get()
      #expect(hopped.0 == context.tenant && hopped.1 == context.tenant)
      let timed = try await loop.scheduleTask(in: .microseconds(10)) { try read() }
        .futureResult.get()
      #expect(timed == context.tenant)
      try Self.expect(context)
    }
    try await group.shutdownGracefully()
  }

  @Test func timersAndCancellation() async throws {
    try await forEach { context in
      try await Task.sleep(for: .microseconds(50))
      try Self.expect(context)
      let cancelled = Task {
        try? await Task.sleep(for: .seconds(600))
        return try TenantContext.require().tenant
      }
      cancelled.cancel()
      let seen = try await cancelled.value
      #expect(seen == context.tenant)
      try await withTaskCancellationHandler {
        try Self.expect(context)
      } onCancel: {
      }
    }
  }
}
