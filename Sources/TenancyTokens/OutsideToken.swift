package import Tenancy
package import TenancyCrypto

/// What a token of another issuer must be to be accepted.
package struct OutsideExpectations: Sendable {
  /// Byte for byte.
  package struct RequiredClaim: Sendable {
    let name: ExactText
    let value: ExactText

    package init(name: ExactText, value: ExactText) {
      self.name = name
      self.value = value
    }
  }

  /// `iss`, byte for byte.
  package let issuer: ExactText
  /// One of these has to be in `aud`.
  package let audiences: Set<ExactText>
  package let algorithms: Set<SignatureAlgorithm>
  package let types: Set<TokenType>
  /// The claim that says who the subject is.
  package var subjectClaim: ExactText = "sub"
  package var requiredClaims: [RequiredClaim] = []
  /// The claim that says what the token may be used for; nil: none does.
  package var permissionsClaim: ExactText?
  /// From `iat` to `exp`, in seconds.
  package let maximumLife: Int64
  /// By how much the issuer's clock may be ahead of ours, in seconds.
  package let skew: Int64

  package init(
    issuer: ExactText, audiences: Set<ExactText>, algorithms: Set<SignatureAlgorithm>,
    types: Set<TokenType>, maximumLife: Int64, skew: Int64
  ) {
    self.issuer = issuer
    self.audiences = audiences
    self.algorithms = algorithms
    self.types = types
    self.maximumLife = maximumLife
    self.skew = skew
  }
}

/// A token of another issuer, taken apart. Before it is verified it is only known whose keys to look for.
package struct OutsideToken: Sendable {
  /// Claims that ID tokens and the like have and access tokens do not (OpenID Connect Core §2, §3.3.2.11; RFC 8417 §2.2).
  private static let foreignClaims: [ExactText] = [
    "nonce", "at_hash", "c_hash", "s_hash", "events",
  ]
  /// Claims in which issuers say what kind of token one is, and what access tokens have there.
  private static let kinds: [(ExactText, String)] = [("typ", "bearer"), ("token_use", "access")]

  private let jws: CompactJWS
  private let members: [TokenJSON.Member]

  /// - Parameter token: as it came, without `Bearer`.
  /// - Throws: as `CompactJWS`; `.malformed` for a payload that is not read here.
  package init(
    parsing token: [UInt8], maximumBytes: Int = CompactJWS.defaultMaximumBytes
  ) throws(TokenRefusal) {
    try self.init(try CompactJWS.Start(parsing: token, maximumBytes: maximumBytes))
  }

  /// The rest of a token.
  /// - Throws: `.malformed`.
  package init(_ start: CompactJWS.Start) throws(TokenRefusal) {
    jws = try CompactJWS(start)
    do throws(TokenJSONError) {
      var limits = TokenJSONReader.Limits(bytes: jws.payload.count)
      limits.values = TokenClaims.maximumValues
      members = try TokenJSONReader.object(jws.payload, limits)
    } catch {
      throw TokenRefusal(.malformed, "the payload \(error.detail)")
    }
  }

  // MARK: What it only says

  /// The text of a claim; nil where it is none.
  package func claimedText(_ name: ExactText) -> ExactText? {
    guard case .text(let text)? = members.claim(name), TokenText.isIdentifier(text) else {
      return nil
    }
    return text
  }

  /// `aud`, what is no text left out.
  package var claimedAudience: [ExactText] {
    switch members["aud"] {
    case .text(let text)?: [text]
    case .list(let elements)?:
      elements.compactMap { element in
        guard case .text(let text) = element else { return nil }
        return text
      }
    default: []
    }
  }

  // MARK: What is known of it

  /// The SHA-256 of what is signed: the same for whatever its signature is.
  package var digest: [UInt8] { SHA256Digest.bytes(Array(jws.signed)) }

  /// - Parameter keys: those of the issuer that is expected.
  /// - Returns: the key that has signed it, whatever it says.
  package func signer(among keys: JWKSet) throws(TokenRefusal) -> JWK {
    let key = try keys.key(for: jws.header)
    guard jws.isSigned(by: key) else {
      throw TokenRefusal(.signature, "the signature is not the key's")
    }
    return key
  }

  /// Judges all but what it is bound to, which depends on who presents it (RFC 8725, RFC 9068 §4).
  /// - Parameter keys: those of the issuer that is expected.
  package func verify(
    keys: JWKSet, expecting: OutsideExpectations, now: Timestamp
  ) throws(TokenRefusal) -> VerifiedOutsideToken {
    guard let type = jws.header.type, expecting.types.contains(type) else {
      throw TokenRefusal(.type, "typ is none that is accepted of this issuer")
    }
    guard expecting.algorithms.contains(jws.header.algorithm) else {
      throw TokenRefusal(.algorithm, "the algorithm is none that is accepted of this issuer")
    }
    let key = try signer(among: keys)
    try judgeKind()
    let claims = try TokenClaims(outside: members, subjectClaim: expecting.subjectClaim)
    guard claims.issuer == expecting.issuer else {
      throw TokenRefusal(.issuer, "iss is not the issuer whose keys these are")
    }
    try TokenVerifier.judgeTimes(
      claims,
      TokenExpectations(
        issuer: expecting.issuer, audiences: [], maximumLife: expecting.maximumLife,
        skew: expecting.skew, expirySkew: 0), now)
    try TokenVerifier.judgeAudience(of: claims, expecting.audiences)
    for claim in expecting.requiredClaims where !isMet(claim) {
      throw TokenRefusal(.claims, "\(claim.name) is not what is required of it")
    }
    return VerifiedOutsideToken(
      claims, key,
      try expecting.permissionsClaim.map { name throws(TokenRefusal) in
        try permissions(name)
      })
  }

  /// Tokens that say who has logged in are not taken for those that let somebody in (RFC 8725 §3.12).
  private func judgeKind() throws(TokenRefusal) {
    for name in Self.foreignClaims where members[name] != nil {
      throw TokenRefusal(.type, "\(name) is in tokens that are not for access")
    }
    for (name, wanted) in Self.kinds {
      switch members[name] {
      case nil: continue
      case .text(let text)? where text.text.lowercased() == wanted: continue
      default: throw TokenRefusal(.type, "\(name) is not that of a token for access")
      }
    }
  }

  private func isMet(_ claim: OutsideExpectations.RequiredClaim) -> Bool {
    switch members.claim(claim.name) {
    case .text(let text)?: text == claim.value
    case .bool(let value)?: claim.value == (value ? "true" : "false")
    case .list(let elements)?: elements.contains(.text(claim.value))
    case nil, .null, .number, .object: false
    }
  }

  /// Words in a text with spaces between, or the texts of a list; none where there is no such claim.
  private func permissions(_ name: ExactText) throws(TokenRefusal) -> [ExactText] {
    let words: [ExactText]
    switch members.claim(name) {
    case nil: return []
    case .text(let text)?:
      words = text.text.utf8.split(separator: UInt8(ascii: " ")).map {
        ExactText(String(decoding: $0, as: UTF8.self))
      }
    case .list(let elements)?:
      words = elements.compactMap { element in
        guard case .text(let text) = element else { return nil }
        return text
      }
      guard words.count == elements.count else { fallthrough }
    default: throw TokenRefusal(.claims, "\(name) is neither text nor a list of texts")
    }
    guard words.count <= TokenClaims.maximumElements else {
      throw TokenRefusal(.claims, "\(name) has more than \(TokenClaims.maximumElements) texts")
    }
    return words
  }
}

