import TenancyCrypto
import TenancyTestSupport
import TenancyTokens
import Testing

@testable import Tenancy
@testable import TenancyServer

/// Streams that a token has let in: they end with what lets it in, by the clock of the test.
extension StreamAdmissionTests {
  private static let terms = TokenTerms(issuer: "https://i", audience: "a")

  /// Whom a token of the tenant acme is for, which lives for a minute.
  private func bearer() async throws -> Caller {
    let (id, now) = (Sample.id(1), clock.now)
    let signer = try TokenSigner(MessageSigner(generating: .eddsa))
    let keyID = try #require(signer.key.keyID?.text)
    try await write { transaction throws(TenancyError) in
      guard var acme = transaction.state.find(id)?.tenant else { return }
      acme.tokenKeys = [
        TokenKey(
          id: keyID, algorithm: .edDSA, publicKey: "{}", createTime: Sample.moment,
          reference: SecretReference(version: 1, key: KeyID(high: 1, low: 1)))
      ]
      transaction.emit(.putTenant(acme), about: id)
    }
    let issued = Timestamp(seconds: now.seconds, subsecondNanoseconds: 0)
    var claims = TokenClaims(
      issuer: ExactText(Self.terms.issuer(of: id)), subject: "watcher", audience: ["a"],
      issuedAt: issued, expires: issued + Duration.seconds(60))
    claims.tenant = ExactText(id.description)
    claims.tenantEpoch = Sample.tenant(1, "acme").epoch
    claims.tokenID = "jti"
    let verified = try TokenVerifier.verify(
      CompactJWS(parsing: try signer.issue(claims)), key: signer.key,
      expecting: Self.terms.expectations(of: id), now: now)
    return Caller(
      try TokenGrant(verified, of: id, Self.terms.outside), presentedBy: caller("web"),
      rules: Self.rules)
  }

  private func revoke(_ target: Revocation.Target) async throws {
    let now = clock.now
    try await write { transaction throws(TenancyError) in
      transaction.emit(
        .putRevocation(
          Sample.id(1),
          Revocation(
            target: target, before: now + .seconds(5), expireTime: now + .seconds(900), reason: "")),
        about: Sample.id(1))
    }
  }

  @Test func ofATokenThatEnds() async throws {
    let status = try await ending(of: bearer()) { _ in clock.advance(seconds: 61) }
    #expect(status?.code == .unauthenticated)
    #expect(status?.message == "the token has expired")
  }

  @Test(arguments: [Revocation.Target.token("jti"), .subject("watcher")])
  func ofATokenThatIsRevoked(_ target: Revocation.Target) async throws {
    let status = try await ending(of: bearer()) { _ in try await revoke(target) }
    #expect(status?.code == .unauthenticated)
    #expect(status?.message == "the token was revoked")
  }

  @Test func ofAKeyThatIsRemoved() async throws {
    let status = try await ending(of: bearer()) { _ in
      try await write { transaction throws(TenancyError) in
        guard var acme = transaction.state.find(Sample.id(1))?.tenant else { return }
        acme.tokenKeys = []
        transaction.emit(.putTenant(acme), about: acme.id)
      }
    }
    #expect(status?.code == .unauthenticated)
  }
}
