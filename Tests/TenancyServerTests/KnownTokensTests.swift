import Tenancy
import TenancyCrypto
import TenancyTestSupport
import TenancyTokens
import Testing

@testable import TenancyServer

@Suite("Tokens that were verified before")
struct KnownTokensTests {
  private static let terms = TokenTerms(issuer: "https://i", audience: "a")
  private static let signer = Result { try TokenSigner(MessageSigner(generating: .eddsa)) }

  /// A token of a tenant, as it is known.
  private static func token(
    _ number: Int, of tenant: UInt64, life: Int64 = 60
  ) throws -> (known: KnownToken, bytes: [UInt8]) {
    let id = Sample.id(tenant)
    var claims = TokenClaims(
      issuer: ExactText(terms.issuer(of: id)), subject: "user:al", audience: ["a"],
      issuedAt: Sample.moment, expires: Sample.moment + Duration.seconds(life))
    claims.tenant = ExactText(id.description)
    claims.tenantEpoch = 1
    claims.tokenID = ExactText("\(number)")
    let signer = try signer.get()
    let bytes = try signer.issue(claims)
    let verified = try TokenVerifier.verify(
      CompactJWS(parsing: bytes), key: signer.key, expecting: terms.expectations(of: id),
      now: Sample.moment)
    return (KnownToken(try TokenGrant(verified, of: id, PlatformIssuers()), bytes), bytes)
  }

  private static func found(_ bytes: [UInt8], in tokens: KnownTokens) -> KnownToken? {
    bytes.withUnsafeBytes { tokens.find($0) }
  }

  @Test func oneIsFoundByAllOfItsBytes() throws {
    var tokens = KnownTokens()
    let (known, bytes) = try Self.token(1, of: 1)
    tokens.insert(known)
    #expect(Self.found(bytes, in: tokens) === known)
    for at in [0, bytes.count / 2, bytes.count - 1] {
      var other = bytes
      other[at] ^= 1
      #expect(Self.found(other, in: tokens) == nil)
    }
    #expect(Self.found(Array(bytes.dropFirst()), in: tokens) == nil)
    #expect(Self.found([], in: tokens) == nil)
  }

  @Test func aTenantPushesOutItsOwnOldest() throws {
    var tokens = KnownTokens(capacity: 10, tenantCapacity: 3)
    let other = try Self.token(0, of: 2)
    tokens.insert(other.known)
    let own = try (1...5).map { try Self.token($0, of: 1) }
    for (known, _) in own { tokens.insert(known) }
    #expect(tokens.count == 4)
    #expect(
      own.map { Self.found($0.bytes, in: tokens) != nil } == [false, false, true, true, true])
    #expect(Self.found(other.bytes, in: tokens) === other.known)
  }

  @Test func whereAllIsFullSomeoneMakesRoom() throws {
    var tokens = KnownTokens(capacity: 4, tenantCapacity: 4)
    for number in 0..<40 {
      let (known, bytes) = try Self.token(number, of: UInt64(number % 7))
      tokens.insert(known)
      #expect(tokens.count == min(number + 1, 4))
      #expect(Self.found(bytes, in: tokens) === known)
    }
  }

  @Test func oneThatEndsAlikeTakesThePlaceOfTheOther() throws {
    var tokens = KnownTokens()
    let (known, bytes) = try Self.token(1, of: 1)
    var alike = bytes
    alike[0] ^= 1
    let later = KnownToken(try Self.token(2, of: 2).known.grant, alike)
    tokens.insert(known)
    tokens.insert(later)
    #expect(tokens.count == 1)
    #expect(Self.found(bytes, in: tokens) == nil)
    #expect(Self.found(alike, in: tokens) === later)
  }

  @Test func thoseThatHaveExpiredGo() throws {
    var tokens = KnownTokens()
    let short = try (1...3).map { try Self.token($0, of: 1, life: 10) }
    let long = try Self.token(4, of: 1, life: 60)
    for (known, _) in short + [long] { tokens.insert(known) }
    tokens.sweep(100, at: Sample.moment + Duration.seconds(9))
    #expect(tokens.count == 4)
    tokens.sweep(100, at: Sample.moment + Duration.seconds(10))
    #expect(tokens.count == 1)
    #expect(Self.found(long.bytes, in: tokens) === long.known)
    tokens.sweep(100, at: Sample.moment + Duration.seconds(60))
    #expect(tokens.count == 0)
    tokens.insert(long.known)
    #expect(Self.found(long.bytes, in: tokens) === long.known)
  }

  /// Against a plain model: what is there is what came last, and all counts agree.
  @Test(arguments: 1...20)
  func itIsConsistent(_ seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let made = try (0..<24).map { try Self.token($0, of: UInt64($0 % 5), life: Int64($0 + 1)) }
    var tokens = KnownTokens(capacity: 8, tenantCapacity: 3)
    for _ in 0..<400 {
      let one = made[Int.random(in: made.indices, using: &random)]
      switch Int.random(in: 0..<10, using: &random) {
      case 0:
        let second = Int64.random(in: 0..<30, using: &random)
        tokens.sweep(3, at: Sample.moment + Duration.seconds(second))
      default:
        tokens.insert(one.known)
        #expect(Self.found(one.bytes, in: tokens) === one.known)
      }
      let there = made.filter { Self.found($0.bytes, in: tokens) != nil }
      #expect(there.count == tokens.count && there.count <= 8)
      for tenant in 0..<5 {
        #expect(there.count { $0.known.grant.tenant == Sample.id(UInt64(tenant)) } <= 3)
      }
    }
  }
}

