import TenancyRPC
import TenancyTestSupport
import Testing

@testable import TenancyRPCFraming

@Suite("Interceptors of a server", .timeLimit(.minutes(1)))
struct InterceptorTests {
  /// Notes what passes, and refuses who asks for it.
  private final class Witness: RPCServerInterceptor {
    typealias Delegate = PlainDelegate

    static let refusal = RPCStatus(.permissionDenied, "not past here")

    private let name: String
    private let log: Journal

    init(_ name: String, _ log: Journal) {
      self.name = name
      self.log = log
    }

    private func refuses(_ value: [String]) -> Bool { value == [name] }

    func intercept(
      _ call: InlineCall<PlainDelegate>, of method: ServedMethod,
      _ request: UnsafeRawBufferPointer,
      next: (UnsafeRawBufferPointer) throws(RPCStatus) -> Void
    ) throws(RPCStatus) {
      log.add("\(name) \(method.path)")
      if refuses(call.metadata["x-refuse"]) { throw Self.refusal }
      do throws(RPCStatus) {
        try next(request)
      } catch {
        log.add("\(name) \(error.code)")
        throw error
      }
      log.add("\(name) OK")
    }

    func intercept(
      _ call: AsyncCall<PlainDelegate>, of method: ServedMethod, _ request: [UInt8],
      next: @escaping @Sendable ([UInt8]) async throws -> [UInt8]
    ) async throws -> [UInt8] {
      log.add("\(name) \(method.path)")
      if refuses(call.metadata["x-refuse"]) { throw Self.refusal }
      do {
        let answer = try await next(request + Array(name.utf8))
        log.add("\(name) OK")
        return answer + Array(name.utf8)
      } catch {
        log.add("\(name) \((error as? RPCStatus)?.code ?? .unknown)")
        throw error
      }
    }

    func intercept(
      _ call: AsyncCall<PlainDelegate>, of method: ServedMethod, _ requests: RequestMessages,
      _ responses: ResponseWriter,
      next: @escaping @Sendable (RequestMessages, ResponseWriter) async throws -> Void
    ) async throws {
      log.add("\(name) \(method.path)")
      if refuses(call.metadata["x-refuse"]) { throw Self.refusal }
      let name = Array(name.utf8)
      try await next(
        requests.mapped { ReceivedMessage(bytes: $0.bytes + name) },
        responses.mapped { $0 + name })
      log.add("\(self.name) OK")
    }
  }

  private static let stream = TestMethod.streaming(path: "/test.Echo/Stream", kind: .bidirectional)
  { _, requests, responses in
    for try await request in requests { try await responses.send(request.bytes) }
  }

  private static let putOff = TestMethod.inline(
    path: "/test.Echo/PutOff", orElse: { _, message in message }, { call, _ in call.putOff() })

  private func run(
    _ names: [String], _ wire: WireProtocol = .grpc,
    _ body: (RPCChannel, Journal) async throws -> Void
  ) async throws {
    let log = Journal()
    let extra = [Self.stream, Self.putOff]
    let server = try await TestServer.start(
      extra, interceptors: names.map { Witness($0, log) })
    let channel = server.channel(wire: wire)
    try await outcome {
      try await body(channel, log)
    } then: {
      await channel.close()
      try await server.stop()
    }
  }

