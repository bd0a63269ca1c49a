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

  /// A token of which only the header was read: what finds the key, and costs little.
  package struct Start: Sendable {
    package let header: JOSEHeader
    fileprivate let token: [UInt8]
    /// Of the dot behind the header.
    fileprivate let dot: Int

    /// - Throws: `.tooLarge`, `.malformed`, `.header` and `.algorithm`.
    package init(
      parsing token: [UInt8], maximumBytes: Int = defaultMaximumBytes
    ) throws(TokenRefusal) {
      guard token.count <= maximumBytes else {
        throw TokenRefusal(.tooLarge, "the token has more than \(maximumBytes) bytes")
      }
      guard let dot = token.firstIndex(of: CompactJWS.dot) else { throw CompactJWS.notThreeParts }
      header = try JOSEHeader(parsing: try CompactJWS.part("header", token[..<dot]))
      self.token = token
      self.dot = dot
    }
  }

  /// - Throws: as `Start` does.
  package init(
    parsing token: [UInt8], maximumBytes: Int = defaultMaximumBytes
  ) throws(TokenRefusal) {
    try self.init(try Start(parsing: token, maximumBytes: maximumBytes))
  }

  /// The rest of the token.
  /// - Throws: `.malformed`.
  package init(_ start: Start) throws(TokenRefusal) {
    let rest = start.token[(start.dot + 1)...]
    guard let last = rest.firstIndex(of: Self.dot), !rest[(last + 1)...].contains(Self.dot) else {
      throw Self.notThreeParts
    }
    header = start.header
    payload = try Self.part("payload", rest[..<last])
    signature = try Self.part("signature", rest[(last + 1)...])
    signed = start.token[..<last]
  }

  /// Whether a key has signed it; nothing else is judged.
  package func isSigned(by key: JWK) -> Bool {
    header.algorithm == key.algorithm && key.verifier.verify(signature, of: signed)
  }

  private static let dot = UInt8(ascii: ".")
  private static let notThreeParts = TokenRefusal(.malformed, "the token has not three parts")

  private static func part(
    _ name: StaticString, _ text: ArraySlice<UInt8>
  ) throws(TokenRefusal) -> [UInt8] {
    guard let bytes = Base64URL.decode(text.span), !bytes.isEmpty else {
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
    let bytes = text.text.utf8.span
    guard (1...maximumBytes).contains(bytes.count) else { return false }
    // Nearly all have visible ASCII alone, of which the bytes say enough.
    for at in bytes.indices where !(0x20..<0x7F).contains(bytes[at]) {
      return text.text.unicodeScalars.allSatisfy { !isControl($0) }
    }
    return true
  }
}
