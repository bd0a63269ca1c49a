import Foundation
import Tenancy
import TenancyCrypto
import Testing

@testable import TenancyTokens

/// Tokens of ours judged by `joserfc` and `PyJWT`, and tokens of theirs by us.
@Suite struct ForeignTests {
  /// Reads our keys and tokens; writes keys and a token for each algorithm.
  private static let script = """
    import json, sys, time
    import jwt
    from joserfc import jws
    from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
    given = json.load(sys.stdin)
    keys = KeySet.import_key_set(given["jwks"])
    for token in given["tokens"]:
        found = jws.deserialize_compact(token, keys, algorithms=["ES256", "EdDSA"])
        assert found.headers()["typ"] == "at+jwt"
        key = jwt.PyJWKSet.from_dict(given["jwks"])[found.headers()["kid"]]
        claims = jwt.decode(token, key.key, algorithms=[found.headers()["alg"]], audience="tenancy",
                            issuer="https://issuer.test", options={"verify_exp": False,
                            "verify_iat": False})
        assert claims["tid"] == "acme" and claims["tep"] == 7, claims
    made = {
        "ES256": ECKey.generate_key("P-256"), "ES384": ECKey.generate_key("P-384"),
        "EdDSA": OKPKey.generate_key("Ed25519"), "PS256": RSAKey.generate_key(2048),
        "RS256": RSAKey.generate_key(3072),
    }
    tokens, public = [], []
    for alg, key in made.items():
        claims = {"iss": "https://issuer.test", "sub": "é", "aud": ["x", "tenancy"],
                  "iat": given["now"] - 1, "exp": given["now"] + 60.5, "roles": ["a"]}
        header = {"alg": alg, "typ": "at+jwt", "kid": alg}
        tokens.append(jws.serialize_compact(header, json.dumps(claims), key, algorithms=[alg]))
        tokens.append(jwt.encode(claims, key.as_pem(private=True), algorithm=alg, headers=header))
        public.append({**key.as_dict(private=False), "kid": alg, "alg": alg, "use": "sig"})
    thumbprints = [key.thumbprint() for key in made.values()]
    print(json.dumps({"jwks": json.dumps({"keys": public}), "tokens": tokens,
                      "thumbprints": thumbprints}))
    """

  private struct Question: Encodable {
    let jwks: [String: [[String: String]]]
    let tokens: [String]
    let now = Issuer.now
  }

  private struct Answer: Decodable {
    let jwks: String
    let tokens: [String]
    let thumbprints: [String]
  }

  private static func python(_ input: Data) throws -> Data {
    let root = URL(filePath: #filePath).appending(path: "../../..").standardized
    let venv =
      ProcessInfo.processInfo.environment["TENANCY_VENV"]
      ?? root.appending(path: ".build-venv").path
    let process = Process()
    let (from, to) = (Pipe(), Pipe())
    process.executableURL = URL(filePath: venv + "/bin/python")
    process.arguments = ["-c", script]
    process.standardInput = to
    process.standardOutput = from
    try process.run()
    try to.fileHandleForWriting.write(contentsOf: input)
    try to.fileHandleForWriting.close()
    let output = try from.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return output
  }

  @Test func bothWays() throws {
    let issuers = [try Issuer(.es256), try Issuer(.eddsa)]
    let keys = try JWKSet(issuers.map(\.tokens.key))
    let tokens = try issuers.map {
      String(decoding: try $0.tokens.issue(Issuer.claims()), as: UTF8.self)
    }
    let jwks = try JSONDecoder().decode(
      [String: [[String: String]]].self, from: Data(keys.bytes()))
    let answer = try JSONDecoder().decode(
      Answer.self,
      from: try Self.python(try JSONEncoder().encode(Question(jwks: jwks, tokens: tokens))))

    let theirs = try JWKSet(parsing: answer.jwks.bytes)
    #expect(theirs.keys.map(\.algorithm) == [.es256, .es384, .eddsa, .ps256, .rs256])
    #expect(
      theirs.keys.map { JWKThumbprint.text(of: $0.verifier.publicKey).text } == answer.thumbprints)
    #expect(answer.tokens.count == 10)
    for token in answer.tokens {
      let verified = try TokenVerifier.verify(
        token.bytes, keys: theirs, expecting: Issuer.expectations(), certificate: nil,
        now: Issuer.moment())
      #expect(verified.claims.subject == "é")
      #expect(verified.claims.expires.nanoseconds == Issuer.moment(60).nanoseconds + 500_000_000)
    }
  }
}
