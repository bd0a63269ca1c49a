import Synchronization
import TenancyCrypto
import TenancySecrets
import TenancyTestSupport
import Testing

@testable import Tenancy
@testable import TenancyWorkload

/// What a node signs by, and what it has workloads trust, of the store's authorities.
struct StoredAuthoritiesTests {
  private static let domain = "example.test"
  private let clock = TestClock(seconds: RealClock.seconds)
  private let plane: ControlPlane
  private let vault: SecretVault
  private let commands: AuthorityCommands
  private let directory: TemporaryDirectory
  private let told = Told()

  private final class Told: Sendable {
    private let reports = Mutex<[String]>([])
    var all: [String] { reports.withLock { $0 } }
    func add(_ what: String) { reports.withLock { $0.append(what) } }
  }

  init() async throws {
    let keyring = Keyring(master: try MasterKey())
    plane = try ControlPlane(
      store: MemoryStore(), sealer: keyring, clock: { [clock] in clock.now })
    vault = SecretVault(plane, keyring)
    try await vault.prepareKeys()
    commands = AuthorityCommands(plane, actor: "test", judge: .server)
    directory = try TemporaryDirectory()
  }

  private func stored(_ vault: SecretVault?) -> StoredAuthorities {
    StoredAuthorities(plane, vault, trustDomain: Self.domain) { [told] in told.add($0) }
  }

  /// - Parameter mixedUp: whether the key that is sealed is another's.
  private func prepare(
    domain: String = domain, mixedUp: Bool = false
  ) async throws -> (authority: SigningAuthority, root: [UInt8]) {
    let made = try NewAuthorityKey.root(commonName: "x", trustDomain: domain, seconds: 86_400)
    let other = try NewAuthorityKey.root(commonName: "y", trustDomain: domain, seconds: 86_400)
    let authority = try await commands.prepare(
      NewAuthority(
        trustDomain: domain, chain: made.document,
        expireTime: Timestamp(seconds: made.notAfter, subsecondNanoseconds: 0), propagation: 60,
        privateKey: ClearSecret(bytes: mixedUp ? other.privateKey : made.privateKey)))
    return (authority, try WorkloadAuthority.bundle(ofChain: made.document))
  }

  @Test func oneAfterTheOther() async throws {
    let stored = stored(vault)
    let none = await stored.read(files: nil)
    #expect(none.authorities.signing == nil && none.authorities.bundle == [] && none.isComplete)

    let first = try await prepare()
    var now = await stored.read(files: nil).authorities
    #expect(now.signing == nil && now.bundle == first.root)

    _ = try await commands.activate(first.authority.id, force: true)
    now = await stored.read(files: nil).authorities
    let signer = try #require(now.signing)
    #expect(signer.bundle == first.root)
    // Read again, it is the same: what it has signed need not be signed anew.
    #expect(await stored.read(files: nil).authorities.signing === signer)

    let second = try await prepare()
    now = await stored.read(files: nil).authorities
    #expect(now.signing === signer && now.bundle == first.root + second.root)

    _ = try await commands.activate(second.authority.id, force: true)
    now = await stored.read(files: nil).authorities
    #expect(now.signing?.bundle == second.root && now.bundle == first.root + second.root)

    clock.advance(seconds: 86_400 + 600)
    now = await stored.read(files: nil).authorities
    #expect(now.signing?.bundle == second.root && now.bundle == second.root)
    #expect(told.all == [])
  }

  @Test func thoseOfOtherTrustDomainsAreNothingToIt() async throws {
    let other = try await prepare(domain: "other.test")
    _ = try await commands.activate(other.authority.id, force: true)
    let now = await stored(vault).read(files: nil)
    #expect(now.authorities.signing == nil && now.authorities.bundle == [] && now.isComplete)
  }

