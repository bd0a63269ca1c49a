import Foundation
import Synchronization
import TenancyTestSupport
import Testing

@testable import TenancyRPCClient
@testable import TenancyRPCServer

/// What becomes of one that is run.
@Suite("A server that is run", .timeLimit(.minutes(1)))
struct ServerRunTests {
  private struct Failure: Error {}

  private final class Flag: Sendable {
    let value = Mutex(false)
  }

  private let path = freePath()

  private func server(
    _ more: TestMethod..., listeners: [ListenAddress] = []
  ) async throws -> Server {
    try await Server(
      Server.Configuration(listeners: [.unix(path: path, mode: 0o600)] + listeners),
      methods: EchoService.methods + more, delegate: PlainDelegate())
  }

  private var isListening: Bool { FileManager.default.fileExists(atPath: path) }

  private func failure(
    _ server: Server, drainingFor limit: Duration = .seconds(5),
    _ onStart: () async throws -> Void = {}
  ) async -> String? {
    do {
      try await server.run(drainingFor: limit) { _ in try await onStart() }
      return nil
    } catch {
      return "\(error)"
    }
  }

  /// Runs the server; returns its failure.
  private func failure(
    running server: Server, drainingFor limit: Duration = .seconds(5),
    _ body: @escaping @Sendable (_ cancel: () -> Void) async -> Void
  ) async -> String? {
    let (starts, continuation) = AsyncStream.makeStream(of: Void.self)
    return await withTaskGroup(of: String?.self) { group in
      group.addTask {
        defer { continuation.finish() }
        return await failure(server, drainingFor: limit) { continuation.yield() }
      }
      for await _ in starts { break }
      await body { group.cancelAll() }
      return await group.next() ?? "it has not run"
    }
  }

  /// Who stops a server while it binds leaves nothing behind, whichever comes first.
  @Test func aStopBesideAStart() async throws {
    for _ in 0..<50 {
      let server = try await server()
      async let started = try? server.start()
      await server.stop(within: .zero)
      _ = await started
      #expect(!isListening && !server.isServing)
    }
  }

  @Test func servesUntilItIsCancelled() async throws {
    let server = try await server()
    let path = path
    let failure = await failure(running: server) { cancel in
      let channel = RPCChannel(.unix(path: path))
      #expect(await channel.refusal("/test.Echo/Async", [7]) == nil)
      await channel.close()
      cancel()
    }
    #expect(failure == nil)
    #expect(!isListening)
    #expect(await self.failure(server) == "the server was started before")
  }

  @Test func callsInFlightAreDrainedWhenItIsCancelled() async throws {
    let gate = Gate()
    let (server, path) = (try await server(gate.method), path)
    let failure = await failure(running: server) { cancel in
      let channel = RPCChannel(.unix(path: path))
      async let refusal = channel.refusal("/test.Gate/Wait", [7])
      #expect(await gate.next(1) == [.started])
      cancel()
      // It stops to accept first, and then waits for the call.
      while FileManager.default.fileExists(atPath: path) { await Task.yield() }
      gate.open()
      #expect(await refusal == nil)
      await channel.close()
    }
    #expect(failure == nil)
  }

  /// In a task that is cancelled every sleep ends at once: the wait for handlers must not.
  @Test func handlersHaveTheirMomentWhenItIsCancelled() async throws {
    let (begins, begun) = AsyncStream.makeStream(of: Void.self)
    let hasReturned = Flag()
    let slow = TestMethod.async(path: "/test.Slow/Call") { _, message in
      begun.yield()
      // Not cancelled with the call.
      await Task { try? await Task.sleep(for: .milliseconds(200)) }.value
      hasReturned.value.withLock { $0 = true }
      return message
    }
    let (server, path) = (try await server(slow), path)
    let failure = await failure(running: server, drainingFor: .zero) { cancel in
      let channel = RPCChannel(.unix(path: path))
      async let refusal = channel.refusal("/test.Slow/Call", [7])
      for await _ in begins { break }
      cancel()
      _ = await refusal  // Whether it is cut off or answered: the handler goes on.
      await channel.close()
    }
    #expect(failure == nil)
    #expect(hasReturned.value.withLock { $0 })
  }

  @Test func endsWhenAnotherStopsIt() async throws {
    let server = try await server()
    let failure = await failure(running: server) { _ in await server.stop(within: .zero) }
    #expect(failure == nil)
    #expect(!isListening)
  }

  @Test func isRunOnce() async throws {
    let (server, path) = (try await server(), path)
    let failure = await failure(running: server) { cancel in
      #expect(await self.failure(server) == "the server was started before")
      // The one that runs is none the worse for it.
      #expect(FileManager.default.fileExists(atPath: path))
      cancel()
    }
    #expect(failure == nil)
  }

  @Test func whatItCannotListenOnLeavesNothingBehind() async throws {
    let server = try await server(listeners: [.unix(path: "/nowhere/at/all", mode: 0o600)])
    #expect(await failure(server)?.contains("/nowhere/at/all") == true)
    #expect(!isListening)
  }

  @Test func whatIsDoneAtItsStartMayFail() async throws {
    let server = try await server()
    let failure = await failure(server) {
      #expect(isListening)
      throw Failure()
    }
    #expect(failure == "Failure()")
    #expect(!isListening)
  }

  @Test func oneThatIsCancelledBeforeDoesNotStart() async throws {
    let server = try await server()
    await withTaskGroup(of: Void.self) { group in
      group.cancelAll()
      group.addTask {
        #expect(await failure(server) { Issue.record("it has started") } == nil)
      }
    }
    #expect(await failure(server) == "the server was started before")
  }

  @Test func aListenerThatIsLostEndsIt() async throws {
    let server = try await server()
    let failure = await failure(running: server) { _ in
      // As after an error of the socket.
      for listener in server.listening.withLock({ $0 }) {
        try? await listener.channel.close().get()
      }
    }
    #expect(failure == "the listener unix:\(path) has closed by itself")
    #expect(!isListening)
  }
}
