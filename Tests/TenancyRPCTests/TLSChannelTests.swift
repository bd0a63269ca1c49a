import TenancyRPC
import Testing

@Suite("A channel over TLS", .timeLimit(.minutes(1)))
struct TLSChannelTests {
  static let path = "/test.Echo/Inline"

  @Test func provesBothSides() async throws {
    let pki = try TestPKI()
    let other = try TestPKI.issue(.authority("other"), by: nil)
    try pki.writeAuthorities([other], "other.pem")
    let client = try pki.save(pki.issue(.client()), "client")
    var configuration = Server.Configuration(
      listeners: [.tcp(host: "127.0.0.1", port: 0)],
      tls: try TLSContext(.server, pki.save(pki.issue(.server), "server")))
    configuration.eventLoops = 1
    let server = try await Server(
      configuration, methods: EchoService.methods, delegate: PlainDelegate())
    guard case .tcp(_, let port, _, _)? = try await server.start().first else {
      Issue.record("no address")
      return
    }

    /// What comes of a large call.
    func call(
      _ files: TLSContext.Configuration, host: String = "127.0.0.1", name: String? = nil
    ) async throws -> RPCStatus? {
      let target = RPCChannel.Target.tcp(host: host, port: port, serverName: name)
      let channel = RPCChannel(target, tls: try TLSContext(.client, files))
      let found = await channel.refusal(Self.path, [UInt8](repeating: 7, count: 1_000_000))
      await channel.close()
      return found
    }

    #expect(try await call(client) == nil)
    #expect(try await call(client, host: "localhost") == nil)
    #expect(try await call(client, name: "localhost") == nil)

    let wrongName = try await call(client, name: "example.org")
    #expect(wrongName?.code == .unavailable)
    let named = "the server's certificate is refused: it is not for the name example.org"
    #expect(wrongName?.message.contains(named) == true)
    let wrongAuthority = try await call(
      pki.save(pki.issue(.client()), "trusting-other", trusting: "other.pem"))
    #expect(wrongAuthority?.code == .unavailable)
    #expect(wrongAuthority?.message.contains("its CA is unknown here") == true)
    // TLS 1.3 servers refuse when the client's handshake is done already.
    let stranger = try await call(pki.save(pki.issue(.client(), by: other), "stranger"))
    #expect(stranger?.code == .unavailable)
    #expect(stranger?.message.contains("the other side refused our certificate") == true)

    await server.stop(within: .seconds(5))
  }
}
