import Synchronization
import TenancyTestSupport
import Testing

@testable import Tenancy

/// By which tokens a tenant's callers may say who they are: set at once, and judged where the change is made.
struct AuthenticationCommandsTests {
  private let test: TestPlane
  private let commands: AuthenticationCommands
  private let tenant = Sample.tenant(1)

  init() async throws {
    test = try TestPlane()
    commands = AuthenticationCommands(test.plane, actor: "alice", judge: .server)
    try await test.put(tenant)
  }

  private var stored: Tenant? { test.plane.state.find(tenant.id)?.tenant }

  private func failure(
    _ settings: AuthenticationSettings, etag: String = "", of id: TenantID? = nil,
    _ commands: AuthenticationCommands? = nil
  ) async -> TenancyError? {
    do throws(TenancyError) {
      _ = try await (commands ?? self.commands).set(settings, of: id ?? tenant.id, etag: etag)
      return nil
    } catch {
      return error
    }
  }

  @Test func allOfThemAreSetAtOnce() async throws {
    #expect(
      stored?.authentication == AuthenticationSettings() && stored?.authentication.etag == "a0")
    var wanted = SampleSettings.all()
    let first = try await commands.set(wanted, of: tenant.id)
    wanted.version = 1
    #expect(first == wanted && stored?.authentication == wanted)
    #expect(test.store.log.last?.action == "authentication.set")
    #expect(stored?.version == tenant.version && stored?.epoch == tenant.epoch)
    #expect(test.plane.state.tenantsWithIssuers == 1)
    let after = try await commands.set(AuthenticationSettings(), of: tenant.id, etag: first.etag)
    #expect(after.issuers.isEmpty && after.version == 2)
    #expect(test.plane.state.tenantsWithIssuers == 0)
  }

  @Test func whatIsThereAlreadyIsNotWrittenAgain() async throws {
    _ = try await commands.set(SampleSettings.all(), of: tenant.id)
    let revision = test.plane.state.revision
    let same = try await commands.set(SampleSettings.all(), of: tenant.id, etag: "a1")
    #expect(same.version == 1 && test.plane.state.revision == revision)
  }

  @Test func whoHasReadOthersIsTold() async throws {
    _ = try await commands.set(SampleSettings.all(), of: tenant.id)
    for etag in ["a0", "a2", "v1", "1", "a1 "] {
      let error = await failure(AuthenticationSettings(), etag: etag)
      #expect(error?.reason == .etagMismatch && error?.category == .aborted)
    }
    #expect(stored?.authentication.version == 1)
  }

  @Test func allThatIsWrongIsTold() async throws {
    var settings = SampleSettings.all()
    settings.maximumLifeSeconds = 29
    settings.issuers[0].algorithms = ["none"]
    settings.issuers[1].subjectPrefix = "user:x"
    let error = await failure(settings)
    #expect(
      error?.violations.map(\.field) == [
        "settings.maximum_life", "settings.issuers[0].algorithms",
        "settings.issuers[1].subject_prefix",
      ])
    #expect(stored?.authentication.isDefault == true)
  }

  @Test func whoMayNotAnyMoreDoesNot() async throws {
    let judge = WriteJudge(payer: .server, requestBytes: 0) { (_, _) throws(TenancyError) in
      throw .missing(permission: "tenancy.authentication:set")
    }
    let others = AuthenticationCommands(test.plane, actor: "bob", judge: judge)
    let error = await failure(SampleSettings.all(), of: tenant.id, others)
    #expect(error?.reason == .permissionMissing && stored?.authentication.isDefault == true)
  }

  @Test func aTenantThatIsDeletedHasNone() async throws {
    _ = try await commands.set(SampleSettings.all(), of: tenant.id)
    _ = try await TenantCommands(test.plane, actor: "alice", judge: .server)
      .move(tenant.id, .delete)
    #expect(stored?.authentication.isDefault == true && test.plane.state.tenantsWithIssuers == 0)
    let error = await failure(SampleSettings.all())
    #expect(error?.reason == .tenantNotFound)
    let nobody = await failure(SampleSettings.all(), of: Sample.id(9))
    #expect(nobody?.reason == .tenantNotFound)
  }

  /// Issuers elsewhere know of no epochs: with the epoch a moment is kept.
  @Test func whatMovesTheEpochMovesTheHorizon() async throws {
    let tenants = TenantCommands(test.plane, actor: "alice", judge: .server)
    #expect(stored?.tokenHorizon == nil)
    test.clock.advance(seconds: 10)
    _ = try await tenants.move(tenant.id, .deactivate)
    let suspended = test.clock.now
    #expect(stored?.tokenHorizon == suspended)
    test.clock.advance(seconds: 10)
    _ = try await tenants.move(tenant.id, .activate)
    // What was issued meanwhile is void as well, as it is of the tenant's own.
    #expect(stored?.tokenHorizon == test.clock.now)
    let tokens = TokenCommands(test.plane, actor: "alice", judge: .server)
    try await tokens.revokeAll(of: tenant.id)
    #expect(stored?.tokenHorizon == test.clock.now && stored?.epoch == tenant.epoch + 3)
  }

  @Test func theyCountAsWhatTheTenantTakes() async throws {
    let before = try #require(test.plane.state.find(tenant.id)).footprint
    _ = try await commands.set(SampleSettings.all(), of: tenant.id)
    let record = try #require(test.plane.state.find(tenant.id))
    let keys = record.tenant.authentication.issuers.flatMap(\.keys)
    let least = keys.reduce(0) { $0 + $1.publicKey.utf8.count }
    #expect(record.footprint.storedBytes > before.storedBytes + least)
    #expect(record.footprint.residentBytes > before.residentBytes + least)
    _ = try await commands.set(AuthenticationSettings(), of: tenant.id)
    let after = try #require(test.plane.state.find(tenant.id)).footprint
    #expect(after.residentBytes - before.residentBytes < 256)
  }
}

