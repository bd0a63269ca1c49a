import Foundation
import Testing

@testable import TenancyCrypto
@testable import TenancyRPCClient
@testable import TenancyRPCCore
@testable import TenancyRPCServer

@Suite("A channel's TLS connections", .timeLimit(.minutes(1)))
struct ClientTLSTests {
  private let pki: TestPKI

  init() throws { pki = try TestPKI() }

  static let whoAmI = TestMethod.async(path: "/test.Peer/WhoAmI") { call, _ in
    guard case .certificate(let certificate) = call.connection.peer else { return [] }
    return Array((certificate.uriNames.first ?? "").utf8)
  }
  static let label = TestMethod.async(path: "/test.Peer/Label") { call, _ in
    Array(call.connection.label.utf8)
  }

  /// A server on all of `hosts`, at one port.
  private func serve(
    _ hosts: [String] = ["127.0.0.1"], port: Int = 0
  ) async throws -> (server: Server, port: Int) {
    guard port == 0, hosts.count > 1 else { return try await bind(hosts, port) }
    // The kernel chooses a port of one host; on another somebody may have it.
    for attempt in 1...10 {
      let (probe, free) = try await bind(["127.0.0.1"], 0)
      await probe.stop(within: .seconds(5))
      do { return try await bind(hosts, free) } catch { if attempt == 10 { throw error } }
    }
    throw TestPKI.Failure()
  }

  private func bind(_ hosts: [String], _ port: Int) async throws -> (server: Server, port: Int) {
    let tls = try TLSContext(.server, pki.save(pki.issue(.server), "server"))
    let listeners = hosts.map { ListenAddress.tcp(host: $0, port: port) }
    var configuration = Server.Configuration(listeners: listeners, tls: tls)
    configuration.eventLoops = 1
    let methods = EchoService.methods + StreamService.methods + [Self.whoAmI, Self.label]
    let server = try await Server(configuration, methods: methods, delegate: PlainDelegate())
    guard case .tcp(_, let bound, _, _)? = try await server.start().first else {
      throw TestPKI.Failure()
    }
    return (server, bound)
  }

  private func ask(_ channel: RPCChannel, _ path: String) async throws -> String {
    var options = RPCCallOptions()
    options.waitForReady = true
    return String(decoding: try await channel.ask(path, [], options), as: UTF8.self)
  }

  @Test func speaksTTRPCOverTLS() async throws {
    let (server, port) = try await serve()
    var files = try pki.save(pki.issue(.client()), "client")
    let http2 = try TLSContext(.client, files)
    files.applicationProtocols = [.ttrpc]
    let ttrpc = try TLSContext(.client, files)
    for (wire, tls, works) in [
      (WireProtocol.grpc, http2, true), (.ttrpc, ttrpc, true), (.grpc, ttrpc, false),
      (.ttrpc, http2, false),
    ] {
      var configuration = RPCChannel.Configuration()
      configuration.wireProtocol = wire
      let channel = RPCChannel(
        .tcp(host: "127.0.0.1", port: port), tls: tls, configuration: configuration)
      if works {
        let message = [UInt8](repeating: 5, count: 500_000)
        #expect(try await channel.ask("/test.Echo/Inline", message) == message)
        try await channel.bidirectional(path: StreamService.echo) { requests, responses in
          for _ in 0..<5 {
            try await requests.send(message)
            #expect(try await responses.next() == message)
          }
        }
      } else {
        let found = await channel.refusal("/test.Echo/Inline")
        #expect(found?.code == .unavailable)
        #expect(found?.message.contains("was not negotiated") == true)
      }
      await channel.close()
    }
    await server.stop(within: .seconds(5))
  }

  /// A channel goes on with its connection, and shows the new certificate on the next.
  @Test func newConnectionsTakeTheReloadedCertificate() async throws {
    let (first, port) = try await serve()
    let files = try pki.save(pki.issue(.client("spiffe://example.org/old")), "client")
    let tls = try TLSContext(.client, files)
    let channel = RPCChannel(.tcp(host: "127.0.0.1", port: port), tls: tls)
    #expect(try await ask(channel, "/test.Peer/WhoAmI") == "spiffe://example.org/old")
    _ = try pki.save(pki.issue(.client("spiffe://example.org/new")), "client")
    #expect(try tls.reloadIfChanged())
    #expect(try await ask(channel, "/test.Peer/WhoAmI") == "spiffe://example.org/old")
    await first.stop(within: .seconds(5))
    let (second, _) = try await serve(port: port)
    #expect(try await ask(channel, "/test.Peer/WhoAmI") == "spiffe://example.org/new")
    await channel.close()
    await second.stop(within: .seconds(5))
  }

  struct Names: RPCNameResolver {
    let known: [String: [String]]
    func addresses(of host: String) async throws -> [String] {
      guard let found = known[host] else { throw RPCStatus(.notFound, "never heard of \(host)") }
      return found
    }
  }

  /// All addresses of a name are used, each for the name's certificate.
  @Test func allAddressesOfANameAreUsed() async throws {
    let (server, port) = try await serve(["127.0.0.1", "127.0.0.2"])
    let tls = try TLSContext(.client, pki.save(pki.issue(.client()), "client"))
    var configuration = RPCChannel.Configuration()
    configuration.resolver = Names(known: [
      "localhost": ["127.0.0.1", "127.0.0.2", "127.0.0.1"], "nowhere": [],
    ])
    let channel = RPCChannel(
      .tcp(host: "localhost", port: port), tls: tls, configuration: configuration)
    var seen: Set<String> = []
    for _ in 0..<1000 where seen.count < 2 {
      seen.insert(try await ask(channel, "/test.Peer/Label"))
    }
    #expect(seen.count == 2)
    await channel.close()
    for (host, text) in [("nowhere", "it has none"), ("elsewhere", "never heard of elsewhere")] {
      let lost = RPCChannel(.tcp(host: host, port: port), tls: tls, configuration: configuration)
      let found = await lost.refusal("/test.Echo/Inline")
      #expect(found?.code == .unavailable)
      #expect(found?.message.contains(text) == true)
      await lost.close()
    }
    await server.stop(within: .seconds(5))
  }

  @Test func systemKnowsItself() async throws {
    let found = try await SystemNameResolver().addresses(of: "localhost")
    #expect(found.contains("127.0.0.1") || found.contains("::1"))
    #expect(Set(found).count == found.count)
  }
}
