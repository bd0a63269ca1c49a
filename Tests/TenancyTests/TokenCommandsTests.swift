import Synchronization
import TenancyTestSupport
import Testing

@testable import Tenancy

/// The keys of tenants' tokens: made once, retired, removed, and never seen.
struct TokenCommandsTests {
  private let sealer = TestSealer()
  private let test: TestPlane
  private let vault: SecretVault
  private let commands: TokenCommands
  private let tenant = Sample.tenant(1)

  init() async throws {
    test = try TestPlane(sealer: sealer)
    vault = SecretVault(test.plane, sealer)
    commands = TokenCommands(test.plane, actor: "alice", judge: .server)
    try await vault.prepareKeys()
    try await test.put(tenant)
  }

  private var stored: Tenant? { test.plane.state.find(tenant.id)?.tenant }
  private var lastEntry: LogEntry? { test.store.log.last }

  private func ensure() async throws(TenancyError) -> TokenKey {
    try await commands.ensureKey(of: tenant.id) { Sample.newKey("A") }
  }

  private func rotate(
    to name: Character, verifyFor: Duration = .seconds(900)
  ) async throws(TenancyError) -> TokenKey {
    try await commands.rotateKey(of: tenant.id, new: Sample.newKey(name), verifyFor: verifyFor)
  }

  private func opened(_ names: Character...) async throws -> [String?] {
    var opened: [String?] = []
    for name in names {
      let secret = try await vault.open(.tokenKey(Sample.keyID(name)), of: tenant.id)
      opened.append(secret.map { String(decoding: $0.reveal(), as: UTF8.self) })
    }
    return opened
  }

  private func move(to state: TenantState) async throws {
    var tenant = try #require(stored)
    tenant.state = state
    try await test.put(tenant)
  }

  // MARK: Making

  @Test func thereIsNoKeyBeforeOneIsNeeded() async throws {
    #expect(stored?.tokenKeys == [] && stored?.signingKey == nil)
    let key = try await ensure()
    #expect(key.id == Sample.keyID("A") && key.algorithm == .es256 && key.signs)
    #expect(key.createTime == test.clock.now)
    #expect(key.reference == SecretReference(version: 1, key: try #require(sealer.activeKey)))
    #expect(stored?.signingKey == key && stored?.tokenKeys == [key])
    #expect(lastEntry?.action == "tokens.createKey" && lastEntry?.actor == "alice")
    #expect(lastEntry?.tenants == [tenant.id])
    #expect(try await opened("A") == ["private A"])
    #expect(try await opened("B") == [nil])
  }

  @Test func callersSeeTheTenantAsItWas() async throws {
    _ = try await ensure()
    _ = try await rotate(to: "B")
    var after = try #require(stored)
    #expect(after.tokenKeys.count == 2)
    after.tokenKeys = []
    #expect(after == tenant)
  }

  @Test func thereIsOneKeyHoweverOftenItIsAskedFor() async throws {
    let key = try await ensure()
    let log = test.store.log
    let made = Atomic(0)
    let again = try await commands.ensureKey(of: tenant.id) {
      made.add(1, ordering: .relaxed)
      return Sample.newKey("B")
    }
    #expect(again == key && made.load(ordering: .relaxed) == 0 && test.store.log == log)
  }

  @Test func ofManyCallersAtOnceAllGetTheSame() async throws {
    let names = Array("ABCDEFGHIJKLMNOP")
    let keys = try await withThrowingTaskGroup(of: TokenKey.self) { group in
      for name in names {
        group.addTask { [commands, tenant] in
          try await commands.ensureKey(of: tenant.id) { Sample.newKey(name) }
        }
      }
      var keys: Set<TokenKey> = []
      for try await key in group { keys.insert(key) }
      return keys
    }
    #expect(keys.count == 1 && stored?.tokenKeys == Array(keys))
    #expect(test.store.log.count { $0.action == "tokens.createKey" } == 1)
  }

  /// Both have found none, and make one.
  @Test func ofTwoNodesAtOnceBothGetTheSame() async throws {
    let otherSealer = TestSealer()
    let other = try TestPlane(MemoryStore(test.store.disk), sealer: otherSealer)
    let otherVault = SecretVault(other.plane, otherSealer, holder: "other")
    try await otherVault.prepareKeys()
    let barrier = test.store.holdNextAppend()
    let first = Task.immediate { [commands, tenant] in
      try await commands.ensureKey(of: tenant.id) { Sample.newKey("A") }
    }
    await barrier.reached()
    let second = try await TokenCommands(other.plane, actor: "bob", judge: .server)
      .ensureKey(of: tenant.id) { Sample.newKey("B") }
    barrier.open()
    #expect(try await first.value == second && second.id == Sample.keyID("B"))
    #expect(stored?.tokenKeys == [second])
    #expect(try await opened("B") == ["private B"])
    #expect(try await opened("A") == [nil])
  }

