/// What changes tenants. Each command is one transaction of the control plane.
public struct TenantCommands: Sendable {
  let plane: ControlPlane
  let actor: String
  private let judge: WriteJudge
  let plans: LimitPlans?

  /// - Parameters:
  ///   - actor: who asks, for the log and for request ids.
  ///   - judge: whether they may still when it is done.
  ///   - plans: this node's own, which tenants may name besides those that the platform has declared.
  public init(
    _ plane: ControlPlane, actor: String, judge: WriteJudge, plans: LimitPlans? = nil
  ) {
    self.plans = plans
    self.plane = plane
    self.actor = actor
    self.judge = judge
  }

  /// How tenants end.
  var lifecycle: LifecycleTerms { plane.lifecycle }

  /// What a request to create a tenant says, not yet validated.
  public struct NewTenant: Sendable {
    /// As requested; see `Slug`.
    public var slug: String
    /// For people; 1 to 200 characters, none of them control.
    public var displayName: String
    /// Nil if `checks` has refused it.
    public var isolationModel: IsolationModel?
    /// As requested; empty names of a schema or in shared tables are derived.
    public var configuration: TenantConfiguration
    /// Labels and annotations.
    public var metadata = TenantMetadata()
    /// That of the database in `configuration`, to be sealed.
    public var databasePassword: ClearSecret?
    /// Values of secret settings, to be sealed.
    public var secrets: [String: ClearSecret?] = [:]
    /// What is known to be wrong with the request.
    public var checks: FieldChecks
    /// Empty: none.
    public var requestID: String
    /// Of the request's content.
    public var digest: String

    /// Without `requestID`, a repetition of the request is a request for another tenant.
    public init(
      slug: String, displayName: String, isolationModel: IsolationModel?,
      configuration: TenantConfiguration, databasePassword: ClearSecret? = nil,
      requestID: String = "", digest: String = "", checks: FieldChecks = FieldChecks()
    ) {
      self.slug = slug
      self.displayName = displayName
      self.isolationModel = isolationModel
      self.configuration = configuration
      self.databasePassword = databasePassword
      self.requestID = requestID
      self.digest = digest
      self.checks = checks
    }
  }

  /// Creates a tenant in state `pending`.
  public func create(_ new: NewTenant, validateOnly: Bool) async throws(TenancyError) -> Tenant {
    try await write("tenants.create") {
      [actor, plans, sealer = plane.sealer] (transaction) throws(TenancyError) -> Tenant in
      if !validateOnly { Self.makeRoom(for: [new], of: actor, &transaction) }
      return try Self.create(
        new, by: actor, plans, sealer, validateOnly: validateOnly, &transaction)
    }
  }

  /// - Parameter check: what else a tenant must not have.
  static func create(
    _ new: NewTenant, by actor: String, _ plans: LimitPlans?, _ sealer: (any SecretSealer)?,
    validateOnly: Bool = false,
    _ transaction: inout Transaction, _ check: (Tenant) throws(TenancyError) -> Void = { _ in }
  ) throws(TenancyError) -> Tenant {
    if let made = try made(by: new, of: actor, transaction.state) { return made }
    var tenant = try make(new, at: transaction.now, transaction.state.catalog)
    try transaction.state.checkPlan(of: tenant.configuration.limits, from: nil, plans)
    try checkFree(tenant, in: transaction.state)
    try check(tenant)
    let secret = try seal(new.databasePassword, into: &tenant, sealer)
    let secrets = try seal(new.secrets, into: &tenant, at: transaction.now, sealer)
    if validateOnly { return tenant }
    transaction.emit(.putTenant(tenant), about: tenant.id)
    emit(secret, of: tenant, &transaction)
    for change in secrets { transaction.emit(change, about: tenant.id) }
    reserveNames(of: tenant, &transaction)
    if !new.requestID.isEmpty { remember(new, tenant.id, actor, &transaction) }
    return tenant
  }

