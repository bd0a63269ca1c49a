import TenancyTestSupport
import Testing

@testable import Tenancy

/// Signing authorities: from one state to the next, and which of them there are.
struct AuthorityCommandsTests {
  private let sealer = TestSealer()
  private let test: TestPlane
  private let vault: SecretVault
  private let commands: AuthorityCommands
  private static let day: Int64 = 86_400

  init() async throws {
    test = try TestPlane(sealer: sealer)
    vault = SecretVault(test.plane, sealer)
    commands = AuthorityCommands(test.plane, actor: "alice", judge: .server)
    try await vault.prepareKeys()
  }

  private var all: [SigningAuthority] { test.plane.state.authorities.all }
  private var now: Timestamp { test.clock.now }

  private func prepare(
    life: Int64? = 100 * day, propagation: Int64 = 60, domain: String = "example.test"
  ) async throws(TenancyError) -> SigningAuthority {
    try await commands.prepare(
      NewAuthority(
        trustDomain: domain, chain: life == nil ? "" : "chain",
        request: life == nil ? "request" : "",
        expireTime: life.map { now + .seconds($0) }, propagation: propagation,
        privateKey: ClearSecret("private")))
  }

  private func reason(
    _ body: () async throws(TenancyError) -> Void
  ) async -> TenancyError.Reason? { await refusal(of: body)?.reason }

  private func refusal(
    of body: () async throws(TenancyError) -> Void
  ) async -> TenancyError? {
    do throws(TenancyError) {
      try await body()
      return nil
    } catch {
      return error
    }
  }

  @Test func oneIsPreparedAndItsKeySealed() async throws {
    let made = try await prepare()
    #expect(made.state == .prepared && made.prepareTime == now && made.isSound)
    #expect(made.activatableTime == now + .seconds(60) && made.isTrusted(at: now))
    #expect(all == [made])
    let key = try await vault.open(.authorityKey(made.id), of: SecretPlace.platform)
    #expect(key.map { String(decoding: $0.reveal(), as: UTF8.self) } == "private")
    let last = test.store.log.last
    #expect(last?.action == "certificate_authorities.prepare" && last?.actor == "alice")
    #expect(last?.tenants == [])
  }

  @Test func withoutAMasterKeyThereIsNone() async throws {
    let bare = try TestPlane()
    let commands = AuthorityCommands(bare.plane, actor: "alice", judge: .server)
    let reason = await reason { () async throws(TenancyError) in
      _ = try await commands.prepare(
        NewAuthority(
          trustDomain: "a", chain: "c", expireTime: now, propagation: 1,
          privateKey: ClearSecret("x")))
    }
    #expect(reason == .secretsNotConfigured)
    #expect(bare.plane.state.authorities.all == [])
  }

  @Test func oneSignsWhenAllCanHaveIt() async throws {
    let made = try await prepare()
    test.clock.advance(seconds: 59)
    let error = await refusal { () async throws(TenancyError) in
      _ = try await commands.activate(made.id)
    }
    #expect(error?.reason == .authorityNotPropagated && error?.retryAfterSeconds == 1)
    #expect(error?.metadata == ["wait_seconds": "1"])
    test.clock.advance(seconds: 1)
    let active = try await commands.activate(made.id)
    #expect(active.state == .active && active.activateTime == now && active.version == 2)
    // Once more changes nothing.
    let revision = test.plane.state.revision
    #expect(try await commands.activate(made.id) == active)
    #expect(test.plane.state.revision == revision)
  }

  @Test func theFormerOneStaysUntilAllThatItHasSignedIsOver() async throws {
    let first = try await commands.activate(prepare().id, force: true)
    let second = try await commands.activate(prepare().id, force: true)
    let former = try #require(test.plane.state.authorities.find(first.id))
    let end = now + .seconds(Self.day + 600)
    #expect(former.state == .retiring && former.retireTime == now && former.trustUntil == end)
    #expect(test.plane.state.authorities.active(.x509, for: "example.test") == second)
    // Asked for, it waits.
    #expect(try await commands.retire(first.id) == former)
    test.clock.advance(seconds: Self.day + 599)
    try await commands.sweep()
    #expect(all.count == 2)
    test.clock.advance(seconds: 1)
    #expect(!former.isTrusted(at: now))
    try await commands.sweep()
    #expect(all.map(\.id) == [second.id])
    #expect(try await vault.open(.authorityKey(first.id), of: SecretPlace.platform) == nil)
    let stored = try test.store.secret(.authorityKey(first.id), of: SecretPlace.platform)
    #expect(stored == nil)
  }

