import Foundation
import Logging
import Synchronization
import TenancyRPC
import TenancyRPCInterop
import TenancyRPCServices
import TenancyRPCTestSupport
import Testing

@testable import rpc_interop_server

/// The generated clients against the conformance server: the cases of gRPC's interoperability test
/// description that ask something of a client, and ttrpc's, each over both protocols where it can be.
@Suite("Generated clients", .timeLimit(.minutes(1)))
struct SwiftClientTests {
  static let both = [WireProtocol.grpc, .ttrpc]

  static func run(
    _ wire: WireProtocol, _ body: (RPCChannel) async throws -> Void
  ) async throws {
    let methods: [ServiceMethod<InteropDelegate>] = try InteropServices.methods(
      health: HealthStatus(serving: InteropServices.names))
    let delegate = InteropDelegate(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    var configuration = RPCChannel.Configuration.speaking(wire)
    configuration.healthService = "grpc.testing.TestService"
    try await serving(methods, by: delegate, over: configuration) { channel, _ in
      try await body(channel)
    }
  }

  static func payload(_ count: Int) -> GRPCTesting.Payload {
    GRPCTesting.Payload(body: [UInt8](repeating: 0, count: count))
  }

  static func output(_ sizes: [Int32]) -> GRPCTesting.StreamingOutputCallRequest {
    var request = GRPCTesting.StreamingOutputCallRequest()
    request.responseParameters = sizes.map { GRPCTesting.ResponseParameters(size: $0) }
    return request
  }

  @Test(arguments: both)
  func unary(wire: WireProtocol) async throws {
    try await Self.run(wire) { channel async throws in
      let client = GRPCTesting.TestServiceClient(channel)
      #expect(try await client.emptyCall(GRPCTesting.Empty()) == GRPCTesting.Empty())
      let request = GRPCTesting.SimpleRequest(
        responseSize: 314_159, payload: Self.payload(271_828))
      #expect(try await client.unaryCall(request).payload == Self.payload(314_159))
    }
  }

  @Test(arguments: both)
  func clientStreaming(wire: WireProtocol) async throws {
    try await Self.run(wire) { channel async throws in
      let client = GRPCTesting.TestServiceClient(channel)
      let answer = try await client.streamingInputCall { requests in
        for size in [27_182, 8, 1828, 45_904] {
          try await requests.send(.init(payload: Self.payload(size)))
        }
      }
      #expect(answer.aggregatedPayloadSize == 74_922)
    }
  }

  @Test(arguments: both)
  func serverStreaming(wire: WireProtocol) async throws {
    try await Self.run(wire) { channel async throws in
      let client = GRPCTesting.TestServiceClient(channel)
      let sizes: [Int32] = [31_415, 9, 2653, 58_979]
      let seen = try await client.streamingOutputCall(Self.output(sizes)) { responses in
        var seen: [Int] = []
        for try await response in responses { seen.append(response.payload?.body.count ?? 0) }
        return seen
      }
      #expect(seen == sizes.map(Int.init))
    }
  }

  @Test(arguments: both)
  func pingPongAndEmptyStream(wire: WireProtocol) async throws {
    try await Self.run(wire) { channel async throws in
      let client = GRPCTesting.TestServiceClient(channel)
      try await client.fullDuplexCall { requests, responses in
        for size: Int32 in [31_415, 9, 2653, 58_979] {
          try await requests.send(Self.output([size]))
          #expect(try await responses.next()?.payload == Self.payload(Int(size)))
        }
        requests.finish()
        #expect(try await responses.next() == nil)
      }
      try await client.fullDuplexCall { requests, responses async throws in
        requests.finish()
        #expect(try await responses.next() == nil)
      }
      try await client.halfDuplexCall { requests, responses in
        for size: Int32 in [1, 2] { try await requests.send(Self.output([size])) }
        requests.finish()
        var sizes: [Int] = []
        for try await response in responses { sizes.append(response.payload?.body.count ?? 0) }
        #expect(sizes == [1, 2])
      }
    }
  }

  @Test(arguments: both)
  func statusAndMessage(wire: WireProtocol) async throws {
    try await Self.run(wire) { channel async throws in
      let client = GRPCTesting.TestServiceClient(channel)
      let text = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP \u{1F608}\t\n"
      let status = GRPCTesting.EchoStatus(code: 2, message: text)
      let expected = RPCStatus(.unknown, text)
      await #expect(throws: expected) {
        try await client.unaryCall(GRPCTesting.SimpleRequest(responseStatus: status))
      }
      await #expect(throws: expected) {
        try await client.fullDuplexCall { requests, responses in
          try await requests.send(.init(responseStatus: status))
          _ = try await responses.next()
        }
      }
      let missing = await #expect(throws: RPCStatus.self) {
        try await client.unimplementedCall(GRPCTesting.Empty())
      }
      #expect(missing?.code == .unimplemented)
      let unknown = await #expect(throws: RPCStatus.self) {
        try await GRPCTesting.UnimplementedServiceClient(channel)
          .unimplementedCall(GRPCTesting.Empty())
      }
      #expect(unknown?.code == .unimplemented)
    }
  }

  @Test(arguments: both)
  func cancellationAndTimeout(wire: WireProtocol) async throws {
    try await Self.run(wire) { channel async throws in
      let client = GRPCTesting.TestServiceClient(channel)
      let begun = Task {
        try await client.streamingInputCall { _ in withUnsafeCurrentTask { $0?.cancel() } }
      }
      #expect(await Self.code { _ = try await begun.value } == .cancelled)
      let first = Task {
        try await client.fullDuplexCall { requests, responses in
          try await requests.send(Self.output([31_415]))
          #expect(try await responses.next() != nil)
          withUnsafeCurrentTask { $0?.cancel() }
          _ = try await responses.next()
        }
      }
      #expect(await Self.code { try await first.value } == .cancelled)
      var slow = Self.output([1])
      slow.responseParameters[0].intervalUs = 30_000_000
      let options = RPCCallOptions(timeout: .milliseconds(20))
      let late = await Self.code { [slow] in
        try await client.streamingOutputCall(slow, options: options) { _ = try await $0.next() }
      }
      #expect(late == .deadlineExceeded)
    }
  }

  static func code(_ body: () async throws -> Void) async -> RPCStatus.Code? {
    do {
      try await body()
      return nil
    } catch {
      return (error as? RPCStatus)?.code
    }
  }

  @Test func customMetadata() async throws {
    try await Self.run(.grpc) { channel async throws in
      let client = GRPCTesting.TestServiceClient(channel)
      let seen = Mutex<ResponseMetadata?>(nil)
      var options = RPCCallOptions()
      options.metadata.add("x-grpc-test-echo-initial", "test_initial_metadata_value")
      options.metadata.add("x-grpc-test-echo-trailing-bin", bytes: [0xAB, 0xAB, 0xAB])
      options.onMetadata = { metadata in seen.withLock { $0 = metadata } }
      _ = try await client.unaryCall(.init(responseSize: 1), options: options)
      let found = try #require(seen.withLock { $0 })
      #expect(found.initial["x-grpc-test-echo-initial"] == ["test_initial_metadata_value"])
      #expect(found.trailing.bytes("x-grpc-test-echo-trailing-bin") == [[0xAB, 0xAB, 0xAB]])
    }
  }

  @Test func compression() async throws {
    try await Self.run(.grpc) { channel async throws in
      let client = GRPCTesting.TestServiceClient(channel)
      var packed = RPCCallOptions()
      packed.compressesRequests = true
      let yes = GRPCTesting.BoolValue(value: true)
      var request = GRPCTesting.SimpleRequest(responseSize: 314_159, payload: Self.payload(271_828))
      request.expectCompressed = yes
      request.responseCompressed = yes
      #expect(
        try await client.unaryCall(request, options: packed).payload == Self.payload(314_159))
      let refused = await Self.code { _ = try await client.unaryCall(request) }
      #expect(refused == .invalidArgument)
      let total = try await client.streamingInputCall(options: packed) { requests in
        try await requests.send(.init(payload: Self.payload(27_182), expectCompressed: yes))
      }
      #expect(total.aggregatedPayloadSize == 27_182)
      var output = Self.output([31_415, 92_653])
      output.responseParameters[0].compressed = yes
      let sizes = try await client.streamingOutputCall(output) { responses in
        var sizes: [Int] = []
        for try await response in responses { sizes.append(response.payload?.body.count ?? 0) }
        return sizes
      }
      #expect(sizes == [31_415, 92_653])
    }
  }

  @Test(arguments: both)
  func streamingServiceOfTTRPC(wire: WireProtocol) async throws {
    try await Self.run(wire) { channel async throws in
      let client = TTRPCStreaming.StreamingClient(channel)
      #expect(try await client.echo(.init(seq: 1, msg: "x")) == .init(seq: 2, msg: "x"))
      let sum = try await client.sumStream { parts in
        for number: Int32 in 0...100 { try await parts.send(.init(add: number)) }
      }
      #expect(sum == TTRPCStreaming.Sum(sum: 5050, num: 101))
      let parts = try await client.divideStream(.init(sum: 392, num: 10)) { parts in
        var found: [Int32] = []
        for try await part in parts { found.append(part.add) }
        return found
      }
      #expect(parts.count == 10)
      #expect(parts.reduce(0, +) == 392)
      try await client.echoNullStream { requests, responses in
        for number: UInt32 in 0..<20 {
          try await requests.send(.init(seq: number, msg: "non-empty empty"))
        }
        requests.finish()
        var count = 0
        for try await _ in responses { count += 1 }
        #expect(count == 200)
      }
      let metadata: RPCMetadata = ["x-tenant": "acme"]
      let answer = try await client.echo(
        .init(msg: "md:x-tenant"), options: RPCCallOptions(metadata: metadata))
      #expect(answer.msg == "acme")
      #expect(try await client.echo(.init(msg: "deadline")).msg == "yes")
    }
  }
}