  /// What an update replaces; nil leaves alone.
  public struct Update: Sendable {
    /// As requested; see `Slug`.
    public var slug: String?
    /// For people.
    public var displayName: String?
    /// Changes only before there are data.
    public var isolationModel: IsolationModel?
    /// Makes the new configuration of the present one, on the writer: quick, and without side effects.
    public var configuration:
      (@Sendable (TenantConfiguration) throws(TenancyError) -> TenantConfiguration)?
    /// Makes the new labels and annotations of the present ones: as `configuration` does. Only the platform changes
    /// them.
    public var metadata: (@Sendable (TenantMetadata) -> TenantMetadata)?
    /// That of the database in the configuration, to be sealed; nil leaves alone. It counts as a change even
    /// if it is the former one: nobody looks.
    public var databasePassword: ClearSecret?
    /// Values of secret settings, to be sealed; nil: to be removed. Others stay. That one is set counts as a change,
    /// too.
    public var secrets: [String: ClearSecret?] = [:]
    /// Settings that `configuration` removes by their names: see `ConfigurationCatalog.keepUntold`.
    public var namedSettings: Set<String> = []
    /// When its maintenance is expected to be over; nil inside: nobody knows. Only the platform moves it, and of it who
    /// may begin one.
    public var maintenanceEnd: Timestamp??
    /// The permission to begin maintenances, where the caller lacks it.
    public var missingPermission: String?
    /// Empty: any.
    public var etag: String
    /// What is known to be wrong with the request.
    public var checks = FieldChecks()
    /// Whether the caller is the platform's: may change slug, labels, annotations, isolation model, where data lives, and
    /// settings that are the platform's to change.
    public var mayMove: Bool
    /// See `ConfigurationEdit.request`.
    var historyRequest = ""

    /// Changes nothing yet.
    /// - Parameter etag: the tenant's as the caller knows it; empty: any.
    public init(etag: String, mayMove: Bool) {
      self.etag = etag
      self.mayMove = mayMove
    }
  }

  /// Changes a tenant's fields; its state stays.
  /// - Parameter validateOnly: says what would come of it, and changes nothing.
  /// - Throws: `.tenantNotFound` also for deleted ones, `.etagMismatch`, `.invalidArgument` with all that is wrong,
  ///   `notTheirs`, what a name that is taken gives, or what the write itself meets.
  public func update(
    _ id: TenantID, _ update: Update, action: String, validateOnly: Bool = false
  ) async throws(TenancyError) -> Tenant {
    try await write(action, rewriting: id) {
      [plans, sealer = plane.sealer] (transaction) throws(TenancyError) -> Tenant in
      let record = try Self.current(id, update.etag, transaction.state)
      let before = record.tenant
      guard !before.state.isGone else { throw .tenantNotFound }
      var after = try Self.apply(update, to: before, transaction.state.catalog)
      try Self.moveMaintenance(of: &after, update, at: transaction.now)
      try transaction.state.checkPlan(
        of: after.configuration.limits, from: before.configuration.limits, plans)
      let password = after.configuration.database == nil ? nil : update.databasePassword
      try Self.checkMove(
        from: before, to: after, setsPassword: password != nil, allowed: update.mayMove)
      if Self.moves(from: before, to: after) { try Self.checkLeftovers(record) }
      try Self.checkFree(after, from: before, in: transaction.state)
      let touchesSecrets = update.secrets.contains {
        $0.value != nil || before.configuration.secretSettings[$0.key] != nil
      }
      guard touchesSecrets || password != nil || !after.hasSameBytes(as: before) else {
        // That it was asked for is remembered.
        if !update.historyRequest.isEmpty, !validateOnly {
          transaction.historyRequest = update.historyRequest
          transaction.emit(.putTenant(before), about: id)
        }
        return before
      }
      after.version += 1
      after.updateTime = transaction.now
      let secret = try Self.seal(password, into: &after, sealer)
      let secrets = try Self.seal(update.secrets, into: &after, at: transaction.now, sealer)
      if validateOnly { return after }
      transaction.historyRequest = update.historyRequest
      transaction.emit(.putTenant(after), about: id)
      Self.emit(secret, of: after, from: before, &transaction)
      for change in secrets { transaction.emit(change, about: id) }
      // Steps that a failed provisioning did were done for the old place.
      if Self.moves(from: before, to: after) { transaction.forgetSteps(of: record) }
      Self.reserveNames(of: after, &transaction)
      if after.slug != before.slug { Self.revive(after, &transaction) }
      return after
    }
  }