  @Test func oneThatEndsBeforeIsTrustedUntilThen() async throws {
    let first = try await commands.activate(prepare(life: 1_000).id, force: true)
    _ = try await commands.activate(prepare().id, force: true)
    let former = test.plane.state.authorities.find(first.id)
    #expect(former?.trustUntil == first.expireTime)
  }

  @Test func eachTrustDomainHasItsOwn() async throws {
    let one = try await commands.activate(prepare(domain: "a.test").id, force: true)
    let other = try await commands.activate(prepare(domain: "b.test").id, force: true)
    #expect(all.map(\.state) == [.active, .active])
    let authorities = test.plane.state.authorities
    #expect(authorities.active(.x509, for: "a.test") == one)
    #expect(authorities.active(.x509, for: "b.test") == other)
  }

  @Test func anAnswerIsTakenOnce() async throws {
    let made = try await prepare(life: nil)
    #expect(made.state == .awaitingCertificate && !made.isTrusted(at: now) && made.isSound)
    let forced = await refusal { () async throws(TenancyError) in
      _ = try await commands.activate(made.id, force: true)
    }
    #expect(forced?.reason == .illegalTransition)
    #expect(forced?.metadata == ["state": "awaiting_certificate"])
    test.clock.advance(seconds: 5)
    let end = now + .seconds(Self.day)
    let complete = try await commands.complete(
      made.id, chain: "answer", expireTime: end, etag: made.etag)
    #expect(complete.state == .prepared && complete.prepareTime == now && complete.isSound)
    let again = await reason { () async throws(TenancyError) in
      _ = try await commands.complete(made.id, chain: "other", expireTime: end)
    }
    #expect(again == .illegalTransition)
    let stale = await refusal { () async throws(TenancyError) in
      _ = try await commands.activate(made.id, force: true, etag: made.etag)
    }
    #expect(stale?.reason == .etagMismatch && stale?.category == .aborted)
  }

  @Test func oneThatIsOverNeverSigns() async throws {
    let made = try await prepare(life: 120)
    test.clock.advance(seconds: 60)
    let reason = await reason { () async throws(TenancyError) in
      _ = try await commands.activate(made.id, force: true)
    }
    #expect(reason == .authorityExpired)
    let asked = try await prepare(life: nil)
    let soon = await self.reason { () async throws(TenancyError) in
      _ = try await commands.complete(asked.id, chain: "c", expireTime: now + .seconds(60))
    }
    #expect(soon == .authorityExpired)
  }

  @Test func whatHasSignedNothingGoesAtOnce() async throws {
    for life in [nil, 100 * Self.day] {
      let made = try await prepare(life: life)
      #expect(try await commands.retire(made.id) == nil)
    }
    #expect(all == [])
    let none = await reason { () async throws(TenancyError) in
      _ = try await commands.retire(Sample.id(1).description)
    }
    #expect(none == .authorityNotFound)
  }

  @Test func theOneThatSignsGoesOnlyByForce() async throws {
    let made = try await commands.activate(prepare().id, force: true)
    let refused = await reason { () async throws(TenancyError) in
      _ = try await commands.retire(made.id)
    }
    #expect(refused == .illegalTransition)
    #expect(try await commands.retire(made.id, force: true) == nil)
    #expect(all == [])
  }

  /// It is shown no more, and remembered until its certificate has ended.
  @Test func oneThatIsLostIsRefusedUntilItsCertificateEnds() async throws {
    let own = "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n"
    let asked = try await prepare(life: nil)
    let soon = now + .seconds(1_000)
    _ = try await commands.complete(asked.id, chain: own + own, expireTime: soon)
    _ = try await commands.activate(asked.id, force: true)
    let end = now + .seconds(2_000)
    #expect(try await commands.retire(asked.id, force: true, end: { _ in end }) == nil)
    let revoked = try #require(test.plane.state.authorities.revoked.first)
    #expect(revoked.state == .revoked && revoked.isSound && revoked.chain == own)
    #expect(revoked.expireTime == end && revoked.retireTime == now && !revoked.isTrusted(at: now))
    #expect(all == [] && test.plane.state.authorities.trusted(.x509, at: now) == [])
    #expect(try test.store.secret(.authorityKey(asked.id), of: SecretPlace.platform) == nil)
    let again = await reason { () async throws(TenancyError) in
      _ = try await commands.activate(asked.id, force: true)
    }
    #expect(again == .authorityNotFound)
    // Keys are sealed anew without it.
    _ = try await vault.rotateDataKey(actor: "alice", judge: .server)
    #expect(try await vault.resealAll() == 0)
    test.clock.advance(seconds: 1_999)
    try await commands.sweep()
    #expect(test.plane.state.authorities.revoked == [revoked])
    test.clock.advance(seconds: 1)
    try await commands.sweep()
    #expect(test.plane.state.authorities.revoked == [])
  }

