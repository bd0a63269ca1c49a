import Dispatch
import Synchronization

/// Makes and destroys what a tenant's isolation model needs. Calls may block; they run off the event
/// loops.
public protocol DataPlane: Sendable {
  /// The steps for this tenant, in order. Names are stable: they are recorded.
  func steps(for tenant: Tenant) -> [String]
  /// Carries out one step. Doing it again changes nothing.
  /// - Parameter password: of the tenant's `dataLogin`; nil where `makesLogins` is not set.
  /// - Throws: why it failed, in words that operators may read.
  func perform(_ step: String, for tenant: Tenant, _ password: ClearSecret?) throws
  /// Destroys what the steps made; what is not there is passed over.
  /// - Parameter permit: to be called right before each act that destroys something; blocks, and throws if it
  ///   must not be done any more.
  /// - Throws: what `permit` throws, or why it failed.
  func destroy(for tenant: Tenant, permit: () throws -> Void) throws
  /// Why this tenant can't be provisioned here at all, in words that operators may read; nil if it can.
  func refusal(for tenant: Tenant) -> String?
  /// What the steps made and is not there any more, in words that operators may read; nothing for tenants
  /// of whom all is.
  /// - Throws: what says nothing of the data.
  func missing(among tenants: [Tenant]) throws -> [TenantID: String]
  /// What a tenant's data takes up there now. Blocks.
  /// - Throws: why that can't be found out, in words that operators may read.
  func usage(of tenant: Tenant) throws -> DataUsage
  /// Where it makes things, when there are several; nil if all nodes of a store reach it, or there is one. It never
  /// changes, and no other place has the same.
  var place: String? { get }
  /// Whether what it makes is used by logins of the tenant's own.
  var makesLogins: Bool { get }
}

extension DataPlane {
  public func refusal(for tenant: Tenant) -> String? { nil }
  public func missing(among tenants: [Tenant]) -> [TenantID: String] { [:] }
  public var place: String? { nil }
  public var makesLogins: Bool { false }
}

/// Runs provisioning: each step is recorded when done, so that a crash or failure resumes with the
/// first that is not. One run at a time for a tenant; callers that come meanwhile share it.
///
/// Of several nodes on one store, the one that holds the lease of the tenant's resources does it: a lease for
/// each tenant and not for each node, so that a node that is slow with one tenant keeps nobody from the others,
/// and what a dead node leaves is taken over by whoever comes first. Taking, holding and giving it up are part
/// of the commits that there are anyway. Who has lost it records nothing any more.
public final class Provisioner: Sendable {
  /// As whom, and for how long, leases are taken.
  public struct Terms: Sendable {
    /// This node, in this life; or in every life, where there is no other node: what it left it goes on with
    /// at once then.
    public var holder: String
    /// Between two signs of life of a node that is at work.
    public var leaseDuration: Duration

    /// For how long a cluster's number of tenants is taken for granted, with what is sent there meanwhile.
    package var loadsHold = Duration.seconds(10)

    /// - Parameter holder: must tell this process from all others that write to the store.
    public init(holder: String = "embedded", leaseDuration: Duration = .seconds(15)) {
      self.holder = holder
      self.leaseDuration = leaseDuration
    }
  }

  let plane: ControlPlane
  let sites: DataSites
  let terms: Terms
  let report: @Sendable (TenantID, String) -> Void
  /// Opens the passwords of tenants' logins; nil where there is no master key.
  let vault: SecretVault?
  /// Where a data plane may block.
  private let queue = DispatchQueue(label: "tenancy.provisioner", attributes: .concurrent)
  let work = Mutex(Work())

  struct Work {
    var provisioning: [TenantID: Task<Result<Tenant, TenancyError>, Never>] = [:]
    /// Their resources are being destroyed, or about to be.
    var destroying: Set<TenantID> = []
    /// Of these, those whose logins are being opened or closed.
    var settling: Set<TenantID> = []
    /// Clusters that are being audited.
    var auditing: Set<String> = []
    /// What they have left here is not destroyed yet: it is tried again.
    var unfinished: Set<TenantID> = []
  }

