import Foundation
import TenancyRPC
import TenancyTestSupport
import Testing

/// What becomes of a server that is started and stopped in odd orders.
@Suite("A server's life", .timeLimit(.minutes(1)))
struct ServerLifeTests {
  private static func startRefusal(of server: Server) async -> String? {
    do {
      _ = try await server.start()
      return nil
    } catch {
      return (error as? ServerStartError)?.description ?? "\(error)"
    }
  }

  @Test func isStartedOnce() async throws {
    let test = try await TestServer.start()
    #expect(await Self.startRefusal(of: test.server) == "the server was started before")
    let channel = test.channel()
    // The one that runs is none the worse for it.
    #expect(try await channel.ask("/test.Echo/Async", [7]) == [7])
    await channel.close()
    try await test.stop()
    #expect(await Self.startRefusal(of: test.server) == "the server was started before")
  }

  @Test func whoStopsItReturnsWhenItHasStopped() async throws {
    let test = try await TestServer.start()
    await withTaskGroup { group in
      for _ in 0..<4 {
        group.addTask {
          await test.server.stop(within: .seconds(5))
          #expect(!FileManager.default.fileExists(atPath: test.path))
        }
      }
    }
    await test.server.turnLoops()
    try await test.stop()
  }

  @Test func oneThatWasNotStartedIsStopped() async throws {
    let path = freePath()
    let server = try await Server(
      Server.Configuration(listeners: [.unix(path: path, mode: 0o600)]), methods: [],
      delegate: PlainDelegate())
    await server.stop(within: .zero)
    #expect(await Self.startRefusal(of: server) == "the server was started before")
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  /// The first address is given back when there is no second.
  @Test func aStartThatFailsLeavesNothingBehind() async throws {
    let path = freePath()
    let server = try await Server(
      Server.Configuration(
        listeners: [
          .unix(path: path, mode: 0o600), .unix(path: "/nowhere/at/all", mode: 0o600),
        ]), methods: [], delegate: PlainDelegate())
    let refusal = await Self.startRefusal(of: server)
    #expect(refusal?.contains("/nowhere/at/all") == true)
    #expect(!FileManager.default.fileExists(atPath: path))
    #expect(await Self.startRefusal(of: server) == "the server was started before")
    await server.stop(within: .zero)
  }
}