/// What settings can't be.
struct AuthenticationRulesTests {
  private static func fields(
    _ change: (inout ExternalIssuer) -> Void
  ) -> [String] {
    var issuer = SampleSettings.issuer("k")
    change(&issuer)
    return AuthenticationRules.violations(of: issuer, field: "i").map(\.field)
  }

  @Test func whatIsUsualIsRight() {
    #expect(Self.fields { _ in } == [])
    #expect(AuthenticationRules.violations(of: SampleSettings.all()).isEmpty)
    #expect(AuthenticationRules.violations(of: AuthenticationSettings()).isEmpty)
  }

  /// Subjects of groups are `group:{id}`. Earlier versions let such in, whose tokens are not taken.
  @Test func noneIsTakenForAGroup() {
    let keys = SampleSettings.issuer("k").keys
    let named = ExternalIssuer(id: "group", issuer: "https://k.test", keys: keys)
    let found = AuthenticationRules.violations(of: named, field: "i").map(\.field)
    #expect(found == ["i.id", "i.subject_prefix"])
    #expect(AuthenticationRules.violations(of: named, field: "i", isStored: true).isEmpty)
    #expect(Self.fields { $0.subjectPrefix = "Group:" } == ["i.subject_prefix"])
    #expect(Self.fields { $0.subjectPrefix = "gro" } == ["i.subject_prefix"])
    #expect(Self.fields { $0.subjectPrefix = "groups:" }.isEmpty)
  }

  @Test(arguments: [
    "", "A", "1a", "-a", "a_b", "a.b", "é", "a ", String(repeating: "a", count: 33),
  ])
  func ids(_ id: String) {
    let issuer = ExternalIssuer(
      id: id, issuer: "https://k.test", keys: SampleSettings.issuer("k").keys)
    let fields = AuthenticationRules.violations(of: issuer, field: "i").map(\.field)
    #expect(fields.first == "i.id")
  }

  @Test(arguments: [
    "", "no-scheme", "https://a b", "https://a\"", "https://é",
    "https://\(String(repeating: "a", count: 250))",
  ])
  func issuers(_ issuer: String) {
    #expect(Self.fields { $0.issuer = issuer } == ["i.issuer"])
  }

  /// Whatever stands behind it, nobody is taken for a workload or for one of the platform's.
  @Test(arguments: [
    "", "s", "S", "spiffe:", "SPIFFE://x", "u", "uid:", "UID:1", "insecure", "Ins", "system:", "é",
    "a b", "\u{7F}", String(repeating: "a", count: 65),
  ])
  func prefixes(_ prefix: String) {
    #expect(Self.fields { $0.subjectPrefix = prefix } == ["i.subject_prefix"])
  }

  @Test(arguments: ["user:", "x", "uids:", "okta/"])
  func prefixesThatCanBe(_ prefix: String) {
    #expect(Self.fields { $0.subjectPrefix = prefix } == [])
  }

  @Test(arguments: [
    "", "iss", "aud", "exp", "act", "cnf", "a\u{0}", String(repeating: "a", count: 129), "/", "/a",
    "/iss", "/act/sub", "/cnf/x", "//a", "/a//b", "/a/", "/a/~", "/a/~2", "/a/b/c/d/e/f/g/h/i",
  ])
  func claims(_ name: String) {
    #expect(Self.fields { $0.subjectClaim = name } == ["i.subject_claim"])
    #expect(Self.fields { $0.permissionsClaim = name } == ["i.permissions_claim"])
  }

