import CTenancyOpenSSL
import Foundation
import Synchronization
import Testing

@testable import TenancyCrypto
@testable import TenancyRPCServer

@Suite("Reloading TLS files", .timeLimit(.minutes(1)))
struct ReloadTests {
  private let pki: TestPKI

  init() throws { pki = try TestPKI() }

  private func serverSerial(_ server: TLSContext) throws -> String? {
    let client = try RawTLSClient(server, pki.save(pki.issue(.client()), "client"))
    _ = try client.serverSession
    return SSL_get0_peer_certificate(client.ssl).map(Self.serial)
  }

  private static func serial(_ certificate: OpaquePointer) -> String {
    let number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nil)
    defer { BN_free(number) }
    guard let text = BN_bn2hex(number) else { return "" }
    defer { CRYPTO_free(text, "", 0) }
    return String(cString: text)
  }

  @Test func newHandshakesTakeWhatIsNew() throws {
    let old = try pki.issue(.server)
    let server = try TLSContext(.server, pki.save(old, "server"))
    #expect(try serverSerial(server) == Self.serial(old.certificate))
    #expect(try !server.reloadIfChanged())
    let new = try pki.issue(.server)
    try pki.save(new, "server")
    #expect(try serverSerial(server) == Self.serial(old.certificate))
    #expect(try server.reloadIfChanged())
    #expect(try serverSerial(server) == Self.serial(new.certificate))
    #expect(try !server.reloadIfChanged())
  }

  @Test func aFailedReloadChangesNothing() throws {
    let old = try pki.issue(.server)
    let configuration = try pki.save(old, "server")
    let server = try TLSContext(.server, configuration)
    let generation = server.snapshot.generation
    func refused(_ why: String) throws {
      let error = #expect(throws: TLSError.self) { try server.reloadIfChanged() }
      #expect(error?.code == .configuration)
      #expect(error?.description.contains(why) == true, "\(String(describing: error))")
      // Not again until something changes.
      #expect(try !server.reloadIfChanged())
      #expect(server.snapshot.generation == generation)
      #expect(try serverSerial(server) == Self.serial(old.certificate))
    }
    // A certificate without its key yet.
    let new = try pki.issue(.server)
    try pki.save(new, "new")
    let key = pki.path("server.key")
    try FileManager.default.removeItem(atPath: pki.path("server.pem"))
    try refused("cannot use the certificate")
    try FileManager.default.copyItem(atPath: pki.path("new.pem"), toPath: pki.path("server.pem"))
    try refused("key")
    try Data("-----BEGIN CERTIFICATE-----\nAAAA\n".utf8).write(
      to: URL(fileURLWithPath: pki.path("ca.pem")))
    try refused("ca.pem")
    try pki.writeAuthorities([pki.root], "ca.pem")
    try FileManager.default.removeItem(atPath: key)
    try FileManager.default.copyItem(atPath: pki.path("new.key"), toPath: key)
    #expect(try server.reloadIfChanged())
    #expect(try serverSerial(server) == Self.serial(new.certificate))
  }

  /// As Kubernetes does with the volumes of secrets.
  @Test func anotherDirectoryBehindALinkIsSeen() throws {
    let files = FileManager.default
    for (version, name) in [("1", "one"), ("2", "two")] {
      try files.createDirectory(atPath: pki.path(version), withIntermediateDirectories: false)
      try pki.save(pki.issue(.server.with { $0.commonName = name }), "\(version)/server")
    }
    try files.createSymbolicLink(atPath: pki.path("data"), withDestinationPath: "1")
    for file in ["server.pem", "server.key"] {
      try files.createSymbolicLink(atPath: pki.path(file), withDestinationPath: "data/\(file)")
    }
    let server = try TLSContext(
      .server,
      .init(
        certificateChain: pki.path("server.pem"), privateKey: pki.path("server.key"),
        trust: .authorities(pki.path("ca.pem"))))
    let before = try serverSerial(server)
    try files.createSymbolicLink(atPath: pki.path("data.new"), withDestinationPath: "2")
    try #require(rename(pki.path("data.new"), pki.path("data")) == 0)
    #expect(try server.reloadIfChanged())
    #expect(try serverSerial(server) != before)
  }

  @Test func theWatchReloadsAndReports() async throws {
    let server = try TLSContext(.server, pki.save(pki.issue(.server), "server"))
    let (reports, report) = AsyncStream.makeStream(of: TLSError?.self)
    let watch = Task {
      await server.watch(every: .milliseconds(10)) { report.yield($0) }
      report.finish()
    }
    var iterator = reports.makeAsyncIterator()
    try FileManager.default.removeItem(atPath: pki.path("server.key"))
    let failure = await iterator.next()
    #expect(failure??.code == .configuration)
    let new = try pki.issue(.server)
    try pki.save(new, "server")
    // The certificate may be read before its key is there.
    while let next = await iterator.next(), next != nil {}
    #expect(try serverSerial(server) == Self.serial(new.certificate))
    watch.cancel()
    #expect(await iterator.next() == nil)
  }

  /// Contexts outlast servers.
  @Test func whoIsGoneIsNotToldOfReloads() async throws {
    let tls = try TLSContext(.server, pki.save(pki.issue(.server), "server"))
    for _ in 0..<3 {
      var configuration = Server.Configuration(
        listeners: [.tcp(host: "127.0.0.1", port: 0)], tls: tls)
      configuration.eventLoops = 1
      let server = try await Server(
        configuration, methods: EchoService.methods, delegate: PlainDelegate())
      #expect(tls.observerCount == 1)
      await server.stop(within: .zero)
    }
    #expect(tls.observerCount == 0)
    try tls.reload()
  }

  @Test func oldCachesAreDropped() throws {
    let server = try TLSContext(.server, pki.save(pki.issue(.server), "server"))
    let old = server.snapshot
    let client = try pki.save(pki.issue(.client()), "client")
    _ = try RawTLSClient(server, client).serverSession
    #expect(old.sessions.count == 1)
    #expect(old.trust.rememberedPeers == 1)
    try server.reload()
    #expect(old.sessions.count == 0)
    #expect(old.trust.rememberedPeers == 0)
  }

  @Test func verifiedPeersAreRememberedUpToTheLimit() throws {
    var configuration = try pki.save(pki.issue(.server), "server")
    configuration.limits.maximumVerifiedPeers = 2
    let server = try TLSContext(.server, configuration)
    for _ in 0..<3 {
      let client = try pki.save(pki.issue(.client()), "client")
      for _ in 0..<2 { _ = try RawTLSClient(server, client).serverSession }
    }
    #expect(server.snapshot.trust.rememberedPeers == 2)
    let stranger = try pki.save(
      pki.issue(.client().with { $0.notAfter = -1 }), "stranger")
    #expect(throws: TLSError.self) { try RawTLSClient(server, stranger).serverSession }
    #expect(server.snapshot.trust.rememberedPeers == 2)
  }
}
