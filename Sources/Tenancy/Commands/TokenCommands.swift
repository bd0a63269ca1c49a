/// A key for a tenant's tokens as it was made, not yet sealed.
public struct NewTokenKey: Sendable {
  /// See `TokenKey.id`.
  public let id: String
  /// How it signs.
  public let algorithm: TokenKey.Algorithm
  /// See `TokenKey.publicKey`.
  public let publicKey: String
  /// Its private half, in whichever form its maker reads.
  public let privateKey: ClearSecret

  /// Validates nothing: that is up to `TokenCommands`.
  public init(
    id: String, algorithm: TokenKey.Algorithm, publicKey: String, privateKey: ClearSecret
  ) {
    self.id = id
    self.algorithm = algorithm
    self.publicKey = publicKey
    self.privateKey = privateKey
  }
}

/// What changes the keys of tenants' tokens, and revokes tokens. Each command is one transaction of the control
/// plane. What a tenant's callers see of the tenant itself stays as it is: neither its version nor its epoch moves.
public struct TokenCommands: Sendable {
  /// Revoked tokens of a tenant, at most.
  public static let maximumTokens = 10_000
  /// Subjects whose tokens are revoked, at most.
  public static let maximumSubjects = 1_000
  /// By how much clocks of nodes may differ: what is issued within that after a revocation may be void by it.
  static let maximumAhead = Duration.seconds(60)
  /// Expired revocations that one revocation sweeps; more only where they expire at the same moment.
  static let maximumSwept = 64

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

  // MARK: Keys

  /// The key that signs a tenant's tokens, made if there is none: of callers and nodes that ask at once all get the
  /// same. Where there is one it costs a look-up, and nothing is judged or written.
  /// - Parameter make: makes a key, not on the writer; it may be for nothing.
  /// - Throws: what the tenant's state answers if it is not active; FAILED_PRECONDITION with
  ///   SECRETS_NOT_CONFIGURED where there is nothing to seal it with; RESOURCE_EXHAUSTED if there are
  ///   `TokenKey.maximumCount` retired ones that still verify; INTERNAL with SECRETS_FAILED if `make` throws what
  ///   is no `TenancyError`.
  public func ensureKey(
    of id: TenantID, make: @Sendable () throws -> NewTokenKey
  ) async throws(TenancyError) -> TokenKey {
    let tenant = try Self.active(id, plane.state, at: plane.now).tenant
    if let key = tenant.signingKey { return key }
    // Before the work of making one.
    guard let sealer = plane.sealer else { throw Self.notConfigured }
    let new = try Self.made(by: make)
    return try await write("tokens.createKey", rewriting: id) {
      (transaction) throws(TenancyError) -> TokenKey in
      let tenant = try Self.active(id, transaction.state, at: transaction.now).tenant
      if let key = tenant.signingKey { return key }
      return try Self.add(new, to: tenant, verifyFor: .zero, sealer, &transaction)
    }
  }

  /// Signs by another key from now on. The former one is retired, and those are dropped, with their private
  /// halves, that need not verify any more.
  /// - Parameter verifyFor: for how long tokens that the former key has signed are still good, at most.
  /// - Returns: the new key.
  /// - Throws: as `ensureKey`; ALREADY_EXISTS if the tenant has a key of that id.
  public func rotateKey(
    of id: TenantID, new: NewTokenKey, verifyFor: Duration
  ) async throws(TenancyError) -> TokenKey {
    try await write("tokens.rotateKey", rewriting: id) {
      [sealer = plane.sealer] (transaction) throws(TenancyError) -> TokenKey in
      let tenant = try Self.active(id, transaction.state, at: transaction.now).tenant
      guard let sealer else { throw Self.notConfigured }
      transaction.give(id: new.id)
      return try Self.add(new, to: tenant, verifyFor: verifyFor, sealer, &transaction)
    }
  }

