package import Tenancy
package import TenancyCrypto

/// What a token must be to be accepted.
package struct TokenExpectations: Sendable {
  /// Of the clocks of issuers, in seconds.
  package static let maximumSkew: Int64 = 300

  /// `iss`, byte for byte.
  package let issuer: ExactText
  /// One of these has to be in `aud`.
  package let audiences: Set<ExactText>
  package let type: TokenType
  /// From `iat` to `exp`, in seconds.
  package let maximumLife: Int64
  /// By how much the issuer's clock may differ from ours, in seconds.
  package let skew: Int64
  /// Likewise, at the end of a life.
  package let expirySkew: Int64
  /// Whether a token that is bound to no certificate is refused.
  package let requiresBinding: Bool
  /// Of a token as it travels.
  package let maximumBytes: Int

  /// - Parameter maximumLife: in seconds.
  /// - Parameter skew: in seconds; what is not in 0...300 becomes the nearest that is.
  package init(
    issuer: ExactText, audiences: Set<ExactText>, type: TokenType = .accessToken,
    maximumLife: Int64 = 900, skew: Int64 = 0, expirySkew: Int64? = nil,
    requiresBinding: Bool = true,
    maximumBytes: Int = CompactJWS.defaultMaximumBytes
  ) {
    self.issuer = issuer
    self.audiences = audiences
    self.type = type
    self.maximumLife = maximumLife
    self.skew = min(max(0, skew), Self.maximumSkew)
    self.expirySkew = min(max(0, expirySkew ?? skew), Self.maximumSkew)
    self.requiresBinding = requiresBinding
    self.maximumBytes = maximumBytes
  }
}

/// A token whose signature is its issuer's, and whose claims are for us and now. Only `TokenVerifier` makes
/// one.
package struct VerifiedToken: Sendable {
  package let claims: TokenClaims
  package let type: TokenType
  package let algorithm: SignatureAlgorithm
  /// Of the key that has verified it.
  package let keyID: ExactText?

  fileprivate init(_ claims: TokenClaims, _ type: TokenType, _ key: JWK) {
    self.claims = claims
    self.type = type
    algorithm = key.algorithm
    keyID = key.keyID
  }
}

/// Judges tokens (RFC 8725, RFC 9068 §4). Keeps nothing and asks nobody: the same answer for the same
/// arguments.
package enum TokenVerifier {
  /// - Parameter token: as it came, without `Bearer`.
  /// - Parameter keys: of the issuer that is expected.
  /// - Parameter certificate: the SHA-256 of the certificate that whoever presents the token has proved to
  ///   have, as DER; nil: none.
  package static func verify(
    _ token: [UInt8], keys: JWKSet, expecting: TokenExpectations, certificate: [UInt8]?,
    now: Timestamp
  ) throws(TokenRefusal) -> VerifiedToken {
    let jws = try CompactJWS(parsing: token, maximumBytes: expecting.maximumBytes)
    let key = try keys.key(for: jws.header)
    let verified = try verify(jws, key: key, expecting: expecting, now: now)
    try judgeAudience(of: verified.claims, expecting.audiences)
    try judgeBinding(
      of: verified.claims, isRequired: expecting.requiresBinding, certificate: certificate)
    return verified
  }

  /// All but whom the token is for and what it is bound to, which depend on who takes it and who presents it. What it
  /// says is not read before its signature is known to be good.
  /// - Parameter key: the one that the token's header means, of the issuer that is expected.
  package static func verify(
    _ jws: CompactJWS, key: JWK, expecting: TokenExpectations, now: Timestamp
  ) throws(TokenRefusal) -> VerifiedToken {
    guard let type = jws.header.type, type == expecting.type else {
      throw TokenRefusal(.type, "typ is not \(expecting.type.name)")
    }
    guard jws.header.algorithm == key.algorithm else {
      throw TokenRefusal(.algorithm, "the key has another algorithm")
    }
    guard jws.isSigned(by: key) else {
      throw TokenRefusal(.signature, "the signature is not the key's")
    }
    let claims = try TokenClaims(parsing: jws.payload, maximumBytes: expecting.maximumBytes)
    guard claims.issuer == expecting.issuer else {
      throw TokenRefusal(.issuer, "iss is not the issuer whose keys these are")
    }
    try judgeTimes(claims, expecting, now)
    return VerifiedToken(claims, type, key)
  }

  static func judgeTimes(
    _ claims: TokenClaims, _ expecting: TokenExpectations, _ now: Timestamp
  ) throws(TokenRefusal) {
    let second: Int64 = 1_000_000_000
    // What overflows is beyond all moments that a token can name.
    let (early, isBefore) = now.nanoseconds.subtractingReportingOverflow(
      expecting.expirySkew * second)
    let (late, isAfter) = now.nanoseconds.addingReportingOverflow(expecting.skew * second)
    guard isBefore || claims.expires.nanoseconds > early else {
      throw TokenRefusal(.expired, "exp is past")
    }
    guard isAfter || claims.issuedAt.nanoseconds <= late else {
      throw TokenRefusal(.notYetValid, "iat is in the future")
    }
    guard isAfter || (claims.notBefore?.nanoseconds ?? 0) <= late else {
      throw TokenRefusal(.notYetValid, "nbf is in the future")
    }
    // Neither is negative: that can't overflow.
    let life = claims.expires.nanoseconds - claims.issuedAt.nanoseconds
    let (maximum, isUnbounded) = expecting.maximumLife.multipliedReportingOverflow(by: second)
    guard life > 0, isUnbounded ? expecting.maximumLife > 0 : life <= maximum else {
      throw TokenRefusal(.lifetime, "exp is not within \(expecting.maximumLife) s of iat")
    }
  }

  /// Whether a token is for who takes it (RFC 7519 §4.1.3).
  /// - Parameter audiences: what that is called.
  package static func judgeAudience(
    of claims: TokenClaims, _ audiences: Set<ExactText>
  ) throws(TokenRefusal) {
    guard claims.audience.contains(where: { audiences.contains($0) }) else {
      throw TokenRefusal(.audience, "aud is somebody else")
    }
  }

  /// Whether who presents a token is whom it is bound to (RFC 8705 §3).
  /// - Parameter certificate: as `verify` has it.
  package static func judgeBinding(
    of claims: TokenClaims, isRequired: Bool, certificate: [UInt8]?
  ) throws(TokenRefusal) {
    guard let bound = claims.certificateSHA256 else {
      guard !isRequired else {
        throw TokenRefusal(.unbound, "the token is not bound to a certificate")
      }
      return
    }
    guard let certificate, certificate.count == 32, ConstantTime.areEqual(bound, certificate) else {
      throw TokenRefusal(.binding, "the token is bound to another certificate")
    }
  }
}
