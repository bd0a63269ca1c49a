package import TenancyCrypto

/// Issues tokens, signed with one of our own keys. Thread-safe.
package struct TokenSigner: Sendable {
  /// The public half, named by its thumbprint: what verifies the tokens.
  package let key: JWK

  private let signer: MessageSigner

  /// - Throws: `.key` for a key that doesn't sign ES256 or EdDSA: others are for verifying only.
  package init(_ signer: MessageSigner) throws(CryptoError) {
    switch signer.algorithm {
    case .es256, .eddsa: break
    case .es384, .ps256, .rs256:
      throw CryptoError(.key, "tokens are issued with ES256 and EdDSA")
    }
    self.signer = signer
    key = try JWK(of: signer)
  }

  /// - Returns: the token as it travels (RFC 7515 §7.1). The same claims are the same bytes, but for the
  ///   signature where it is ECDSA.
  /// - Throws: `TokenRefusal` for claims that would not be read again as they are; `CryptoError`.
  package func issue(_ claims: TokenClaims, type: TokenType = .accessToken) throws -> [UInt8] {
    let payload = claims.payload()
    guard try TokenClaims(parsing: payload) == claims else {
      throw TokenRefusal(.claims, "these claims can't be said in a token")
    }
    var header = [
      TokenJSON.Member("alg", .text(ExactText(signer.algorithm.rawValue))),
      TokenJSON.Member("typ", .text(ExactText(type.name))),
    ]
    if let keyID = key.keyID { header.append(TokenJSON.Member("kid", .text(keyID))) }
    var token = Base64URL.encode(TokenJSON.object(header).bytes())
    token.append(UInt8(ascii: "."))
    token += Base64URL.encode(payload)
    let signature = try signer.sign(token[...])
    token.append(UInt8(ascii: "."))
    token += Base64URL.encode(signature)
    guard token.count <= CompactJWS.defaultMaximumBytes else {
      throw TokenRefusal(.tooLarge, "the token would have \(token.count) bytes")
    }
    return token
  }
}
