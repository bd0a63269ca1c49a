import Synchronization
import TenancyRPC
import TenancyRPCInterop
import TenancyTestSupport
import Testing

@Suite("Interceptors of a client", .timeLimit(.minutes(1)))
struct ClientInterceptorTests {
  /// Notes what passes, gives it metadata of its own, and refuses what it is told to.
  private final class Witness: RPCClientInterceptor {
    private let name: String
    private let log: Journal
    private let refuses: String?

    init(_ name: String, _ log: Journal, refuses: String? = nil) {
      self.name = name
      self.log = log
      self.refuses = refuses
    }

    private func begin(_ path: String, _ options: RPCCallOptions) throws -> RPCCallOptions {
      log.add("\(name) \(path)")
      if refuses == path { throw RPCStatus(.permissionDenied, name) }
      var options = options
      options.metadata.add("x-grpc-test-echo-initial", name)
      return options
    }

    nonisolated(nonsending) func intercept<Request, Response>(
      _ method: RPCMethod<Request, Response>, _ request: Request, options: RPCCallOptions,
      next: (Request, RPCCallOptions) async throws -> Response
    ) async throws -> Response {
      let response = try await next(request, try begin(method.path, options))
      log.add("\(name) OK")
      return response
    }

    nonisolated(nonsending) func intercept<Request, Response, Answer>(
      streaming method: RPCMethod<Request, Response>, options: RPCCallOptions,
      next: (RPCCallOptions) async throws -> Answer
    ) async throws -> Answer {
      let answer = try await next(try begin(method.path, options))
      log.add("\(name) OK")
      return answer
    }
  }

  private typealias Spec = GRPCTesting.TestService

  private static func passed(_ path: String) -> [String] {
    ["a \(path)", "b \(path)", "b OK", "a OK"]
  }

  /// Calls of all kinds pass the first one first, and carry what both have added.
  @Test func allKinds() async throws {
    try await SwiftClientTests.run(.grpc) { channel in
      let log = Journal()
      let client = GRPCTesting.TestServiceClient(
        channel.intercepted(by: [Witness("a", log), Witness("b", log)]))
      let seen = Mutex<[String]>([])
      var options = RPCCallOptions()
      options.onMetadata = { metadata in
        seen.withLock { $0 = metadata.initial["x-grpc-test-echo-initial"] }
      }
      func check(_ path: String) {
        #expect(log.take() == Self.passed(path))
        #expect(seen.withLock { $0 } == ["a", "b"], "\(path)")
        seen.withLock { $0 = [] }
      }
      _ = try await client.unaryCall(.init(responseSize: 3), options: options)
      check(Spec.unaryCall.path)
      _ = try await client.streamingInputCall(options: options) { try await $0.send(.init()) }
      check(Spec.streamingInputCall.path)
      try await client.streamingOutputCall(.init(), options: options) {
        while try await $0.next() != nil {}
      }
      check(Spec.streamingOutputCall.path)
      try await client.fullDuplexCall(options: options) { writer, responses in
        writer.finish()
        while try await responses.next() != nil {}
      }
      check(Spec.fullDuplexCall.path)
    }
  }

  @Test func oneThatRefuses() async throws {
    try await SwiftClientTests.run(.ttrpc) { channel in
      let log = Journal()
      let path = Spec.emptyCall.path
      let intercepted = channel.intercepted(
        by: [Witness("a", log), Witness("b", log, refuses: path)])
      let client = GRPCTesting.TestServiceClient(intercepted)
      let status = await #expect(throws: RPCStatus.self) { try await client.emptyCall(.init()) }
      #expect(status?.code == .permissionDenied && status?.message == "b")
      #expect(log.take() == ["a \(path)", "b \(path)"])
    }
  }

  @Test func anEmptyChainIsTheChannelItself() async throws {
    try await SwiftClientTests.run(.grpc) { channel in
      #expect(channel.intercepted(by: []) is RPCChannel)
    }
  }
}
