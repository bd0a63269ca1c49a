import TenancyCrypto
import Testing

@testable import TenancyTokens

/// Keys, and the examples of the RFCs.
@Suite struct JWKTests {
  /// RFC 7638 §3.1 and RFC 7517 A.1.
  static let rsaModulus =
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP"
    + "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY3"
    + "68QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM"
    + "4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
  static let point =
    #""x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#
  static let ec = #"{"kty":"EC","crv":"P-256",\#(point)}"#
  static let ed =
    #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#

  static func rsa(_ more: String = "", n: String = rsaModulus, e: String = "AQAB") -> String {
    #"{"kty":"RSA","n":"\#(n)","e":"\#(e)"\#(more)}"#
  }

  private func set(_ keys: String..., rsa: SignatureAlgorithm? = nil) throws(JWKError) -> JWKSet {
    try JWKSet(parsing: #"{"keys":[\#(keys.joined(separator: ","))]}"#.bytes, rsaAlgorithm: rsa)
  }

  /// Nil: it is used; a key that is left out, and a set that is refused, say why.
  private func refusal(_ key: String) -> JWKError.Code? {
    do throws(JWKError) { return try set(key).skipped.first?.code } catch { return error.code }
  }

  private func with(_ key: String, _ more: String) -> String { key.dropLast() + "," + more + "}" }

  @Test func algorithms() throws {
    #expect(try set(Self.ec).keys.map(\.algorithm) == [.es256])
    #expect(try set(Self.ed).keys.map(\.algorithm) == [.eddsa])
    #expect(refusal(Self.rsa()) == .unsupported)
    #expect(try set(Self.rsa(), rsa: .ps256).keys.map(\.algorithm) == [.ps256])
    #expect(try set(Self.rsa(), rsa: .rs256).keys.map(\.algorithm) == [.rs256])
    #expect(try set(Self.rsa(#","alg":"RS256""#), rsa: .ps256).keys.map(\.algorithm) == [.rs256])
    for alg in ["ES384", "RS256", "EdDSA"] {
      #expect(refusal(with(Self.ec, #""alg":"\#(alg)""#)) == .unfit)
    }
    for alg in ["none", "HS256", "es256", "RS512", "ECDH-ES"] {
      #expect(refusal(with(Self.ec, #""alg":"\#(alg)""#)) == .unsupported)
    }
    // A caller's mistake is not a key either.
    #expect(try set(Self.rsa(), rsa: .es256).skipped.map(\.code) == [.unfit])
  }

  @Test func uses() {
    #expect(refusal(with(Self.ec, #""use":"sig","key_ops":["verify"]"#)) == nil)
    for bad in [
      #""use":"enc""#, #""use":"SIG""#, #""key_ops":[]"#, #""key_ops":["sign"]"#,
      #""use":"sig","key_ops":["encrypt"]"#,
    ] {
      #expect(refusal(with(Self.ec, bad)) == .unsupported, "\(bad)")
    }
    for bad in [
      #""use":1"#, #""key_ops":"verify""#, #""key_ops":[1]"#, #""key_ops":["verify","verify"]"#,
      #""kid":1"#,
      #""kid":"""#, #""alg":1"#, #""kid":"\#(String(repeating: "k", count: 513))""#, #""kty":"EC""#,
    ] {
      #expect(refusal(with(Self.ec, bad)) == .malformed, "\(bad)")
    }
  }

  @Test func secrets() {
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
      for key in [Self.ec, Self.ed, Self.rsa()] {
        #expect(refusal(with(key, #""\#(name)":"AA""#)) == .secret)
      }
    }
    #expect(refusal(#"{"kty":"oct","k":"AA"}"#) == .secret)
    #expect(refusal(#"{"kty":"oct"}"#) == .secret)
  }

  @Test func unfitNumbers() {
    for e in ["AQ", "Aw", "AQAA", "AAEAAQ", "", "AQAAAAE"] {
      #expect(refusal(Self.rsa(#","alg":"RS256""#, e: e)) == .unfit, "\(e)")
    }
    let short = Base64URL.text([UInt8](repeating: 0xFF, count: 128)).text
    #expect(refusal(Self.rsa(#","alg":"PS256""#, n: short)) == .unfit)
    #expect(refusal(Self.ec.replacing("f83O", with: "f83P")) == .unfit)
    #expect(refusal(Self.ec.replacing("P-256", with: "P-384")) == .unfit)
    for curve in ["P-521", "secp256k1", "p-256", ""] {
      #expect(refusal(Self.ec.replacing("P-256", with: curve)) == .unsupported)
    }
    for curve in ["Ed448", "X25519"] {
      #expect(refusal(Self.ed.replacing("Ed25519", with: curve)) == .unsupported)
    }
    #expect(refusal(Self.ec.replacing("\"y\"", with: "\"z\"")) == .malformed)
    #expect(refusal(Self.ec.replacing("VEU\"", with: "VEU=\"")) == .malformed)
    #expect(refusal(Self.ec.replacing("VEU\"", with: "VEV\"")) == .malformed)
    #expect(refusal(#"{"kty":"XX"}"#) == .unsupported)
    #expect(refusal("{}") == .malformed)
    #expect(refusal("1") == .malformed)
  }

