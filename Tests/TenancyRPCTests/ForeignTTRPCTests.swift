import Foundation
import TenancyCrypto
import TenancyRPC
import TenancyTestSupport
import Testing

/// A server of containerd/ttrpc's own library, in Go, in a process of its own.
private final class ForeignTTRPC {
  private static let go = "/usr/bin/go"
  private static let library = "/usr/share/gocode"
  private static let source = ForeignProcess.root + "/Tests/ForeignPeers/ttrpc_server"

  static var canBeBuilt: Bool {
    FileManager.default.isExecutableFile(atPath: go)
      && FileManager.default.fileExists(atPath: library + "/src/github.com/containerd/ttrpc")
  }

  /// Built once, with Debian's packages.
  private static let program = Task {
    let cache = ForeignProcess.root + "/.build-go"
    let program = cache + "/ttrpc-server"
    let build = try ForeignProcess(
      "/bin/sh", ["-c", "cd '\(source)' && \(go) build -o '\(program)' . 2>&1 && echo built"],
      adding: [
        "GO111MODULE": "off", "GOPATH": library, "GOCACHE": cache,
      ].merging(environment) { $1 })
    defer { build.end() }
    try await build.expect("built")
    return program
  }

  /// What tests with sanitizers load is not for Go.
  private static let environment = ["LD_PRELOAD": ""]

  private var process: ForeignProcess
  private let arguments: [String]
  let target: RPCChannel.Target

  /// - Parameter pki: for TLS on TCP; nil: on a Unix socket.
  init(_ pki: TestPKI?) async throws {
    let program = try await Self.program.value
    guard let pki else {
      let path = freePath()
      arguments = ["unix:\(path)"]
      target = .unix(path: path)
      process = try ForeignProcess(program, arguments, adding: Self.environment)
      try await process.expect("ready 0")
      return
    }
    _ = try pki.save(pki.issue(.server), "server")
    let files = ["ca.pem", "server.pem", "server.key"].map(pki.path)
    process = try ForeignProcess(
      program, ["127.0.0.1:0"] + files, adding: Self.environment)
    let port = try #require(Int(await process.line()?.dropFirst("ready ".count) ?? ""))
    arguments = ["127.0.0.1:\(port)"] + files
    target = .tcp(host: "127.0.0.1", port: port)
  }

  func expect(_ line: String) async throws { try await process.expect(line) }

  /// Lets go the calls of Hold.
  func release() throws { try process.say("") }

  /// Kills it, and starts another at the same address.
  func replace() async throws {
    process.end()
    process = try ForeignProcess(
      await Self.program.value, arguments, adding: Self.environment)
    try #require(await process.line()?.hasPrefix("ready") == true)
  }

  func kill() { process.end() }

  func end() {
    process.end()
    if case .unix(let path) = target { unlink(path) }
  }
}

@Suite(
  "A channel and containerd's ttrpc", .timeLimit(.minutes(3)), .enabled(if: ForeignTTRPC.canBeBuilt)
)
struct ForeignTTRPCTests {
  private func run(
    tls: Bool, _ body: (ForeignTTRPC, RPCChannel) async throws -> Void
  ) async throws {
    let pki = tls ? try TestPKI() : nil
    let server = try await ForeignTTRPC(pki)
    defer { server.end() }
    var context: TLSContext?
    if let pki {
      var files = try pki.save(pki.issue(.client()), "client")
      files.applicationProtocols = [.ttrpc]
      context = try TLSContext(.client, files)
    }
    var configuration = RPCChannel.Configuration()
    configuration.wireProtocol = .ttrpc
    configuration.retry = .never
    let channel = RPCChannel(server.target, tls: context, configuration: configuration)
    try await body(server, channel)
    await channel.close()
  }

  private func text(
    _ channel: RPCChannel, _ method: String, _ message: String = "",
    _ options: RPCCallOptions = RPCCallOptions()
  ) async throws -> String {
    let answer = try await channel.ask("/t.S/\(method)", Array(message.utf8), options)
    return String(decoding: answer, as: UTF8.self)
  }

