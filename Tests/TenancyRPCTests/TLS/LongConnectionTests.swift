import CTenancyOpenSSL
import Foundation
import TenancyTestSupport
import Testing

@testable import TenancyCrypto
@testable import TenancyRPCClient
@testable import TenancyRPCCore
@testable import TenancyRPCServer

@Suite("Long TLS connections", .timeLimit(.minutes(1)))
struct LongConnectionTests {
  static let path = "/test.Echo/Inline"

  private let pki: TestPKI
  private let clock = HandClock()

  init() throws {
    pki = try TestPKI()
    try pki.writeRevocations([], "ca.crl")
  }

  /// Runs `body` with a server, and what it reports.
  private func withServer(
    _ extra: [TestMethod] = [], _ change: (inout TLSContext.Configuration) -> Void = { _ in },
    grace: Duration = .seconds(2),
    _ body: (TLSContext, RPCChannel.Target, EventLog) async throws -> Void
  ) async throws {
    var files = try pki.save(pki.issue(.server), "server")
    files.trust = .authorities(pki.path("ca.pem"), revocations: [pki.path("ca.crl")])
    files.clock = clock.now
    change(&files)
    let tls = try TLSContext(.server, files)
    var configuration = Server.Configuration(
      listeners: [.tcp(host: "127.0.0.1", port: 0)], tls: tls)
    configuration.eventLoops = 1
    configuration.limits.credentialGrace = grace
    let log = EventLog()
    let server = try await Server(
      configuration, methods: EchoService.methods + extra, delegate: log.delegate)
    guard case .tcp(_, let port, _, _)? = try await server.start().first else {
      throw TestPKI.Failure()
    }
    try await outcome {
      try await body(tls, .tcp(host: "127.0.0.1", port: port), log)
    } then: {
      await server.stop(within: .seconds(5))
    }
  }

  private func channel(
    _ issued: TestPKI.Issued, _ name: String, to target: RPCChannel.Target
  ) throws -> RPCChannel {
    RPCChannel(target, tls: try TLSContext(.client, pki.save(issued, name)))
  }

  @Test func aRevokedPeerIsSentAway() async throws {
    try await withServer { tls, target, log in
      let bad = try pki.issue(.client())
      let badChannel = try channel(bad, "bad", to: target)
      let goodChannel = try channel(pki.issue(.client()), "good", to: target)
      #expect(await badChannel.refusal(Self.path) == nil)
      #expect(await goodChannel.refusal(Self.path) == nil)
      #expect(log.opened == 2)
      // A reload that revokes nobody ends nothing.
      try tls.reload()
      #expect(await badChannel.refusal(Self.path) == nil)
      #expect(log.opened == 2)

      try pki.writeRevocations([bad], "ca.crl")
      #expect(try tls.reloadIfChanged())
      let event = try #require(await log.next(.peerRefused))
      #expect(event.detail.contains("revoked"))
      let status = await badChannel.refusal(Self.path)
      #expect(status?.code == .unavailable)
      #expect(await goodChannel.refusal(Self.path) == nil)
      #expect(log.opened == 2)
      await badChannel.close()
      await goodChannel.close()
    }
  }

  @Test func aPeerWhoseAuthorityIsGoneIsSentAway() async throws {
    try await withServer { tls, target, log in
      let channel = try channel(pki.issue(.client()), "client", to: target)
      #expect(await channel.refusal(Self.path) == nil)
      let other = try TestPKI.issue(.authority("other"), by: nil)
      try pki.writeAuthorities([other], "ca.pem")
      try tls.reload()
      let event = try #require(await log.next(.peerRefused))
      #expect(event.detail.contains("issuer"))
      await channel.close()
    }
  }

  @Test func aConnectionEndsWithTheCertificate() async throws {
    // Before anything is issued: however long that takes, it is not out of date when it is used.
    clock.stop()
    try await withServer { _, target, log in
      let issued = try pki.issue(.client().with { $0.notAfter = 600 })
      clock.advance(by: 595)
      let channel = try channel(issued, "client", to: target)
      #expect(await channel.refusal(Self.path) == nil)
      clock.advance(by: 60)
      let event = try #require(await log.next(.peerRefused))
      #expect(event.detail.contains("expired"))
      let status = await channel.refusal(Self.path)
      #expect(status?.code == .unavailable)
      await channel.close()
    }
  }

