import Tenancy
import TenancyRPC
import TenancyTokens
import TenancyWire

/// `tenancy.v1.Tokens`.
struct TokenService: Sendable {
  private static let accessToken = "urn:ietf:params:oauth:token-type:access_token"
  /// Seconds that a revocation, or a retired key, outlasts the longest life of a token.
  private static let margin = 60

  let plane: ControlPlane
  /// Nil: no tokens are issued or taken.
  let terms: TokenTerms?
  let signers: TokenSigners
  private let making = TokenPace()
  private let looking = TokenPace()

  init(plane: ControlPlane, terms: TokenTerms?, signers: TokenSigners) {
    self.plane = plane
    self.terms = terms
    self.signers = signers
  }

  func methods(_ gate: Gate) -> [TenancyMethod] {
    [
      gate.async(V1.Tokens.issueToken, issue),
      gate.async(V1.Tokens.exchangeToken, exchange),
      gate.async(V1.Tokens.introspectToken) { (access, request) throws(TenancyError) in
        try introspect(access, request)
      },
      gate.async(
        V1.Tokens.revokeTokens,
        again: { (_, _, earlier) in
          V1.RevokeTokensResponse(expireTime: GoogleProtobuf.Timestamp(Self.end(of: earlier)))
        }, revoke),
      gate.async(
        V1.Tokens.rotateTokenKey,
        again: { (access, _, earlier) throws(TenancyError) in
          let tenant = plane.state.find(try access.requireTarget().tenant.id)?.tenant
          guard let key = tenant?.tokenKey(earlier.resource) else {
            throw TokenCommands.keyNotFound
          }
          return V1.RotateTokenKeyResponse(key: V1.TokenKey(key))
        }, rotateKey),
      gate.async(
        V1.Tokens.removeTokenKey, again: { _, _, _ in V1.RemoveTokenKeyResponse() }, removeKey),
      gate.inline(V1.Tokens.getJsonWebKeySet, keySet),
    ] + AuthenticationService(plane: plane, terms: terms).methods(gate)
  }

  private func requireTerms() throws(TenancyError) -> TokenTerms {
    guard let terms else {
      throw TenancyError(
        .failedPrecondition, .tokensNotConfigured,
        "the server issues and takes no tokens (tokens in its configuration)")
    }
    return terms
  }

  // MARK: Issuing

  private func issue(
    _ access: Access, _ request: V1.IssueTokenRequest
  ) async throws(TenancyError) -> V1.IssueTokenResponse {
    let terms = try requireTerms()
    let record = try access.requireTarget()
    let tenant = record.tenant
    if let refusal = record.refusal(at: access.now) { throw refusal }
    try TokenFields.checkSubject(request.subject, of: tenant.id, access.snapshot.state)
    let named = try TokenFields.certificate(request.certificateSha256)
    guard named == nil || !request.unbound else {
      throw .invalid("unbound", "and certificate_sha256: give one of them")
    }
    var wish = TokenIssuer.Wish(
      subject: request.subject,
      audiences: try TokenFields.audiences(request.audiences, own: terms.audience),
      permissions: try TokenBase.narrowed(
        TokenFields.permissions(request.permissions), by: access.caller.token),
      certificate: request.unbound ? nil : named ?? access.caller.certificate?.fingerprint,
      lifetime: try TokenFields.lifetime(request.lifetime, terms))
    guard wish.certificate != nil || request.unbound else {
      throw .invalid(
        "certificate_sha256", "the caller has no certificate: name one, or say unbound")
    }
    // With a token nothing is issued that does more, or longer, than that.
    wish.end = access.caller.token?.expireTime
    wish.base = access.caller.token
    if access.caller.subject != wish.subject {
      wish.actors = [TokenClaims.Actor(subject: ExactText(access.caller.subject))]
    }
    try making.take(for: tenant.id.description, at: access.now)
    let issued = try await TokenIssuer(plane: plane, terms: terms, signers: signers)
      .issue(wish, in: tenant.id, by: access)
    return V1.IssueTokenResponse(
      token: issued.token, tokenId: issued.id,
      expireTime: GoogleProtobuf.Timestamp(issued.expireTime))
  }

  private func exchange(
    _ access: Access, _ request: V1.ExchangeTokenRequest
  ) async throws(TenancyError) -> V1.ExchangeTokenResponse {
    let terms = try requireTerms()
    let base = try TokenBase(access, request.subjectToken, terms, looking)
    var wish = TokenIssuer.Wish(
      subject: base.subject,
      audiences: try TokenFields.audiences(request.audiences, own: terms.audience),
      permissions: try TokenBase.narrowed(
        TokenFields.permissions(request.permissions), by: base.grant),
      certificate: access.caller.certificate?.fingerprint,
      actors: try base.actors(with: access.bearer),
      lifetime: try TokenFields.lifetime(request.lifetime, terms))
    wish.base = base.grant
    wish.action = "tokens.exchange"
    wish.end = [base.expireTime, access.caller.expireTime].compactMap(\.self).min()
    if let refusal = base.record.refusal(at: access.now) { throw refusal }
    try making.take(for: base.record.idText, at: access.now)
    let issued = try await TokenIssuer(plane: plane, terms: terms, signers: signers)
      .issue(wish, in: base.record.tenant.id, by: access)
    return V1.ExchangeTokenResponse(
      token: issued.token, tokenId: issued.id,
      expireTime: GoogleProtobuf.Timestamp(issued.expireTime), issuedTokenType: Self.accessToken)
  }

  // MARK: Looking at tokens

