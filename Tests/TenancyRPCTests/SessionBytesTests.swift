import NIOEmbedded
import Testing

@testable import TenancyLoop
@testable import TenancyRPCClient
@testable import TenancyRPCCore
@testable import TenancyRPCServer

@Suite("HTTP/2 engines, byte by byte")
struct SessionBytesTests {
  static func client() -> HTTP2ClientSession {
    HTTP2ClientSession(scheme: "http", authority: "localhost", limits: ClientLimits())
  }

  static func server() -> HTTP2ServerSession {
    HTTP2ServerSession(
      methods: MethodTable(serving: EchoService.methods), limits: ServerLimits(),
      timers: TimerQueue(loop: EmbeddedEventLoop()), memory: ConnectionMemory(ServerLimits()))
  }

  @Test func serverAnswersTheSameByteByByte() throws {
    let client = Self.client()
    let call = try SessionCall(client)
    let request = client.output()

    let whole = Self.server()
    _ = request.withUnsafeBytes { whole.receive($0) }
    #expect(whole.serveEcho() == 1)
    let answer = whole.output()

    let slow = Self.server()
    var served = 0
    for byte in request {
      guard case .proceed = [byte].withUnsafeBytes({ slow.receive($0) }) else {
        Issue.record("refused")
        return
      }
      served += slow.serveEcho()
    }
    #expect(served == 1)
    #expect(slow.output() == answer)

    for byte in answer { client.feed([byte]) }
    #expect(call.results == [.success([1, 2, 3])])
    #expect(client.openStreams == 0)
  }

  @Test func idleStreamsHoldNoLargeBuffers() throws {
    let client = Self.client()
    let server = Self.server()
    let call = try SessionCall(client, [UInt8](repeating: 7, count: 100_000))
    var seen: [HTTP2Stream] = []
    for _ in 0..<20 {
      _ = client.output().withUnsafeBytes { server.receive($0) }
      _ = server.serveEcho { seen.append($0) }
      client.feed(server.output())
    }
    #expect(call.results == [.success([UInt8](repeating: 7, count: 100_000))])
    #expect(seen.count == 1)
    #expect(seen.allSatisfy { $0.body.capacity <= 4096 && $0.reply.capacity <= 4096 })
  }

  @Test func truncatedRequestIsNotAnswered() throws {
    let client = Self.client()
    let call = try SessionCall(client)
    let request = client.output()
    for length in 0..<request.count {
      let server = Self.server()
      _ = request[..<length].withUnsafeBytes { server.receive($0) }
      #expect(server.serveEcho() == 0)
      _ = server.output()
    }
    #expect(call.results.isEmpty)
  }

  @Test func truncatedResponseIsNoResult() throws {
    let server = Self.server()
    let first = Self.client()
    _ = try SessionCall(first)
    _ = first.output().withUnsafeBytes { server.receive($0) }
    #expect(server.serveEcho() == 1)
    let answer = server.output()
    for length in 0..<answer.count {
      let client = Self.client()
      let call = try SessionCall(client)
      _ = client.output()
      client.feed(Array(answer[..<length]))
      #expect(call.results.isEmpty)
      client.endAll(RPCStatus(.unavailable, "lost"))
      client.tellObservers()
      #expect(call.code == .unavailable)
    }
  }

  /// Any byte may be wrong: that may cost the connection, never the process.
  @Test func damagedBytesDoNoHarm() throws {
    let client = Self.client()
    _ = try SessionCall(client)
    let request = client.output()
    let server = Self.server()
    _ = request.withUnsafeBytes { server.receive($0) }
    _ = server.serveEcho()
    let answer = server.output()
    for mask: UInt8 in [0x01, 0x80, 0xFF] {
      for index in request.indices {
        var damaged = request
        damaged[index] ^= mask
        let server = Self.server()
        _ = damaged.withUnsafeBytes { server.receive($0) }
        _ = server.serveEcho()
        _ = server.output()
      }
      for index in answer.indices {
        var damaged = answer
        damaged[index] ^= mask
        let client = Self.client()
        let call = try SessionCall(client)
        _ = client.output()
        client.feed(damaged)
        _ = client.output()
        #expect(call.results.count <= 1)
      }
    }
  }
}