  /// Ends that a former slug stands for the tenant. It stays reserved.
  public func retire(
    slug text: String, of id: TenantID, etag: String
  ) async throws(TenancyError) -> Tenant {
    try await write("tenants.retireSlug", .revoking, rewriting: id) {
      (transaction) throws(TenancyError) -> Tenant in
      let before = try Self.current(id, etag, transaction.state).tenant
      guard !before.state.isGone else { throw .tenantNotFound }
      guard let former = transaction.state.formerSlug(text), former.tenant == id else {
        throw TenancyError(
          .notFound, .slugNotFound, "the tenant has no former slug \"\(text)\"",
          violations: [.init(field: "slug", description: "no former slug of the tenant")])
      }
      var after = before
      after.version += 1
      after.updateTime = transaction.now
      transaction.emit(.putTenant(after), about: id)
      transaction.emit(.retireSlug(former.slug, id), about: id)
      return after
    }
  }

  /// Tenants moved in one transaction, at most.
  static let maximumMoves = WriteTerms.maximumCost - 1

  /// Moves many tenants in few transactions; those that can't move by now stay.
  func move(
    _ ids: [TenantID], _ event: Lifecycle.Event,
    reason: @escaping @Sendable (TenantID) -> String = { _ in "" }
  ) async throws(TenancyError) {
    var rest = ids[...]
    while !rest.isEmpty {
      let some = rest.prefix(Self.maximumMoves)
      rest = rest.dropFirst(Self.maximumMoves)
      try await write("tenants.\(event)", changes: some.count) {
        (transaction) throws(TenancyError) -> Void in
        for id in some {
          guard let tenant = transaction.state.find(id)?.tenant,
            Lifecycle.next(tenant.state, event) != nil
          else { continue }
          let after = try Lifecycle.apply(
            event, to: tenant, at: transaction.now, reason: reason(id))
          transaction.emit(.putTenant(after), about: id)
        }
      }
    }
  }

  /// - Parameters:
  ///   - id: the tenant that is written again, with its configuration.
  ///   - changes: how many there are, where there can be many.
  func write<Result: Sendable>(
    _ action: String, _ priority: WriteTerms.Priority = .ordinary, rewriting id: TenantID? = nil,
    changes: Int = 0,
    _ body: @escaping @Sendable (inout Transaction) throws(TenancyError) -> Result
  ) async throws(TenancyError) -> Result {
    let before = id.flatMap { plane.state.find($0) }
    let terms = judge.terms(
      priority, rewriting: before?.tenant.contentBytes ?? 0, changes: changes)
    return try await plane.write(actor: actor, action: action, terms: terms) {
      [judge] (transaction) throws(TenancyError) -> Result in
      try judge.judge(&transaction)
      return try body(&transaction)
    }
  }

  // MARK: Rules

  private static func make(
    _ new: NewTenant, at now: Timestamp, _ catalog: ConfigurationCatalog
  ) throws(TenancyError) -> Tenant {
    var checks = new.checks
    try checks.value { () throws(TenancyError) in
      try TenantRules.check(displayName: new.displayName)
    }
    let slug = try checks.value { () throws(TenancyError) in
      try TenantRules.slug(new.slug, displayName: new.displayName)
    }
    try TenantRules.check(new.configuration, model: new.isolationModel, &checks)
    // Only the platform creates tenants.
    try catalog.check(
      new.configuration, from: TenantConfiguration(), isPlatform: true, &checks)
    try catalog.check(
      secrets: new.secrets, of: TenantConfiguration(), isPlatform: true, &checks)
    TenantRules.check(password: new.databasePassword, &checks)
    TenantRules.check(new.metadata, &checks)
    try checks.value { () throws(TenancyError) in
      try TenantRules.checkSecrets(in: new.configuration.database)
    }
    guard checks.passed, let slug, let model = new.isolationModel else { throw checks.failure }
    let id = TenantID.generate(atMilliseconds: now.milliseconds)
    var configuration = new.configuration
    // They would be another's.
    configuration.secretSettings = [:]
    return Tenant(
      id: id, slug: slug, displayName: new.displayName, state: .pending, isolationModel: model,
      configuration: TenantRules.complete(configuration, model: model, id: id, slug: slug),
      version: 1, epoch: 1, createTime: now, updateTime: now, metadata: new.metadata)
  }

