import TenancyRPC
import Testing

/// Methods that answer at once, and calls of them that must wait.
struct PutOffTests {
  private static let methods: [TestMethod] = [
    .inline(
      path: "/test.Wait/Echo",
      orElse: { call, message in
        guard call.metadata["wait"] == ["refuse"] else { return [1] + message }
        throw EchoService.refusal
      },
      { call, message in
        #expect(call.hasMetadata("wait") == !call.metadata["wait"].isEmpty)
        guard !call.hasMetadata("wait") else { return call.putOff() }
        call.reply(count: message.count) { target in
          if let base = message.baseAddress {
            target.copyMemory(from: base, byteCount: message.count)
          }
        }
      }),
    .inline(path: "/test.Wait/Nobody") { call, _ in call.putOff() },
    // Without metadata over ttrpc the call is over before the next frame is read.
    .inline(path: "/test.Wait/Always", orElse: { _, _ in [7] }) { call, _ in call.putOff() },
  ]

  private func options(_ wait: String?) -> RPCCallOptions {
    RPCCallOptions(
      metadata: wait.map { ["first": "wait", "wait": $0] } ?? RPCMetadata(), timeout: .seconds(20))
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc], [0, 3, 100_000])
  func theOtherHandlerAnswersWithTheSameMessage(_ wire: WireProtocol, _ size: Int) async throws {
    try await withEcho(Self.methods, wire: wire) { channel in
      let message = [UInt8](repeating: 5, count: size)
      for _ in 0..<3 {
        let now = try await channel.unary(
          path: "/test.Wait/Echo", message: message, options: options(nil))
        #expect(now == message)
        let named = RPCCallOptions(
          metadata: ["later": "wait", "waits": "wait", "wai": "t"], timeout: .seconds(20))
        let alike = try await channel.unary(
          path: "/test.Wait/Echo", message: message, options: named)
        #expect(alike == message)
        let later = try await channel.unary(
          path: "/test.Wait/Echo", message: message, options: options("yes"))
        #expect(later == [1] + message)
        let refusal = await #expect(throws: RPCStatus.self) {
          try await channel.unary(
            path: "/test.Wait/Echo", message: message, options: options("refuse"))
        }
        #expect(refusal?.code == .failedPrecondition)
      }
    }
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func aCallThatNobodyCanAnswerIsAnError(_ wire: WireProtocol) async throws {
    try await withEcho(Self.methods, wire: wire) { channel in
      let error = await #expect(throws: RPCStatus.self) {
        try await channel.unary(path: "/test.Wait/Nobody", message: [1], options: options(nil))
      }
      #expect(error?.code == .internalError)
      guard wire == .ttrpc else { return }
      let late = await #expect(throws: RPCStatus.self) {
        try await channel.unary(path: "/test.Wait/Always", message: [1], options: options(nil))
      }
      #expect(late?.code == .internalError)
      let answer = try await channel.unary(
        path: "/test.Wait/Always", message: [1], options: options("x"))
      #expect(answer == [7])
    }
  }
}
