import TenancyTestSupport
import TenancyTokens
import Testing

@testable import Tenancy
@testable import TenancyServer

/// The keys of other issuers, as they are set.
struct ExternalKeyTests {
  @Test func keysAreReadWithOneAlgorithmEach() throws {
    func rsa(_ bytes: Int) -> String {
      let n = [UInt8(0xC0)] + [UInt8](repeating: 0x5A, count: bytes - 2) + [1]
      return "{\"kty\":\"RSA\",\"n\":\"\(Base64URL.text(n))\",\"e\":\"AQAB\",\"kid\":\"r\"}"
    }
    let bare = rsa(256)
    for (bytes, count) in [(255, 0), (256, 1), (512, 1), (513, 0)] {
      let set = "{\"keys\":[\(rsa(bytes))]}"
      #expect(try ExternalKey.read(set: set, algorithms: ["RS256"]).count == count)
    }
    let set = "{\"keys\":[\(bare),{\"kty\":\"oct\"" + ",\"kid\":\"o\"}]}"
    #expect(throws: ExternalKeyError.self) {
      try ExternalKey.read(set: set, algorithms: ExternalIssuer.algorithms)
    }
    let good = "{\"keys\":[\(bare),{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AA\",\"y\":\"AA\"}]}"
    for (algorithms, expected) in [
      (["ES256", "RS256", "PS256"], "RS256"), (["PS256"], "PS256"), (["ES256"], nil),
    ] {
      let keys = try ExternalKey.read(set: good, algorithms: algorithms)
      #expect(keys.count == (expected == nil ? 0 : 1))
      #expect(keys.first.map { $0.publicKey.contains("\"alg\":\"\(expected ?? "")\"") } ?? true)
    }
    let own = try OutsideProvider("https://id.test").key
    let text = String(decoding: try JWKSet([own]).bytes(), as: UTF8.self)
    #expect(try ExternalKey.read(set: text, algorithms: ["EdDSA"]) == [ExternalKey(own)])
    #expect(ExternalKey(own).id == own.keyID?.text)
    for bad in ["", "[]", "{}", "{\"keys\":[7]}", "{\"keys\":[],\"keys\":[]}"] {
      #expect(throws: ExternalKeyError.self) {
        try ExternalKey.read(set: bad, algorithms: ["EdDSA"])
      }
    }
  }
}
