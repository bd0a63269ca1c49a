import TenancyTestSupport
import Testing

@testable import Tenancy

/// Passwords of tenants' databases, from the request on.
struct SecretVaultTests {
  private let sealer = TestSealer()
  private let test: TestPlane
  private let vault: SecretVault
  private let commands: TenantCommands

  init() async throws {
    test = try TestPlane(sealer: sealer)
    vault = SecretVault(test.plane, sealer)
    commands = TenantCommands(test.plane, actor: "alice")
    #expect(try await vault.prepareKeys() == 1)
  }

  private func create(
    _ slug: String, password: String?, validateOnly: Bool = false
  ) async throws(TenancyError) -> Tenant {
    try await commands.create(
      TenantCommands.NewTenant(
        slug: slug, displayName: "Name", isolationModel: .database,
        configuration: TenantConfiguration(
          database: DatabaseConfiguration(connectionString: "host=\(slug)", username: "u")),
        databasePassword: password.map { ClearSecret($0) }),
      validateOnly: validateOnly)
  }

  private func update(
    _ tenant: Tenant, mayMove: Bool = true, validateOnly: Bool = false,
    _ change: (inout TenantCommands.Update) -> Void
  ) async throws(TenancyError) -> Tenant {
    var update = TenantCommands.Update(etag: "", mayMove: mayMove)
    change(&update)
    return try await commands.update(
      tenant.id, update, action: "tenants.update", validateOnly: validateOnly)
  }

  private func opened(_ tenant: Tenant) async throws -> String? {
    try await vault.open(.databasePassword, of: tenant.id).map {
      String(decoding: $0.reveal(), as: UTF8.self)
    }
  }

  private var lastChanges: [Change] { test.store.log.last?.changes ?? [] }

  @Test func aPasswordIsSealedWithItsTenant() async throws {
    let tenant = try await create("acme", password: "s3cret")
    let reference = try #require(tenant.configuration.database?.password)
    #expect(reference == SecretReference(version: 1, key: try #require(sealer.activeKey)))
    #expect(try await opened(tenant) == "s3cret")
    #expect(try await opened(try await create("other", password: nil)) == nil)
    #expect(!"\(test.store.log)".contains("s3cret"))
  }

  @Test func anotherPasswordReplacesIt() async throws {
    let tenant = try await create("acme", password: "old")
    let after = try await update(tenant) { $0.databasePassword = ClearSecret("new") }
    #expect(after.configuration.database?.password?.version == 2)
    #expect(try await opened(tenant) == "new")
    // Nobody looks whether it is the same.
    let again = try await update(tenant) { $0.databasePassword = ClearSecret("new") }
    #expect(again.version == 3 && again.configuration.database?.password?.version == 3)
  }

  @Test func whatChangesNothingOfItKeepsIt() async throws {
    let tenant = try await create("acme", password: "s3cret")
    let after = try await update(tenant) { $0.displayName = "New" }
    #expect(after.configuration == tenant.configuration)
    #expect(lastChanges == [.putTenant(after)])
    #expect(try await opened(tenant) == "s3cret")
  }

  @Test func aPasswordChangesUnderAnActiveTenant() async throws {
    var active = try await create("acme", password: "old")
    active.state = .active
    try await test.put(active)
    _ = try await update(active) { $0.databasePassword = ClearSecret("new") }
    #expect(try await opened(active) == "new")
  }

  @Test func withTheDatabaseItsPasswordGoes() async throws {
    let tenant = try await create("acme", password: "s3cret")
    let after = try await update(tenant) { $0.isolationModel = .shared }
    #expect(lastChanges.contains(.deleteSecret(tenant.id, .databasePassword)))
    #expect(try await opened(after) == nil)
    // One that is sent with what has no database is passed over.
    _ = try await update(tenant) { $0.databasePassword = ClearSecret("x") }
    #expect(try await opened(after) == nil)
  }

  @Test func validatingSealsNothing() async throws {
    let before = test.store.log
    let made = try await create("acme", password: "s3cret", validateOnly: true)
    #expect(made.configuration.database?.password != nil)
    #expect(test.store.log == before)
    let tenant = try await create("acme", password: "s3cret")
    let log = test.store.log
    _ = try await update(tenant, validateOnly: true) { $0.databasePassword = ClearSecret("x") }
    #expect(test.store.log == log)
  }

  @Test func tenantsCallersSetNone() async throws {
    let tenant = try await create("acme", password: "s3cret")
    let error = await refusal { () async throws(TenancyError) in
      try await update(tenant, mayMove: false) { $0.databasePassword = ClearSecret("s3cret") }
    }
    #expect(error?.reason == .permissionMissing)
  }