  @Test(arguments: [
    "a", "https://x.test/roles", "a/b", "/a/b", "/realm_access/roles", "/a/iss", "/a~1b/~0",
    "/a/b/c/d/e/f/g/h",
  ])
  func claimsThatCanBe(_ name: String) {
    #expect(Self.fields { $0.subjectClaim = name } == [])
    #expect(Self.fields { $0.permissionsClaim = name } == [])
    #expect(Self.fields { $0.requiredClaims = [.init(name: name, value: "x")] } == [])
  }

  @Test func keysAreInOnePlace() {
    func fields(_ url: String, _ pins: [String] = [], keys: [ExternalKey] = []) -> [String] {
      Self.fields {
        $0.keys = keys
        $0.published = PublishedKeySet(url: url, pins: pins)
      }
    }
    let pin = String(repeating: "A", count: 43) + "="
    let pins = (0..<8).map { String(repeating: "A", count: 41) + "\($0)A=" }
    #expect(fields("https://id.test/") == [] && fields("https://id.test/", [pin]) == [])
    #expect(fields("https://id.test/", pins) == [])
    #expect(fields("https://id.test/", pins + [pin]) == ["i.key_pins"])
    #expect(fields("https://id.test/", [pin, pin]) == ["i.key_pins"])
    #expect(fields("https://id.test/", ["x"]) == ["i.key_pins"])
    for url in ["", "http://id.test/", "https://127.0.0.1/", "https://id.test/#x"] {
      #expect(fields(url) == ["i.jwks_uri"])
    }
    let keys = SampleSettings.issuer("k").keys
    #expect(fields("https://id.test/", keys: keys) == ["i.json_web_key_set"])
  }

  @Test func everythingIsBounded() {
    #expect(Self.fields { $0.keys = [] } == ["i.json_web_key_set"])
    #expect(
      Self.fields { $0.keys = Array(repeating: $0.keys[0], count: 17) } == ["i.json_web_key_set"])
    #expect(
      Self.fields {
        $0.keys = [
          ExternalKey(id: Sample.keyID("k"), publicKey: String(repeating: "a", count: 2049))
        ]
      } == ["i.json_web_key_set"])
    for algorithms in [[], ["none"], ["HS256"], ["ES256", "ES256"], ["es256"], ["ES512"]] {
      #expect(Self.fields { $0.algorithms = algorithms } == ["i.algorithms"])
    }
    for audiences in [[""], ["a", "a"], (0..<9).map { "a\($0)" }, ["a b"]] {
      #expect(Self.fields { $0.audiences = audiences } == ["i.audiences"])
    }
    for life in [0, -1, 7201] {
      #expect(Self.fields { $0.maximumLifeSeconds = life } == ["i.maximum_life"])
    }
    let claim = ExternalIssuer.RequiredClaim(name: "a", value: "b")
    #expect(Self.fields { $0.requiredClaims = [claim, claim] } == ["i.required_claims"])
    let empty = ExternalIssuer.RequiredClaim(name: "", value: "")
    #expect(
      Self.fields { $0.requiredClaims = [empty] } == [
        "i.required_claims[0].name", "i.required_claims[0].value",
      ])
    var settings = AuthenticationSettings()
    settings.issuers = Array(repeating: SampleSettings.issuer("k"), count: 9)
    #expect(AuthenticationRules.violations(of: settings).map(\.field) == ["settings.issuers"])
  }

  @Test func issuersOfOneTenantAreKeptApart() {
    var settings = AuthenticationSettings()
    settings.issuers = [SampleSettings.issuer("a"), SampleSettings.issuer("a")]
    #expect(
      AuthenticationRules.violations(of: settings).map(\.field) == [
        "settings.issuers[1].id", "settings.issuers[1].issuer",
        "settings.issuers[1].subject_prefix",
      ])
    settings.issuers = [SampleSettings.issuer("a"), SampleSettings.issuer("b")]
    for (one, other) in [("x:", "x:y"), ("x:y", "x:"), ("x", "x")] {
      settings.issuers[0].subjectPrefix = one
      settings.issuers[1].subjectPrefix = other
      #expect(
        AuthenticationRules.violations(of: settings).map(\.field) == [
          "settings.issuers[1].subject_prefix"
        ])
    }
  }

  @Test func noneIsThePlatforms() {
    var settings = AuthenticationSettings()
    settings.issuers = [SampleSettings.issuer("a")]
    let fields = AuthenticationRules.violations(
      of: settings, prefixes: ["i"], foreign: { $0 == "https://a.test" }
    ).map(\.field)
    #expect(fields == ["settings.issuers[0].issuer", "settings.issuers[0].subject_prefix"])
  }
}
