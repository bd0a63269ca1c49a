import Foundation
import TenancyRPC
import Testing

/// Certificates of two CAs, made by the openssl command.
private struct Certificates {
  let directory: String

  init() throws {
    directory = NSTemporaryDirectory() + "rpc-tls-\(UInt32.random(in: 0...UInt32.max))"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    for name in ["ca", "other"] {
      try run(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=\(name) "
          + "-keyout \(name).key -out \(name).pem")
    }
    try issue("server", by: "ca", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    let client = "subjectAltName=URI:spiffe://example.org/a\nextendedKeyUsage=clientAuth"
    try issue("client", by: "ca", client)
    try issue("stranger", by: "other", client)
  }

  func files(_ name: String, trusting authority: String = "ca") -> TLSContext.Files {
    TLSContext.Files(
      certificateChain: "\(directory)/\(name).pem", privateKey: "\(directory)/\(name).key",
      peerAuthorities: "\(directory)/\(authority).pem")
  }

  private func issue(_ name: String, by authority: String, _ extensions: String) throws {
    try run(
      "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=\(name) "
        + "-keyout \(name).key -out \(name).csr")
    try Data(extensions.utf8).write(to: URL(fileURLWithPath: "\(directory)/\(name).ext"))
    try run(
      "x509 -req -days 2 -in \(name).csr -CA \(authority).pem -CAkey \(authority).key "
        + "-extfile \(name).ext -out \(name).pem")
  }

  private func run(_ arguments: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
    process.arguments = arguments.split(separator: " ").map(String.init)
    process.currentDirectoryURL = URL(fileURLWithPath: directory)
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
  }
}

@Suite(
  "A channel over TLS", .timeLimit(.minutes(1)),
  .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl")))
struct TLSChannelTests {
  static let path = "/test.Echo/Inline"

  @Test func provesBothSides() async throws {
    let made = try Certificates()
    var configuration = Server.Configuration(
      listeners: [.tcp(host: "127.0.0.1", port: 0)],
      tls: try TLSContext(.server, made.files("server")))
    configuration.eventLoops = 1
    let server = try await Server(
      configuration, methods: EchoService.methods, delegate: PlainDelegate())
    guard case .tcp(_, let port, _)? = try await server.start().first else {
      Issue.record("no address")
      return
    }

    /// What comes of a large call.
    func call(
      _ files: TLSContext.Files, host: String = "127.0.0.1", name: String? = nil
    ) async throws -> RPCStatus? {
      let target = RPCChannel.Target.tcp(host: host, port: port, serverName: name)
      let channel = RPCChannel(target, tls: try TLSContext(.client, files))
      let found = await channel.refusal(Self.path, [UInt8](repeating: 7, count: 1_000_000))
      await channel.close()
      return found
    }

    #expect(try await call(made.files("client")) == nil)
    #expect(try await call(made.files("client"), host: "localhost") == nil)
    #expect(try await call(made.files("client"), name: "localhost") == nil)

    let wrongName = try await call(made.files("client"), name: "example.org")
    #expect(wrongName?.code == .unavailable)
    let named = "the server's certificate is refused: it is not for the name example.org"
    #expect(wrongName?.message.contains(named) == true)
    let wrongAuthority = try await call(made.files("client", trusting: "other"))
    #expect(wrongAuthority?.code == .unavailable)
    #expect(wrongAuthority?.message.contains("its CA is unknown here") == true)
    // TLS 1.3 servers refuse when the client's handshake is done already.
    let stranger = try await call(made.files("stranger"))
    #expect(stranger?.code == .unavailable)
    #expect(stranger?.message.contains("the other side refused our certificate") == true)

    await server.stop(within: .seconds(5))
    try FileManager.default.removeItem(atPath: made.directory)
  }
}
