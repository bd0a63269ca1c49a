import Foundation
import TenancyRPC
import TenancyTestSupport
import Testing

/// A server of gRPC's own Python library, in a process of its own.
private final class ForeignServer {
  static let python: String = {
    let venv =
      ProcessInfo.processInfo.environment["TENANCY_VENV"] ?? ForeignProcess.root + "/.build-venv"
    return venv + "/bin/python"
  }()

  /// Serves on the Unix socket of its argument, and says so; each line of its input is a wish.
  static let script = """
    import os, sys, threading, time
    from concurrent import futures
    import grpc

    def each(request, context):
        context.send_initial_metadata((("x-first", "1"),))
        context.set_trailing_metadata((("x-last", "2"), ("x-last-bin", b"\\x00\\xff")))
        for index in range(request[0]):
            yield bytes([index]) * 1000

    def total(requests, context):
        return str(sum(len(request) for request in requests)).encode()

    def fail(requests, context):
        yield next(requests)
        context.set_trailing_metadata((("grpc-status-details-bin", b"\\x08\\x05"),))
        context.abort(grpc.StatusCode.NOT_FOUND, "nicht da: 100 % ☺")

    def wait(request, context):
        over = threading.Event()
        context.add_callback(over.set)
        print("began", flush=True)
        over.wait()
        print("over", flush=True)
        return b""

    def slow(request, context):
        print("began", flush=True)
        time.sleep(0.5)
        return b"done"

    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(lambda request, context: request),
        "Each": grpc.unary_stream_rpc_method_handler(each),
        "Total": grpc.stream_unary_rpc_method_handler(total),
        "Echo": grpc.stream_stream_rpc_method_handler(lambda requests, context: requests),
        "Fail": grpc.stream_stream_rpc_method_handler(fail),
        "Wait": grpc.unary_unary_rpc_method_handler(wait),
        "Slow": grpc.unary_unary_rpc_method_handler(slow),
        "Packed": grpc.unary_unary_rpc_method_handler(lambda request, context: request * 1000),
    }
    server = grpc.server(
        futures.ThreadPoolExecutor(8), compression=grpc.Compression.Gzip,
        options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.S", methods),))
    server.add_insecure_port("unix:" + sys.argv[1])
    server.start()
    print("ready", flush=True)
    for line in sys.stdin:
        server.stop(10)
    os._exit(0)
    """

  let path = freePath()
  private let process: ForeignProcess

  init() async throws {
    process = try ForeignProcess(Self.python, ["-c", Self.script, path])
    try await expect("ready")
  }

  func expect(_ line: String) async throws { try await process.expect(line) }

  func drain() throws { try process.say("stop") }

  func end() {
    process.end()
    unlink(path)
  }
}

@Suite(
  "A channel and grpcio", .timeLimit(.minutes(1)),
  .enabled(if: FileManager.default.isExecutableFile(atPath: ForeignServer.python)))
struct ForeignServerTests {
  private func run(_ body: (ForeignServer, RPCChannel) async throws -> Void) async throws {
    let server = try await ForeignServer()
    defer { server.end() }
    let channel = RPCChannel(.unix(path: server.path))
    try await body(server, channel)
    await channel.close()
  }

  @Test func understandsAllKinds() async throws {
    try await run { _, channel in
      let large = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      #expect(try await channel.ask("/t.S/Unary", large) == large)
      #expect(try await channel.ask("/t.S/Unary") == [])
      try await channel.serverStreaming(path: "/t.S/Each", message: [200]) { responses in
        #expect(try await responses.initialMetadata["x-first"] == ["1"])
        var count = 0
        for try await message in responses {
          #expect(message == [UInt8](repeating: UInt8(count), count: 1000))
          count += 1
        }
        #expect(count == 200)
        #expect(responses.trailingMetadata["x-last"] == ["2"])
        #expect(responses.trailingMetadata.bytes("x-last-bin") == [[0, 255]])
      }
      let total = try await channel.clientStreaming(path: "/t.S/Total") { requests in
        for size in 0..<300 { try await requests.send([UInt8](repeating: 1, count: size)) }
      }
      #expect(String(decoding: total, as: UTF8.self) == "44850")
      try await channel.bidirectional(path: "/t.S/Echo") { requests, responses in
        for index in 0..<50 {
          let message = [UInt8](repeating: UInt8(index), count: index * 1000)
          try await requests.send(message)
          #expect(try await responses.next() == message)
        }
        requests.finish()
        #expect(try await responses.next() == nil)
      }
    }
  }

  @Test func understandsFailuresAndCompression() async throws {
    try await run { _, channel in
      let error = await #expect(throws: RPCStatus.self) {
        try await channel.bidirectional(path: "/t.S/Fail") { requests, responses in
          try await requests.send([7])
          #expect(try await responses.next() == [7])
          _ = try await responses.next()
        }
      }
      #expect(error == RPCStatus(.notFound, "nicht da: 100 % ☺", details: [8, 5]))
      #expect(await channel.refusal("/t.S/Nothing")?.code == .unimplemented)
      var options = RPCCallOptions()
      options.compressesRequests = true
      let text = [UInt8](repeating: 65, count: 1000)
      let answer = try await channel.ask("/t.S/Packed", text, options)
      #expect(answer == [UInt8](repeating: 65, count: 1_000_000))
    }
  }

  @Test func cancellationAndDeadlineReachTheServer() async throws {
    try await run { server, channel in
      let call = Task { await channel.refusal("/t.S/Wait") }
      try await server.expect("began")
      call.cancel()
      #expect(await call.value?.code == .cancelled)
      try await server.expect("over")
      let late = await channel.refusal("/t.S/Wait", [], RPCCallOptions(timeout: .seconds(3)))
      #expect(late?.code == .deadlineExceeded)
      try await server.expect("began")
      try await server.expect("over")
    }
  }

  /// GOAWAY while a call is served: it ends well, and the next finds no server.
  @Test func callsSurviveTheServersDrain() async throws {
    try await run { server, channel in
      async let answer = channel.ask("/t.S/Slow")
      try await server.expect("began")
      try server.drain()
      #expect(try await answer == Array("done".utf8))
    }
  }
}
