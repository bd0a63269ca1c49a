import TenancyCrypto
import TenancyTestSupport
import TenancyTokens

@testable import Tenancy
@testable import TenancyServer

/// An identity provider, and what it signs.
struct OutsideProvider {
  let url: String
  let signer: MessageSigner
  /// What its tokens say they are of.
  var key: JWK

  init(_ url: String, _ algorithm: SignatureAlgorithm = .eddsa) throws {
    self.url = url
    signer = try MessageSigner(generating: algorithm)
    key = try JWK(of: signer)
  }

  /// - Parameter claims: JSON text by name, in the place of what is usual; nil takes one away.
  func token(_ audience: String, _ claims: [String: String?] = [:]) throws -> [UInt8] {
    let now = Sample.moment.seconds
    var members: [String: String] = [
      "iss": "\"\(url)\"", "sub": "\"al\"", "aud": "\"\(audience)\"", "iat": "\(now)",
      "exp": "\(now + 600)",
    ]
    for (name, value) in claims { members[name] = value }
    let payload = members.map { "\"\($0)\":\($1)" }.joined(separator: ",")
    let header =
      "{\"alg\":\"\(signer.algorithm.rawValue)\",\"typ\":\"at+jwt\",\"kid\":\"\(key.keyID?.text ?? "")\"}"
    let signed =
      Base64URL.encode(Array(header.utf8)) + [UInt8(ascii: ".")]
      + Base64URL.encode(Array("{\(payload)}".utf8))
    return signed + [UInt8(ascii: ".")] + Base64URL.encode(try signer.sign(signed[...]))
  }

  func trusted(_ id: String = "corp", _ keys: [JWK]? = nil) -> ExternalIssuer {
    ExternalIssuer(id: id, issuer: url, keys: (keys ?? [key]).map { ExternalKey($0) })
  }
}
