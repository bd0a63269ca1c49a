import Tenancy
import TenancyCrypto
import TenancyTestSupport
import Testing

@testable import TenancyTokens

/// Tokens of other issuers: what is expected of them, and nothing less.
struct OutsideTokenTests {
  private static let issuer = Result { try Issuer() }

  private static func expectations(
    algorithms: Set<SignatureAlgorithm> = [.es256], types: Set<TokenType> = [.accessToken],
    _ change: (inout OutsideExpectations) -> Void = { _ in }
  ) -> OutsideExpectations {
    var expected = OutsideExpectations(
      issuer: "https://issuer.test", audiences: ["tenancy", "other"], algorithms: algorithms,
      types: types, maximumLife: 900, skew: 5)
    change(&expected)
    return expected
  }

  private static func verified(
    _ token: [UInt8], _ expected: OutsideExpectations = expectations(), keys: JWKSet? = nil,
    at offset: Int64 = 0
  ) throws(TokenRefusal) -> VerifiedOutsideToken {
    guard let issuer = try? issuer.get() else { preconditionFailure("there are no keys") }
    return try OutsideToken(parsing: token).verify(
      keys: keys ?? issuer.keys, expecting: expected, now: Issuer.moment(offset))
  }

  /// Nil: it is accepted.
  private static func refusal(
    _ token: [UInt8], _ expected: OutsideExpectations = expectations(), keys: JWKSet? = nil,
    at offset: Int64 = 0
  ) -> TokenRefusal.Reason? {
    do throws(TokenRefusal) {
      _ = try verified(token, expected, keys: keys, at: offset)
      return nil
    } catch {
      return error.reason
    }
  }

  private static func token(
    _ claims: [String: String?] = [:], typ: String = "\"at+jwt\""
  ) throws -> [UInt8] {
    let issuer = try issuer.get()
    return try issuer.token(issuer.header(typ: typ), Issuer.payload(claims))
  }

  @Test func oneThatIsRightIsAccepted() throws {
    let found = try Self.verified(try Self.token(["jti": "\"x\""]))
    #expect(found.claims.subject == "api" && found.claims.tokenID == "x")
    #expect(found.permissions == nil && found.key.algorithm == .es256)
  }

  /// What our own tokens have means nothing, of whichever type it is.
  @Test func claimsOfOursMeanNothing() throws {
    let claims = [
      "tid": "7", "tep": "\"x\"", "roles": "{}", "permissions": "[1]", "scope": "[]",
      "client_id": "null",
    ]
    let found = try Self.verified(try Self.token(claims))
    #expect(found.claims.tenant == nil && found.claims.tenantEpoch == nil)
    #expect(found.claims.roles.isEmpty && found.claims.permissions.isEmpty)
    #expect(found.claims.others.count == claims.count)
  }

  @Test(
    arguments: [
      ("iss", nil, .claims), ("iss", "\"https://issuer.test/\"", .issuer),
      ("iss", "\"HTTPS://issuer.test\"", .issuer), ("iss", "[\"https://issuer.test\"]", .claims),
      ("aud", nil, .claims), ("aud", "\"x\"", .audience), ("aud", "[]", .claims),
      ("aud", "[\"x\",\"other\"]", nil), ("aud", "\"tenancy \"", .audience),
      ("sub", nil, .claims), ("sub", "\"\"", .claims), ("sub", "7", .claims),
      ("iat", nil, .claims), ("iat", "\"1\"", .claims),
      ("iat", "\(Issuer.now + 6)", .notYetValid), ("iat", "\(Issuer.now + 5)", nil),
      ("exp", nil, .claims), ("exp", "\(Issuer.now)", .expired), ("exp", "1e400", .claims),
      ("exp", "\(Issuer.now - 60 + 900)", nil), ("exp", "\(Issuer.now - 60 + 901)", .lifetime),
      ("nbf", "\(Issuer.now + 6)", .notYetValid), ("nbf", "null", .claims),
      ("jti", "7", .claims), ("cnf", "{\"jkt\":\"x\"}", .claims), ("act", "7", .claims),
      ("nonce", "\"n\"", .type), ("at_hash", "\"n\"", .type), ("c_hash", "null", .type),
      ("s_hash", "1", .type), ("events", "{}", .type), ("typ", "\"ID\"", .type),
      ("typ", "\"Refresh\"", .type), ("typ", "7", .type), ("typ", "\"Bearer\"", nil),
      ("token_use", "\"id\"", .type), ("token_use", "\"access\"", nil),
    ] as [(String, String?, TokenRefusal.Reason?)])
  func claims(_ name: String, _ value: String?, _ reason: TokenRefusal.Reason?) throws {
    #expect(Self.refusal(try Self.token([name: value])) == reason)
  }