  @Test func withoutASealerNoPasswordIsTaken() async throws {
    let plain = try TestPlane()
    let commands = TenantCommands(plain.plane, actor: "alice")
    for validateOnly in [true, false] {
      let error = await refusal { () async throws(TenancyError) in
        try await commands.create(
          TenantCommands.NewTenant(
            slug: "a", displayName: "A", isolationModel: .database,
            configuration: TenantConfiguration(
              database: DatabaseConfiguration(connectionString: "h", username: "u")),
            databasePassword: ClearSecret("s3cret")), validateOnly: validateOnly)
      }
      #expect(error?.category == .failedPrecondition && error?.reason == .secretsNotConfigured)
      #expect(error?.message.contains("s3cret") == false)
    }
    #expect(plain.store.log.isEmpty)
  }

  @Test func withoutADataKeyNoPasswordIsTaken() async throws {
    let plain = try TestPlane(sealer: TestSealer())
    let error = await refusal { () async throws(TenancyError) in
      try await TenantCommands(plain.plane, actor: "alice").create(
        TenantCommands.NewTenant(
          slug: "a", displayName: "A", isolationModel: .database,
          configuration: TenantConfiguration(
            database: DatabaseConfiguration(connectionString: "h", username: "u")),
          databasePassword: ClearSecret("s3cret")), validateOnly: false)
    }
    #expect(error?.reason == .secretsFailed)
    #expect(plain.store.log.isEmpty)
  }