/// A token that another issuer's key has signed, and whose claims are for us and now. Only `OutsideToken` makes one.
package struct VerifiedOutsideToken: Sendable {
  /// Those that every issuer's tokens have; all others are among `others`, also where ours mean something by them.
  package let claims: TokenClaims
  package let key: JWK
  /// The texts of the claim that says what it may be used for; nil: no claim is to say that.
  package let permissions: [ExactText]?

  fileprivate init(_ claims: TokenClaims, _ key: JWK, _ permissions: [ExactText]?) {
    self.claims = claims
    self.key = key
    self.permissions = permissions
  }
}

extension TokenClaims {
  /// Reads what another issuer says. What our own tokens have beside the registered claims is not read: it means
  /// nothing, and may be of any type.
  fileprivate init(
    outside members: [TokenJSON.Member], subjectClaim: ExactText
  ) throws(TokenRefusal) {
    var reader = ClaimReader(members)
    let issuer = try reader.required("iss", reader.text("iss"))
    let isWithin = subjectClaim.text.utf8.first == UInt8(ascii: "/")
    let said = isWithin ? members.claim(subjectClaim) : reader.value(subjectClaim)
    let subject = try ClaimReader.identifier(
      reader.required(subjectClaim, said), subjectClaim)
    let audience = try reader.audience()
    let issuedAt = try reader.required("iat", reader.moment("iat"))
    let expires = try reader.required("exp", reader.moment("exp"))
    self.init(
      issuer: issuer, subject: subject, audience: audience, issuedAt: issuedAt, expires: expires)
    notBefore = try reader.moment("nbf")
    tokenID = try reader.text("jti")
    certificateSHA256 = try reader.confirmation()
    actors = try reader.actors()
    others = reader.rest()
  }
}