  /// Removes a key at once, with its private half: what it has signed is void. The one that signs may go as well:
  /// `ensureKey` makes another. In every state of the tenant but `deleted`, which has no keys.
  /// - Returns: the key that was removed.
  /// - Throws: NOT_FOUND with TOKEN_KEY_NOT_FOUND if the tenant has no such key.
  @discardableResult
  public func removeKey(
    of id: TenantID, key keyID: String
  ) async throws(TenancyError) -> TokenKey {
    try await write("tokens.removeKey", .revoking, rewriting: id) {
      (transaction) throws(TenancyError) -> TokenKey in
      guard var tenant = transaction.state.find(id)?.tenant, !tenant.state.isGone else {
        throw .tenantNotFound
      }
      guard let at = tenant.tokenKeys.firstIndex(where: { $0.id == keyID }) else {
        throw Self.keyNotFound
      }
      let key = tenant.tokenKeys.remove(at: at)
      transaction.emit(.putTenant(tenant), about: id)
      transaction.emit(.deleteSecret(id, .tokenKey(key.id)), about: id)
      return key
    }
  }

  /// The tenant has no such key.
  public static let keyNotFound = TenancyError(
    .notFound, .tokenKeyNotFound, "the tenant has no such key for its tokens")

  // MARK: Revocations

  /// Makes tokens void, in every state of the tenant. Of two revocations of one target each does all that it would
  /// do alone: none makes another weaker. Where nothing is added to what is revoked already, nothing is written.
  /// Expired revocations go, a few at a time.
  /// - Parameters:
  ///   - target: which tokens. A workload of the tenant is the same by whichever of the tenant's names.
  ///   - before: tokens issued by then are void; nil: by now. What is issued later in the same second has the same
  ///     `iat` and may be void as well. At most `maximumAhead` ahead.
  ///   - expireTime: when none of these tokens can be alive any more: in the future, by `Revocation.maximumLife`
  ///     at most.
  ///   - reason: for people, may be empty; at most `Revocation.maximumReasonBytes`.
  /// - Returns: what is revoked of the target by now. Its end is what is given to whoever repeats the request.
  /// - Throws: INVALID_ARGUMENT with all that is wrong; RESOURCE_EXHAUSTED if `maximumTokens` or
  ///   `maximumSubjects` are revoked: then there is always the whole tenant.
  @discardableResult
  public func revoke(
    _ target: Revocation.Target, of id: TenantID, before: Timestamp? = nil,
    expireTime: Timestamp, reason: String = ""
  ) async throws(TenancyError) -> Revocation {
    try await write("tokens.revoke", .revoking) {
      (transaction) throws(TenancyError) -> Revocation in
      guard let record = transaction.state.find(id) else { throw .tenantNotFound }
      let now = transaction.now
      let new = Revocation(
        target: record.canonical(target), before: before ?? now, expireTime: expireTime,
        reason: reason)
      try Self.check(new, at: now)
      let former = record.revocations.find(new.target)
      let joined = former.map(new.joined) ?? new
      transaction.give(id: String(joined.expireTime.nanoseconds))
      if let former, joined.before == former.before, joined.expireTime == former.expireTime {
        return former
      }
      let swept = record.revocations.sweep(at: now, Self.maximumSwept)
      if former == nil { try Self.checkRoom(for: new.target.kind, of: record, swept, at: now) }
      if let last = swept.last {
        // What expires at the same moment goes with the last.
        let end = Timestamp(nanoseconds: last.expireTime.nanoseconds + 1)
        transaction.emit(.forgetRevocations(id, before: end), about: id)
      }
      transaction.emit(.putRevocation(id, joined), about: id)
      return joined
    }
  }

  /// Makes all tokens of a tenant void that were issued until now, whatever clocks say: its epoch moves. In every state
  /// but `deleted`, which has none.
  /// - Returns: when that was.
  @discardableResult
  public func revokeAll(of id: TenantID) async throws(TenancyError) -> Timestamp {
    try await write("tokens.revokeAll", .revoking, rewriting: id) {
      (transaction) throws(TenancyError) -> Timestamp in
      guard var tenant = transaction.state.find(id)?.tenant, !tenant.state.isGone else {
        throw .tenantNotFound
      }
      tenant.epoch += 1
      tenant.tokenHorizon = transaction.now
      transaction.emit(.putTenant(tenant), about: id)
      return transaction.now
    }
  }

