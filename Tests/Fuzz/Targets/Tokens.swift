import Tenancy
import TenancyCrypto

@testable import TenancyTokens

/// Tokens and the keys of their issuers.
let tokenTargets: [FuzzTarget] = [
  FuzzTarget("token") {
    let made = try Made.shared.get()
    return [made.token, Array(made.token.dropLast()), [], Array("..".utf8)]
  } run: { input in
    let made = try Made.shared.get()
    do throws(TokenRefusal) {
      _ = try TokenVerifier.verify(
        input, keys: made.keys, expecting: made.expecting, certificate: nil, now: made.now)
    } catch {
      try check(input != made.token, "the token itself is refused: \(error)")
      return
    }
    // Nobody has the key: only what was issued is accepted.
    try check(input == made.token, "another token is accepted")
  },

  FuzzTarget("token-parts") {
    [
      #"{"alg":"ES256","kid":"a","typ":"at+jwt"}"#,
      #"{"iss":"i","sub":"s","aud":["a"],"iat":1,"exp":2.5,"act":{"sub":"x"},"tep":1}"#,
    ].map { Array($0.utf8) }
  } run: { input in
    // What is read says the same when it is written and read again.
    if let claims = try? TokenClaims(parsing: input) {
      try checkEqual(
        try TokenClaims(parsing: claims.payload(), maximumBytes: 1 << 20), claims, "claims")
    }
    if let header = try? JOSEHeader(parsing: input) {
      try check(header.keyID.map { TokenText.isIdentifier($0) } ?? true, "kid")
    }
    let symbols = Base64URL.encode(input)
    try checkEqual(Base64URL.decode(symbols), input, "base64url")
    if let bytes = Base64URL.decode(input) {
      try checkEqual(Base64URL.encode(bytes), input, "text")
    }
  },

  FuzzTarget("outside-token") {
    [
      #"{"iss":"i","sub":"s","aud":["a"],"iat":1,"exp":2,"scope":"a:b c","org":true}"#,
      #"{"iss":"i","sub":"s","aud":"a","iat":1,"exp":2,"nonce":"n"}"#, "{}",
    ].map { Array($0.utf8) }
  } run: { input in
    let made = try OutsideMaker.made.get()
    let token = try made.token(input)
    var expected = OutsideExpectations(
      issuer: "i", audiences: ["a"], algorithms: [.eddsa], types: [.accessToken], maximumLife: 900,
      skew: 5)
    expected.permissionsClaim = "scope"
    expected.requiredClaims = [OutsideExpectations.RequiredClaim(name: "org", value: "true")]
    guard let outside = try? OutsideToken(parsing: token) else { return }
    let now = Timestamp(seconds: 1, subsecondNanoseconds: 0)
    guard let found = try? outside.verify(keys: made.keys, expecting: expected, now: now) else {
      return
    }
    let claims = found.claims
    try check(claims.issuer == "i" && claims.audience.contains("a"), "issuer and audience")
    try check(claims.expires > now && claims.issuedAt.seconds <= 6, "times")
    try check(claims.expires.seconds - claims.issuedAt.seconds <= 900, "life")
    try check(claims.others["nonce"] == nil && claims.others["at_hash"] == nil, "an ID token")
    try check(claims.tenant == nil && claims.permissions.isEmpty, "claims of ours")
    try checkEqual(outside.claimedText("iss"), "i", "what it claims")
  },

  FuzzTarget("token-json") {
    [
      #"{"a":[1,-0.5e+3,true,false,null,"\u00e9\ud834\udd1e\n"],"":{}}"#, #"{"a":1,"\u0061":2}"#,
      "",
    ].map { Array($0.utf8) }
  } run: { input in
    let limits = TokenJSONReader.Limits(bytes: 1 << 16)
    guard let value = try? TokenJSONReader.value(input, limits) else { return }
    let written = value.bytes()
    let again = try TokenJSONReader.value(written, limits)
    try checkEqual(again.bytes(), written, "written again")
  },

  FuzzTarget("jwks") {
    let made = try Made.shared.get()
    return [made.keys.bytes(), Array(#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#.utf8)]
  } run: { input in
    guard let set = try? JWKSet(parsing: input, rsaAlgorithm: .ps256) else { return }
    let again = try JWKSet(parsing: set.bytes())
    try checkEqual(again.keys.count, set.keys.count, "keys")
    try checkEqual(again.bytes(), set.bytes(), "written again")
    try check(again.skipped.isEmpty, "a key that was used is not used again")
  },
]

/// One token of one issuer.
private struct Made: Sendable {
  let token: [UInt8]
  let keys: JWKSet
  let expecting: TokenExpectations
  let now: Timestamp

  static let shared = Result { try Made() }

  init() throws {
    let signer = try TokenSigner(try MessageSigner(generating: .eddsa))
    now = Timestamp(seconds: 1_800_000_000, subsecondNanoseconds: 0)
    expecting = TokenExpectations(
      issuer: "https://issuer.test", audiences: ["a"], requiresBinding: false)
    token = try signer.issue(
      TokenClaims(
        issuer: "https://issuer.test", subject: "s", audience: ["a"], issuedAt: now,
        expires: Timestamp(seconds: 1_800_000_600, subsecondNanoseconds: 0)))
    keys = try JWKSet([signer.key])
  }
}

/// Signs whatever it is given.
private struct OutsideMaker {
  static let made = Result { try OutsideMaker() }

  private let signer: MessageSigner
  let keys: JWKSet

  private init() throws {
    signer = try MessageSigner(generating: .eddsa)
    keys = try JWKSet([JWK(of: signer)])
  }

  func token(_ payload: [UInt8]) throws -> [UInt8] {
    let header = #"{"alg":"EdDSA","typ":"at+jwt"}"#
    let signed =
      Base64URL.encode(Array(header.utf8)) + [UInt8(ascii: ".")] + Base64URL.encode(payload)
    return signed + [UInt8(ascii: ".")] + Base64URL.encode(try signer.sign(signed[...]))
  }
}