  @Test func whoCanNotMakeOneSaysWhy() async throws {
    struct Failure: Error {}
    let log = test.store.log
    let foreign = await refusal { () async throws(TenancyError) in
      try await commands.ensureKey(of: tenant.id) { throw Failure() }
    }
    #expect(foreign?.category == .internalError && foreign?.reason == .secretsFailed)
    let own = await refusal { () async throws(TenancyError) in
      try await commands.ensureKey(of: tenant.id) { throw TenancyError.tenantMismatch }
    }
    #expect(own?.reason == .tenantMismatch && test.store.log == log)
  }

  @Test(arguments: [
    ("A", #"{"kty":"EC"}"#, ["key.id"]),
    (String(repeating: "A", count: 42) + "/", #"{"kty":"EC"}"#, ["key.id"]),
    (String(repeating: "A", count: 42) + "'", "[]", ["key.id", "key.public_key"]),
    (String(repeating: "A", count: 43), "", ["key.public_key"]),
    (
      String(repeating: "A", count: 43), "{\"k\":\"\(String(repeating: "x", count: 506))\"}",
      ["key.public_key"]
    ),
  ])
  func aKeyThatIsNoneIsRefused(_ id: String, _ publicKey: String, _ fields: [String]) async throws {
    let new = NewTokenKey(
      id: id, algorithm: .edDSA, publicKey: publicKey, privateKey: ClearSecret("p"))
    for error in [
      await refusal(of: { () async throws(TenancyError) in
        try await commands.ensureKey(of: tenant.id) { new }
      }),
      await refusal(of: { () async throws(TenancyError) in
        try await commands.rotateKey(of: tenant.id, new: new, verifyFor: .zero)
      }),
    ] {
      #expect(error?.category == .invalidArgument && error?.violations.map(\.field) == fields)
    }
    #expect(stored?.tokenKeys == [])
  }

  @Test func aPublicKeyOfTheGreatestLengthIsTaken() async throws {
    let text = "{\"k\":\"\(String(repeating: "x", count: 504))\"}"
    #expect(text.utf8.count == TokenKey.maximumPublicKeyBytes)
    let new = NewTokenKey(
      id: Sample.keyID("A"), algorithm: .edDSA, publicKey: text, privateKey: ClearSecret("p"))
    #expect(try await commands.ensureKey(of: tenant.id) { new }.publicKey == text)
  }

  @Test func withoutASealerThereIsNoKey() async throws {
    let plain = try TestPlane()
    try await plain.put(tenant)
    let commands = TokenCommands(plain.plane, actor: "alice", judge: .server)
    let made = Atomic(0)
    for error in [
      await refusal(of: { () async throws(TenancyError) in
        try await commands.ensureKey(of: tenant.id) {
          made.add(1, ordering: .relaxed)
          return Sample.newKey("A")
        }
      }),
      await refusal(of: { () async throws(TenancyError) in
        try await commands.rotateKey(of: tenant.id, new: Sample.newKey("A"), verifyFor: .zero)
      }),
    ] {
      #expect(error?.category == .failedPrecondition && error?.reason == .secretsNotConfigured)
      #expect(error?.message.contains("secrets.master_key") == true)
    }
    #expect(plain.store.log.count == 1 && made.load(ordering: .relaxed) == 0)
  }

  @Test func withoutADataKeyThereIsNoKey() async throws {
    let plain = try TestPlane(sealer: TestSealer())
    try await plain.put(tenant)
    let error = await refusal { () async throws(TenancyError) in
      try await TokenCommands(plain.plane, actor: "alice", judge: .server)
        .ensureKey(of: tenant.id) { Sample.newKey("A") }
    }
    #expect(error?.reason == .secretsFailed && plain.store.log.count == 1)
  }

  // MARK: States

  @Test(arguments: TenantState.known.filter { $0 != .active })
  func onlyForActiveTenantsKeysAreMade(_ state: TenantState) async throws {
    let key = try await ensure()
    try await move(to: state)
    let log = test.store.log
    let wanted = try #require(
      Lifecycle.refusal(for: Sample.tenant(1, state: state), at: Sample.moment))
    for error in [
      await refusal(of: ensure),
      await refusal(of: { () async throws(TenancyError) in try await rotate(to: "B") }),
    ] {
      #expect(error?.reason == wanted.reason && error?.category == wanted.category)
    }
    #expect(test.store.log == log)
    // A key that is known to others goes in any state.
    let error = await refusal { () async throws(TenancyError) in
      try await commands.removeKey(of: tenant.id, key: key.id)
    }
    #expect(error?.reason == (state.isGone ? .tenantNotFound : nil))
  }

  @Test func aTenantThatIsSuspendedMeanwhileGetsNoKey() async throws {
    var suspended = tenant
    suspended.state = .suspended
    let barrier = test.store.holdNextAppend()
    let putting = Task.immediate { [test, suspended] in try await test.put(suspended) }
    await barrier.reached()
    // It is active still for all that is published.
    let ensuring = Task.immediate { [commands, tenant] in
      try await commands.ensureKey(of: tenant.id) { Sample.newKey("A") }
    }
    barrier.open()
    try await putting.value
    let error = await #expect(throws: TenancyError.self) { try await ensuring.value }
    #expect(error?.reason == .tenantSuspended && stored?.tokenKeys == [])
  }

  @Test func aTenantThatIsNotThereIsNotFound() async throws {
    let none = Sample.id(9)
    for error in [
      await refusal(of: { () async throws(TenancyError) in
        try await commands.ensureKey(of: none) { Sample.newKey("A") }
      }),
      await refusal(of: { () async throws(TenancyError) in
        try await commands.rotateKey(of: none, new: Sample.newKey("A"), verifyFor: .zero)
      }),
      await refusal(of: { () async throws(TenancyError) in
        try await commands.removeKey(of: none, key: Sample.keyID("A"))
      }),
      await refusal(of: { () async throws(TenancyError) in
        try await commands.revoke(
          .tenant, of: none, expireTime: test.clock.now + Duration.seconds(1))
      }),
    ] { #expect(error?.reason == .tenantNotFound) }
  }

  @Test func whoMayNotChangesNothing() async throws {
    _ = try await ensure()
    let log = test.store.log
    let barred = TokenCommands(
      test.plane, actor: "mallory",
      judge: WriteJudge(payer: .platform("mallory"), requestBytes: 0) {
        (_, _) throws(TenancyError) in throw .tenantMismatch
      })
    for error in [
      await refusal(of: { () async throws(TenancyError) in
        try await barred.rotateKey(of: tenant.id, new: Sample.newKey("B"), verifyFor: .zero)
      }),
      await refusal(of: { () async throws(TenancyError) in
        try await barred.removeKey(of: tenant.id, key: Sample.keyID("A"))
      }),
      await refusal(of: { () async throws(TenancyError) in
        try await barred.revoke(
          .tenant, of: tenant.id, expireTime: test.clock.now + Duration.seconds(1))
      }),
    ] { #expect(error?.reason == .tenantMismatch) }
    #expect(test.store.log == log)
  }

  // MARK: Rotation

  @Test func aRetiredKeyVerifiesUntilItsLastTokenHasExpired() async throws {
    let first = try await ensure()
    test.clock.advance(seconds: 10)
    let second = try await rotate(to: "B")
    #expect(lastEntry?.action == "tokens.rotateKey")
    let retired = try #require(stored?.tokenKey(first.id))
    #expect(stored?.tokenKeys.map(\.id) == [second.id, first.id] && stored?.signingKey == second)
    #expect(retired.retireTime == test.clock.now)
    #expect(retired.verifyUntil == test.clock.now + Duration.seconds(900))
    #expect(!retired.signs && retired.verifies(at: test.clock.now + Duration.seconds(899)))
    #expect(!retired.verifies(at: test.clock.now + Duration.seconds(900)))
    #expect(try await opened("A", "B") == ["private A", "private B"])
    // It goes with the next rotation, and its private half with it.
    test.clock.advance(seconds: 900)
    let third = try await rotate(to: "C")
    #expect(stored?.tokenKeys.map(\.id) == [third.id, second.id])
    #expect(lastEntry?.changes.contains(.deleteSecret(tenant.id, .tokenKey(first.id))) == true)
    #expect(try await opened("A") == [nil])
    #expect(try test.store.secret(.tokenKey(first.id), of: tenant.id) == nil)
  }

  @Test func whatNeedNotVerifyIsDroppedAtOnce() async throws {
    _ = try await ensure()
    let second = try await rotate(to: "B", verifyFor: .seconds(-5))
    #expect(stored?.tokenKeys == [second])
    #expect(try await opened("A") == [nil])
  }

  @Test func rotatingATenantWithoutAKeyMakesOne() async throws {
    let key = try await rotate(to: "A")
    #expect(stored?.tokenKeys == [key] && key.signs)
  }

  @Test func anIdIsNotGivenTwice() async throws {
    _ = try await ensure()
    let error = await refusal { () async throws(TenancyError) in try await rotate(to: "A") }
    #expect(error?.violations.map(\.field) == ["key.id"])
    #expect(stored?.signingKey?.id == Sample.keyID("A"))
  }

  @Test func moreKeysThanThereMayBeAreRefused() async throws {
    let names = Array("ABCDEFGH")
    for name in names { _ = try await rotate(to: name) }
    #expect(stored?.tokenKeys.count == TokenKey.maximumCount)
    let error = await refusal { () async throws(TenancyError) in try await rotate(to: "I") }
    #expect(error?.category == .resourceExhausted && error?.reason == .limitReached)
    #expect(error?.metadata["quota"] == "token-keys" && error?.metadata["limit"] == "8")
    #expect(error?.metadata["subject"] == "tenants/\(tenant.id)")
    #expect(error?.retryAfterSeconds == 901)
    #expect(stored?.signingKey?.id == Sample.keyID("H"))
    // One that is removed makes room, and so does time.
    try await commands.removeKey(of: tenant.id, key: Sample.keyID("A"))
    _ = try await rotate(to: "I")
    test.clock.advance(seconds: 900)
    let last = try await rotate(to: "J")
    #expect(stored?.tokenKeys.map(\.id) == [last.id, Sample.keyID("I")])
  }

  // MARK: Removal

  @Test func aKeyThatIsKnownToOthersGoesAtOnce() async throws {
    _ = try await ensure()
    let second = try await rotate(to: "B")
    #expect(test.plane.state.owner(ofTokenKey: second.id) == tenant.id)
    #expect(try await commands.removeKey(of: tenant.id, key: second.id) == second)
    #expect(test.plane.state.owner(ofTokenKey: second.id) == nil)
    #expect(test.plane.state.owner(ofTokenKey: Sample.keyID("A")) == tenant.id)
    #expect(lastEntry?.action == "tokens.removeKey")
    #expect(stored?.signingKey == nil && stored?.tokenKeys.map(\.id) == [Sample.keyID("A")])
    #expect(try await opened("B") == [nil])
    let third = try await commands.ensureKey(of: tenant.id) { Sample.newKey("C") }
    #expect(stored?.tokenKeys.map(\.id) == [third.id, Sample.keyID("A")])
    let error = await refusal { () async throws(TenancyError) in
      try await commands.removeKey(of: tenant.id, key: second.id)
    }
    #expect(error?.category == .notFound && error?.reason == .tokenKeyNotFound)
  }

  /// Whatever clocks say, and with nothing that would have to be kept.
  @Test func allAreRevokedByTheEpoch() async throws {
    let before = try #require(stored)
    try await commands.revokeAll(of: tenant.id)
    #expect(lastEntry?.action == "tokens.revokeAll")
    #expect(stored?.epoch == before.epoch + 1 && stored?.version == before.version)
    #expect(test.plane.state.find(tenant.id)?.revocations.isEmpty == true)
    _ = try await TenantCommands(test.plane, actor: "alice").move(tenant.id, .delete)
    let error = await refusal { () async throws(TenancyError) in
      try await commands.revokeAll(of: tenant.id)
    }
    #expect(error?.category == .notFound)
  }

  @Test func withADeletedTenantItsKeysAndRevocationsGo() async throws {
    _ = try await ensure()
    _ = try await rotate(to: "B")
    let tenants = TenantCommands(test.plane, actor: "alice")
    for number in 0..<3 {
      try await commands.revoke(
        .token("t\(number)"), of: tenant.id, expireTime: test.clock.now + Duration.seconds(60))
    }
    _ = try await tenants.move(tenant.id, .delete)
    #expect(stored?.state == .deleted && stored?.tokenKeys == [])
    #expect(test.plane.state.owner(ofTokenKey: Sample.keyID("A")) == nil)
    #expect(test.plane.state.find(tenant.id)?.revocations.isEmpty == true)
    #expect(try await opened("A", "B") == [nil, nil])
    for name: Character in ["A", "B"] {
      #expect(try test.store.secret(.tokenKey(Sample.keyID(name)), of: tenant.id) == nil)
    }
    let kept = test.store.disk.state.withLock { $0.model.revocations }
    #expect(kept.isEmpty)
    // Its footprint is that of a tenant that never had any.
    #expect(test.plane.state.find(tenant.id)?.footprint == Sample.tenant(1).footprint)
  }
}