  /// - Parameters:
  ///   - dataPlane: of this node; where there are clusters, only what it has already is there.
  ///   - clusters: where the data of tenants is made; empty: by `dataPlane`.
  ///   - vault: needed by clusters that make logins.
  ///   - report: told of each failure with its reason, for the log.
  public init(
    _ plane: ControlPlane, _ dataPlane: any DataPlane, clusters: [DataCluster] = [],
    vault: SecretVault? = nil, terms: Terms = Terms(),
    report: @escaping @Sendable (TenantID, String) -> Void = { _, _ in }
  ) {
    self.plane = plane
    sites = DataSites(dataPlane, clusters, loadsHold: terms.loadsHold)
    self.vault = vault
    self.terms = terms
    self.report = report
  }

  /// Whether this node is at work on a tenant's resources.
  func isAtWork(on id: TenantID) -> Bool {
    work.withLock { $0.provisioning[id] != nil || $0.destroying.contains(id) }
  }

  // MARK: Making

  /// Provisions a tenant; on an active one this changes nothing.
  /// - Parameters:
  ///   - etag: that of the tenant before it begins; empty: any.
  ///   - judge: whether the actor may begin; what has begun goes on.
  /// - Throws: ABORTED with LEASE_HELD while another node is at work on it, and with LEASE_LOST when another
  ///   has taken over from this one.
  public func provision(
    _ id: TenantID, etag: String = "", actor: String, judge: WriteJudge
  ) async throws(TenancyError) -> Tenant {
    if judge.isRehearsal { return try await rehearse(id, etag, actor: actor, judge: judge) }
    let task = work.withLock { work -> Task<Result<Tenant, TenancyError>, Never>? in
      if let task = work.provisioning[id] { return task }
      if work.destroying.contains(id) { return nil }
      let task = Task { () -> Result<Tenant, TenancyError> in
        let result: Result<Tenant, TenancyError>
        do throws(TenancyError) {
          result = .success(try await self.run(id, etag, actor: actor, judge: judge))
        } catch {
          result = .failure(error)
        }
        self.work.withLock { work in
          work.provisioning[id] = nil
          // Another may make it anew, elsewhere perhaps: what is here then goes.
          if case .failure = result { work.unfinished.insert(id) }
        }
        return result
      }
      work.provisioning[id] = task
      return task
    }
    guard let task else { throw Self.busy }
    return try await task.value.get()
  }

  private func run(
    _ id: TenantID, _ etag: String, actor: String, judge: WriteJudge
  ) async throws(TenancyError) -> Tenant {
    guard let record = plane.state.find(id) else { throw .tenantNotFound }
    let tenant = record.tenant
    if tenant.state == .active { return tenant }
    let commands = TenantCommands(plane, actor: actor, judge: .server)
    guard tenant.state == .provisioning else {
      var parts: [DataPart]?
      if Lifecycle.next(tenant.state, .provision) != nil {
        parts = try await requireParts(for: record)
      }
      let beginning = TenantCommands(plane, actor: actor, judge: judge.beginning)
      let (_, operation, lease) = try await beginning.beginProvisioning(id, etag: etag, as: terms)
      return try await make(operation, at: parts, under: lease, commands, asked: judge)
    }
    guard let lease = try await commands.resume(id, as: terms) else {
      // Another node was faster.
      guard let tenant = plane.state.find(id)?.tenant else { throw .tenantNotFound }
      return tenant
    }
    let operation = await running(.provision, of: tenant, actor: actor)
    // A tenant that a version before this one began to provision is told so in its state.
    let parts: [DataPart]
    do throws(TenancyError) {
      parts = try await requireParts(for: record)
    } catch {
      _ = try await commands.endProvisioning(
        operation, failure: ("", error.message), releasing: lease)
      throw error
    }
    return try await make(operation, at: parts, under: lease, commands, asked: judge)
  }

