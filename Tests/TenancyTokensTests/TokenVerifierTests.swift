import Tenancy
import TenancyCrypto
import TenancyTestSupport
import Testing

@testable import TenancyTokens

/// Tokens that somebody made to be let in, and those that have to be.
@Suite struct TokenVerifierTests {
  let issuer: Issuer

  init() throws { issuer = try Issuer() }

  @Test func good() throws {
    #expect(try issuer.refusal(payload: Issuer.payload()) == nil)
    let token = try issuer.tokens.issue(Issuer.claims())
    let verified = try TokenVerifier.verify(
      token, keys: issuer.keys, expecting: Issuer.expectations(), certificate: nil,
      now: Issuer.moment())
    #expect(verified.claims == Issuer.claims())
    #expect(verified.algorithm == .es256)
    #expect(verified.keyID == issuer.tokens.key.keyID)
    #expect(verified.type == .accessToken)
  }

  @Test(arguments: [
    "none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "RS384", "RS512", "PS384",
    "PS512", "ES512", "ES256K", "es256", "ES256 ", "Ed25519", "ES256\\u0000",
  ]) func otherAlgorithms(name: String) throws {
    let token = try issuer.token(issuer.header(alg: name), Issuer.payload())
    let reason: TokenRefusal.Reason = name.contains("u0000") ? .malformed : .algorithm
    #expect(issuer.refusal(token) == reason)
    // Without any signature.
    let signed = token[..<(try #require(token.lastIndex(of: UInt8(ascii: "."))) + 1)]
    #expect(issuer.refusal(Array(signed)) != nil)
  }

  @Test(arguments: ["\"alg\":null", "\"alg\":1", "\"alg\":[\"ES256\"]", "\"x\":1"])
  func noAlgorithm(member: String) throws {
    let token = try issuer.token("{\(member),\"typ\":\"at+jwt\"}", Issuer.payload())
    #expect(issuer.refusal(token) == .algorithm)
  }

  /// The header names an accepted algorithm, and not the key's.
  @Test(arguments: ["ES384", "PS256", "RS256", "EdDSA"])
  func anotherAlgorithmThanTheKeys(name: String) throws {
    let token = try issuer.token(issuer.header(alg: name), Issuer.payload())
    #expect(issuer.refusal(token) == .algorithm)
  }

  @Test(arguments: [
    #""crit":["exp"]"#, #""crit":[]"#, #""b64":false"#, #""b64":true"#, #""jwk":{}"#,
    #""jku":"https://evil.test"# + #"""#, #""x5u":"https://evil.test""#, #""x5c":[]"#,
    #""zip":"DEF""#, #""enc":"A128GCM""#, #""cty":"JWT""#, #""\u006awk":{}"#,
  ]) func refusedHeaders(member: String) throws {
    #expect(
      issuer.refusal(try issuer.token(issuer.header("," + member), Issuer.payload())) == .header)
  }

  @Test func headerDetails() throws {
    func refusal(_ header: String) throws -> TokenRefusal.Reason? {
      issuer.refusal(try issuer.token(header, Issuer.payload()))
    }
    // What isn't understood and harmless is ignored.
    #expect(try refusal(issuer.header(#","foo":{"bar":1}"#)) == nil)
    #expect(try refusal(issuer.header(#","x5t":"AA","x5t#S256":"AA""#)) == nil)
    #expect(try refusal(issuer.header(#","alg":"ES256""#)) == .malformed)
    #expect(try refusal(issuer.header(#","\u0061lg":"none""#)) == .malformed)
    #expect(try refusal("\u{FEFF}" + issuer.header()) == .malformed)
    #expect(try refusal(issuer.header() + "x") == .malformed)
    #expect(try refusal("[]") == .malformed)
    for typ in [
      #""JWT""#, #""at+jwt ""#, #""application/jwt""#, #""x/at+jwt""#, #""application/x/at+jwt""#,
    ] {
      #expect(try refusal(issuer.header(typ: typ)) == .type, "\(typ)")
    }
    for typ in ["1", "null", "[]"] { #expect(try refusal(issuer.header(typ: typ)) == .header) }
    for typ in [#""AT+JWT""#, #""application/at+jwt""#, #""Application/AT+jwt""#] {
      #expect(try refusal(issuer.header(typ: typ)) == nil, "\(typ)")
    }
    #expect(try refusal(#"{"alg":"ES256"}"#) == .type)
    #expect(try refusal(#"{"alg":"ES256","typ":"at+jwt"}"#) == nil)
    for (kid, reason): (String, TokenRefusal.Reason) in [
      (#""""#, .header), ("1", .header), (#""../../etc/passwd""#, .keyUnknown),
      (#""' OR 1=1""#, .keyUnknown),
      (#""a\n""#, .header), ("\"\(String(repeating: "k", count: 513))\"", .header),
    ] {
      #expect(
        try refusal("{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\(kid)}") == reason, "\(kid)")
    }
  }

  @Test func forms() throws {
    let token = try issuer.tokens.issue(Issuer.claims())
    let text = String(decoding: token, as: UTF8.self)
    let parts = text.split(separator: ".").map(String.init)
    for bad in [
      "", ".", "..", "...", text + ".", "." + text, text + "=", " " + text, text + "\n",
      text + "\0",
      parts[0] + "." + parts[1], parts[0] + "." + parts[1] + ".", parts[0] + ".." + parts[2],
      "." + parts[1] + "." + parts[2], text.replacing(".", with: ".."), text + ".AA", text + " ",
      "{\"payload\":\"\(parts[1])\"}", "Bearer " + text,
    ] {
      #expect(issuer.refusal(bad.bytes) == .malformed, "\(bad)")
    }
    let large = TokenExpectations(
      issuer: "https://issuer.test", audiences: ["tenancy"], requiresBinding: false,
      maximumBytes: token.count)
    #expect(issuer.refusal(token, expecting: large) == nil)
    #expect(issuer.refusal(token + [0x41], expecting: large) == .tooLarge)
    #expect(issuer.refusal([UInt8](repeating: 0x41, count: 8_193)) == .tooLarge)
  }

  /// Nothing but the token itself is accepted.
  @Test(arguments: [SignatureAlgorithm.es256, .eddsa])
  func anyBit(algorithm: SignatureAlgorithm) throws {
    let issuer = try Issuer(algorithm)
    let token = try issuer.tokens.issue(Issuer.claims())
    #expect(issuer.refusal(token) == nil)
    for at in token.indices {
      for bit in 0..<8 {
        var changed = token
        changed[at] ^= 1 << UInt8(bit)
        #expect(issuer.refusal(changed) != nil, "bit \(bit) of byte \(at)")
      }
      #expect(issuer.refusal(Array(token[..<at])) != nil)
    }
  }

  @Test func signatures() throws {
    let token = try issuer.token(issuer.header(), Issuer.payload())
    let dot = try #require(token.lastIndex(of: UInt8(ascii: ".")))
    let signature = try #require(Base64URL.decode(Array(token[(dot + 1)...])))
    func refusal(_ signature: [UInt8]) -> TokenRefusal.Reason? {
      issuer.refusal(Array(token[...dot]) + Base64URL.encode(signature))
    }
    #expect(refusal(signature) == nil)
    let digest = SHA256Digest.bytes(Array(token[..<dot]))
    for bad in [
      [UInt8](repeating: 0, count: 64), [UInt8](repeating: 0xFF, count: 64), signature + [0],
      Array(signature.dropLast()), Array(signature.reversed()), digest, digest + digest,
      [0x30, 6, 2, 1, 0, 2, 1, 0],
    ] {
      #expect(refusal(bad) == .signature)
    }
    // Another issuer's key, under the name of this one's.
    let other = try Issuer()
    let keys = try JWKSet([JWK(other.tokens.key.verifier, keyID: issuer.tokens.key.keyID)])
    #expect(issuer.refusal(token, keys: keys) == .signature)
    #expect(issuer.refusal(token, keys: other.keys) == .keyUnknown)
    #expect(issuer.refusal(token, keys: try JWKSet([])) == .keyUnknown)
    // Without a name, only where there is one key of the algorithm.
    let nameless = try issuer.token(#"{"alg":"ES256","typ":"at+jwt"}"#, Issuer.payload())
    let both = try JWKSet([issuer.tokens.key, other.tokens.key])
    #expect(issuer.refusal(nameless, keys: both) == .keyUnknown)
    #expect(issuer.refusal(token, keys: both) == nil)
  }

  @Test func payloads() throws {
    let good = Issuer.payload()
    for bad in [
      "\u{FEFF}" + good, good + " x", "[]", "1", good.replacing("}", with: #","sub":"root"}"#),
      good.replacing("}", with: #","\u0073ub":"root"}"#), good.replacing("api", with: "api\\u0000"),
      good.replacing("api", with: "api\\ud800"), good.replacing("}", with: ",}"), good + good,
    ] {
      #expect(try issuer.refusal(payload: bad) == .malformed, "\(bad)")
    }
    let invalid = good.bytes.map { $0 == UInt8(ascii: "p") ? 0xFF : $0 }
    #expect(issuer.refusal(try issuer.token(issuer.header().bytes, invalid)) == .malformed)
  }

  @Test func issuerAndAudience() throws {
    for bad in [
      #""https://issuer.test/""#, #""https://ISSUER.test""#, #""https://issuer.test ""#, #""evil""#,
    ] {
      #expect(try issuer.refusal(payload: Issuer.payload(["iss": bad])) == .issuer, "\(bad)")
    }
    for bad in [#""Tenancy""#, #""tenancy ""#, #"["x","y"]"#, #""tenancy,other""#] {
      #expect(try issuer.refusal(payload: Issuer.payload(["aud": bad])) == .audience, "\(bad)")
    }
    for bad in [
      "[]", "1", "null", #"[["tenancy"]]"#, #"["tenancy",1]"#, #"{"a":"tenancy"}"#, #""""#,
    ] {
      #expect(try issuer.refusal(payload: Issuer.payload(["aud": bad])) == .claims, "\(bad)")
    }
    #expect(try issuer.refusal(payload: Issuer.payload(["aud": #"["x","tenancy"]"#])) == nil)
  }

  @Test func times() throws {
    let token = try issuer.token(issuer.header(), Issuer.payload(["nbf": "\(Issuer.now - 30)"]))
    func refusal(_ offset: Int64, skew: Int64 = 0) -> TokenRefusal.Reason? {
      issuer.refusal(token, expecting: Issuer.expectations(skew: skew), at: offset)
    }
    #expect(refusal(599) == nil)
    #expect(refusal(600) == .expired)
    #expect(refusal(609, skew: 10) == nil)
    #expect(refusal(610, skew: 10) == .expired)
    #expect(refusal(900, skew: 100_000) == .expired)  // No more than five minutes.
    #expect(refusal(-30) == nil)
    #expect(refusal(-31) == .notYetValid)
    #expect(refusal(-40, skew: 10) == nil)
    #expect(refusal(-41, skew: 10) == .notYetValid)
    #expect(refusal(-61) == .notYetValid)
    func judged(_ changes: [String: String?]) throws -> TokenRefusal.Reason? {
      try issuer.refusal(payload: Issuer.payload(changes))
    }
    #expect(try judged(["iat": "\(Issuer.now + 1)"]) == .notYetValid)
    #expect(try judged(["exp": "\(Issuer.now + 840)"]) == nil)
    #expect(try judged(["exp": "\(Issuer.now + 841)"]) == .lifetime)
    #expect(try judged(["iat": "0"]) == .lifetime)
    #expect(try judged(["exp": "\(Issuer.now).5", "iat": "\(Issuer.now).25"]) == .notYetValid)
    #expect(try judged(["exp": "\(Issuer.now).000000001"]) == nil)
    #expect(try judged(["exp": "1.8000006e9"]) == nil)
    #expect(try judged(["iat": nil]) == .claims)
    #expect(try judged(["exp": nil]) == .claims)
    #expect(try judged(["exp": "9223372036"]) == .lifetime)
    for bad in [
      "\"\(Issuer.now + 600)\"", "-1", "-0", "1e99", "1e999999999999999999999", "9223372037",
      "99999999999", "null", "true", "[]", "{}", "\"never\"",
    ] {
      for name in ["exp", "iat", "nbf"] {
        #expect(try judged([name: bad]) == .claims, "\(name) \(bad)")
      }
    }
  }

  @Test func binding() throws {
    var claims = Issuer.claims()
    let unbound = try issuer.tokens.issue(claims)
    claims.certificateSHA256 = Issuer.certificate
    let bound = try issuer.tokens.issue(claims)
    let needed = Issuer.expectations(requiresBinding: true)
    for certificate in [nil, Issuer.certificate, Issuer.other] {
      #expect(issuer.refusal(unbound, certificate: certificate) == nil)
      #expect(issuer.refusal(unbound, expecting: needed, certificate: certificate) == .unbound)
    }
    for expecting in [needed, Issuer.expectations()] {
      #expect(issuer.refusal(bound, expecting: expecting, certificate: Issuer.certificate) == nil)
      for certificate in [nil, Issuer.other, [], Array(Issuer.certificate.dropLast())] {
        #expect(issuer.refusal(bound, expecting: expecting, certificate: certificate) == .binding)
      }
    }
    let digest = Base64URL.text(Issuer.certificate).text
    for bad in [
      "null", "{}", "\"\(digest)\"", #"{"x5t#S256":""}"#, #"{"x5t#S256":"AA"}"#,
      #"{"jkt":"\#(digest)"}"#,
      #"{"x5t#S256":"\#(digest)="}"#, #"{"x5t#S256":"\#(digest)","jkt":"x"}"#, #"{"x5t#S256":[]}"#,
    ] {
      #expect(try issuer.refusal(payload: Issuer.payload(["cnf": bad])) == .claims, "\(bad)")
    }
  }

  @Test func descriptionsTellNoSecret() throws {
    let token = try issuer.token(issuer.header(#","crit":["hush"]"#), Issuer.payload())
    let error = #expect(throws: TokenRefusal.self) {
      try TokenVerifier.verify(
        token, keys: issuer.keys, expecting: Issuer.expectations(), certificate: nil,
        now: Issuer.moment())
    }
    #expect(error?.description == "TOKEN_HEADER_REFUSED: the header has crit")
    #expect(Set(TokenRefusal.Reason.allCases.map(\.rawValue)).count == 15)
  }
}