  /// What can't be revoked for want of room would stay trusted: so there is always room.
  @Test func revokedOnesKeepOthersFromBeingMade() async throws {
    for _ in 0..<SigningAuthority.maximumKept {
      _ = try await commands.retire(prepare().id, force: true)
    }
    let error = await refusal { () async throws(TenancyError) in _ = try await prepare() }
    #expect(error?.reason == .limitReached)
    test.clock.advance(seconds: 100 * Self.day)
    _ = try await prepare()
    #expect(all.count == 1 && test.plane.state.authorities.revoked == [])
  }

  @Test func aFormerOneIsCalledBackWhileItIsTrusted() async throws {
    let first = try await commands.activate(prepare().id, force: true)
    let second = try await commands.activate(prepare().id, force: true)
    let back = try await commands.activate(first.id)
    #expect(back.state == .active && back.retireTime == nil && back.trustUntil == nil)
    #expect(test.plane.state.authorities.find(second.id)?.state == .retiring)
    test.clock.advance(seconds: Self.day + 600)
    let late = await reason { () async throws(TenancyError) in
      _ = try await commands.activate(second.id, force: true)
    }
    #expect(late == .illegalTransition)
  }

  @Test func thereAreSoManyAndNoMore() async throws {
    for _ in 0..<SigningAuthority.maximumCount { _ = try await prepare(life: nil) }
    let error = await refusal { () async throws(TenancyError) in _ = try await prepare() }
    #expect(error?.reason == .limitReached)
    #expect(error?.metadata["quota"] == "certificate-authorities")
    _ = try await commands.retire(all[0].id)
    _ = try await prepare()
  }

  @Test func ofManyActivatedAtOnceOneSigns() async throws {
    var ids: [String] = []
    for _ in 0..<4 { ids.append(try await prepare().id) }
    await withTaskGroup { group in
      for id in ids { group.addTask { _ = try? await commands.activate(id, force: true) } }
    }
    #expect(all.count { $0.state == .active } == 1 && all.count { $0.state == .retiring } == 3)
  }

  @Test func fieldsAreJudged() async {
    for (domain, propagation, field) in [
      ("Bad", Int64(1), "trust_domain"), ("", 1, "trust_domain"), ("a.test", 0, "propagation"),
      ("a.test", 604_801, "propagation"),
    ] {
      let error = await refusal { () async throws(TenancyError) in
        _ = try await prepare(propagation: propagation, domain: domain)
      }
      #expect(error?.violations.map(\.field) == [field])
    }
    #expect(all == [])
  }

  @Test func keysAreSealedAnewWithAllElse() async throws {
    let made = try await prepare()
    let key = try await vault.rotateDataKey(actor: "alice", judge: .server)
    #expect(try await vault.resealAll() == 1)
    let after = try #require(test.plane.state.authorities.find(made.id))
    #expect(after.reference.key == key && after.version == made.version)
    let opened = try await vault.open(.authorityKey(made.id), of: SecretPlace.platform)
    #expect(opened.map { String(decoding: $0.reveal(), as: UTF8.self) } == "private")
    #expect(try await vault.resealAll() == 0)
  }

  /// What is sealed for one does not open as another's.
  @Test func aPurposeIsOneAuthoritysAlone() {
    let id = Sample.id(1).description
    let purpose = SecretPurpose.authorityKey(id)
    #expect(purpose.rawValue == "authority_key/\(id)")
    #expect(SecretPurpose(rawValue: purpose.rawValue) == purpose)
    for text in ["authority_key/", "authority_key/x", "authority_key/\(id)x"] {
      #expect(SecretPurpose(rawValue: text) == nil)
    }
    #expect(Sample.tenant(1).reference(to: purpose) == nil)
  }
}
