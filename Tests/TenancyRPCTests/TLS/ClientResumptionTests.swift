import NIOCore
import Synchronization
import Testing

@testable import TenancyCrypto

@Suite("Clients that resume TLS sessions")
struct ClientResumptionTests {
  private static let name = "localhost"

  private final class Refusal: Sendable {
    private let isOn = Atomic(false)

    var reason: String? { isOn.load(ordering: .relaxed) ? "not any more" : nil }
    func begin() { isOn.store(true, ordering: .relaxed) }
  }

  private let pki: TestPKI
  private let clock = HandClock()

  init() throws { pki = try TestPKI() }

  private func server(
    _ change: (inout TLSContext.Configuration) -> Void = { _ in }
  ) throws -> TLSContext {
    var configuration = try pki.save(pki.issue(.server), "server")
    change(&configuration)
    return try TLSContext(.server, configuration)
  }

  private func client(
    _ change: (inout TLSContext.Configuration) -> Void = { _ in }
  ) throws -> TLSContext {
    var configuration = try pki.save(pki.issue(.client()), "client")
    configuration.clock = clock.now
    change(&configuration)
    return try TLSContext(.client, configuration)
  }

  /// Connects, and lets the client read what the server has sent: its ticket.
  /// - Returns: whether the session was resumed, as both say.
  @discardableResult
  private func connect(
    _ server: TLSContext, _ client: TLSContext, name: String? = Self.name
  ) throws -> Bool {
    let pair = try EnginePair(server, client, serverName: name)
    let seen = try pair.serverSession
    let own = try #require(pair.clientResult).get()
    #expect(own.isResumed == seen.isResumed)
    // Whoever it was when the session was made.
    #expect(own.peer != nil)
    #expect(seen.peer?.certificate.uriNames == ["spiffe://example.org/a"])
    var plain = ByteBuffer()
    pair.carry(from: pair.server, to: pair.client)
    _ = try pair.client.read(into: &plain)
    #expect(plain.readableBytes == 0)
    return own.isResumed
  }

  @Test func theNextConnectionResumes() throws {
    let (server, client) = (try server(), try client())
    #expect(try !connect(server, client))
    // Each brings the ticket for the next.
    for _ in 0..<3 { #expect(try connect(server, client)) }
    #expect(client.snapshot.sessions.count == 1)
  }

  /// Two that begin at once: one ticket is good for one of them.
  @Test func aTicketIsUsedOnce() throws {
    let (server, client) = (try server(), try client())
    try connect(server, client)
    let first = try EnginePair(server, client, serverName: Self.name)
    let second = try EnginePair(server, client, serverName: Self.name)
    #expect(try #require(first.clientResult).get().isResumed)
    #expect(try !#require(second.clientResult).get().isResumed)
  }

  @Test func nothingIsResumedWithAnotherName() throws {
    let (server, client) = (try server(), try client())
    try connect(server, client)
    #expect(try !connect(server, client, name: "127.0.0.1"))
    #expect(try connect(server, client))
    // Nobody has looked at whose certificate it is.
    for _ in 0..<2 { #expect(try !connect(server, client, name: nil)) }
  }

  @Test func anotherServerIsAFullHandshake() throws {
    let client = try client()
    try connect(try server(), client)
    let other = try server()
    #expect(try !connect(other, client))
    #expect(try connect(other, client))
  }

  @Test func theCertificateEndsTheSession() throws {
    let (server, client) = (try server(), try client())
    try connect(server, client)
    // Longer than any session lasts.
    clock.advance(by: 3601)
    #expect(try !connect(server, client))
  }

  @Test func whoIsNotTakenAnyMoreIsNotResumed() throws {
    let refuses = Refusal()
    let (server, client) = (
      try server(), try client { $0.peerRule = { _ in refuses.reason } }
    )
    try connect(server, client)
    refuses.begin()
    let pair = try EnginePair(server, client, serverName: Self.name)
    #expect(pair.clientRefusal?.code == .peerRefused)
  }

  @Test func aReloadForgets() throws {
    let (server, client) = (try server(), try client())
    try connect(server, client)
    try client.reload()
    #expect(try !connect(server, client))
    #expect(try connect(server, client))
  }

  @Test func itCanBeTurnedOff() throws {
    let (server, client) = (try server(), try client { $0.limits.sessionLifetime = .zero })
    for _ in 0..<2 { #expect(try !connect(server, client)) }
  }
}
