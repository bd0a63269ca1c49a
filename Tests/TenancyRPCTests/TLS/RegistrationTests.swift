import Synchronization
import Testing

@testable import TenancyCrypto

/// Certificates that name the registration entry that they were issued by.
@Suite("Registrations of workloads")
struct RegistrationTests {
  private let pki: TestPKI
  private let entries = Entries()
  private static let entry = "01997f0e-0000-7000-8000-000000000001"

  /// Those that are there; and who was asked for.
  private final class Entries: Sendable {
    private let state = Mutex((there: [RegistrationTests.entry], asked: [String?]()))
    var asked: [String?] { state.withLock { $0.asked } }
    func removeAll() { state.withLock { $0.there = [] } }
    func refusal(of certificate: PeerCertificate) -> String? {
      state.withLock { state in
        state.asked.append(certificate.registration)
        return certificate.registration.map { state.there.contains($0) ? nil : "gone" } ?? "none"
      }
    }
  }

  init() throws { pki = try TestPKI() }

  private func server() throws -> TLSContext {
    var configuration = try pki.save(pki.issue(.server), "server")
    configuration.registrationRule = { [entries] in entries.refusal(of: $0) }
    return try TLSContext(.server, configuration)
  }

  private func client(_ registration: [UInt8]?) throws -> TLSContext {
    try TLSContext(
      .client, pki.save(pki.issue(.client().with { $0.registration = registration }), "client"))
  }

  private static func content(_ text: String) -> [UInt8] {
    [12, UInt8(text.utf8.count)] + Array(text.utf8)
  }

  private func pair(_ server: TLSContext, _ registration: [UInt8]?) throws -> EnginePair {
    try EnginePair(server, client(registration), serverName: "localhost")
  }

  @Test func itIsReadAndJudgedAtTheHandshake() throws {
    let server = try server()
    let peer = try #require(try pair(server, Self.content(Self.entry)).serverSession.peer)
    #expect(peer.certificate.registration == Self.entry)
    #expect(entries.asked == [Self.entry])
    entries.removeAll()
    #expect(try pair(server, Self.content(Self.entry)).serverRefusal != nil)
  }

  /// Nothing is loaded anew for that.
  @Test func anOpenConnectionEndsWithIt() throws {
    let server = try server()
    let peer = try #require(try pair(server, Self.content(Self.entry)).serverSession.peer)
    let looks = Mutex(0)
    let observation = server.onReload { looks.withLock { $0 += 1 } }
    #expect(peer.refusalNow() == nil)
    entries.removeAll()
    #expect(peer.refusalNow() == "gone")
    let generation = server.generation
    withExtendedLifetime(observation) { server.review() }
    #expect(looks.withLock { $0 } == 1 && server.generation == generation)
  }

  @Test func othersAreNotAskedFor() throws {
    let peer = try #require(try pair(server(), nil).serverSession.peer)
    entries.removeAll()
    #expect(peer.refusalNow() == nil && peer.certificate.registration == nil)
    #expect(entries.asked == [])
  }

  /// It can't be told which entry it would be.
  @Test(arguments: [
    [], [12], content(""), content(entry + "0"), content(String(entry.dropLast())),
    Array(entry.utf8), [4, 36] + Array(entry.utf8), content(entry) + [0],
    [12, 36] + Array(repeating: 0x20, count: 36), [12, 36] + Array(repeating: 0, count: 36),
    [12, 36] + Array(repeating: 0xFF, count: 36),
  ])
  func oneThatCantBeReadIsRefused(_ content: [UInt8]) throws {
    #expect(try pair(server(), content).serverRefusal != nil)
    #expect(entries.asked == [])
  }
}
