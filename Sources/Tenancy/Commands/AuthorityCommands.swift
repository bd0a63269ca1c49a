/// A signing authority as it was made, its key not sealed yet.
public struct NewAuthority: Sendable {
  /// See `SigningAuthority.kind`.
  public let kind: SigningAuthority.Kind
  /// See `SigningAuthority.trustDomain`.
  public let trustDomain: String
  /// See `SigningAuthority.chain`.
  public let chain: String
  /// See `SigningAuthority.request`.
  public let request: String
  /// See `SigningAuthority.publicKey`.
  public let publicKey: String
  /// See `SigningAuthority.expireTime`.
  public let expireTime: Timestamp?
  /// See `SigningAuthority.propagation`.
  public let propagation: Int64
  /// In whichever form its maker reads.
  public let privateKey: ClearSecret

  /// Validates nothing: that is up to `AuthorityCommands`, and of certificates to whoever has made them.
  public init(
    kind: SigningAuthority.Kind = .x509, trustDomain: String, chain: String = "",
    request: String = "", publicKey: String = "", expireTime: Timestamp? = nil,
    propagation: Int64, privateKey: ClearSecret
  ) {
    self.kind = kind
    self.trustDomain = trustDomain
    self.chain = chain
    self.request = request
    self.publicKey = publicKey
    self.expireTime = expireTime
    self.propagation = propagation
    self.privateKey = privateKey
  }
}

/// What prepares, activates and retires the authorities that sign workloads' certificates and tokens. Each command is
/// one transaction of the control plane, in which it is judged: whatever others do meanwhile, of a trust domain one of a
/// kind signs at most.
public struct AuthorityCommands: Sendable {
  /// Seconds that are added to the longest life of what a former authority has signed: what clocks of nodes may differ
  /// by, and nodes be behind.
  static let slack: Int64 = 600
  /// Seconds that an authority must be good for, to be activated.
  static let shortestUse: Int64 = 60

  private let plane: ControlPlane
  private let actor: String
  private let judge: WriteJudge

  /// - Parameters:
  ///   - actor: who asks, for the log.
  ///   - judge: whether they may still when it is done.
  public init(_ plane: ControlPlane, actor: String, judge: WriteJudge) {
    self.plane = plane
    self.actor = actor
    self.judge = judge
  }

  /// Keeps a new authority, its key sealed. With a chain, or a public key, it is in all bundles from now on.
  /// - Throws: INVALID_ARGUMENT; FAILED_PRECONDITION with SECRETS_NOT_CONFIGURED where there is nothing to seal its
  ///   key with; RESOURCE_EXHAUSTED if there are `SigningAuthority.maximumCount` of the kind.
  public func prepare(_ new: NewAuthority) async throws(TenancyError) -> SigningAuthority {
    try await write("prepare") {
      [sealer = plane.sealer] (transaction) throws(TenancyError) -> SigningAuthority in
      try Self.check(new)
      guard let sealer else { throw Self.notConfigured }
      let now = transaction.now
      let authorities = transaction.state.authorities
      // Those whose time is over go with this.
      let expired = authorities.expired(at: now)
      let live =
        authorities.all.count { $0.kind == new.kind }
        - expired.count { $0.state != .revoked && $0.kind == new.kind }
      guard live < SigningAuthority.maximumCount else {
        throw .exhausted(
          .certificateAuthorities, of: .server, limit: SigningAuthority.maximumCount,
          hint: "retire some")
      }
      // Refused here, so that revoking one never is.
      guard
        authorities.all.count + authorities.revoked.count - expired.count
          < SigningAuthority.maximumKept
      else {
        throw .exhausted(
          .certificateAuthorities, of: .server, limit: SigningAuthority.maximumKept,
          hint: "those retired by force are kept until their certificates end")
      }
      let id = TenantID.generate(atMilliseconds: now.milliseconds).description
      let place = SecretPlace(tenant: SecretPlace.platform, purpose: .authorityKey(id))
      let secret: StoredSecret
      do throws(SecretError) {
        secret = try sealer.seal(new.privateKey, for: place, version: 1)
      } catch {
        throw TenancyError(.internalError, .secretsFailed, "the key can't be sealed: \(error)")
      }
      let isComplete = !new.chain.isEmpty || new.kind == .jwt
      let authority = SigningAuthority(
        id: id, kind: new.kind, trustDomain: new.trustDomain,
        state: isComplete ? .prepared : .awaitingCertificate, chain: new.chain,
        request: new.request, publicKey: new.publicKey, expireTime: new.expireTime,
        propagation: new.propagation,
        createTime: now, prepareTime: isComplete ? now : nil, version: 1,
        reference: secret.reference)
      transaction.give(id: id)
      transaction.emit(.putAuthority(authority))
      transaction.emit(
        .putSecret(SecretPlace.platform, place.purpose, secret.reference, secret.sealed))
      return authority
    }
  }

