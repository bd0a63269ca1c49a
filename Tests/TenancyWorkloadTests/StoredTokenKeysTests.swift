import Foundation
import TenancyCrypto
import TenancySecrets
import TenancyTestSupport
import TenancyTokens
import Testing

@testable import Tenancy
@testable import TenancyWorkload

/// What a node signs tokens by, and what it takes, of the store's keys.
struct StoredTokenKeysTests {
  private static let domain = "example.test"
  private static let subject = "spiffe://example.test/tenant/a/web"
  private let clock = TestClock(seconds: RealClock.seconds)
  private let plane: ControlPlane
  private let vault: SecretVault
  private let commands: AuthorityCommands
  private let directory: TemporaryDirectory

  init() async throws {
    let keyring = Keyring(master: try MasterKey())
    plane = try ControlPlane(
      store: MemoryStore(), sealer: keyring, clock: { [clock] in clock.now })
    vault = SecretVault(plane, keyring)
    try await vault.prepareKeys()
    commands = AuthorityCommands(plane, actor: "test", judge: .server)
    directory = try TemporaryDirectory()
  }

  private func stored() -> StoredTokenKeys {
    StoredTokenKeys(plane, vault, trustDomain: Self.domain) { _ in }
  }

  /// - Parameters:
  ///   - published: in the place of the key's own public half.
  private func prepare(
    domain: String = domain, published: String? = nil
  ) async throws -> (authority: SigningAuthority, kid: String) {
    let signer = try MessageSigner(generating: .es256)
    let key = try TokenSigner(signer).key
    let authority = try await commands.prepare(
      NewAuthority(
        kind: .jwt, trustDomain: domain,
        publicKey: published ?? String(decoding: key.json().bytes(), as: UTF8.self),
        propagation: 60,
        privateKey: try signer.withPKCS8 { ClearSecret(bytes: Array($0)) }))
    return (authority, key.keyID?.text ?? "")
  }

  private func kids(_ authority: TokenAuthority) -> [String] {
    authority.keys.keys.map { $0.keyID?.text ?? "" }
  }

  private func files(_ name: String) throws -> TokenAuthority {
    let files = CredentialFiles(directory: directory.path, name: name)
    try CertificateAuthority.create(commonName: name, trustDomain: Self.domain).save(files)
    return try TokenAuthority(keys: [files.privateKey], trustDomain: Self.domain)
  }

  private func issue(_ authority: TokenAuthority) throws -> String? {
    try authority.issue(subject: Self.subject, audiences: ["x"], seconds: 300, at: clock.now)
  }

  private func takes(_ authority: TokenAuthority, _ token: String?) -> Bool {
    guard let token else { return false }
    return (try? authority.validate(token, audience: "x", at: clock.now)) != nil
  }

  @Test func oneAfterTheOther() async throws {
    let stored = stored()
    let none = await stored.read(files: nil)
    #expect(none.isComplete && none.authority.bundle == Array(#"{"keys":[]}"#.utf8))
    #expect(try issue(none.authority) == nil)

    let first = try await prepare()
    var now = await stored.read(files: nil).authority
    #expect(kids(now) == [first.kid])
    #expect(try issue(now) == nil)

    _ = try await commands.activate(first.authority.id, force: true)
    now = await stored.read(files: nil).authority
    let old = try issue(now)
    #expect(takes(now, old))

    let second = try await prepare()
    now = await stored.read(files: nil).authority
    #expect(kids(now) == [first.kid, second.kid] && now.signer?.key.keyID?.text == first.kid)

    // What others sign by the new one is taken before this node signs by it.
    let before = now
    _ = try await commands.activate(second.authority.id, force: true)
    now = await stored.read(files: nil).authority
    #expect(now.signer?.key.keyID?.text == second.kid)
    #expect(takes(before, try issue(now)) && takes(now, old))

    clock.advance(seconds: 900)
    now = await stored.read(files: nil).authority
    #expect(kids(now) == [second.kid])
  }

  @Test func byForceWhatItHasSignedIsRefusedAtOnce() async throws {
    let stored = stored()
    let first = try await prepare()
    _ = try await commands.activate(first.authority.id, force: true)
    let token = try issue(await stored.read(files: nil).authority)
    _ = try await commands.retire(first.authority.id, force: true)
    let now = await stored.read(files: nil).authority
    #expect(token != nil && !takes(now, token) && kids(now) == [])
    #expect(try issue(now) == nil)
  }

  @Test func filesSignWhileNoneOfTheStoreDoes() async throws {
    let stored = stored()
    let files = try files("one")
    let file = try #require(kids(files).first)
    let token = try issue(await stored.read(files: files).authority)
    let first = try await prepare()
    var now = await stored.read(files: files).authority
    #expect(kids(now) == [file, first.kid] && now.signer?.key.keyID?.text == file)
    _ = try await commands.activate(first.authority.id, force: true)
    now = await stored.read(files: files).authority
    #expect(now.signer?.key.keyID?.text == first.kid && takes(now, token))
    _ = try await commands.retire(first.authority.id, force: true)
    now = await stored.read(files: files).authority
    #expect(now.signer?.key.keyID?.text == file && kids(now) == [file])
  }

  @Test func thoseOfOtherTrustDomainsAndKindsAreNothingToIt() async throws {
    let other = try await prepare(domain: "other.test")
    _ = try await commands.activate(other.authority.id, force: true)
    let root = try NewAuthorityKey.root(
      commonName: "x", trustDomain: Self.domain, seconds: 86_400)
    _ = try await commands.prepare(
      NewAuthority(
        trustDomain: Self.domain, chain: root.document,
        expireTime: Timestamp(seconds: root.notAfter, subsecondNanoseconds: 0), propagation: 60,
        privateKey: ClearSecret(bytes: root.privateKey)))
    let now = await stored().read(files: nil)
    #expect(now.isComplete && kids(now.authority) == [])
    // Nor is a key of tokens anything to those who look for authorities of certificates.
    _ = try await prepare()
    let authorities = await StoredAuthorities(plane, vault, trustDomain: Self.domain) { _ in }
      .read(files: nil)
    #expect(authorities.isComplete)
    #expect(
      authorities.authorities.bundle == (try WorkloadAuthority.bundle(ofChain: root.document)))
  }

  /// Nobody would take what it signs.
  @Test func aKeyThatIsNotTheOneInBundlesDoesNotSign() async throws {
    let stored = stored()
    let first = try await prepare()
    _ = try await commands.activate(first.authority.id, force: true)
    _ = await stored.read(files: nil)
    let another = String(
      decoding: try TokenSigner(MessageSigner(generating: .es256)).key.json().bytes(),
      as: UTF8.self)
    for published in [another, "{}", "\(another),\(another)"] {
      let second = try await prepare(published: published)
      _ = try await commands.activate(second.authority.id, force: true)
      let now = await stored.read(files: nil)
      #expect(!now.isComplete && now.authority.signer?.key.keyID?.text == first.kid)
      #expect(kids(now.authority).count == (published == another ? 2 : 1))
      _ = try await commands.activate(first.authority.id)
      _ = try await commands.retire(second.authority.id, force: true)
    }
    let last = try await prepare(published: another)
    _ = try await commands.activate(last.authority.id, force: true)
    _ = try await commands.retire(first.authority.id, force: true)
    #expect(await stored.read(files: nil).authority.signer == nil)
  }
}