  @Test func filesSignWhileNoneOfTheStoreDoes() async throws {
    let files = try WorkloadBench.makeAuthority(directory, "files")
    let stored = stored(vault)
    #expect(await stored.read(files: files).authorities.signing === files)
    let first = try await prepare()
    var now = await stored.read(files: files).authorities
    #expect(now.signing === files && now.bundle == files.bundle + first.root)
    _ = try await commands.activate(first.authority.id, force: true)
    now = await stored.read(files: files).authorities
    #expect(now.signing?.bundle == first.root && now.bundle == files.bundle + first.root)
    // When they are taken away, nothing but that has changed.
    #expect(await stored.read(files: nil).authorities.bundle == first.root)
    _ = try await commands.retire(first.authority.id, force: true)
    now = await stored.read(files: files).authorities
    #expect(now.signing === files && now.bundle == files.bundle)
  }

  /// What signed before is trusted by all still, and goes on until it is not.
  @Test func whereAKeyDoesNotOpenTheFormerOneGoesOn() async throws {
    let stored = stored(vault)
    let first = try await prepare()
    _ = try await commands.activate(first.authority.id, force: true)
    let signer = await stored.read(files: nil).authorities.signing
    let second = try await prepare(mixedUp: true)
    let early = await stored.read(files: nil)
    #expect(!early.isComplete && early.authorities.signing === signer)
    #expect(told.all.contains { $0.contains(second.authority.id) })
    _ = try await commands.activate(second.authority.id, force: true)
    let now = await stored.read(files: nil)
    #expect(!now.isComplete && now.authorities.signing === signer && signer != nil)
    #expect(now.authorities.bundle == first.root + second.root)
    // Nobody takes what it would sign.
    _ = try await commands.retire(first.authority.id, force: true)
    #expect(await stored.read(files: nil).authorities.signing == nil)
  }

  /// Another that is trusted has the same root: that says nothing of the one that is not.
  @Test func whatIsGoneDoesNotSignForTheSakeOfItsRoot() async throws {
    let stored = stored(vault)
    let first = try await prepare()
    _ = try await commands.activate(first.authority.id, force: true)
    let signer = await stored.read(files: nil).authorities.signing
    let other = try NewAuthorityKey.root(commonName: "y", trustDomain: Self.domain, seconds: 86_400)
    let second = try await commands.prepare(
      NewAuthority(
        trustDomain: Self.domain, chain: first.authority.chain,
        expireTime: first.authority.expireTime, propagation: 60,
        privateKey: ClearSecret(bytes: other.privateKey)))
    _ = try await commands.activate(second.id, force: true)
    #expect(await stored.read(files: nil).authorities.signing === signer && signer != nil)
    _ = try await commands.retire(first.authority.id, force: true)
    let now = await stored.read(files: nil).authorities
    #expect(now.signing == nil && now.bundle == first.root)
  }

  @Test func withoutAMasterKeyNothingIsSigned() async throws {
    let first = try await prepare()
    _ = try await commands.activate(first.authority.id, force: true)
    let now = await stored(nil).read(files: nil)
    #expect(!now.isComplete && now.authorities.signing == nil)
    #expect(now.authorities.bundle == first.root)
  }

  @Test func anotherBundleDoesNotMakeCertificatesAnew() throws {
    let signer = try WorkloadBench.makeAuthority(directory, "one")
    let other = try WorkloadBench.makeAuthority(directory, "two")
    let alone = WorkloadAuthorities(signer)
    // The same, read again, beside another.
    let both = WorkloadAuthorities(
      trustDomain: Self.domain,
      signing: try WorkloadAuthority(
        certificates: directory.file("one.pem"), key: directory.file("one.key"),
        trustDomain: Self.domain), roots: [signer.bundle, other.bundle, signer.bundle])
    #expect(both.bundle == signer.bundle + other.bundle)
    #expect(!both.isSame(as: alone) && both.signsAlike(alone))
    #expect(both.keepingSigner(of: alone).signing === signer)
    let another = WorkloadAuthorities(other)
    #expect(!another.signsAlike(alone) && another.keepingSigner(of: alone).signing === other)
    let none = WorkloadAuthorities(trustDomain: Self.domain, signing: nil, roots: [])
    #expect(!none.signsAlike(alone) && !alone.signsAlike(none) && none.isSame(as: none))
  }
}