  /// Gives an authority the chain that its request was answered with: it is in all bundles from now on.
  /// - Parameters:
  ///   - chain: PEM, which whoever calls has proven to be that of the authority's key.
  ///   - etag: if not empty, that of the authority as it was read.
  /// - Throws: NOT_FOUND; ABORTED with ETAG_MISMATCH; FAILED_PRECONDITION with ILLEGAL_TRANSITION unless it awaits
  ///   one, and with AUTHORITY_EXPIRED.
  public func complete(
    _ id: String, chain: String, expireTime: Timestamp, etag: String = ""
  ) async throws(TenancyError) -> SigningAuthority {
    try await change(id, etag, "import") { (authority, now, _) throws(TenancyError) in
      guard authority.state == .awaitingCertificate else {
        throw Self.illegal(authority, "it awaits no certificate")
      }
      guard chain.utf8.count <= SigningAuthority.maximumPEMBytes else {
        throw .invalid(
          "certificate_chain", "at most \(SigningAuthority.maximumPEMBytes) bytes")
      }
      try Self.checkLife(expireTime, at: now)
      authority.state = .prepared
      authority.chain = chain
      authority.expireTime = expireTime
      authority.prepareTime = now
    }
  }

  /// Has an authority sign from now on, in the place of the one that did, which is retiring from now on. One that is
  /// retiring may be called back: it is in all bundles still.
  /// - Parameter force: also before it has been in all bundles for long enough.
  /// - Throws: as `complete`; FAILED_PRECONDITION with AUTHORITY_NOT_PROPAGATED and when to try again.
  public func activate(
    _ id: String, force: Bool = false, etag: String = ""
  ) async throws(TenancyError) -> SigningAuthority {
    try await change(id, etag, "activate") { (authority, now, emit) throws(TenancyError) in
      switch authority.state {
      case .active: return
      case .awaitingCertificate: throw Self.illegal(authority, "it has no certificate yet")
      case .revoked: throw Self.notFound
      case .retiring:
        guard authority.isTrusted(at: now) else {
          throw Self.illegal(authority, "its time in bundles is over")
        }
      case .prepared:
        if !force { try Self.checkPropagation(authority, at: now) }
      }
      if authority.kind == .x509 { try Self.checkLife(authority.expireTime, at: now) }
      if let former = emit.state.authorities.active(
        authority.kind, for: authority.trustDomain)
      {
        emit.put(Self.retired(former, at: now))
      }
      authority.state = .active
      authority.activateTime = now
      authority.retireTime = nil
      authority.trustUntil = nil
    }
  }

