import Dispatch
import Synchronization

/// Makes and destroys what a tenant's isolation model needs. Calls may block; they run off the event
/// loops.
public protocol DataPlane: Sendable {
  /// The steps for this tenant, in order. Names are stable: they are recorded.
  func steps(for tenant: Tenant) -> [String]
  /// Carries out one step. Doing it again changes nothing.
  /// - Throws: why it failed, in words that operators may read.
  func perform(_ step: String, for tenant: Tenant) throws
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
  /// Where it makes things, when only some nodes reach that; nil if all nodes of a store do, or there is one.
  /// It never changes, and no other place has the same.
  var place: String? { get }
}

extension DataPlane {
  public func refusal(for tenant: Tenant) -> String? { nil }
  public func missing(among tenants: [Tenant]) -> [TenantID: String] { [:] }
  public var place: String? { nil }
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

    /// - Parameter holder: must tell this process from all others that write to the store.
    public init(holder: String = "embedded", leaseDuration: Duration = .seconds(15)) {
      self.holder = holder
      self.leaseDuration = leaseDuration
    }
  }

  let plane: ControlPlane
  let dataPlane: any DataPlane
  let terms: Terms
  let report: @Sendable (TenantID, String) -> Void
  /// Steps that are looked for among all tenants.
  let madeMark, leftMark: String
  /// Where the data plane may block.
  private let queue = DispatchQueue(label: "tenancy.provisioner", attributes: .concurrent)
  /// Of what may block. All threads of a process that waited for one data plane would leave none for the others'
  /// calls.
  private let turns = Turns(maximumAtOnce)
  let work = Mutex(Work())

  /// Steps of the data plane at once.
  static let maximumAtOnce = 8

  struct Work {
    var provisioning: [TenantID: Task<Result<Tenant, TenancyError>, Never>] = [:]
    /// Their resources are being destroyed, or about to be.
    var destroying: Set<TenantID> = []
    /// What they have left here is not destroyed yet: it is tried again.
    var unfinished: Set<TenantID> = []
  }

  /// - Parameter report: told of each failure with its reason, for the log.
  public init(
    _ plane: ControlPlane, _ dataPlane: any DataPlane, terms: Terms = Terms(),
    report: @escaping @Sendable (TenantID, String) -> Void = { _, _ in }
  ) {
    self.plane = plane
    self.dataPlane = dataPlane
    let place = dataPlane.place ?? DataPlaces.only
    (madeMark, leftMark) = (DataPlaces.madeMark(place), DataPlaces.leftMark(place))
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
    guard let tenant = plane.state.find(id)?.tenant else { throw .tenantNotFound }
    if tenant.state == .active { return tenant }
    let commands = TenantCommands(plane, actor: actor, judge: .server)
    guard tenant.state == .provisioning else {
      if Lifecycle.next(tenant.state, .provision) != nil,
        let why = dataPlane.refusal(for: tenant)
      {
        report(id, why)
        throw Self.unsupported(why)
      }
      let (begun, lease) = try await TenantCommands(plane, actor: actor, judge: judge).begin(
        id, .provision, etag: etag, as: terms)
      return try await make(begun, under: lease, commands)
    }
    guard let lease = try await commands.resume(id, as: terms) else {
      // Another node was faster.
      guard let tenant = plane.state.find(id)?.tenant else { throw .tenantNotFound }
      return tenant
    }
    // A tenant that a version before this one began to provision is told so in its state.
    if let why = dataPlane.refusal(for: tenant) {
      report(id, why)
      _ = try await commands.end(id, .provisioningFailed, reason: why, releasing: lease)
      throw Self.unsupported(why)
    }
    return try await make(tenant, under: lease, commands)
  }

  private func make(
    _ tenant: Tenant, under lease: Lease, _ commands: TenantCommands
  ) async throws(TenancyError) -> Tenant {
    try await plane.holding(lease, lasting: terms.leaseDuration) { () throws(TenancyError) in
      do {
        try await prepare(tenant, under: lease, commands)
        for step in dataPlane.steps(for: tenant) {
          if plane.state.find(tenant.id)?.provisionedSteps.contains(step) == true { continue }
          try await offLoop { try $0.perform(step, for: tenant) }
          try await commands.finishStep(tenant.id, step, under: lease, as: terms)
        }
      } catch let error as TenancyError {
        throw error  // The store, or another node: the tenant stays in PROVISIONING and is resumed.
      } catch {
        report(tenant.id, "provisioning failed: \(error)")
        _ = try await commands.end(
          tenant.id, .provisioningFailed, reason: "\(error)", releasing: lease)
        throw Self.failed("\(error)")
      }
      return try await commands.end(tenant.id, .provisioned, releasing: lease)
    }
  }

  /// Without a step on record, what is there is left from a destruction that a crash cut short. What was made
  /// at another place is not here, and is made anew: that it was begun there stays on record.
  private func prepare(
    _ tenant: Tenant, under lease: Lease, _ commands: TenantCommands
  ) async throws {
    guard let record = plane.state.find(tenant.id) else { return }
    let places = DataPlaces(record)
    guard places.steps.isEmpty || !places.isMade(at: place) else { return }
    // What must be kept is taken over as it is.
    if !record.tenant.isHeld { try await destroy(tenant, holding: lease) }
    if dataPlane.place != nil || !places.left.isEmpty {
      try await commands.settle(tenant.id, at: place, under: lease, as: terms)
    }
  }

  // MARK: Destroying

  /// Destroys a tenant's resources. Of a PENDING tenant, what an earlier call has not come to.
  /// - Parameter force: whether data that only other nodes reach is given up. The audit trail records it.
  /// - Throws: FAILED_PRECONDITION with DATA_ELSEWHERE if only other nodes reach them, and with LEGAL_HOLD if they
  ///   must be kept; as `provision`.
  public func deprovision(
    _ id: TenantID, etag: String, force: Bool = false, actor: String, judge: WriteJudge
  ) async throws(TenancyError) -> Tenant {
    guard let record = plane.state.find(id) else { throw .tenantNotFound }
    let tenant = record.tenant
    let places = DataPlaces(record)
    if tenant.state != .pending || places.left.isEmpty {
      // The same error as the move itself gives, before anything is looked at.
      _ = try Lifecycle.apply(.deprovision, to: tenant, at: plane.now)
    }
    try TenantCommands.requireNoHold(on: tenant)
    let site = (place: place, isHere: try isFound(tenant, places))
    if !force { try places.require(site.place, isHere: site.isHere) }
    return try await destroying(id) { () throws(TenancyError) in
      // First recorded, then destroyed: what a crash leaves is destroyed when the lease has expired, or by
      // provisioning.
      let commands = TenantCommands(plane, actor: actor, judge: judge)
      let (after, lease) = try await commands.beginDestruction(
        id, etag: etag, at: site, force: force, as: terms)
      try await finish(tenant, under: lease)
      return after
    }
  }

  /// What is destroyed must not be what another call makes anew meanwhile.
  func destroying<Result: Sendable>(
    _ id: TenantID, _ body: () async throws(TenancyError) -> Result
  ) async throws(TenancyError) -> Result {
    let isFree = work.withLock {
      $0.provisioning[id] == nil && $0.destroying.insert(id).inserted
    }
    guard isFree else { throw Self.busy }
    defer { work.withLock { _ = $0.destroying.remove(id) } }
    return try await body()
  }

  /// Destroys what a tenant has left here, and records that. The lease is given up in the same moment, and
  /// when it fails: then this node tries again, and others that reach it may, too.
  func finish(_ tenant: Tenant, under lease: Lease) async throws(TenancyError) {
    let id = tenant.id
    work.withLock { _ = $0.unfinished.insert(id) }
    try await plane.holding(lease, lasting: terms.leaseDuration) { () throws(TenancyError) in
      do {
        try await destroy(tenant, holding: lease)
      } catch let error as TenancyError {
        throw error  // The store, or another node.
      } catch {
        report(id, "resources are not destroyed: \(error)")
        // Who wants to keep what is there must not have to wait until nobody tries any more. A lease that is not
        // given up expires.
        try? await plane.release(lease, about: id)
        throw Self.failed("\(error)")
      }
      try await TenantCommands(plane, actor: "system", judge: .server)
        .endDestruction(id, at: place, releasing: lease)
    }
    work.withLock { _ = $0.unfinished.remove(id) }
  }

  /// Nothing is destroyed that this node does not know to be its own to destroy at that moment.
  private func destroy(_ tenant: Tenant, holding lease: Lease) async throws {
    let held = LeaseGuard(plane, lease, lasting: terms.leaseDuration)
    try await offLoop { try $0.destroy(for: tenant) { try held.require() } }
  }

  private func offLoop(_ body: @escaping @Sendable (any DataPlane) throws -> Void) async throws {
    await turns.begin()
    defer { turns.end() }
    try await withCheckedThrowingContinuation {
      (continuation: CheckedContinuation<Void, any Error>) in
      queue.async { [dataPlane] in continuation.resume(with: Result { try body(dataPlane) }) }
    }
  }

  // MARK: Places

  /// Where this node makes things.
  var place: String { dataPlane.place ?? DataPlaces.only }

  /// Whether this node knows that what was made for the tenant is where it would make it.
  func isHere(_ record: TenantRecord) -> Bool {
    dataPlane.place == nil || record.provisionedSteps.contains(madeMark)
  }

  /// Whether data is here of which it is not recorded where it is.
  func isFound(_ tenant: Tenant, _ places: DataPlaces) throws(TenancyError) -> Bool {
    guard dataPlane.place != nil, places.made.isEmpty, !places.steps.isEmpty else { return true }
    return try missing(among: [tenant])[tenant.id] == nil
  }

  // MARK: Errors

  private static let busy = TenancyError(
    .aborted, .illegalTransition,
    "the tenant's resources are being made or destroyed by another call", retryAfterSeconds: 1)
  private static func unsupported(_ why: String) -> TenancyError {
    TenancyError(.failedPrecondition, .provisioningUnsupported, why)
  }

  private static func failed(_ why: String) -> TenancyError {
    TenancyError(
      .failedPrecondition, .provisioningFailed, "provisioning failed; it can be tried again",
      metadata: ["cause": why])
  }
}