  /// - Throws: FAILED_PRECONDITION with PROVISIONING_UNSUPPORTED if there is none that can have this tenant.
  func requireParts(for record: TenantRecord) async throws(TenancyError) -> [DataPart] {
    do throws(TenancyError) {
      let parts = try await parts(for: record)
      for part in parts {
        if let why = part.site.plane.refusal(for: part.view(of: record.tenant)) {
          throw Self.unsupported(why)
        }
      }
      return parts
    } catch {
      report(record.tenant.id, error.message)
      throw error
    }
  }

  /// Where a tenant's data is made, or to be made.
  private func parts(for record: TenantRecord) async throws(TenancyError) -> [DataPart] {
    let (places, categories) = (DataPlaces(record), record.tenant.dataCategories)
    guard !categories.isEmpty else {
      return [DataPart(site: try await site(for: record, places), categories: nil)]
    }
    // What was begun is gone on with where it is.
    let begun = sites.made(of: places)
    if Set(begun.categories.keys) == Set(categories.map(\.name)) { return begun }
    return try await sites.choose(forCategoriesOf: record.tenant, places) { site, cluster in
      try await offLoop(at: site) { _ in try cluster.dataPlane.load() }
    }
  }

  private func site(
    for record: TenantRecord, _ places: DataPlaces
  ) async throws(TenancyError) -> DataSite {
    // What was begun is gone on with where it is.
    if places.isInCluster {
      let site = sites.site(of: places)
      if site.cluster != nil { return site }
    } else if !places.steps.isEmpty, places.isMade(at: sites.own.place) {
      return sites.own
    }
    return try await sites.choose(for: record.tenant, places) { site, cluster in
      try await offLoop(at: site) { _ in try cluster.dataPlane.load() }
    }
  }

  /// - Parameters:
  ///   - parts: where it was to be made when that was looked at last.
  ///   - judge: of who has asked for it, whose request is carried out when all is made.
  private func make(
    _ begun: TenantOperation, at parts: [DataPart]?, under lease: Lease,
    _ commands: TenantCommands, asked judge: WriteJudge
  ) async throws(TenancyError) -> Tenant {
    let id = begun.tenant
    return try await plane.holding(lease, lasting: terms.leaseDuration) { () throws(TenancyError) in
      var operation = begun
      var step = ""
      do {
        for part in try await prepare(&operation, at: parts, under: lease, commands) {
          let password =
            part.site.plane.makesLogins ? try await login(of: id, under: lease, commands) : nil
          guard let tenant = plane.state.find(id)?.tenant else { throw TenancyError.tenantNotFound }
          // All of them, however many are told of.
          for next in part.site.plane.steps(for: part.view(of: tenant)) {
            guard let record = plane.state.find(id) else { break }
            step = part.recorded(next)
            if record.provisionedSteps.contains(step) { continue }
            let start = plane.now
            try await offLoop(at: part.site) {
              try $0.perform(next, for: part.view(of: record.tenant), password)
            }
            operation = try await commands.finishStep(
              step, of: operation, begunAt: start, under: lease, as: terms)
          }
        }
      } catch let error as TenancyError {
        throw error  // The store, or another node: the tenant stays in PROVISIONING and is resumed.
      } catch {
        report(id, "provisioning failed\(step.isEmpty ? "" : " at \(step)"): \(error)")
        _ = try await commands.endProvisioning(
          operation, failure: (step, "\(error)"), releasing: lease)
        throw Self.failed("\(error)", at: step, of: operation)
      }
      return try await TenantCommands(
        plane, actor: commands.actor, judge: .server.ending(judge)
      ).endProvisioning(operation, releasing: lease)
    }
  }

