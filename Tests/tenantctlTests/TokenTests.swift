import Tenancy
import TenancyCrypto
import TenancyTokens
import TenancyWire
import Testing

@testable import tenantctl

@Suite struct TokenTests {
  private func encoded(_ header: String, _ claims: String) -> [UInt8] {
    Base64URL.encode(Array(header.utf8)) + [0x2E] + Base64URL.encode(Array(claims.utf8))
      + Array(".AA".utf8)
  }

  @Test func claims() throws {
    let token = try ForeignToken(
      parsing: encoded(
        #"{"alg":"ES256","typ":"at+jwt"}"#,
        #"{"iss":"i","sub":"a\u202eb","aud":["x","y"],"iat":1769851800,"exp":1769852700}"#))
    #expect(token.refusal == nil)
    #expect(
      token.lines() == [
        "Header:  alg  ES256",
        "         typ  at+jwt",
        "Claims:  aud  [\"x\",\"y\"]",
        "         exp  1769852700 (2026-01-31T09:45:00Z)",
        "         iat  1769851800 (2026-01-31T09:30:00Z)",
        "         iss  i",
        "         sub  a\\u{202e}b",
      ])
  }

  @Test func whatNobodyShouldAcceptIsShown() throws {
    let token = try ForeignToken(parsing: encoded(#"{"alg":"none"}"#, #"{"exp":1e999}"#))
    #expect(token.refusal?.reason == .algorithm)
    #expect(token.lines().last?.hasPrefix("Refused:  TOKEN_ALGORITHM_REFUSED") == true)
    // No Double has it.
    #expect(token.json().text().contains(#""exp":"1e999""#))
    for text in ["", "a.b", "a.b.c.d", "!.e30.AA", "e30.bm8.AA"] {
      #expect(throws: InputFailure.self) { try ForeignToken(parsing: Array(text.utf8)) }
    }
  }

  @Test func jsonDoesNotSteerTerminals() {
    #expect(Printable.json("{\n  \"a\u{202e}\u{9b}\": 1\n}") == "{\n  \"a\\u202e\\u009b\": 1\n}")
    #expect(Printable.json("\u{e0001}Zürich") == "\\udb40\\udc01Zürich")
  }

  @Test func requests() throws {
    let issue = try IssueTokenCommand.parse([
      "acme", "user:al", "--audience", "a", "--permission", "x:y", "--lifetime", "60", "--unbound",
    ])
    #expect(
      try issue.request()
        == V1.IssueTokenRequest(
          parent: "tenants/acme", subject: "user:al", audiences: ["a"], permissions: ["x:y"],
          lifetime: GoogleProtobuf.Duration(seconds: 60), unbound: true))
    #expect(
      try RevokeTokensCommand.parse(["acme", "--token-id", "t", "--reason", "r"]).request()
        == V1.RevokeTokensRequest(parent: "tenants/acme", target: .tokenId("t"), reason: "r"))
    #expect(try RevokeTokensCommand.parse(["acme", "--all"]).request().target == .all(true))
    #expect(throws: (any Error).self) { try RevokeTokensCommand.parse(["acme"]) }
    #expect(throws: (any Error).self) { try RevokeTokensCommand.parse(["acme", "f", "--all"]) }
  }

  @Test func keys() {
    let answer = V1.GetJsonWebKeySetResponse(
      issuer: "i", keys: [V1.TokenKey(id: "k", algorithm: .eddsa)])
    #expect(
      answer.lines() == [
        "Issuer: i", "", "KEY  ALGORITHM  CREATED  RETIRED  VERIFIES UNTIL",
        "k    EdDSA      -        -        -",
      ])
  }

  @Test func timesAreThoseOfTheToken() throws {
    let signer = try TokenSigner(try MessageSigner(generating: .es256))
    let start = Timestamp(nanoseconds: 1_769_851_800_000_000_000)
    let token = try signer.issue(
      TokenClaims(
        issuer: "i", subject: "s", audience: ["a"], issuedAt: start,
        expires: start + Duration.seconds(60)))
    let keys = try JWKSet([signer.key])
    func reason(_ seconds: Int64, _ arguments: String...) throws -> TokenRefusal.Reason? {
      let command = try VerifyTokenCommand.parse(["--jwks", "f", "--allow-unbound"] + arguments)
      do {
        let now = start + Duration.seconds(seconds)
        _ = try command.verify(token, keys: keys, certificate: nil, now: now)
        return nil
      } catch let refusal as TokenRefusal {
        return refusal.reason
      }
    }
    #expect(try reason(0) == nil && reason(59) == nil)
    #expect(try reason(60) == .expired && reason(60, "--skew", "1") == nil)
    #expect(try reason(61, "--skew", "1") == .expired)
    #expect(try reason(-1) == .notYetValid && reason(-1, "--skew", "1") == nil)
    #expect(try reason(0, "--maximum-life", "59") == .lifetime)
    #expect(try reason(0, "--maximum-life", "60") == nil)
  }
}
