import CTenancyOpenSSL
import Synchronization
import Testing

@testable import TenancyCrypto

@Suite("Resuming TLS sessions")
struct ResumptionTests {
  private let pki: TestPKI
  private let clientFiles: TLSContext.Configuration
  private let clock = HandClock()

  init() throws {
    pki = try TestPKI()
    clientFiles = try pki.save(pki.issue(.client().with { $0.notAfter = 600 }), "client")
    try pki.writeRevocations([], "ca.crl", nextUpdate: 300)
  }

  private func server(
    _ change: (inout TLSContext.Configuration) -> Void = { _ in }
  ) throws -> TLSContext {
    var configuration = try pki.save(pki.issue(.server), "server")
    configuration.clock = clock.now
    change(&configuration)
    return try TLSContext(.server, configuration)
  }

  private func ticket(from server: TLSContext) throws -> RawTLSClient.Ticket {
    let client = try RawTLSClient(server, clientFiles)
    #expect(!client.wasResumed)
    #expect(try !client.serverSession.isResumed)
    try #require(client.tickets.count == 1)
    return client.tickets[0]
  }

  @Test func aSessionKeepsThePeer() throws {
    let server = try server()
    let first = try ticket(from: server)
    let again = try RawTLSClient(server, clientFiles, resuming: first)
    #expect(again.wasResumed)
    let session = try again.serverSession
    #expect(session.isResumed)
    #expect(session.peer?.certificate.uriNames == ["spiffe://example.org/a"])
    #expect(session.applicationProtocol == .http2)
    // It brings a new ticket, which is as good; so is the old one.
    try #require(again.tickets.count == 1)
    #expect(try RawTLSClient(server, clientFiles, resuming: again.tickets[0]).wasResumed)
    #expect(try RawTLSClient(server, clientFiles, resuming: first).wasResumed)
  }

  @Test func aSessionEndsWithTheCertificate() throws {
    let server = try server()
    let first = try ticket(from: server)
    #expect((590...600).contains(SSL_SESSION_get_ticket_lifetime_hint(first.pointer)))
    clock.advance(by: 590)
    #expect(try RawTLSClient(server, clientFiles, resuming: first).wasResumed)
    clock.advance(by: 15)
    let late = try RawTLSClient(server, clientFiles, resuming: first)
    #expect(!late.wasResumed)
    // The certificate is not good any more for a full handshake either.
    #expect(throws: TLSError.self) { try late.serverSession }
  }

  @Test func aNewTicketIsNoLongerLife() throws {
    let server = try server()
    clock.advance(by: 500)
    let second = try RawTLSClient(server, clientFiles, resuming: ticket(from: server))
    clock.advance(by: 150)
    #expect(try !RawTLSClient(server, clientFiles, resuming: second.tickets[0]).wasResumed)
  }

  @Test func aSessionEndsWithTheRevocationList() throws {
    let server = try server {
      $0.trust = .authorities(pki.path("ca.pem"), revocations: [pki.path("ca.crl")])
    }
    let first = try ticket(from: server)
    clock.advance(by: 310)
    let late = try RawTLSClient(server, clientFiles, resuming: first)
    #expect(!late.wasResumed)
    guard case .failure(let error) = late.serverResult else {
      Issue.record("accepted")
      return
    }
    #expect(error.description.contains("CRL has expired"))
  }

  @Test func aSessionEndsWithItsTime() throws {
    let server = try server { $0.limits.sessionLifetime = .seconds(100) }
    let first = try ticket(from: server)
    clock.advance(by: 110)
    let late = try RawTLSClient(server, clientFiles, resuming: first)
    #expect(!late.wasResumed)
    #expect(try late.serverSession.peer != nil)
  }

  @Test func aReloadEndsAllSessions() throws {
    let server = try server()
    let first = try ticket(from: server)
    try server.reload()
    let later = try RawTLSClient(server, clientFiles, resuming: first)
    #expect(!later.wasResumed)
    #expect(try later.serverSession.peer != nil)
  }

  @Test func theRuleIsAskedEachTime() throws {
    let refusal = Mutex<String?>(nil)
    let server = try server { $0.peerRule = { _ in refusal.withLock { $0 } } }
    let first = try ticket(from: server)
    refusal.withLock { $0 = "not any more" }
    let later = try RawTLSClient(server, clientFiles, resuming: first)
    #expect(!later.wasResumed)
    guard case .failure(let error) = later.serverResult else {
      Issue.record("accepted")
      return
    }
    #expect(error.description == "peer refused: not any more")
  }

  @Test func thereAreNotMoreThanTheLimit() throws {
    let server = try server { $0.limits.maximumSessions = 2 }
    let tickets = try (0..<3).map { _ in try ticket(from: server) }
    #expect(server.snapshot.sessions.count == 2)
    // The newest are kept.
    #expect(try RawTLSClient(server, clientFiles, resuming: tickets[2]).wasResumed)
    #expect(try !RawTLSClient(server, clientFiles, resuming: tickets[0]).wasResumed)
    #expect(server.snapshot.sessions.count == 2)
  }

  @Test func itCanBeSwitchedOff() throws {
    let server = try server { $0.limits.sessionLifetime = .zero }
    #expect(try RawTLSClient(server, clientFiles).tickets.isEmpty)
  }

  @Test func olderVersionsAreNotResumed() throws {
    let server = try server()
    let old = RawTLSClient.Options(maximumVersion: TLS1_2_VERSION)
    let first = try RawTLSClient(server, clientFiles, old)
    #expect(server.snapshot.sessions.count == 0)
    for ticket in first.tickets {
      #expect(try !RawTLSClient(server, clientFiles, old, resuming: ticket).wasResumed)
    }
  }
}
