import TenancyDatabase
import Tenancy
import TenancySecrets
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// The commands of tokens on real stores, with real keys to seal with.
struct TokenNodesTests {
  /// One of the nodes on a store.
  private struct Node {
    let plane: ControlPlane
    let vault: SecretVault
    let commands: TokenCommands

    init(
      _ store: any ControlStore, _ keyring: Keyring, holder: String, clock: TestClock
    ) async throws {
      plane = try ControlPlane(store: store, sealer: keyring, clock: { [clock] in clock.now })
      vault = SecretVault(plane, keyring, holder: holder)
      commands = TokenCommands(plane, actor: holder, judge: .server)
      try await vault.prepareKeys()
    }

    /// Adds a tenant as commands would.
    func put(_ tenant: Tenant) async throws {
      try await plane.write(actor: "test", action: "test") {
        (transaction) throws(TenancyError) in
        transaction.emit(.putTenant(tenant), about: tenant.id)
        transaction.emit(.reserveName(ReservedName(.slug, tenant.slug.text), tenant.id))
      }
    }

    func opened(_ name: Character, of tenant: TenantID) async throws -> String? {
      try await vault.open(.tokenKey(Self.id(name)), of: tenant).map {
        String(decoding: $0.reveal(), as: UTF8.self)
      }
    }

    static func id(_ name: Character) -> String { String(repeating: name, count: 43) }

    static func new(_ name: Character) -> NewTokenKey {
      NewTokenKey(
        id: id(name), algorithm: .es256, publicKey: "{\"kid\":\"\(name)\"}",
        privateKey: ClearSecret("private \(name)"))
    }
  }

  private let clock = TestClock()

  private static func tenant(_ number: UInt64) -> Tenant {
    var tenant = Sample.tenant(number)
    tenant.isolationModel = .database
    tenant.state = .active
    return tenant
  }

  @Test(.enabled(if: PostgreSQLServer.isInstalled, "\(PostgreSQLServer.whySkipped)"))
  func ofNodesThatNeedAKeyAtOnceAllGetTheSame() async throws {
    let (server, schema) = (try PostgreSQLServer.shared.get(), PostgreSQLServer.newSchema())
    let master = try MasterKey()
    let tenant = Self.tenant(1)
    var nodes: [Node] = []
    for number in 0..<3 {
      let keyring = Keyring(master: master)
      let store = try PostgreSQLStore(server.configuration(schema: schema), sealer: keyring)
      nodes.append(try await Node(store, keyring, holder: "node \(number)", clock: clock))
    }
    try await nodes[0].put(tenant)
    for node in nodes { try await node.plane.catchUp() }
    let keys = try await withThrowingTaskGroup(of: TokenKey.self) { group in
      for (node, name) in zip(nodes + nodes, "ABCDEF") {
        group.addTask {
          try await node.commands.ensureKey(of: tenant.id) { Node.new(name) }
        }
      }
      return try await group.reduce(into: Set<TokenKey>()) { $0.insert($1) }
    }
    let key = try #require(keys.first)
    let name = try #require(key.id.first)
    #expect(keys.count == 1)
    // Sealed under another data key by one, opened by the others.
    try await nodes[0].vault.rotateDataKey(actor: "alice", judge: .server)
    #expect(try await nodes[0].vault.resealAll() == 1)
    try await nodes[1].commands.revoke(
      .subject("user:1"), of: tenant.id, expireTime: clock.now + Duration.seconds(60))
    for node in nodes {
      #expect(try await node.opened(name, of: tenant.id) == "private \(name)")
      try await node.plane.catchUp()
      let record = try #require(node.plane.state.find(tenant.id))
      #expect(record.tenant.tokenKeys.count == 1 && record.tenant.signingKey?.id == key.id)
      #expect(record.isRevoked(tokenID: "t", subject: "user:1", issuedAt: clock.now))
      #expect(node.plane.isHealthy)
    }
    for node in nodes { await node.plane.close() }
  }

  /// What is loaded again is held to what every write promises.
  @Test func whatCommandsLeaveIsSound() async throws {
    let directory = try TemporaryDirectory()
    let (path, master) = (directory.file("control.db"), try MasterKey())
    let (tenant, other) = (Self.tenant(1), Self.tenant(2))
    let keyring = Keyring(master: master)
    let node = try await Node(
      SQLiteStore(path: path, sealer: keyring), keyring, holder: "node", clock: clock)
    for tenant in [tenant, other] {
      try await node.put(tenant)
      for name in "ABC" {
        _ = try await node.commands.rotateKey(
          of: tenant.id, new: Node.new(name), verifyFor: .seconds(60))
      }
      let expireTime = clock.now + Duration.seconds(60)
      for target: Revocation.Target in [.token("jti"), .subject("user:é"), .tenant] {
        try await node.commands.revoke(
          target, of: tenant.id, expireTime: expireTime, reason: "a \"reason\"")
      }
    }
    try await node.commands.removeKey(of: tenant.id, key: Node.id("A"))
    try await node.vault.rotateDataKey(actor: "alice", judge: .server)
    #expect(try await node.vault.resealAll() == 5)
    _ = try await TenantCommands(node.plane, actor: "alice", judge: .server)
      .move(other.id, .delete)
    await node.plane.close()
    let report = try StoreCheck.run(path: path)
    #expect(report.isSound, "\(report.findings)")

    let again = Keyring(master: master)
    let later = try await Node(
      SQLiteStore(path: path, sealer: again), again, holder: "later", clock: clock)
    let record = try #require(later.plane.state.find(tenant.id))
    #expect(record.tenant.tokenKeys.map(\.id) == ["C", "B"].map(Node.id))
    #expect(record.revocations.count == 3)
    #expect(try await later.opened("C", of: tenant.id) == "private C")
    #expect(try await later.opened("A", of: tenant.id) == nil)
    let deleted = try #require(later.plane.state.find(other.id))
    #expect(deleted.tenant.tokenKeys.isEmpty && deleted.revocations.isEmpty)
    #expect(try await later.opened("C", of: other.id) == nil)
    await later.plane.close()
    let left = try SQLiteConnection(path: path)
    #expect(try left.integer("SELECT count(*) FROM secrets") == 2)
    #expect(try left.integer("SELECT count(*) FROM revocations") == 3)
  }
}
