package import TenancyCrypto

/// A signed token as it travels (RFC 7515 §7.1), taken apart. Nothing of it is true before the signature is
/// verified.
package struct CompactJWS: Sendable {
  /// Of a token, unless it is said otherwise.
  package static let defaultMaximumBytes = 8_192
  /// Of a header, decoded.
  static let maximumHeaderBytes = 2_048

  package let header: JOSEHeader
  /// What the token carries, decoded.
  package let payload: [UInt8]
  package let signature: [UInt8]
  /// What is signed: the first two parts and the dot between them.
  package let signed: ArraySlice<UInt8>

  /// - Throws: `.tooLarge`, `.malformed`, `.header` and `.algorithm`.
  package init(
    parsing token: [UInt8], maximumBytes: Int = defaultMaximumBytes
  ) throws(TokenRefusal) {
    guard token.count <= maximumBytes else {
      throw TokenRefusal(.tooLarge, "the token has more than \(maximumBytes) bytes")
    }
    let dot = UInt8(ascii: ".")
    guard let first = token.firstIndex(of: dot), let last = token.lastIndex(of: dot), first < last,
      !token[(first + 1)..<last].contains(dot)
    else { throw TokenRefusal(.malformed, "the token has not three parts") }
    header = try JOSEHeader(parsing: try Self.part("header", token[..<first]))
    payload = try Self.part("payload", token[(first + 1)..<last])
    signature = try Self.part("signature", token[(last + 1)...])
    signed = token[..<last]
  }

  /// What the header says of a token of which nothing else is looked at.
  /// - Throws: as `init`.
  package static func header(
    of token: [UInt8], maximumBytes: Int = defaultMaximumBytes
  ) throws(TokenRefusal) -> JOSEHeader {
    guard token.count <= maximumBytes else {
      throw TokenRefusal(.tooLarge, "the token has more than \(maximumBytes) bytes")
    }
    guard let first = token.firstIndex(of: UInt8(ascii: ".")) else {
      throw TokenRefusal(.malformed, "the token has not three parts")
    }
    return try JOSEHeader(parsing: try part("header", token[..<first]))
  }

  /// Whether a key has signed it; nothing else is judged.
  package func isSigned(by key: JWK) -> Bool {
    header.algorithm == key.algorithm && key.verifier.verify(signature, of: signed)
  }

  private static func part(
    _ name: StaticString, _ text: ArraySlice<UInt8>
  ) throws(TokenRefusal) -> [UInt8] {
    guard let bytes = Base64URL.decode(text), !bytes.isEmpty else {
      throw TokenRefusal(.malformed, "the \(name) is not base64url without padding")
    }
    return bytes
  }
}

/// What a token's header says (RFC 7515 §4.1). It chooses among keys that are there, and brings none.
package struct JOSEHeader: Hashable, Sendable {
  package let algorithm: SignatureAlgorithm
  package let type: TokenType?
  package let keyID: ExactText?

  /// What is refused wherever it is: extensions, none of which is understood (§4.1.11, RFC 7797), keys and
  /// where to get them from, encryption, compression, and tokens within tokens.
  static let refused: [ExactText] = [
    "crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc", "cty", "epk",
  ]

  /// Whatever else there is has to be ignored (§4): `x5t` too, which brings no key and says nowhere to get one.
  init(parsing bytes: [UInt8]) throws(TokenRefusal) {
    let members: [TokenJSON.Member]
    do throws(TokenJSONError) {
      members = try TokenJSONReader.object(
        bytes, TokenJSONReader.Limits(bytes: CompactJWS.maximumHeaderBytes))
    } catch {
      throw TokenRefusal(.malformed, "the header \(error.detail)")
    }
    // Names of ours only: the text is not the peer's.
    if let member = members.first(where: { Self.refused.contains($0.name) }) {
      throw TokenRefusal(.header, "the header has \(member.name)")
    }
    guard case .text(let name)? = members["alg"],
      let algorithm = SignatureAlgorithm(named: name)
    else { throw TokenRefusal(.algorithm, "the algorithm is none that is accepted") }
    self.algorithm = algorithm
    type = try Self.text("typ", members).map { TokenType(name: $0.text) }
    keyID = try Self.text("kid", members)
    if let keyID, !TokenText.isIdentifier(keyID) {
      throw TokenRefusal(.header, "kid is empty, too long, or has control characters")
    }
  }

  private static func text(
    _ name: ExactText, _ members: [TokenJSON.Member]
  ) throws(TokenRefusal) -> ExactText? {
    switch members[name] {
    case nil: return nil
    case .text(let text)?: return text
    default: throw TokenRefusal(.header, "\(name) is not text")
    }
  }
}

extension SignatureAlgorithm {
  /// By exactly the name that RFC 7518 and RFC 8037 give it.
  init?(named name: ExactText) {
    guard let found = Self.allCases.first(where: { ExactText($0.rawValue) == name }) else {
      return nil
    }
    self = found
  }
}

/// What names in tokens and keys have to be.
enum TokenText {
  static let maximumBytes = 512

  /// What Unicode has as Cc, which never changes; looking it up costs more than all else in a token.
  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
  }

  /// 1 to 512 bytes without control characters.
  static func isIdentifier(_ text: ExactText) -> Bool {
    let bytes = text.text.utf8
    return (1...maximumBytes).contains(bytes.count)
      && text.text.unicodeScalars.allSatisfy { !isControl($0) }
  }
}