  @Test(
    arguments: [
      ("\"at+jwt\"", nil, nil), ("\"application/at+jwt\"", nil, nil), ("\"AT+JWT\"", nil, nil),
      ("\"JWT\"", .type, nil), ("\"jwt\"", .type, nil), ("\"dpop+jwt\"", .type, .type),
      ("\"logout+jwt\"", .type, .type), ("\"secevent+jwt\"", .type, .type), ("\"\"", .type, .type),
    ] as [(String, TokenRefusal.Reason?, TokenRefusal.Reason?)])
  func types(
    _ typ: String, _ strictly: TokenRefusal.Reason?, _ otherwise: TokenRefusal.Reason?
  ) throws {
    let token = try Self.token(typ: typ)
    #expect(Self.refusal(token) == strictly)
    #expect(Self.refusal(token, Self.expectations(types: [.accessToken, .jwt])) == otherwise)
  }

  @Test func withoutAnyTypeItIsRefused() throws {
    let issuer = try Self.issuer.get()
    let kid = issuer.tokens.key.keyID?.text ?? ""
    let token = try issuer.token("{\"alg\":\"ES256\",\"kid\":\"\(kid)\"}", Issuer.payload())
    #expect(Self.refusal(token, Self.expectations(types: [.accessToken, .jwt])) == .type)
  }