  /// Looking whether each modulus is prime took 7 s for such a set.
  @Test func fullSetOfLargeKeys() throws {
    let keys = (0..<JWKSet.maximumKeys).map { key in
      let modulus = [UInt8](repeating: 0xFF, count: 1_022) + [UInt8(key), 1]
      return Self.rsa(#","kid":"\#(key)""#, n: Base64URL.text(modulus).text)
    }
    let text = #"{"keys":[\#(keys.joined(separator: ","))]}"#.bytes
    let began = ContinuousClock.now
    let set = try JWKSet(parsing: text, rsaAlgorithm: .ps256)
    #expect(ContinuousClock.now - began < .seconds(3))
    #expect(set.keys.count == JWKSet.maximumKeys)
  }

  /// RFC 8725 §3.1.
  @Test func keyWithTwoAlgorithms() throws {
    let keys = [Self.rsa(#","alg":"RS256","kid":"a""#), Self.rsa(#","alg":"PS256","kid":"b""#)]
    do throws(JWKError) {
      _ = try set(keys[0], keys[1])
      Issue.record("accepted")
    } catch {
      #expect(error.code == .duplicate)
    }
    // Under two names it may be there twice.
    let twice = try set(keys[0], Self.rsa(#","alg":"RS256","kid":"b""#))
    #expect(twice.keys.count == 2)
  }

  @Test func sets() throws {
    for bad in [
      "", "[]", "{}", #"{"keys":{}}"#, #"{"keys":[],"keys":[]}"#, "\u{FEFF}{\"keys\":[]}",
      #"{"keys":[]}x"#,
    ] {
      #expect(throws: JWKError.self, "\(bad)") { try JWKSet(parsing: bad.bytes) }
    }
    #expect(try JWKSet(parsing: #"{"keys":[],"x":1}"#.bytes).keys.isEmpty)
    // The same name twice: told apart by the algorithm, or not at all.
    let named = [Self.ec, Self.ed].map { with($0, #""kid":"a""#) }
    #expect(try set(named[0], named[1]).keys.count == 2)
    #expect(throws: JWKError.self) { try set(named[0], named[0]) }
    #expect(throws: JWKError.self) { try set(Self.ec, Self.ec) }
    let unknown = Array(repeating: #"{"kty":"XX"}"#, count: 64).joined(separator: ",")
    #expect(try set(unknown).skipped.count == 64)
    #expect(throws: JWKError.self) { try set(unknown, unknown) }
    let space = String(repeating: " ", count: JWKSet.maximumBytes)
    #expect(throws: JWKError.self) { try JWKSet(parsing: (space + #"{"keys":[]}"#).bytes) }
  }

  @Test func writing() throws {
    let (es, ed) = (try Issuer(.es256), try Issuer(.eddsa))
    let written = try JWKSet([es.tokens.key, ed.tokens.key])
    let read = try JWKSet(parsing: written.bytes())
    #expect(read.keys.map(\.keyID) == written.keys.map(\.keyID))
    #expect(read.keys.map(\.verifier.publicKey) == written.keys.map(\.verifier.publicKey))
    #expect(read.bytes() == written.bytes())
    #expect(es.refusal(try es.tokens.issue(Issuer.claims()), keys: read) == nil)
    #expect(ed.refusal(try ed.tokens.issue(Issuer.claims()), keys: read) == nil)
  }

  @Test func thumbprints() throws {
    let rsa = try #require(try set(Self.rsa(), rsa: .rs256).keys.first)
    #expect(
      JWKThumbprint.text(of: rsa.verifier.publicKey)
        == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
    // RFC 8037 A.3.
    let ed = try #require(try set(Self.ed).keys.first)
    #expect(
      JWKThumbprint.text(of: ed.verifier.publicKey) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    )
  }

  private func verifies(_ key: JWK, _ token: String) -> Bool {
    let parts = token.split(separator: ".")
    guard let signature = Base64URL.decode(Array(parts[2].utf8)) else { return false }
    return key.verifier.verify(signature, of: "\(parts[0]).\(parts[1])".bytes[...])
  }

  /// RFC 7515 A.3, RFC 8037 A.5.
  @Test func signaturesOfRFCs() throws {
    let es =
      "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9p"
      + "c19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3"
      + "-Kg6NU1Q"
    #expect(verifies(try set(Self.ec).keys[0], es))
    #expect(
      !verifies(
        try set(Self.ec).keys[0], es.replacing("eyJhbGciOiJFUzI1NiJ9", with: "eyJhbGciOiJFUzI1NiI9")
      ))
    let ed =
      "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIb"
      + "QR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    #expect(verifies(try set(Self.ed).keys[0], ed))
  }
}
