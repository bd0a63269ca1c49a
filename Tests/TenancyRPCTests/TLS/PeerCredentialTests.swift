import Testing

@testable import TenancyCrypto

/// What becomes of a peer while its connection is open, without waiting for it.
@Suite("The credential of an open connection")
struct PeerCredentialTests {
  private let pki: TestPKI
  private let clock = HandClock()

  init() throws { pki = try TestPKI() }

  private func server(revocations: [String]) throws -> TLSContext {
    var configuration = try pki.save(pki.issue(.server), "server")
    configuration.clock = clock.now
    configuration.trust = .authorities(
      pki.path("ca.pem"), revocations: revocations.map { pki.path($0) })
    return try TLSContext(.server, configuration)
  }

  private func credential(_ server: TLSContext, notAfter: Int) throws -> PeerCredential {
    let issued = try pki.issue(.client().with { $0.notAfter = notAfter })
    let client = try TLSContext(.client, pki.save(issued, "client"))
    return try #require(
      EnginePair(server, client, serverName: "localhost").serverSession.peer)
  }

  @Test func anEndedRevocationListRefuses() throws {
    try pki.writeRevocations([], "ca.crl", nextUpdate: 600)
    let server = try server(revocations: ["ca.crl"])
    let credential = try credential(server, notAfter: 86_400)
    #expect(credential.refusalNow() == nil)
    #expect(credential.timeToNextCheck == PeerCredential.longestWait)
    clock.advance(by: 590)
    #expect(credential.refusalNow() == nil)
    #expect((.seconds(1)...(.seconds(11))).contains(credential.timeToNextCheck))
    clock.advance(by: 11)
    #expect(credential.refusalNow()?.contains("CRL has expired") == true)
    // Its successor comes late, but in time for this connection.
    try pki.writeRevocations([], "ca.crl")
    try server.reload()
    #expect(credential.refusalNow() == nil)
    #expect(credential.timeToNextCheck == PeerCredential.longestWait)
  }

  @Test func anEndedListOfAnotherAuthorityDoesNot() throws {
    let other = try TestPKI.issue(.authority("other"), by: nil)
    try pki.writeAuthorities([pki.root, other], "ca.pem")
    try pki.writeRevocations([], "ca.crl")
    try pki.writeRevocations([], by: other, "other.crl", nextUpdate: 600)
    let credential = try credential(
      server(revocations: ["ca.crl", "other.crl"]), notAfter: 80_000)
    clock.advance(by: 700)
    #expect(credential.refusalNow() == nil)
    // It is not looked at each second from now on.
    #expect(credential.timeToNextCheck == PeerCredential.longestWait)
  }

  @Test func anEndedCertificateHasItsCourtesy() throws {
    let credential = try credential(server(revocations: []), notAfter: 600)
    clock.advance(by: 600 + PeerCredential.courtesy - 1)
    #expect(credential.refusalNow() == nil)
    clock.advance(by: 2)
    #expect(credential.refusalNow() == "certificate has expired")
  }
}
