import TenancyRPC
import Testing

@Suite("What handlers throw", .timeLimit(.minutes(1)))
struct ThrownStatusTests {
  /// An error that says that all is well is a mistake of the handler: the client must not take it for an answer.
  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func anErrorIsNeverOK(wire: WireProtocol) async throws {
    let ok = RPCStatus(.ok, "")
    let methods: [TestMethod] = [
      .inline(path: "/test.Thrown/Inline") { (_, _) throws(RPCStatus) in throw ok },
      .async(path: "/test.Thrown/Unary") { _, _ in throw ok },
      .streaming(path: "/test.Thrown/Stream", kind: .serverStreaming) { _, _, _ in throw ok },
    ]
    try await withEcho(methods, wire: wire) { channel in
      for path in methods.map(\.path).dropLast() {
        let status = await failure { _ = try await channel.ask(path, [1]) }
        #expect(status?.code == .internalError && status?.message == "internal error")
      }
      let status = await failure {
        try await channel.serverStreaming(path: "/test.Thrown/Stream", message: [1]) { answers in
          for try await _ in answers {}
        }
      }
      #expect(status?.code == .internalError)
      let answer = try await channel.ask("/test.Echo/Inline", [1])
      #expect(answer == [1])
    }
  }

  /// Clients are told when to come back, over gRPC by the details (ttrpc's travel as messages of their own).
  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func clientsLearnWhenToComeBack(wire: WireProtocol) async throws {
    let busy = TestMethod.async(path: "/test.Thrown/Busy") { _, _ in
      throw RPCStatus(.resourceExhausted, "busy", retryAfter: .milliseconds(1500))
    }
    try await withEcho([busy], wire: wire) { channel in
      let status = await channel.refusal(busy.path, [1])
      #expect(status?.code == .resourceExhausted)
      #expect(status?.retryAfter == .milliseconds(1500))
      #expect(await channel.refusal("/test.Echo/Refuse")?.retryAfter == nil)
    }
  }

  private func failure(of body: () async throws -> Void) async -> RPCStatus? {
    do {
      try await body()
      return nil
    } catch {
      return error as? RPCStatus
    }
  }

  @Test func metadataIsFoundInAnyCase() {
    var metadata: RPCMetadata = ["X-Who": "me"]
    metadata.add("x-who", "you")
    for name in ["x-who", "X-Who", "X-WHO"] { #expect(metadata[name] == ["me", "you"]) }
    #expect(metadata["x-whom"].isEmpty)
  }
}
