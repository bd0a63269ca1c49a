import TenancyTestSupport
import Testing

@testable import Tenancy

/// The private halves of keys: sealed like all secrets, and in no log.
struct TokenSealingTests {
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

  @Test func keysAreSealedAnewWithAllElse() async throws {
    _ = try await ensure()
    _ = try await rotate(to: "B")
    let former = try #require(stored)
    let key = try await vault.rotateDataKey(actor: "alice", judge: .server)
    #expect(try await opened("A", "B") == ["private A", "private B"])
    #expect(try await vault.resealAll() == 2)
    let after = try #require(stored)
    #expect(after.tokenKeys.allSatisfy { $0.reference.key == key })
    #expect(after.tokenKeys.map(\.reference.version) == former.tokenKeys.map(\.reference.version))
    #expect(after.version == former.version)
    #expect(try await opened("A", "B") == ["private A", "private B"])
    #expect(try await vault.resealAll() == 0)
  }

  @Test func neitherLogNorStateHasAPrivateKey() async throws {
    let subscription = test.plane.subscribe(after: test.plane.state.revision)
    _ = try await ensure()
    _ = try await rotate(to: "B")
    try await vault.rotateDataKey(actor: "alice", judge: .server)
    try await vault.resealAll()
    for text in ["private", "evitavirp"] {
      #expect(!"\(try test.store.entries(after: 0, limit: 100))".contains(text))
      #expect(!"\(try test.store.load())".contains(text))
    }
    var secrets = 0
    var reader = subscription.makeAsyncIterator()
    while secrets < 4, let entry = try await reader.next() {
      for case .putSecret(_, .tokenKey, _, let sealed) in entry.changes {
        #expect(sealed == nil)
        secrets += 1
      }
    }
    #expect(secrets == 4)
  }

  @Test func aTenantHasAllItsPurposes() {
    var tenant = Sample.tenant(1)
    #expect(tenant.secretPurposes.isEmpty)
    let reference = SecretReference(version: 1, key: KeyID(high: 1, low: 1))
    tenant.configuration.database = DatabaseConfiguration(
      connectionString: "h", username: "u", password: reference)
    tenant.tokenKeys = [Sample.key("A"), Sample.key("B")]
    #expect(
      tenant.secretPurposes == [
        .databasePassword, .tokenKey(Sample.keyID("A")), .tokenKey(Sample.keyID("B")),
      ])
    for purpose in tenant.secretPurposes {
      #expect(tenant.reference(to: purpose) != nil)
      #expect(SecretPurpose(rawValue: purpose.rawValue) == purpose)
    }
    #expect(SecretPurpose.tokenKey(Sample.keyID("A")).rawValue == "token_key/" + Sample.keyID("A"))
  }

  @Test(arguments: [
    "", "database_passwords", "token_key", "token_key/", "token_key/short", "Database_password",
    "token_key/\(String(repeating: "A", count: 44))",
    "token_key/\(String(repeating: "A", count: 42))'",
    "token_key/\(String(repeating: "A", count: 42))é",
  ])
  func whatIsNoPurposeIsNone(_ text: String) { #expect(SecretPurpose(rawValue: text) == nil) }
}