@Suite("What is spent on tokens that were not seen before")
struct VerifyingAllowanceTests {
  private let second: Int64 = 1_000_000_000

  @Test func aTenantsBadTokensAreCutAndOthersGoOn() {
    var allowance = VerifyingAllowance()
    var looked = 0
    while allowance.admits(peer: 1, Sample.id(1), at: 0) {
      allowance.charge(peer: 1, Sample.id(1), 50_000, isRefused: true, at: 0)
      looked += 1
    }
    #expect(looked == 500)
    #expect(allowance.admits(peer: 1, Sample.id(2), at: 0))
    #expect(allowance.admits(peer: 2, Sample.id(1), at: 0))
    // A tenth of a second's worth of time a second, of which one that is refused takes four times its own.
    #expect(allowance.admits(peer: 1, Sample.id(1), at: second / 100))
  }

  @Test func aPeerThatSpendsItAllIsCut() {
    var allowance = VerifyingAllowance()
    var tenant: UInt64 = 0
    while allowance.admits(peer: 1, nil, at: 0) {
      allowance.charge(peer: 1, Sample.id(tenant), 1_000_000, isRefused: false, at: 0)
      tenant += 1
    }
    #expect(tenant == 300)
    #expect(!allowance.admits(peer: 1, Sample.id(9999), at: 0))
    #expect(allowance.admits(peer: 2, Sample.id(9999), at: 0))
    #expect(allowance.admits(peer: 1, Sample.id(9999), at: second))
  }

  @Test func aClockThatGoesBackGivesNothing() {
    var allowance = VerifyingAllowance()
    allowance.charge(peer: 1, Sample.id(1), 200_000_000, isRefused: false, at: second)
    #expect(!allowance.admits(peer: 1, Sample.id(1), at: 0))
    #expect(!allowance.admits(peer: 1, Sample.id(1), at: second))
  }

  @Test func thoseWhoHaveAllOfTheirShareAreForgotten() {
    var allowance = VerifyingAllowance()
    for tenant in 0..<10_000 {
      allowance.charge(
        peer: tenant, Sample.id(UInt64(tenant)), 1_000, isRefused: true, at: 0)
    }
    // There is a limit, beyond which they share.
    #expect(allowance.count <= 4098)
    allowance.sweep(at: 10 * second)
    #expect(allowance.count == 0)
  }
}

@Suite("How fast tokens are made")
struct TokenPaceTests {
  @Test func aTenantHasItsOwn() throws {
    let pace = TokenPace()
    for _ in 0..<1000 { try pace.take(for: "a", at: Sample.moment) }
    let error = #expect(throws: TenancyError.self) { try pace.take(for: "a", at: Sample.moment) }
    #expect(error?.reason == .tokenRateExceeded && error?.retryAfterSeconds == 1)
    try pace.take(for: "b", at: Sample.moment)
    try pace.take(for: "a", at: Sample.moment + Duration.milliseconds(5))
    #expect(throws: TenancyError.self) {
      try pace.take(for: "a", at: Sample.moment + Duration.milliseconds(5))
    }
  }
}