  /// Without a step on record, what is there is left from a destruction that a crash cut short. What was made
  /// at another place is not here, and is made anew: that it was begun there stays on record.
  /// - Returns: where it is made.
  private func prepare(
    _ operation: inout TenantOperation, at chosen: [DataPart]?, under lease: Lease,
    _ commands: TenantCommands
  ) async throws -> [DataPart] {
    guard let record = plane.state.find(operation.tenant) else {
      throw TenancyError.tenantNotFound
    }
    let places = DataPlaces(record)
    let parts: [DataPart]
    // Chosen once, unless another node has begun meanwhile.
    if let chosen,
      places.made.isEmpty || places.made == chosen.places && places.categories == chosen.categories
    {
      parts = chosen
    } else {
      parts = try await self.parts(for: record)
    }
    let isBegun = parts.allSatisfy { part in
      part.categories.map { Set(places.categories(at: part.site.place)) == $0 }
        ?? (!places.steps.isEmpty && places.isMade(at: part.site.place))
    }
    operation.settle(
      at: parts.place, parts.flatMap { $0.recordedSteps(of: record.tenant) },
      done: isBegun ? places.steps : [], at: plane.now)
    if isBegun { return parts }
    // What must be kept is taken over as it is.
    if !record.tenant.isHeld {
      for part in parts { try await destroy(record.tenant, at: part.site, holding: lease) }
    }
    let isRecorded = parts.contains { $0.site.plane.place != nil || $0.categories != nil }
    if isRecorded || !places.left.isEmpty || !places.made.isEmpty {
      try await commands.settle(operation, at: parts, under: lease, as: terms)
    }
    return parts
  }

  /// The password of the tenant's login, which is made with it if there is none.
  private func login(
    of id: TenantID, under lease: Lease, _ commands: TenantCommands
  ) async throws -> ClearSecret {
    if plane.state.find(id)?.tenant.dataLogin == nil {
      try await commands.makeLogin(id, under: lease, as: terms)
    }
    guard let tenant = plane.state.find(id)?.tenant, let login = tenant.dataLogin,
      let password = try await vault?.open(.dataLogin(login.number), of: id)
    else { throw TenantCommands.loginsNotConfigured }
    return password
  }

  /// - Parameter site: whose turn is waited for.
  func offLoop<Result: Sendable>(
    at site: DataSite, _ body: @escaping @Sendable (any DataPlane) throws -> Result
  ) async throws -> Result {
    await site.turns.begin()
    defer { site.turns.end() }
    return try await offLoop { try body(site.plane) }
  }

  func offLoop<Result: Sendable>(
    _ body: @escaping @Sendable () throws -> Result
  ) async throws -> Result {
    try await withCheckedThrowingContinuation {
      (continuation: CheckedContinuation<Result, any Error>) in
      queue.async { continuation.resume(with: Swift.Result { try body() }) }
    }
  }

  // MARK: Places

  /// Whether this node knows that what was made for the tenant is where it can look at it.
  func isHere(_ record: TenantRecord) -> Bool {
    let places = DataPlaces(record)
    let site = sites.site(of: places)
    return places.made.contains(site.place)
      || site.plane.place == nil && !places.isInCluster
  }

  /// Whether data is here of which it is not recorded where it is.
  func isFound(_ tenant: Tenant, _ places: DataPlaces) throws(TenancyError) -> Bool {
    guard sites.own.plane.place != nil, places.made.isEmpty, !places.steps.isEmpty else {
      return true
    }
    return try missing(among: [tenant], at: sites.own)[tenant.id] == nil
  }

  // MARK: Errors

  static let busy = TenancyError(
    .aborted, .illegalTransition,
    "the tenant's resources are being made or destroyed by another call", retryAfterSeconds: 1)
  private static func unsupported(_ why: String) -> TenancyError {
    TenancyError(.failedPrecondition, .provisioningUnsupported, why)
  }

  static func failed(
    _ why: String, at step: String, of operation: TenantOperation?
  ) -> TenancyError {
    TenancyError(
      .failedPrecondition, .provisioningFailed, "provisioning failed; it can be tried again",
      metadata: [
        "cause": why, "step": step, "operation": operation.map { "\($0.number)" } ?? "",
      ].filter { !$0.value.isEmpty })
  }
}
