import TenancyRPC
import Testing

@Suite("A channel and a server over a Unix socket", .timeLimit(.minutes(1)))
struct ChannelTests {
  @Test(arguments: ["/test.Echo/Inline", "/test.Echo/Async"], [WireProtocol.grpc, .ttrpc])
  func echoes(path: String, wire: WireProtocol) async throws {
    try await withEcho(wire: wire) { channel async throws in
      for message in [[], [1], Array("hello".utf8)] as [[UInt8]] {
        #expect(try await channel.ask(path, message) == message)
      }
    }
  }

  @Test(arguments: ["/test.Echo/Inline", "/test.Echo/Async"], [WireProtocol.grpc, .ttrpc])
  func carriesLargeMessages(path: String, wire: WireProtocol) async throws {
    try await withEcho(wire: wire) { channel async throws in
      let message = (0..<1_048_576).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      #expect(try await channel.ask(path, message) == message)
    }
  }

  /// More calls than the server takes at once: the rest wait in the client.
  @Test(arguments: ["/test.Echo/Inline", "/test.Echo/Async"], [WireProtocol.grpc, .ttrpc])
  func carriesThousandConcurrentCalls(path: String, wire: WireProtocol) async throws {
    try await withEcho(wire: wire) { channel async throws in
      try await withThrowingTaskGroup(of: Bool.self) { group in
        for index in 0..<1000 {
          let message = Array("message \(index)".utf8)
          group.addTask { try await channel.ask(path, message) == message }
        }
        var right = 0
        for try await isSame in group where isSame { right += 1 }
        #expect(right == 1000)
      }
    }
  }

  @Test(arguments: ["/test.Echo/Refuse", "/test.Echo/RefuseAsync"], [WireProtocol.grpc, .ttrpc])
  func carriesStatus(path: String, wire: WireProtocol) async throws {
    try await withEcho(wire: wire) { channel async throws in
      let found = await channel.refusal(path)
      #expect(found == EchoService.refusal(over: wire))
    }
  }

  @Test func carriesMetadata() async throws {
    try await withEcho { channel async throws in
      var options = RPCCallOptions()
      options.metadata.add("X-Tenant", "acme")
      options.metadata.add("x-tenant", "")
      options.metadata.add("x-tenant", "two words")
      let path = "/test.Echo/RPCMetadata"
      let answer = try await channel.ask(path, Array("x-tenant".utf8), options)
      #expect(String(decoding: answer, as: UTF8.self) == "acme,,two words")
    }
  }

  @Test(arguments: [
    ("", "a"), ("a b", "a"), ("grpc-timeout", "1S"), (":path", "/x"), ("te", "x"), ("naïve", "a"),
    ("x", "naïve"), ("x", "a\nb"), ("x", "\u{7F}"),
  ])
  func refusesBadMetadata(name: String, value: String) async throws {
    try await withEcho { channel async throws in
      var options = RPCCallOptions()
      options.metadata.add(name, value)
      let found = await channel.refusal("/test.Echo/Inline", [], options)
      #expect(found?.code == .internalError)
      #expect(try await channel.ask("/test.Echo/Inline", [7]) == [7])
    }
  }

  @Test func unknownMethodIsUnimplemented() async throws {
    try await withEcho { channel async throws in
      let found = await channel.refusal("/test.Echo/Nothing", [1])
      #expect(found?.code == .unimplemented)
    }
  }
}

@Suite("Limits of a channel and its server", .timeLimit(.minutes(1)))
struct ChannelLimitTests {
  static let path = "/test.Echo/Inline"

  @Test func requestPastServersLimitIsRefusedAndConnectionGoesOn() async throws {
    try await withEcho { channel async throws in
      let limit = ServerLimits().maximumMessageBytes
      let most = [UInt8](repeating: 7, count: limit)
      #expect(try await channel.ask(Self.path, most) == most)
      for _ in 0..<3 {
        let found = await channel.refusal(Self.path, most + [7])
        #expect(found?.code == .resourceExhausted)
        #expect(try await channel.ask(Self.path, [1]) == [1])
      }
    }
  }

  @Test func responsePastClientsLimitIsRefused() async throws {
    var limits = ClientLimits()
    limits.maximumMessageBytes = 100
    try await withEcho(client: limits) { channel async throws in
      let most = [UInt8](repeating: 7, count: 100)
      #expect(try await channel.ask(Self.path, most) == most)
      let found = await channel.refusal(Self.path, most + [7])
      #expect(found?.code == .resourceExhausted)
      #expect(try await channel.ask(Self.path, [1]) == [1])
    }
  }

  @Test func metadataPastLimitsIsRefused() async throws {
    try await withEcho { channel async throws in
      // The first is for the server to refuse, the second does not leave the client.
      for length in [17_000, 33_000] {
        var options = RPCCallOptions()
        options.metadata.add("x", String(repeating: "y", count: length))
        let found = await channel.refusal(Self.path, [], options)
        #expect(found?.code == .resourceExhausted)
      }
      #expect(try await channel.ask(Self.path, [1]) == [1])
    }
  }

  @Test func callsPastLimitAreRefused() async throws {
    var limits = ClientLimits()
    limits.maximumCalls = 1
    let gate = Gate()
    try await withEcho([gate.method], client: limits) { channel async throws in
      async let first = channel.ask("/test.Gate/Wait", [1])
      #expect(await gate.next(1) == [.started])
      let found = await channel.refusal(Self.path)
      #expect(found?.code == .resourceExhausted)
      gate.open()
      #expect(try await first == [1])
      #expect(try await channel.ask(Self.path, [2]) == [2])
    }
  }
}