  /// Takes an authority away: at once where it has signed nothing, and else when the last that it has signed is over,
  /// which it waits for already if it is retiring.
  ///
  /// By force, one that has a certificate is kept as revoked until that has ended: the CA that vouches for it may be
  /// trusted besides. A key of tokens has nobody to vouch for it, and goes.
  /// - Parameters:
  ///   - force: at once, also the one that signs. No listener takes what it has signed from then on.
  ///   - end: of the first certificate of a chain in PEM, when that ends; nil where that can't be told.
  /// - Returns: as it is from now on; nil if it is gone.
  /// - Throws: as `complete`; FAILED_PRECONDITION with ILLEGAL_TRANSITION if it signs.
  public func retire(
    _ id: String, force: Bool = false, etag: String = "",
    end: @escaping @Sendable (String) -> Timestamp? = { _ in nil }
  ) async throws(TenancyError) -> SigningAuthority? {
    try await write("retire", .revoking) {
      (transaction) throws(TenancyError) -> SigningAuthority? in
      let authority = try Self.find(id, etag, transaction.state)
      switch authority.state {
      case .awaitingCertificate: break
      // It signs from the moment on at which it is active, and is never only prepared after that.
      case .prepared: break
      case .active:
        guard force else {
          throw Self.illegal(authority, "it signs: activate another first")
        }
      case .retiring:
        guard force || !authority.isTrusted(at: transaction.now) else { return authority }
      case .revoked: throw Self.notFound
      }
      if force, authority.kind == .x509, authority.state != .awaitingCertificate {
        Self.revoke(authority, until: end(authority.chain), &transaction)
      } else {
        Self.drop(authority, &transaction)
      }
      return nil
    }
  }

  /// Drops those whose time in bundles is over, with their keys.
  public func sweep() async throws(TenancyError) {
    guard !plane.state.authorities.expired(at: plane.now).isEmpty else { return }
    // Writing does it.
    try await write("sweep") { (_) throws(TenancyError) in }
  }

  /// There is no such authority.
  public static let notFound = TenancyError(
    .notFound, .authorityNotFound, "there is no such certificate authority")

  // MARK: Rules

  /// What a change may do besides.
  private struct Emission {
    let state: ControlState
    var others: [SigningAuthority] = []

    mutating func put(_ authority: SigningAuthority) { others.append(authority) }
  }

  private func change(
    _ id: String, _ etag: String, _ action: String,
    _ body:
      @escaping @Sendable (
        inout SigningAuthority, Timestamp, inout Emission
      ) throws(TenancyError) -> Void
  ) async throws(TenancyError) -> SigningAuthority {
    try await write(action) { (transaction) throws(TenancyError) -> SigningAuthority in
      let before = try Self.find(id, etag, transaction.state)
      var (authority, emission) = (before, Emission(state: transaction.state))
      try body(&authority, transaction.now, &emission)
      guard authority != before else { return before }
      // The one that signs first: at no moment there are two.
      for other in emission.others { transaction.emit(.putAuthority(other)) }
      authority.version += 1
      transaction.emit(.putAuthority(authority))
      return authority
    }
  }

  private func write<Result: Sendable>(
    _ action: String, _ priority: WriteTerms.Priority = .ordinary,
    _ body: @escaping @Sendable (inout Transaction) throws(TenancyError) -> Result
  ) async throws(TenancyError) -> Result {
    try await plane.write(
      actor: actor, action: "certificate_authorities.\(action)", terms: judge.terms(priority)
    ) { [judge] (transaction) throws(TenancyError) -> Result in
      try judge.judge(&transaction)
      let result = try body(&transaction)
      for authority in transaction.state.authorities.expired(at: transaction.now)
      where !transaction.touches(authority.id) {
        Self.drop(authority, &transaction)
      }
      return result
    }
  }

  private static func drop(_ authority: SigningAuthority, _ transaction: inout Transaction) {
    transaction.emit(.deleteAuthority(id: authority.id))
    // Of one that is revoked it has gone before.
    guard authority.state != .revoked else { return }
    transaction.emit(.deleteSecret(SecretPlace.platform, .authorityKey(authority.id)))
  }

