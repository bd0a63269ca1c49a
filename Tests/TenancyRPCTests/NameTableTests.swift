import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import TenancyRPCClient

@Suite("Names of a channel's targets", .timeLimit(.minutes(1)))
struct NameTableTests {
  /// Answers what it is told to, and says when it was asked.
  private final class Directory: RPCNameResolver {
    struct Gone: Error {}

    let asked: AsyncStream<Void>
    private let report: AsyncStream<Void>.Continuation
    private let answer = Mutex<[String]?>(["192.0.2.1"])

    init() { (asked, report) = AsyncStream.makeStream() }

    func becomes(_ addresses: [String]?) { answer.withLock { $0 = addresses } }

    func addresses(of host: String) async throws -> [String] {
      defer { report.yield() }
      guard let found = answer.withLock({ $0 }) else { throw Gone() }
      return found
    }
  }

  /// A table on a loop whose clock a test turns.
  private struct Place {
    let directory = Directory()
    let loop = NIOAsyncTestingEventLoop()
    let table: NIOLoopBound<NameTable>
    let changes: AsyncStream<[String]>

    init(host: String = "service.test") async throws {
      let (loop, directory) = (loop, directory)
      let (changes, continuation) = AsyncStream<[String]>.makeStream()
      self.changes = changes
      table = try await loop.executeInContext {
        let table = NameTable(
          [.tcp(host: host, port: 1)], resolver: directory, limits: ClientLimits(),
          interval: .seconds(60), loop: loop, random: { 0.5 })
        let bound = NIOLoopBound(table, eventLoop: loop)
        table.onChange = { continuation.yield(bound.value.addresses.map(\.description)) }
        return bound
      }
    }

    /// A call is made.
    func call() async throws {
      try await loop.executeInContext { [table] in table.value.resolveIfNeeded() }
    }

    /// The answer to the last question is with the table.
    func settle() async throws {
      var asked = directory.asked.makeAsyncIterator()
      _ = await asked.next()
      // What the look-up has posted is behind what follows, or before: until it is no more at work.
      while try await loop.executeInContext({ [table] in table.value.isLookingUp }) {
        await Task.yield()
      }
    }

    func known() async throws -> [String] {
      try await loop.executeInContext { [table] in table.value.addresses.map(\.description) }
    }

    func end() async throws {
      try await loop.executeInContext { [table] in table.value.close() }
      await loop.shutdownGracefully()
    }
  }

  @Test func namesAreLookedUpAgainWhileConnected() async throws {
    let place = try await Place()
    try await place.call()
    try await place.settle()
    #expect(try await place.known() == ["192.0.2.1:1"])
    place.directory.becomes(["192.0.2.2"])
    // Not for each call.
    try await place.call()
    await place.loop.advanceTime(by: .seconds(59))
    try await place.call()
    #expect(try await place.known() == ["192.0.2.1:1"])
    await place.loop.advanceTime(by: .seconds(1))
    try await place.call()
    try await place.settle()
    #expect(try await place.known() == ["192.0.2.2:1"])
    // What can't be found any more stays as it was known, and is asked for again later.
    place.directory.becomes(nil)
    await place.loop.advanceTime(by: .seconds(60))
    try await place.call()
    try await place.settle()
    #expect(try await place.known() == ["192.0.2.2:1"])
    place.directory.becomes(["192.0.2.3"])
    await place.loop.advanceTime(by: .seconds(60))
    try await place.call()
    try await place.settle()
    #expect(try await place.known() == ["192.0.2.3:1"])
    try await place.end()
    var changes: [[String]] = []
    for await change in place.changes {
      changes.append(change)
      if changes.count == 3 { break }
    }
    #expect(changes == [["192.0.2.1:1"], ["192.0.2.2:1"], ["192.0.2.3:1"]])
  }

  @Test func anAddressIsNeverLookedUp() async throws {
    let place = try await Place(host: "192.0.2.9")
    for _ in 0..<3 {
      try await place.call()
      await place.loop.advanceTime(by: .seconds(100))
      try await place.loop.executeInContext { [table = place.table] in table.value.refresh() }
    }
    #expect(try await place.known() == ["192.0.2.9:1"])
    let isLookingUp = try await place.loop.executeInContext { [table = place.table] in
      table.value.isLookingUp
    }
    #expect(!isLookingUp)
    try await place.end()
  }
}
