import Synchronization
import TenancyRPC
import Testing

/// A handler's writer and requests are values: others may hold them when it has returned.
@Suite("Streams of a handler that has returned", .timeLimit(.minutes(1)))
struct HandlerReturnTests {
  /// What a handler has let out.
  private final class Leak: Sendable {
    let held = Mutex<(requests: RequestMessages, responses: ResponseWriter)?>(nil)
    let tasks = Mutex<[Task<RPCStatus?, Never>]>([])

    func spawn(_ body: @escaping @Sendable () async throws -> Void) {
      let task = Task { () -> RPCStatus? in
        do {
          try await body()
          return nil
        } catch {
          return error as? RPCStatus
        }
      }
      tasks.withLock { $0.append(task) }
    }

    func codes() async -> [RPCStatus.Code?] {
      var codes: [RPCStatus.Code?] = []
      for task in tasks.withLock({ $0 }) { codes.append(await task.value?.code) }
      return codes
    }
  }

  private static let large = [UInt8](repeating: 7, count: 64 * 1024)

  /// Nobody takes what is sent from then on: the sender must hear of it.
  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func whatIsSentLater(wire: WireProtocol) async throws {
    let leak = Leak()
    let method = TestMethod.streaming(path: "/test.Leak/Writer", kind: .bidirectional) {
      _, requests, responses in
      leak.held.withLock { $0 = (requests, responses) }
      try await responses.send([1])
    }
    try await withEcho([method], wire: wire) { channel in
      let answers = try await channel.bidirectional(path: method.path) { requests, responses in
        var answers: [[UInt8]] = []
        for try await message in responses { answers.append(message) }
        return answers
      }
      #expect(answers == [[1]])
      let (requests, responses) = try #require(leak.held.withLock { $0 })
      leak.spawn { try await responses.send([2]) }
      leak.spawn { for _ in 0..<3 { try await responses.send(Self.large) } }
      leak.spawn { _ = try await requests.next() }
      #expect(await leak.codes() == [.internalError, .internalError, .internalError])
      #expect(try await channel.ask("/test.Echo/Inline", [1]) == [1])
    }
  }

  /// Nor is anybody left waiting who has begun before.
  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func whoeverWaits(wire: WireProtocol) async throws {
    let leak = Leak()
    let method = TestMethod.streaming(path: "/test.Leak/Reader", kind: .bidirectional) {
      _, requests, responses in
      leak.spawn { while try await requests.next() != nil {} }
      leak.spawn { while true { try await responses.send(Self.large) } }
    }
    try await withEcho([method], wire: wire) { channel in
      _ = try await channel.bidirectional(path: method.path) { requests, responses in
        for try await _ in responses {}
      }
      #expect(await leak.codes() == [.internalError, .internalError])
    }
  }
}
