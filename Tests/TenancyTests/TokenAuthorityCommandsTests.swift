import TenancyTestSupport
import Testing

@testable import Tenancy

/// Signing keys of JWT-SVIDs: what they have in common with certificate authorities, and what not.
struct TokenAuthorityCommandsTests {
  private let test: TestPlane
  private let vault: SecretVault
  private let commands: AuthorityCommands

  init() async throws {
    let sealer = TestSealer()
    test = try TestPlane(sealer: sealer)
    vault = SecretVault(test.plane, sealer)
    commands = AuthorityCommands(test.plane, actor: "alice", judge: .server)
    try await vault.prepareKeys()
  }

  private var all: [SigningAuthority] { test.plane.state.authorities.all }
  private var now: Timestamp { test.clock.now }

  private func prepare(
    _ kind: SigningAuthority.Kind = .jwt, publicKey: String = "{}"
  ) async throws(TenancyError) -> SigningAuthority {
    try await commands.prepare(
      kind == .jwt
        ? NewAuthority(
          kind: .jwt, trustDomain: "example.test", publicKey: publicKey, propagation: 60,
          privateKey: ClearSecret("private"))
        : NewAuthority(
          trustDomain: "example.test", chain: "chain", expireTime: now + .seconds(86_400),
          propagation: 60, privateKey: ClearSecret("private")))
  }

  private func reason(
    _ body: () async throws(TenancyError) -> Void
  ) async -> TenancyError.Reason? {
    do throws(TenancyError) {
      try await body()
      return nil
    } catch {
      return error.reason
    }
  }

  @Test func oneIsPreparedAndSignsWhenAllCanHaveIt() async throws {
    let made = try await prepare()
    #expect(made.state == .prepared && made.isSound && made.publicKey == "{}")
    #expect(made.expireTime == nil && made.chain.isEmpty && made.isTrusted(at: now))
    let early = await reason { () async throws(TenancyError) in
      _ = try await commands.activate(made.id)
    }
    #expect(early == .authorityNotPropagated)
    test.clock.advance(seconds: 60)
    let active = try await commands.activate(made.id)
    #expect(active.state == .active && active.isSound)
    let key = try await vault.open(.authorityKey(made.id), of: SecretPlace.platform)
    #expect(key.map { String(decoding: $0.reveal(), as: UTF8.self) } == "private")
  }

  /// Tokens do not last as long as certificates may.
  @Test func theFormerOneStaysUntilItsLastTokenIsOver() async throws {
    let first = try await commands.activate(prepare().id, force: true)
    let second = try await commands.activate(prepare().id, force: true)
    let former = try #require(test.plane.state.authorities.find(first.id))
    #expect(former.state == .retiring && former.isSound)
    #expect(former.trustUntil == now + .seconds(300 + 600))
    #expect(try await commands.retire(first.id) == former)
    test.clock.advance(seconds: 900)
    try await commands.sweep()
    #expect(all.map(\.id) == [second.id])
    #expect(try test.store.secret(.authorityKey(first.id), of: SecretPlace.platform) == nil)
  }

  @Test func eachKindHasOneThatSigns() async throws {
    let ca = try await commands.activate(prepare(.x509).id, force: true)
    let key = try await commands.activate(prepare().id, force: true)
    let authorities = test.plane.state.authorities
    #expect(authorities.active(.x509, for: "example.test") == ca)
    #expect(authorities.active(.jwt, for: "example.test") == key)
    #expect(authorities.trusted(.x509, at: now) == [ca])
    #expect(authorities.trusted(.jwt, at: now) == [key])
    #expect(authorities.active(.jwt, for: "other.test") == nil)
  }

  /// Nobody else vouches for it: there is nothing to remember.
  @Test func oneThatIsLostIsGoneAtOnce() async throws {
    let made = try await commands.activate(prepare().id, force: true)
    let refused = await reason { () async throws(TenancyError) in
      _ = try await commands.retire(made.id)
    }
    #expect(refused == .illegalTransition)
    #expect(try await commands.retire(made.id, force: true) == nil)
    #expect(all == [] && test.plane.state.authorities.revoked == [])
    #expect(try test.store.secret(.authorityKey(made.id), of: SecretPlace.platform) == nil)
  }

  @Test func thereAreSoManyOfAKind() async throws {
    for kind in SigningAuthority.Kind.allCases {
      for _ in 0..<SigningAuthority.maximumCount { _ = try await prepare(kind) }
      let error = await reason { () async throws(TenancyError) in _ = try await prepare(kind) }
      #expect(error == .limitReached)
    }
    #expect(all.count == 2 * SigningAuthority.maximumCount)
  }

  @Test func itTakesNoCertificate() async throws {
    let made = try await prepare()
    let refused = await reason { () async throws(TenancyError) in
      _ = try await commands.complete(made.id, chain: "c", expireTime: now + .seconds(86_400))
    }
    #expect(refused == .illegalTransition)
    for key in ["", String(repeating: "x", count: 513)] {
      let refused = await reason { () async throws(TenancyError) in
        _ = try await prepare(publicKey: key)
      }
      #expect(refused == .invalidField)
    }
  }
}