  /// RSA keys are not made here: tests of the whole program have those of others.
  @Test(arguments: [SignatureAlgorithm.es256, .es384, .eddsa])
  func algorithmsAreThoseThatAreSaid(_ algorithm: SignatureAlgorithm) throws {
    let signer = try MessageSigner(generating: algorithm)
    let key = try JWK(of: signer)
    let header =
      "{\"alg\":\"\(algorithm.rawValue)\",\"typ\":\"at+jwt\",\"kid\":\"\(key.keyID?.text ?? "")\"}"
    let signed =
      Base64URL.encode(Array(header.utf8)) + [UInt8(ascii: ".")]
      + Base64URL.encode(Array(Issuer.payload().utf8))
    let token = signed + [UInt8(ascii: ".")] + Base64URL.encode(try signer.sign(signed[...]))
    let keys = try JWKSet([key])
    #expect(Self.refusal(token, Self.expectations(algorithms: [algorithm]), keys: keys) == nil)
    let others = Set(SignatureAlgorithm.allCases).subtracting([algorithm])
    #expect(
      Self.refusal(token, Self.expectations(algorithms: others), keys: keys) == .algorithm)
    #expect(Self.refusal(token, Self.expectations(algorithms: []), keys: keys) == .algorithm)
  }

  @Test func signaturesAreOfTheIssuersKeys() throws {
    let issuer = try Self.issuer.get()
    var token = try Self.token()
    #expect(Self.refusal(token, keys: try JWKSet([])) == .keyUnknown)
    #expect(Self.refusal(token, keys: try Issuer().keys) == .keyUnknown)
    let impostor = JWK(try Issuer().tokens.key.verifier, keyID: issuer.tokens.key.keyID)
    #expect(Self.refusal(token, keys: try JWKSet([impostor])) == .signature)
    token[token.count - 10] ^= 1
    #expect([.signature, .malformed].contains(Self.refusal(token)))
    for header in [
      issuer.header(",\"crit\":[\"exp\"]"), issuer.header(",\"jwk\":{}"),
      issuer.header(",\"jku\":\"https://x\""), issuer.header(",\"b64\":false"),
    ] {
      #expect(Self.refusal(try issuer.token(header, Issuer.payload())) == .header)
    }
    let payload = Issuer.payload()
    for (bad, reason) in [
      (payload.dropLast() + ",\"sub\":\"boss\"}", TokenRefusal.Reason.malformed),
      (payload.dropLast() + ",\"s\\u0075b\":\"boss\"}", .malformed),
      ("[]", .malformed), ("\u{FEFF}" + payload, .malformed),
      ("{\"x\":[\(String(repeating: "0,", count: 1100))0]}", .malformed),
    ] {
      #expect(Self.refusal(try issuer.token(issuer.header(), String(bad))) == reason)
    }
    let long = "{\"x\":\"\(String(repeating: "y", count: 9000))\"}"
    #expect(Self.refusal(try issuer.token(issuer.header(), long)) == .tooLarge)
  }

  @Test func theSubjectIsWhereItIsSaid() throws {
    let expected = Self.expectations { $0.subjectClaim = "email" }
    let found = try Self.verified(
      try Self.token(["email": "\"al@x\"", "sub": nil]), expected)
    #expect(found.claims.subject == "al@x")
    #expect(Self.refusal(try Self.token(), expected) == .claims)
    for value in ["[\"al@x\"]", "true", "null", "{}"] {
      #expect(Self.refusal(try Self.token(["email": value]), expected) == .claims)
    }
  }

  @Test func claimsThatAreRequired() throws {
    let expected = Self.expectations {
      $0.requiredClaims = [
        OutsideExpectations.RequiredClaim(name: "org", value: "K"),
        OutsideExpectations.RequiredClaim(name: "verified", value: "true"),
      ]
    }
    func refusal(_ org: String?, _ verified: String?) throws -> TokenRefusal.Reason? {
      Self.refusal(try Self.token(["org": org, "verified": verified]), expected)
    }
    for org in ["\"K\"", "[\"a\",\"K\"]"] { #expect(try refusal(org, "true") == nil) }
    // The last one is the Kelvin sign, which Swift takes for the same.
    for org in ["\"k\"", "\"\"", "[]", "[[\"K\"]]", "{\"K\":1}", "7", "null", nil, "\"\u{212A}\""] {
      #expect(try refusal(org, "true") == .claims)
    }
    for verified in ["false", "1", "\"yes\"", nil] {
      #expect(try refusal("\"K\"", verified) == .claims)
    }
    #expect(try refusal("\"K\"", "\"true\"") == nil)
  }

  @Test func whatATokenMayBeUsedFor() throws {
    let expected = Self.expectations { $0.permissionsClaim = "scope" }
    func permissions(_ value: String?) throws -> [String]? {
      try Self.verified(try Self.token(["scope": value]), expected).permissions?.map(\.text)
    }
    #expect(try permissions("\"a:b  c:d\"") == ["a:b", "c:d"])
    #expect(try permissions("[\"a:b\",\"c d\"]") == ["a:b", "c d"])
    for nothing in ["\"\"", "[]", nil] { #expect(try permissions(nothing) == []) }
    for value in ["7", "null", "{}", "[1]", "[\"a:b\",null]", "true"] {
      #expect(Self.refusal(try Self.token(["scope": value]), expected) == .claims)
    }
    let many = "\"\(Array(repeating: "a:b", count: 257).joined(separator: " "))\""
    #expect(Self.refusal(try Self.token(["scope": many]), expected) == .claims)
  }

  /// As Keycloak and others have them.
  @Test func claimsWithinOthers() throws {
    let nested =
      "{\"a/b\":{\"roles\":[\"a:b\",\"c:d\"],\"org\":\"K\"},\"n\":[{\"org\":\"K\"}],\"id\":\"al\"}"
    func found(_ claims: [String: String?], _ change: (inout OutsideExpectations) -> Void) throws
      -> VerifiedOutsideToken
    {
      try Self.verified(try Self.token(claims), Self.expectations(change))
    }
    let token = try found(["realm": nested]) {
      $0.permissionsClaim = "/realm/a~1b/roles"
      $0.subjectClaim = "/realm/id"
      $0.requiredClaims = [
        OutsideExpectations.RequiredClaim(name: "/realm/a~1b/org", value: "K"),
        OutsideExpectations.RequiredClaim(name: "/realm/a~1b/roles", value: "c:d"),
      ]
    }
    #expect(token.permissions?.map(\.text) == ["a:b", "c:d"] && token.claims.subject == "al")
    // Not through lists, nor a claim that has such a name.
    for wrong in ["/realm/n/0/org", "/realm/a/b/org", "/realm/org", "/other/org"] {
      let expected = Self.expectations {
        $0.requiredClaims = [OutsideExpectations.RequiredClaim(name: ExactText(wrong), value: "K")]
      }
      let token = try Self.token(["realm": nested, wrong: "\"K\""])
      #expect(Self.refusal(token, expected) == .claims, "\(wrong)")
    }
    let expected = Self.expectations { $0.subjectClaim = "/realm/a~1b" }
    for value in [nested, nil, "\"x\"", "{\"a/b\":7}"] {
      #expect(Self.refusal(try Self.token(["realm": value]), expected) == .claims)
    }
  }

  @Test func beforeItIsVerifiedItOnlySays() throws {
    let token = try OutsideToken(
      parsing: try Self.token(["aud": "[\"a\",7,\"b\"]", "org": "\"x\"", "n": "7", "e": "\"\""]))
    #expect(token.claimedAudience == ["a", "b"] && token.claimedText("org") == "x")
    for name: ExactText in ["n", "e", "aud", "absent"] { #expect(token.claimedText(name) == nil) }
  }

  @Test func itsDigestIsThatOfWhatIsSigned() throws {
    let issuer = try Self.issuer.get()
    let (one, other) = (try Self.token(), try Self.token())
    // ECDSA signs anew each time.
    #expect(one != other)
    #expect(try OutsideToken(parsing: one).digest == OutsideToken(parsing: other).digest)
    let changed = try Self.token(["x": "1"])
    #expect(try OutsideToken(parsing: one).digest != OutsideToken(parsing: changed).digest)
    #expect(
      try OutsideToken(parsing: one).signer(among: issuer.keys).keyID == issuer.tokens.key.keyID)
  }
}