  /// Takes from a tenant what goes when it is deleted: its keys, their private halves, whom it trusts, and what is
  /// revoked. Its epoch has voided its tokens.
  /// - Returns: what is to be emitted besides the tenant.
  static func dropAll(of tenant: inout Tenant, _ state: ControlState) -> [Change] {
    var changes = tenant.tokenKeys.map { Change.deleteSecret(tenant.id, .tokenKey($0.id)) }
    tenant.tokenKeys = []
    tenant.authentication = AuthenticationSettings()
    if state.find(tenant.id)?.revocations.isEmpty == false {
      changes.append(.forgetRevocations(tenant.id, before: Timestamp(nanoseconds: .max)))
    }
    return changes
  }

  // MARK: Rules

  private func write<Result: Sendable>(
    _ action: String, _ priority: WriteTerms.Priority = .ordinary, rewriting id: TenantID? = nil,
    _ body: @escaping @Sendable (inout Transaction) throws(TenancyError) -> Result
  ) async throws(TenancyError) -> Result {
    let before = id.flatMap { plane.state.find($0) }
    let terms = judge.terms(priority, rewriting: before?.tenant.contentBytes ?? 0)
    return try await plane.write(actor: actor, action: action, terms: terms) {
      [judge] (transaction) throws(TenancyError) -> Result in
      try judge.judge(&transaction)
      return try body(&transaction)
    }
  }

  private static func active(
    _ id: TenantID, _ state: ControlState, at now: Timestamp
  ) throws(TenancyError) -> TenantRecord {
    guard let record = state.find(id) else { throw .tenantNotFound }
    if let refusal = record.refusal(at: now) { throw refusal }
    return record
  }

  private static func made(
    by make: () throws -> NewTokenKey
  ) throws(TenancyError) -> NewTokenKey {
    do {
      return try make()
    } catch let error as TenancyError {
      throw error
    } catch {
      throw TenancyError(.internalError, .secretsFailed, "a key for tokens can't be made: \(error)")
    }
  }

  /// Puts a key first, retires the one that signed, and drops what need not verify any more.
  private static func add(
    _ new: NewTokenKey, to tenant: Tenant, verifyFor: Duration, _ sealer: any SecretSealer,
    _ transaction: inout Transaction
  ) throws(TenancyError) -> TokenKey {
    let now = transaction.now
    var tenant = tenant
    try check(new)
    guard tenant.tokenKey(new.id) == nil else {
      throw .invalid("key.id", "the tenant has a key of that id")
    }
    for at in tenant.tokenKeys.indices where tenant.tokenKeys[at].signs {
      tenant.tokenKeys[at].retireTime = now
      tenant.tokenKeys[at].verifyUntil = now + max(verifyFor, .zero)
    }
    let dropped = tenant.tokenKeys.filter { !$0.verifies(at: now) }
    tenant.tokenKeys.removeAll { !$0.verifies(at: now) }
    guard tenant.tokenKeys.count < TokenKey.maximumCount else {
      throw .exhausted(
        .tokenKeys, of: .tenant(tenant.id), limit: TokenKey.maximumCount,
        hint: "remove a retired one, or wait until one need not verify any more",
        retryAfterSeconds: seconds(
          until: tenant.tokenKeys.compactMap(\.verifyUntil).min(), from: now))
    }
    let secret = try sealed(new, of: tenant, sealer)
    let key = TokenKey(
      id: new.id, algorithm: new.algorithm, publicKey: new.publicKey, createTime: now,
      reference: secret.reference)
    tenant.tokenKeys.insert(key, at: 0)
    transaction.emit(.putTenant(tenant), about: tenant.id)
    for key in dropped {
      transaction.emit(.deleteSecret(tenant.id, .tokenKey(key.id)), about: tenant.id)
    }
    transaction.emit(
      .putSecret(tenant.id, .tokenKey(key.id), secret.reference, secret.sealed), about: tenant.id)
    return key
  }