  private static func apply(
    _ update: Update, to before: Tenant, _ catalog: ConfigurationCatalog
  ) throws(TenancyError) -> Tenant {
    var checks = update.checks
    var after = before
    if let name = update.displayName {
      try checks.value { () throws(TenancyError) in try TenantRules.check(displayName: name) }
      after.displayName = name
    }
    if let text = update.slug {
      let slug = try checks.value { () throws(TenancyError) in
        guard !text.isEmpty else { throw .invalid("tenant.slug", "can't be empty") }
        return try TenantRules.slug(text, displayName: after.displayName)
      }
      if let slug { after.slug = slug }
    }
    if let model = update.isolationModel { after.isolationModel = model }
    if let change = update.configuration {
      after.configuration = try change(before.configuration)
      after.configuration.secretSettings = before.configuration.secretSettings
      catalog.keepUntold(
        of: before.configuration, in: &after.configuration, but: update.namedSettings)
    }
    if let change = update.metadata {
      after.metadata = change(before.metadata)
      TenantRules.check(after.metadata, &checks)
    }
    dropUnused(of: before, from: &after)
    try TenantRules.check(after.configuration, model: after.isolationModel, &checks)
    if update.configuration != nil {
      try catalog.check(
        after.configuration, from: before.configuration, isPlatform: update.mayMove, &checks)
    }
    try catalog.check(
      secrets: update.secrets, of: before.configuration, isPlatform: update.mayMove, &checks)
    TenantRules.check(password: update.databasePassword, &checks)
    let database = after.configuration.database
    if database?.connectionString != before.configuration.database?.connectionString {
      try checks.value { () throws(TenancyError) in try TenantRules.checkSecrets(in: database) }
    }
    try checks.finish()
    after.configuration = TenantRules.complete(
      after.configuration, model: after.isolationModel, id: before.id, slug: after.slug)
    return after
  }

  static func current(
    _ id: TenantID, _ etag: String, _ state: ControlState
  ) throws(TenancyError) -> TenantRecord {
    guard let record = state.find(id) else { throw .tenantNotFound }
    try require(etag, of: record.tenant)
    return record
  }

  /// - Parameter etag: empty: any.
  /// - Throws: ABORTED with ETAG_MISMATCH unless it is the tenant's.
  static func require(_ etag: String, of tenant: Tenant) throws(TenancyError) {
    if etag.isEmpty || etag == tenant.etag { return }
    throw TenancyError(
      .aborted, .etagMismatch, "the tenant has changed since: read it again",
      metadata: ["etag": tenant.etag])
  }

  private static func remember(
    _ new: NewTenant, _ id: TenantID, _ actor: String, _ transaction: inout Transaction
  ) {
    transaction.emit(
      .rememberRequest(
        RememberedRequest(
          actor: actor, requestID: new.requestID, digest: new.digest, tenant: id,
          time: transaction.now)), about: id)
  }

  /// Makes room to remember those that are new of these.
  static func makeRoom(
    for requests: [NewTenant], of actor: String, _ transaction: inout Transaction
  ) {
    let count = requests.count {
      !$0.requestID.isEmpty && transaction.state.request($0.requestID, of: actor) == nil
    }
    if count > 0 { RequestKey.makeRoom(for: count, of: nil, &transaction) }
  }
}

extension ControlState {
  /// What the platform's `actor` has asked for under an id.
  func request(_ id: String, of actor: String) -> RememberedRequest? {
    request(RememberedRequest.Key(payer: nil, actor: actor, requestID: id))
  }
}
