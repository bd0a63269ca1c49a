package import TenancyCrypto

/// Why a key, or a whole set of keys, is not used.
package struct JWKError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of failure it is. Stable.
  package enum Code: String, Sendable {
    /// Not the JSON that is read here, or a member has another type than it must.
    case malformed = "KEY_MALFORMED"
    /// A private or a symmetric key, where everybody can read it.
    case secret = "KEY_SECRET"
    /// For something else than verifying, or in a way that is not accepted.
    case unsupported = "KEY_UNSUPPORTED"
    /// Too weak, or no key at all.
    case unfit = "KEY_UNFIT"
    /// Two keys that can't be told apart.
    case duplicate = "KEY_DUPLICATE"
    /// More keys than are read.
    case limit = "KEY_LIMIT"
  }

  package let code: Code
  package let description: String

  init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }
}

/// A public key that verifies tokens by one algorithm (RFC 7517, RFC 7518 §6, RFC 8037 §2).
///
/// A key has one algorithm (RFC 8725 §3.1): that of `alg`; without it the one that a curve has. An RSA key
/// without `alg` verifies what the caller says, and nothing if the caller says nothing.
package struct JWK: Sendable {
  package let keyID: ExactText?
  package let verifier: MessageVerifier

  package var algorithm: SignatureAlgorithm { verifier.algorithm }

  package init(_ verifier: MessageVerifier, keyID: ExactText?) {
    self.verifier = verifier
    self.keyID = keyID
  }

  /// The public half of one of our own keys; its thumbprint is its name.
  package init(of signer: MessageSigner) throws(CryptoError) {
    verifier = try MessageVerifier(signer.publicKey, signer.algorithm)
    keyID = JWKThumbprint.text(of: signer.publicKey)
  }

  /// Members that only who signs may have (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
  static let secret: Set<ExactText> = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]

  /// - Parameter rsaAlgorithm: of an RSA key that names none; nil: it isn't used.
  init(
    _ members: [TokenJSON.Member], rsaAlgorithm: SignatureAlgorithm?
  ) throws(JWKError) {
    let text = JWKMembers(members)
    let kind = try text.required("kty")
    guard kind != "oct", !members.contains(where: { Self.secret.contains($0.name) }) else {
      throw JWKError(.secret, "a private or symmetric key among public ones")
    }
    keyID = try text.optional("kid")
    if let keyID, !TokenText.isIdentifier(keyID) {
      throw JWKError(.malformed, "kid is empty, too long, or has control characters")
    }
    try Self.checkUse(members, text)
    let numbers = try Self.numbers(kind, text)
    let algorithm = try Self.algorithm(numbers, try text.optional("alg"), rsaAlgorithm)
    do throws(CryptoError) {
      verifier = try MessageVerifier(try PublicKey(numbers), algorithm)
    } catch {
      throw JWKError(.unfit, error.description)
    }
  }

  /// RFC 7517 §4.2, §4.3: both, where they are there, have to allow verifying.
  private static func checkUse(
    _ members: [TokenJSON.Member], _ text: JWKMembers
  ) throws(JWKError) {
    if let use = try text.optional("use"), use != "sig" {
      throw JWKError(.unsupported, "a key that is not for signatures")
    }
    guard let operations = members["key_ops"] else { return }
    guard case .list(let elements) = operations else {
      throw JWKError(.malformed, "key_ops is not a list")
    }
    var names: Set<ExactText> = []
    for element in elements {
      guard case .text(let name) = element, names.insert(name).inserted else {
        throw JWKError(.malformed, "key_ops has what is not text, or something twice")
      }
    }
    guard names.contains("verify") else {
      throw JWKError(.unsupported, "a key that is not for verifying")
    }
  }

  private static func numbers(
    _ kind: ExactText, _ text: JWKMembers
  ) throws(JWKError) -> PublicKey.Numbers {
    switch kind {
    case "EC":
      let name = try text.required("crv")
      guard let curve = EllipticCurve.allCases.first(where: { ExactText($0.rawValue) == name })
      else { throw JWKError(.unsupported, "a curve that is not accepted") }
      return .elliptic(curve, x: try text.bytes("x"), y: try text.bytes("y"))
    case "RSA": return .rsa(modulus: try text.bytes("n"), exponent: try text.bytes("e"))
    case "OKP":
      guard try text.required("crv") == "Ed25519" else {
        throw JWKError(.unsupported, "a curve that is not accepted")
      }
      return .ed25519(try text.bytes("x"))
    default: throw JWKError(.unsupported, "a kind of key that is not accepted")
    }
  }

  private static func algorithm(
    _ numbers: PublicKey.Numbers, _ name: ExactText?, _ rsaAlgorithm: SignatureAlgorithm?
  ) throws(JWKError) -> SignatureAlgorithm {
    if let name {
      guard let algorithm = SignatureAlgorithm(named: name) else {
        throw JWKError(.unsupported, "an algorithm that is not accepted")
      }
      return algorithm
    }
    switch numbers {
    case .elliptic(.p256, _, _): return .es256
    case .elliptic(.p384, _, _): return .es384
    case .ed25519: return .eddsa
    case .rsa:
      guard let rsaAlgorithm else {
        throw JWKError(.unsupported, "an RSA key that doesn't say its algorithm")
      }
      return rsaAlgorithm
    }
  }

  /// As it is published.
  package func json() -> TokenJSON {
    var members =
      JWKThumbprint.members(of: verifier.publicKey) + [
        TokenJSON.Member("alg", .text(ExactText(algorithm.rawValue))),
        TokenJSON.Member("use", .text("sig")),
      ]
    if let keyID { members.append(TokenJSON.Member("kid", .text(keyID))) }
    return .object(members)
  }
}

/// Text among the members of a key.
struct JWKMembers {
  private let members: [TokenJSON.Member]

  init(_ members: [TokenJSON.Member]) { self.members = members }

  func optional(_ name: ExactText) throws(JWKError) -> ExactText? {
    switch members[name] {
    case nil: return nil
    case .text(let text)?: return text
    default: throw JWKError(.malformed, "\(name) is not text")
    }
  }

  func required(_ name: ExactText) throws(JWKError) -> ExactText {
    guard let text = try optional(name) else { throw JWKError(.malformed, "\(name) is missing") }
    return text
  }

  func bytes(_ name: ExactText) throws(JWKError) -> [UInt8] {
    guard let bytes = Base64URL.decode(try required(name).text.utf8.span) else {
      throw JWKError(.malformed, "\(name) is not base64url without padding")
    }
    return bytes
  }
}

/// What names a key by itself (RFC 7638, RFC 8037 §2).
package enum JWKThumbprint {
  /// SHA-256, in base64url.
  package static func text(of key: PublicKey) -> ExactText {
    Base64URL.text(SHA256Digest.bytes(TokenJSON.object(members(of: key)).bytes()))
  }

  /// The members that a key of this kind has to have.
  static func members(of key: PublicKey) -> [TokenJSON.Member] {
    let values: [(ExactText, ExactText)] =
      switch key.numbers {
      case .elliptic(let curve, let x, let y):
        [
          ("kty", "EC"), ("crv", ExactText(curve.rawValue)), ("x", Base64URL.text(x)),
          ("y", Base64URL.text(y)),
        ]
      case .rsa(let modulus, let exponent):
        [("kty", "RSA"), ("n", Base64URL.text(modulus)), ("e", Base64URL.text(exponent))]
      case .ed25519(let point):
        [("kty", "OKP"), ("crv", "Ed25519"), ("x", Base64URL.text(point))]
      }
    return values.map { TokenJSON.Member($0.0, .text($0.1)) }
  }
}