  @Test func aConnectionEndsWithTheRevocationList() async throws {
    clock.stop()
    try pki.writeRevocations([], "ca.crl", nextUpdate: 600)
    try await withServer { _, target, log in
      let issued = try pki.issue(.client())
      clock.advance(by: 595)
      let channel = try channel(issued, "client", to: target)
      #expect(await channel.refusal(Self.path) == nil)
      clock.advance(by: 60)
      let event = try #require(await log.next(.peerRefused))
      #expect(event.detail.contains("CRL has expired"))
      #expect(await channel.refusal(Self.path)?.code == .unavailable)
      await channel.close()
    }
  }

  @Test func aCallInFlightHasAMoment() async throws {
    let gate = Gate()
    // Longer than a busy machine may take for what follows.
    try await withServer([gate.method], grace: .seconds(300)) { tls, target, log in
      let bad = try pki.issue(.client())
      let channel = try channel(bad, "bad", to: target)
      async let answer = channel.unary(path: "/test.Gate/Wait", message: [1])
      #expect(await gate.next(1) == [.started])
      try pki.writeRevocations([bad], "ca.crl")
      try tls.reload()
      _ = try #require(await log.next(.peerRefused))
      gate.open()
      #expect(try await answer == [1])
      await channel.close()
    }
  }

  @Test func aCallInFlightIsCutAfterThat() async throws {
    let gate = Gate()
    defer { gate.open() }
    try await withServer([gate.method], grace: .milliseconds(20)) { tls, target, log in
      let bad = try pki.issue(.client())
      let channel = try channel(bad, "bad", to: target)
      async let answer = channel.unary(path: "/test.Gate/Wait", message: [1])
      #expect(await gate.next(1) == [.started])
      try pki.writeRevocations([bad], "ca.crl")
      try tls.reload()
      do {
        _ = try await answer
        Issue.record("answered by a handler that waits")
      } catch let status as RPCStatus {
        #expect(status.code == .unavailable)
      }
      gate.open()
      await channel.close()
    }
  }

  /// A peer that says all it has to say at once, close_notify included, is answered.
  @Test func aHalfClosedConnectionIsAnswered() async throws {
    try await withServer { _, target, _ in
      let files = try pki.save(pki.issue(.client()), "client")
      let socket = try TLSSocket(target, files)
      let session = HTTP2ClientSession(
        scheme: "https", authority: "localhost", limits: ClientLimits())
      let call = try SessionCall(session, [1, 2, 3], path: Self.path)
      socket.send(session.output())
      socket.sendCloseNotify()
      // To the end: the server closes when it has answered.
      session.feed(socket.readAll())
      #expect(try call.results.first?.get() == [1, 2, 3])
    }
  }

  /// Also with more than sockets take at once, over a protocol in which such calls are over when they are answered.
  @Test func theLastAnswersGoOutThoughTheyAreLarge() async throws {
    let size = 3_000_000
    let fill = TestMethod.inline(path: "/test.Echo/Fill") { call, _ in
      call.reply(count: size) { target in
        UnsafeMutableRawBufferPointer(start: target, count: size).initializeMemory(
          as: UInt8.self, repeating: 7)
      }
    }
    try await withServer([fill]) { _, target, _ in
      let files = try pki.save(pki.issue(.client()), "client")
      let socket = try TLSSocket(target, files, offering: [.ttrpc])
      let requests: [TTRPCTestFrame] = [1, 3].map { .request($0, "/test.Echo/Fill") }
      socket.send(requests.flatMap(\.bytes))
      socket.sendCloseNotify()
      let answers = TTRPCTestFrame.parse(socket.readAll())
      #expect(answers.map(\.stream) == [1, 3])
      #expect(answers.map { $0.status } == [nil, nil])
      #expect(answers.allSatisfy { $0.payload.count > size }, "\(answers)")
    }
  }

  @Test func aHandshakeThatDoesNotEndIsCut() async throws {
    try await withServer {
      $0.limits.handshakeTimeout = .milliseconds(100)
    } _: { _, target, log in
      guard case .tcp(let host, let port, _) = target,
        let socket = BIO_new_connect("\(host):\(port)")
      else { throw TestPKI.Failure() }
      defer { BIO_free_all(socket) }
      // The beginning of a record that never comes to its end.
      try #require(BIO_write(socket, [0x16, 3, 1, 0, 200] as [UInt8], 5) == 5)
      var byte: UInt8 = 0
      #expect(BIO_read(socket, &byte, 1) == 0)
      let event = try #require(await log.next(.handshakeFailed))
      #expect(event.detail == "handshake timed out")
    }
  }
}