  private func introspect(
    _ access: Access, _ request: V1.IntrospectTokenRequest
  ) throws(TenancyError) -> V1.IntrospectTokenResponse {
    let terms = try requireTerms()
    let certificate = try TokenFields.certificate(request.certificateSha256)
    try looking.take(
      for: access.accountText, isPlatform: access.caller.isPlatform, at: access.now)
    let reader = TokenReader(terms, access)
    guard
      let (grant, record) = reader.read(request.token, audience: request.audience),
      grant.refusal(in: record, at: access.now) == nil,
      record.tenant.state == .active,
      certificate == nil || grant.certificate == nil || grant.certificate == certificate
    else { return V1.IntrospectTokenResponse() }
    let claims = grant.claims
    return V1.IntrospectTokenResponse(
      active: true, tenant: TenantNames.collection + record.idText, subject: grant.subject,
      issuer: claims.issuer.text, audiences: claims.audience.map(\.text),
      permissions: claims.permissions.map(\.text), tokenId: grant.tokenID,
      issueTime: GoogleProtobuf.Timestamp(grant.issueTime),
      expireTime: GoogleProtobuf.Timestamp(grant.expireTime),
      certificateSha256: grant.certificate ?? [], actors: claims.actors.map(\.subject.text))
  }

  private func revoke(
    _ access: Access, _ request: V1.RevokeTokensRequest
  ) async throws(TenancyError) -> V1.RevokeTokensResponse {
    let terms = try requireTerms()
    let tenant = try access.requireTarget().tenant.id
    let target: Revocation.Target
    switch request.target {
    case .token(let token)?:
      try looking.take(
        for: access.accountText, isPlatform: access.caller.isPlatform, at: access.now)
      guard let id = TokenReader(terms, access).tokenID(token, of: tenant) else {
        throw .invalid("token", "not signed by a key of this tenant's, or that it trusts")
      }
      target = .token(id)
    case .tokenId(let id)?: target = .token(id)
    case .subject(let subject)?: target = .subject(subject)
    case .all(true)?:
      return try await revokeAll(access, tenant, validateOnly: request.validateOnly)
    case .all(false)?: throw .invalid("all", "must be true")
    case nil: throw .invalid("target", "one of token, token_id, subject and all")
    }
    // By the clock of another node some may be issued later than now, and before this.
    let before = access.now + Duration.seconds(TokenTerms.clockDifference)
    let life = Int64(Self.longestLife + Self.margin)
    let revocation = try await commands(access, validateOnly: request.validateOnly).revoke(
      target, of: tenant, before: before, expireTime: access.now + Duration.seconds(life),
      reason: request.reason)
    return V1.RevokeTokensResponse(
      expireTime: GoogleProtobuf.Timestamp(revocation.expireTime))
  }

  private func revokeAll(
    _ access: Access, _ tenant: TenantID, validateOnly: Bool
  ) async throws(TenancyError) -> V1.RevokeTokensResponse {
    let time = try await commands(access, validateOnly: validateOnly).revokeAll(of: tenant)
    let end = time + Duration.seconds(Self.longestLife)
    return V1.RevokeTokensResponse(expireTime: GoogleProtobuf.Timestamp(end))
  }

  /// When the tokens are over that a request revoked.
  private static func end(of earlier: RememberedRequest) -> Timestamp {
    Int64(earlier.resource).map { Timestamp(nanoseconds: $0) }
      ?? earlier.time + Duration.seconds(longestLife)
  }

  /// Seconds that a token of the tenant can live: also of issuers that it trusts no more, and may trust again.
  private static var longestLife: Int { max(ExternalIssuer.longestLife, TokenTerms.longestLife) }

  // MARK: Keys

  private func rotateKey(
    _ access: Access, _ request: V1.RotateTokenKeyRequest
  ) async throws(TenancyError) -> V1.RotateTokenKeyResponse {
    let terms = try requireTerms()
    let tenant = try access.requireTarget().tenant.id
    let key = try await commands(access, validateOnly: request.validateOnly).rotateKey(
      of: tenant,
      new: try TokenSigners.make(try TokenFields.algorithm(request.algorithm, terms)),
      verifyFor: .seconds(TokenTerms.longestLife + Self.margin))
    return V1.RotateTokenKeyResponse(key: V1.TokenKey(key))
  }

  private func removeKey(
    _ access: Access, _ request: V1.RemoveTokenKeyRequest
  ) async throws(TenancyError) -> V1.RemoveTokenKeyResponse {
    _ = try requireTerms()
    try await commands(access, validateOnly: request.validateOnly).removeKey(
      of: try access.requireTarget().tenant.id, key: request.keyId)
    return V1.RemoveTokenKeyResponse()
  }

  private func keySet(
    _ access: Access, _: V1.GetJsonWebKeySetRequest
  ) throws(TenancyError) -> V1.GetJsonWebKeySetResponse {
    let terms = try requireTerms()
    let tenant = try access.requireTarget().tenant
    let keys = tenant.tokenKeys.filter { $0.verifies(at: access.now) }
    let json = keys.map(\.publicKey).joined(separator: ",")
    return V1.GetJsonWebKeySetResponse(
      issuer: terms.issuer(of: tenant.id), jsonWebKeySet: "{\"keys\":[\(json)]}",
      keys: keys.map { V1.TokenKey($0) })
  }

  private func commands(
    _ access: Access, validateOnly: Bool
  ) throws(TenancyError) -> TokenCommands {
    TokenCommands(
      plane, actor: access.caller.subject,
      judge: try access.requireJudge().validating(only: validateOnly))
  }
}