  @Test(arguments: [false, true])
  func messagesOfAllSizes(tls: Bool) async throws {
    try await run(tls: tls) { _, channel async throws in
      for size in [0, 1, 100_000, 4 * 1024 * 1024 - 100] {
        let message = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(try await channel.ask("/t.S/Echo", message) == message)
      }
      // The limit is the protocol's: neither side sends more, and this server doesn't look.
      let tooLarge = [UInt8](repeating: 1, count: 4 * 1024 * 1024)
      #expect(await channel.refusal("/t.S/Echo", tooLarge)?.code == .resourceExhausted)
      let refusal = await channel.refusal("/t.S/Large", Array("5000000".utf8))
      #expect(refusal?.code == .resourceExhausted)
      #expect(try await text(channel, "Connections") == "1")
    }
  }

  /// Each of a hundred calls is answered when all of them have come: on one connection.
  @Test(arguments: [false, true])
  func callsSideBySide(tls: Bool) async throws {
    try await run(tls: tls) { _, channel async throws in
      try await withThrowingTaskGroup { group in
        for number in 0..<100 {
          group.addTask {
            let message = [UInt8](repeating: UInt8(number), count: number * 100)
            let answer = try await channel.ask("/t.S/Gather", message)
            #expect(answer == message)
          }
        }
        try await group.waitForAll()
      }
      #expect(try await text(channel, "Connections") == "1")
    }
  }

  @Test func failuresWithTheirDetails() async throws {
    try await run(tls: false) { _, channel async throws in
      for number in 1...16 {
        let message = "nicht da: 100 % ☺"
        let found = await channel.refusal("/t.S/Fail", [UInt8(number)] + Array(message.utf8))
        #expect(found?.code == RPCStatus.Code(number: number))
        #expect(found?.message == message)
        #expect(found?.retryAfter == .milliseconds(1500))
      }
      #expect(await channel.refusal("/t.S/Nothing")?.code == .unimplemented)
      #expect(await channel.refusal("/no.Service/Echo")?.code == .unimplemented)
      #expect(try await text(channel, "Connections") == "1")
    }
  }

  @Test func metadata() async throws {
    try await run(tls: false) { _, channel async throws in
      var options = RPCCallOptions()
      options.metadata.add("color", "blue")
      options.metadata.add("shape", "round, or so")
      options.metadata.add("color", "green")
      options.metadata.add("color", "")
      let found = try await text(channel, "Metadata", "", options)
      #expect(found == "color=blue|green|\nshape=round, or so")
      #expect(try await text(channel, "Metadata") == "")
    }
  }

  @Test func deadlines() async throws {
    try await run(tls: false) { server, channel async throws in
      let told = try await text(channel, "Timeout", "", RPCCallOptions(timeout: .seconds(50)))
      let left = try #require(Int(told))
      #expect((40_000...50_000).contains(left))
      #expect(try await text(channel, "Timeout", "", RPCCallOptions(timeout: nil)) == "none")
      // One that the server heeds, and one that it does not.
      let brief = RPCCallOptions(timeout: .milliseconds(200))
      let began = ContinuousClock.now
      #expect(await channel.refusal("/t.S/Wait", [], brief)?.code == .deadlineExceeded)
      try await server.expect("began")
      try await server.expect("over: context deadline exceeded")
      #expect(await channel.refusal("/t.S/Hold", [1], brief)?.code == .deadlineExceeded)
      #expect(began.duration(to: .now) < .seconds(20))
      try await server.expect("held")
      try server.release()
      #expect(try await channel.ask("/t.S/Echo", [2]) == [2])
      #expect(try await text(channel, "Connections") == "1")
    }
  }

  /// What is answered to a call that nobody waits for is in nobody's way.
  @Test func cancelledCalls() async throws {
    try await run(tls: false) { server, channel async throws in
      let call = Task { await channel.refusal("/t.S/Hold", [1]) }
      try await server.expect("held")
      call.cancel()
      #expect(await call.value?.code == .cancelled)
      async let other = channel.ask("/t.S/Hold", [2])
      try await server.expect("held")
      try server.release()
      #expect(try await other == [2])
      #expect(try await text(channel, "Connections") == "1")
    }
  }

  @Test(arguments: [false, true])
  func aServerThatDiesAndComesBack(tls: Bool) async throws {
    try await run(tls: tls) { server, channel async throws in
      let options = RPCCallOptions(timeout: .seconds(60))
      let call = Task { await channel.refusal("/t.S/Hold", [1], options) }
      try await server.expect("held")
      server.kill()
      #expect(await call.value?.code == .unavailable)
      try await server.replace()
      var patient = options
      patient.waitForReady = true
      #expect(try await channel.ask("/t.S/Echo", [2], patient) == [2])
      #expect(try await text(channel, "Connections") == "1")
    }
  }
}