  private static func sealed(
    _ new: NewTokenKey, of tenant: Tenant, _ sealer: any SecretSealer
  ) throws(TenancyError) -> StoredSecret {
    let place = SecretPlace(tenant: tenant.id, purpose: .tokenKey(new.id))
    do throws(SecretError) {
      return try sealer.seal(new.privateKey, for: place, version: tenant.version)
    } catch {
      throw TenancyError(.internalError, .secretsFailed, "the key can't be sealed: \(error)")
    }
  }

  private static func check(_ new: NewTokenKey) throws(TenancyError) {
    var checks = FieldChecks()
    if !TokenKey.isID(new.id) {
      checks.note(.invalid("key.id", "a SHA-256 thumbprint: 43 characters of base64url"))
    }
    if !TokenKey.isPublicKey(new.publicKey) {
      checks.note(
        .invalid("key.public_key", "a JWK of at most \(TokenKey.maximumPublicKeyBytes) bytes"))
    }
    try checks.finish()
  }

  private static func check(_ new: Revocation, at now: Timestamp) throws(TenancyError) {
    var checks = FieldChecks()
    switch new.target {
    case .token(let id) where !Revocation.isTokenID(id):
      let most = Revocation.maximumTokenIDBytes
      checks.note(.invalid("token_id", "1 to \(most) bytes without control characters"))
    case .subject(let subject) where !RoleCommands.isSubject(subject):
      let most = RoleCommands.maximumSubjectBytes
      checks.note(.invalid("subject", "1 to \(most) bytes without control characters or spaces"))
    case .token, .subject, .tenant: break
    }
    if new.before > now + maximumAhead {
      checks.note(.invalid("before", "must not be in the future"))
    }
    if new.expireTime <= now || new.expireTime > now + Revocation.maximumLife {
      let most = Revocation.maximumLife.count
      checks.note(.invalid("expire_time", "must be in the future, by \(most) days at most"))
    }
    if !Revocation.isReason(new.reason) {
      let most = Revocation.maximumReasonBytes
      checks.note(.invalid("reason", "at most \(most) bytes without control characters"))
    }
    try checks.finish()
  }

  /// - Parameter swept: those that go.
  private static func checkRoom(
    for kind: Revocation.Target.Kind, of record: TenantRecord, _ swept: [Revocation],
    at now: Timestamp
  ) throws(TenancyError) {
    let (quota, limit, hint): (Quota, Int, String)
    switch kind {
    case .token:
      (quota, limit) = (.revokedTokens, maximumTokens)
      hint = "revoke those of the subject, or of the whole tenant"
    case .subject:
      (quota, limit) = (.revokedSubjects, maximumSubjects)
      hint = "revoke those of the whole tenant"
    case .tenant: return
    }
    let gone = swept.count { $0.target.kind == kind }
    guard record.revocations.count(of: kind) - gone >= limit else { return }
    throw .exhausted(
      quota, of: .tenant(record.tenant.id), limit: limit, hint: hint,
      retryAfterSeconds: seconds(until: record.revocations.first?.expireTime, from: now))
  }

  private static func seconds(until moment: Timestamp?, from now: Timestamp) -> Int64? {
    moment.map { max(1, $0.seconds - now.seconds + 1) }
  }

  private static let notConfigured = TenancyError(
    .failedPrecondition, .secretsNotConfigured,
    "the tenant can have no key for tokens: the server has no master key to seal it with "
      + "(secrets.master_key in its configuration)")
}

extension TenantRecord {
  /// A workload of the tenant by its id.
  fileprivate func canonical(_ target: Revocation.Target) -> Revocation.Target {
    guard case .subject(let subject) = target else { return target }
    return .subject(holder(subject))
  }
}

extension RevocationSet {
  /// The first that have expired, and at most so many.
  fileprivate func sweep(at now: Timestamp, _ limit: Int) -> [Revocation] {
    var (swept, all) = ([Revocation](), all())
    var budget = WorkBudget(visits: limit, answerBytes: .max)
    while let next = all.next(&budget), next.expireTime < now { swept.append(next) }
    return swept
  }
}