  @Test func aRowThatIsNotTheTenantsIsNamed() async throws {
    let (first, second) = (
      try await create("acme", password: "1"), try await create("globex", password: "2")
    )
    let stored = try #require(try test.store.secret(.databasePassword, of: first.id))
    _ = try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      transaction.emit(
        .putSecret(second.id, .databasePassword, stored.reference, stored.sealed),
        about: second.id)
    }
    let moved = await #expect(throws: StoreError.self) { try await opened(second) }
    #expect(moved?.code == .corrupt)
    #expect(
      moved?.description.contains("table secrets, row \(second.id)/database_password") == true)
    #expect(try await opened(first) == "1")
  }

  // MARK: Keys

  @Test func preparingTwiceChangesNothing() async throws {
    let log = test.store.log
    // The lease of the keys, and the first one.
    #expect(log.count == 2 && test.store.leasesHeld.isEmpty)
    #expect(try await vault.prepareKeys() == 0)
    #expect(test.store.log == log)
  }

  @Test func whatAnotherNodeDoesWithKeysIsFollowed() async throws {
    let tenant = try await create("acme", password: "secret")
    let otherSealer = TestSealer()
    let other = try TestPlane(MemoryStore(test.store.disk), sealer: otherSealer)
    let otherVault = SecretVault(other.plane, otherSealer, holder: "other")
    #expect(try await otherVault.prepareKeys() == 0)
    try await vault.rotateDataKey(actor: "alice", judge: .server)
    #expect(otherSealer.activeKey != sealer.activeKey)
    #expect(try await vault.resealAll() == 1)
    try await other.plane.catchUp()
    #expect(otherSealer.activeKey == sealer.activeKey)
    let found = try await otherVault.open(.databasePassword, of: tenant.id)
    #expect(found?.reveal() == Array("secret".utf8))
    // One at a time.
    let lease = try await test.plane.take("keys/data", holder: "third", lasting: .seconds(60))
    for vault in [vault, otherVault] {
      let error = await refusal { () async throws(TenancyError) in
        try await vault.rotateDataKey(actor: "alice", judge: .server)
      }
      #expect(error?.reason == .leaseHeld)
    }
    try await test.plane.release(lease)
    try await vault.rotateDataKey(actor: "alice", judge: .server)
    try await other.plane.catchUp()
    #expect(otherSealer.activeKey == sealer.activeKey && test.store.leasesHeld.isEmpty)
  }

  /// Another node has replaced the keys between the moment when they were read here and the one when they are
  /// taken in.
  @Test func keysThatWereReadBeforeDoNotReplaceNewerOnes() async throws {
    let otherSealer = TestSealer()
    let other = try TestPlane(MemoryStore(test.store.disk), sealer: otherSealer)
    let otherVault = SecretVault(other.plane, otherSealer, holder: "other")
    let barrier = otherSealer.holdNextInstall()
    let preparing = Task.immediate { try await otherVault.prepareKeys() }
    await barrier.reached()
    try await vault.rotateDataKey(actor: "alice", judge: .server)
    let following = Task.immediate { try await other.plane.catchUp() }
    // Time enough to take in the newer ones, if nothing keeps it from that.
    await withTaskGroup { group in
      group.addTask { _ = try? await following.value }
      group.addTask { try? await Task.sleep(for: .milliseconds(300)) }
      await group.next()
      barrier.open()
    }
    _ = try await preparing.value
    _ = try await following.value
    #expect(otherSealer.activeKey == sealer.activeKey)
  }

  /// Nobody has told this node of it yet.
  @Test func aSecretThatAnotherNodeHasJustChangedIsNotCorrupt() async throws {
    let tenant = try await create("acme", password: "old")
    let otherSealer = TestSealer()
    let other = try TestPlane(MemoryStore(test.store.disk), sealer: otherSealer)
    let otherVault = SecretVault(other.plane, otherSealer, holder: "other")
    try await otherVault.prepareKeys()
    _ = try await update(tenant) { $0.databasePassword = ClearSecret("new") }
    var found = try await otherVault.open(.databasePassword, of: tenant.id)
    #expect(found?.reveal() == Array("new".utf8))
    // Sealed under a key that this node does not know yet.
    try await vault.rotateDataKey(actor: "alice", judge: .server)
    #expect(try await vault.resealAll() == 1)
    found = try await otherVault.open(.databasePassword, of: tenant.id)
    #expect(found?.reveal() == Array("new".utf8))
    try await vault.rotateDataKey(actor: "alice", judge: .server)
    #expect(try await otherVault.resealAll() == 0)
    try await other.plane.catchUp()
    _ = try await update(tenant) { $0.databasePassword = ClearSecret("newest") }
    // Not told as a failure, nor sealed anew in the place of the newer one.
    #expect(try await otherVault.resealAll() == 0)
    #expect(try await opened(tenant) == "newest")
  }

  @Test func anotherDataKeySealsEverythingAnew() async throws {
    var tenants: [Tenant] = []
    for number in 0..<(2 * SecretVault.maximumReseals + 3) {
      tenants.append(try await create("t\(number)", password: "p\(number)"))
    }
    _ = try await create("plain", password: nil)
    let former = try #require(sealer.activeKey)
    try await vault.rotateDataKey(actor: "alice", judge: .server)
    #expect(sealer.activeKey != former)
    #expect(
      try test.store.dataKeys().map(\.state).sorted { $0.rawValue < $1.rawValue } == [
        .active, .retired,
      ])
    // Both are good meanwhile.
    #expect(try await opened(tenants[0]) == "p0")
    let entries = test.store.log.count
    #expect(try await vault.resealAll() == tenants.count)
    #expect(test.store.log.count == entries + 3)
    #expect(test.store.log.allSatisfy { $0.changes.count <= 2 * SecretVault.maximumReseals })
    for (number, tenant) in tenants.enumerated() {
      let after = try #require(test.plane.state.find(tenant.id)?.tenant)
      #expect(after.configuration.database?.password?.key == sealer.activeKey)
      // Nothing that a caller sees has changed.
      #expect(after.version == tenant.version && after.updateTime == tenant.updateTime)
      #expect(try await opened(tenant) == "p\(number)")
    }
    #expect(try await vault.resealAll() == 0)
  }

  @Test func aSecretThatDoesNotOpenHoldsUpNoOther() async throws {
    let (first, second) = (
      try await create("acme", password: "1"), try await create("globex", password: "2")
    )
    let reference = try #require(first.configuration.database?.password)
    _ = try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      transaction.emit(
        .putSecret(first.id, .databasePassword, reference, SealedSecret(bytes: [0])),
        about: first.id)
    }
    try await vault.rotateDataKey(actor: "alice", judge: .server)
    #expect(try await vault.resealAll() == 1)
    #expect(try await opened(second) == "2")
    await #expect(throws: StoreError.self) { try await opened(first) }
  }

  @Test func anotherMasterKeyWrapsAllDataKeys() async throws {
    try await vault.rotateDataKey(actor: "alice", judge: .server)
    let master = KeyID(high: 5, low: 5)
    sealer.replaceMaster(by: master)
    #expect(try await vault.prepareKeys() == 2)
    #expect(try test.store.dataKeys().allSatisfy { $0.masterKey == master })
  }

  @Test func whoMayNotRotatesNothing() async throws {
    let (active, log) = (sealer.activeKey, test.store.log)
    let error = await refusal { () async throws(TenancyError) in
      try await vault.rotateDataKey(
        actor: "alice",
        judge: WriteJudge(payer: .platform("alice"), requestBytes: 0) {
          (_, _) throws(TenancyError) in throw .tenantMismatch
        })
    }
    #expect(error?.reason == .tenantMismatch)
    #expect(sealer.activeKey == active && test.store.log == log)
  }

  @Test func aKeyThatIsNotStoredIsNotUsed() async throws {
    let active = sealer.activeKey
    test.store.failNextAppends(.refused(.unavailable))
    let error = await refusal { () async throws(TenancyError) in
      try await vault.rotateDataKey(actor: "alice", judge: .server)
    }
    #expect(error?.category == .unavailable)
    #expect(sealer.activeKey == active)
  }
}