  private static func passed(_ path: String, _ status: RPCStatus.Code = .ok) -> [String] {
    ["a \(path)", "b \(path)", "b \(status)", "a \(status)"]
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func theFirstIsTheOutermost(wire: WireProtocol) async throws {
    try await run(["a", "b"], wire) { channel, log in
      let inline = try await channel.ask("/test.Echo/Inline", [1])
      #expect(inline == [1])
      #expect(log.take() == Self.passed("/test.Echo/Inline"))
      let other = try await channel.ask("/test.Echo/Async", Array("-".utf8))
      #expect(other == Array("-abba".utf8))
      #expect(log.take() == Self.passed("/test.Echo/Async"))
      #expect(await channel.refusal("/test.Echo/Refuse")?.code == .failedPrecondition)
      #expect(log.take() == Self.passed("/test.Echo/Refuse", .failedPrecondition))
      #expect(await channel.refusal("/test.Echo/RefuseAsync")?.code == .failedPrecondition)
      #expect(log.take() == Self.passed("/test.Echo/RefuseAsync", .failedPrecondition))
      // Is not served, so nobody stands before it.
      #expect(await channel.refusal("/test.Echo/None")?.code == .unimplemented)
      #expect(log.take() == [])
    }
  }

  /// What waits is judged again where it is answered.
  @Test func aCallThatIsPutOff() async throws {
    try await run(["a"]) { channel, log in
      var options = RPCCallOptions()
      options.metadata = ["x-any": "1"]
      let answer = try await channel.unary(
        path: Self.putOff.path, message: Array("-".utf8), options: options)
      #expect(answer == Array("-aa".utf8))
      #expect(
        log.take() == ["a /test.Echo/PutOff", "a OK", "a /test.Echo/PutOff", "a OK"])
    }
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func messagesOfStreams(wire: WireProtocol) async throws {
    try await run(["a", "b"], wire) { channel, log in
      let answers = try await channel.bidirectional(path: Self.stream.path) { writer, messages in
        var answers: [String] = []
        for text in ["1", "2"] {
          try await writer.send(Array(text.utf8))
          guard let answer = try await messages.next() else { break }
          answers.append(String(decoding: answer, as: UTF8.self))
        }
        writer.finish()
        while try await messages.next() != nil {}
        return answers
      }
      #expect(answers == ["1abba", "2abba"])
      #expect(log.take() == Self.passed(Self.stream.path))
    }
  }

  @Test(arguments: ["a", "b"])
  func oneThatRefuses(name: String) async throws {
    try await run(["a", "b"]) { channel, log in
      var options = RPCCallOptions()
      options.metadata = ["x-refuse": name]
      for path in ["/test.Echo/Inline", "/test.Echo/Async", Self.putOff.path] {
        #expect(await channel.refusal(path, [1], options)?.code == .permissionDenied, "\(path)")
        #expect(log.take().first == "a \(path)")
      }
      let status = await #expect(throws: RPCStatus.self) {
        try await channel.bidirectional(path: Self.stream.path, options: options) { _, messages in
          _ = try await messages.next()
        }
      }
      #expect(status?.code == .permissionDenied)
    }
  }

  /// What an interceptor throws after the handler has answered is what counts.
  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func oneThatRefusesAfterwards(wire: WireProtocol) async throws {
    let server = try await TestServer.start(interceptors: [Afterthought()])
    let channel = server.channel(wire: wire)
    for path in ["/test.Echo/Inline", "/test.Echo/Async"] {
      #expect(await channel.refusal(path, [1])?.code == .dataLoss, "\(path)")
    }
    await channel.close()
    try await server.stop()
  }

  private struct Afterthought: RPCServerInterceptor {
    typealias Delegate = PlainDelegate

    private static let status = RPCStatus(.dataLoss, "afterwards")

    func intercept(
      _ call: InlineCall<PlainDelegate>, of method: ServedMethod,
      _ request: UnsafeRawBufferPointer,
      next: (UnsafeRawBufferPointer) throws(RPCStatus) -> Void
    ) throws(RPCStatus) {
      try next(request)
      throw Self.status
    }

    func intercept(
      _ call: AsyncCall<PlainDelegate>, of method: ServedMethod, _ request: [UInt8],
      next: @escaping @Sendable ([UInt8]) async throws -> [UInt8]
    ) async throws -> [UInt8] {
      _ = try await next(request)
      throw Self.status
    }

    func intercept(
      _ call: AsyncCall<PlainDelegate>, of method: ServedMethod, _ requests: RequestMessages,
      _ responses: ResponseWriter,
      next: @escaping @Sendable (RequestMessages, ResponseWriter) async throws -> Void
    ) async throws {
      try await next(requests, responses)
      throw Self.status
    }
  }
}