  private static func revoke(
    _ authority: SigningAuthority, until end: Timestamp?, _ transaction: inout Transaction
  ) {
    // Those above it are the company's, and stay as good as they were.
    let mark = "-----END CERTIFICATE-----\n"
    let own = authority.chain.firstRange(of: mark).map { String(authority.chain[..<$0.upperBound]) }
    let revoked = SigningAuthority(
      id: authority.id, trustDomain: authority.trustDomain, state: .revoked,
      chain: own ?? authority.chain, expireTime: end ?? authority.expireTime,
      propagation: authority.propagation, createTime: authority.createTime,
      prepareTime: authority.prepareTime, activateTime: authority.activateTime,
      retireTime: transaction.now, version: authority.version + 1, reference: authority.reference)
    transaction.emit(.putAuthority(revoked))
    transaction.emit(.deleteSecret(SecretPlace.platform, .authorityKey(authority.id)))
  }

  private static func find(
    _ id: String, _ etag: String, _ state: ControlState
  ) throws(TenancyError) -> SigningAuthority {
    guard let authority = state.authorities.find(id) else { throw notFound }
    guard etag.isEmpty || etag == authority.etag else {
      throw TenancyError(
        .aborted, .etagMismatch, "the authority has changed since: read it again",
        metadata: ["etag": authority.etag])
    }
    return authority
  }

  private static func retired(_ former: SigningAuthority, at now: Timestamp) -> SigningAuthority {
    var former = former
    let last = now + .seconds(former.kind.longestLife + slack)
    former.state = .retiring
    former.retireTime = now
    // What it has signed ends with it at the latest.
    former.trustUntil = max(now, min(last, former.expireTime ?? last))
    former.version += 1
    return former
  }

  private static func checkPropagation(
    _ authority: SigningAuthority, at now: Timestamp
  ) throws(TenancyError) {
    guard let time = authority.activatableTime, now < time else { return }
    let wait = max(1, time.seconds - now.seconds)
    throw TenancyError(
      .failedPrecondition, .authorityNotPropagated,
      "it is not in all bundles for long enough: in \(wait) seconds it is",
      metadata: ["wait_seconds": "\(wait)"], retryAfterSeconds: wait)
  }

  private static func checkLife(
    _ end: Timestamp?, at now: Timestamp
  ) throws(TenancyError) {
    guard let end, now + .seconds(shortestUse) < end else {
      throw TenancyError(
        .failedPrecondition, .authorityExpired,
        "its certificate, or one of its issuers', is over or about to be")
    }
  }

  private static func check(_ new: NewAuthority) throws(TenancyError) {
    var checks = FieldChecks()
    if !SigningAuthority.isTrustDomain(new.trustDomain) {
      checks.note(
        .invalid("trust_domain", "the name of a SPIFFE trust domain: a-z 0-9 . - _"))
    }
    let range = SigningAuthority.propagations
    if !range.contains(new.propagation) {
      checks.note(
        .invalid("propagation", "\(range.lowerBound) to \(range.upperBound) seconds"))
    }
    if new.kind == .jwt, !(1...TokenKey.maximumPublicKeyBytes).contains(new.publicKey.utf8.count) {
      checks.note(.invalid("public_key", "1 to \(TokenKey.maximumPublicKeyBytes) bytes"))
    }
    try checks.finish()
  }

  private static func illegal(_ authority: SigningAuthority, _ what: String) -> TenancyError {
    TenancyError(
      .failedPrecondition, .illegalTransition, "the authority can't do that: \(what)",
      metadata: ["state": authority.state.rawValue])
  }

  private static let notConfigured = TenancyError(
    .failedPrecondition, .secretsNotConfigured,
    "the key can't be stored: the server has no master key to seal it with (secrets.master_key in its "
      + "configuration)")
}

extension Transaction {
  /// Whether it changes an authority already.
  fileprivate func touches(_ id: String) -> Bool {
    changes.contains { change in
      if case .putAuthority(let authority) = change { return authority.id == id }
      return change == .deleteAuthority(id: id)
    }
  }
}
