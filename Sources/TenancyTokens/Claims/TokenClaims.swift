package import Tenancy

/// What a token says of whom it is for (RFC 7519 §4, RFC 9068 §2.2), each claim of the type that it must
/// have. Not true before the token's signature is verified.
package struct TokenClaims: Hashable, Sendable {
  /// Who acts for the subject (RFC 8693 §4.1).
  package struct Actor: Hashable, Sendable {
    /// `sub`.
    package var subject: ExactText
    /// `iss`, where it is another one than the token's.
    package var issuer: ExactText?

    package init(subject: ExactText, issuer: ExactText? = nil) {
      self.subject = subject
      self.issuer = issuer
    }
  }

  /// Of `aud`, `roles`, `permissions` and `scope`, each.
  package static let maximumElements = 256
  /// Of a payload, of all depths together: whoever wants a token to be looked at pays for less than that.
  package static let maximumValues = 1_024
  /// Actors within one another.
  package static let maximumActors = 4

  /// `iss`.
  package var issuer: ExactText
  /// `sub`.
  package var subject: ExactText
  /// `aud`; at least one.
  package var audience: [ExactText]
  /// `iat`.
  package var issuedAt: Timestamp
  /// `nbf`.
  package var notBefore: Timestamp?
  /// `exp`.
  package var expires: Timestamp
  /// `jti`.
  package var tokenID: ExactText?
  /// `client_id`.
  package var clientID: ExactText?
  /// `tid`: the tenant.
  package var tenant: ExactText?
  /// `tep`: the tenant's epoch, below 2^53.
  package var tenantEpoch: UInt64?
  package var roles: [ExactText] = []
  package var permissions: [ExactText] = []
  /// `scope` (RFC 8693 §4.2), taken apart.
  package var scope: [ExactText] = []
  /// `cnf.x5t#S256` (RFC 8705 §3.1): the SHA-256 of the certificate that the token is bound to, 32 bytes.
  package var certificateSHA256: [UInt8]?
  /// `act`: the present actor first, behind it whoever acted before.
  package var actors: [Actor] = []
  /// All other claims, as they were written, in the order of their names.
  package var others: [TokenJSON.Member] = []

  package init(
    issuer: ExactText, subject: ExactText, audience: [ExactText], issuedAt: Timestamp,
    expires: Timestamp
  ) {
    self.issuer = issuer
    self.subject = subject
    self.audience = audience
    self.issuedAt = issuedAt
    self.expires = expires
  }

  /// Reads a token's payload.
  /// - Throws: `.malformed` and `.claims`.
  package init(
    parsing payload: [UInt8], maximumBytes: Int = CompactJWS.defaultMaximumBytes
  ) throws(TokenRefusal) {
    let members: [TokenJSON.Member]
    do throws(TokenJSONError) {
      var limits = TokenJSONReader.Limits(bytes: maximumBytes)
      limits.values = Self.maximumValues
      members = try TokenJSONReader.object(payload, limits)
    } catch {
      throw TokenRefusal(.malformed, "the payload \(error.detail)")
    }
    var reader = ClaimReader(members)
    issuer = try reader.required("iss", reader.text("iss"))
    subject = try reader.required("sub", reader.text("sub"))
    audience = try reader.audience()
    issuedAt = try reader.required("iat", reader.moment("iat"))
    notBefore = try reader.moment("nbf")
    expires = try reader.required("exp", reader.moment("exp"))
    tokenID = try reader.text("jti")
    clientID = try reader.text("client_id")
    tenant = try reader.text("tid")
    tenantEpoch = try reader.count("tep")
    roles = try reader.texts("roles") ?? []
    permissions = try reader.texts("permissions") ?? []
    scope = try reader.scope()
    certificateSHA256 = try reader.confirmation()
    actors = try reader.actors()
    others = reader.rest()
  }
}

extension TokenClaims {
  /// The payload that says this: the same bytes for the same claims. Whether it would be read is not
  /// looked at.
  package func payload() -> [UInt8] {
    var members = others
    func add(_ name: ExactText, _ value: TokenJSON?) {
      if let value { members.append(TokenJSON.Member(name, value)) }
    }
    func list(_ texts: [ExactText]) -> TokenJSON? {
      texts.isEmpty ? nil : .list(texts.map { .text($0) })
    }
    add("iss", .text(issuer))
    add("sub", .text(subject))
    let audiences = audience.map { TokenJSON.text($0) }
    add("aud", audiences.count == 1 ? audiences.first : .list(audiences))
    add("iat", .number(NumericDate.number(issuedAt)))
    add("nbf", notBefore.map { .number(NumericDate.number($0)) })
    add("exp", .number(NumericDate.number(expires)))
    add("jti", tokenID.map { .text($0) })
    add("client_id", clientID.map { .text($0) })
    add("tid", tenant.map { .text($0) })
    add("tep", tenantEpoch.map { .number(String($0)) })
    add("roles", list(roles))
    add("permissions", list(permissions))
    let words = scope.map(\.text).joined(separator: " ")
    add("scope", scope.isEmpty ? nil : .text(ExactText(words)))
    add(
      "cnf",
      certificateSHA256.map {
        .object([TokenJSON.Member(ClaimReader.thumbprint, .text(Base64URL.text($0)))])
      })
    add("act", actorsJSON())
    return TokenJSON.object(members).bytes()
  }

  private func actorsJSON() -> TokenJSON? {
    actors.reversed().reduce(nil) { (inner: TokenJSON?, actor) in
      var members = [TokenJSON.Member("sub", .text(actor.subject))]
      if let issuer = actor.issuer { members.append(TokenJSON.Member("iss", .text(issuer))) }
      if let inner { members.append(TokenJSON.Member("act", inner)) }
      return .object(members)
    }
  }
}
