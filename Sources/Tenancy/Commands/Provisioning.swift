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
  func destroy(for tenant: Tenant) throws
  /// Why this tenant can't be provisioned here at all, in words that operators may read; nil if it can.
  func refusal(for tenant: Tenant) -> String?
  /// What the steps made and is not there any more, in words that operators may read; nothing for tenants
  /// of whom all is.
  /// - Throws: what says nothing of the data.
  func missing(among tenants: [Tenant]) throws -> [TenantID: String]
}

extension DataPlane {
  public func refusal(for tenant: Tenant) -> String? { nil }
  public func missing(among tenants: [Tenant]) -> [TenantID: String] { [:] }
}

/// Runs provisioning: each step is recorded when done, so that a crash or failure resumes with the
/// first that is not. One run at a time for a tenant; callers that come meanwhile share it.
public final class Provisioner: Sendable {
  private let plane: ControlPlane
  private let dataPlane: any DataPlane
  private let report: @Sendable (TenantID, String) -> Void
  /// Where the data plane may block.
  private let queue = DispatchQueue(label: "tenancy.provisioner", attributes: .concurrent)
  private let work = Mutex(Work())

  private struct Work {
    var provisioning: [TenantID: Task<Result<Tenant, TenancyError>, Never>] = [:]
    /// Their resources are being destroyed, or about to be.
    var destroying: Set<TenantID> = []
  }

  /// - Parameter report: told of each failure with its reason, for the log.
  public init(
    _ plane: ControlPlane, _ dataPlane: any DataPlane,
    report: @escaping @Sendable (TenantID, String) -> Void = { _, _ in }
  ) {
    self.plane = plane
    self.dataPlane = dataPlane
    self.report = report
  }

  /// Provisions a tenant; on an active one this changes nothing.
  /// - Parameter judge: whether the actor may begin; what has begun goes on.
  public func provision(
    _ id: TenantID, actor: String, judge: WriteJudge
  ) async throws(TenancyError) -> Tenant {
    let task = work.withLock { work -> Task<Result<Tenant, TenancyError>, Never>? in
      if let task = work.provisioning[id] { return task }
      if work.destroying.contains(id) { return nil }
      let task = Task { () -> Result<Tenant, TenancyError> in
        let result: Result<Tenant, TenancyError>
        do throws(TenancyError) {
          result = .success(try await self.run(id, actor: actor, judge: judge))
        } catch {
          result = .failure(error)
        }
        self.work.withLock { $0.provisioning[id] = nil }
        return result
      }
      work.provisioning[id] = task
      return task
    }
    guard let task else { throw Self.busy }
    return try await task.value.get()
  }

  /// Destroys a tenant's resources.
  public func deprovision(
    _ id: TenantID, etag: String, actor: String, judge: WriteJudge
  ) async throws(TenancyError) -> Tenant {
    guard let tenant = plane.state.find(id)?.tenant else { throw .tenantNotFound }
    guard Lifecycle.next(tenant.state, .deprovision) != nil else {
      // The same error as the move itself gives, before anything is destroyed.
      _ = try Lifecycle.apply(.deprovision, to: tenant, at: plane.now)
      return tenant
    }
    // What is destroyed must not be what another call makes anew meanwhile.
    let isFree = work.withLock {
      $0.provisioning[id] == nil && $0.destroying.insert(id).inserted
    }
    guard isFree else { throw Self.busy }
    defer { work.withLock { _ = $0.destroying.remove(id) } }
    // First recorded, then destroyed: a crash in between leaves files that provisioning makes anew.
    let after = try await TenantCommands(plane, actor: actor, judge: judge).move(
      id, .deprovision, etag: etag, also: [.clearProvisioningSteps(id)])
    do {
      try await offLoop { try $0.destroy(for: tenant) }
    } catch {
      report(id, "resources are not destroyed: \(error)")
      throw Self.failed("\(error)")
    }
    return after
  }

  /// Goes on with what a crash interrupted.
  public func resume() async {
    for tenant in tenants(where: { $0.state == .provisioning }) {
      // The failure is recorded in the tenant's state, where operators find it.
      _ = try? await provision(tenant.id, actor: "system", judge: .server)
    }
  }

  /// Takes tenants whose data is gone out of service, and those that it has come back to into it. For
  /// the start, before anyone is served.
  /// - Throws: what the store throws; UNAVAILABLE if the data can't be looked at now.
  public func checkData() async throws(TenancyError) {
    let tenants = tenants { tenant in
      tenant.state == .active || tenant.state == .maintenance && !tenant.stateReason.isEmpty
    }
    let missing = try missing(among: tenants)
    for tenant in tenants {
      if let missing = missing[tenant.id] { report(tenant.id, missing) }
    }
    let commands = TenantCommands(plane, actor: "system", judge: .server)
    let lost = tenants.filter { $0.state == .active && missing[$0.id] != nil }
    try await commands.move(lost.map(\.id), .dataMissing) { missing[$0] ?? "" }
    let found = tenants.filter { $0.state == .maintenance && missing[$0.id] == nil }
    try await commands.move(found.map(\.id), .dataFound)
  }

  /// Looks at all: for the start.
  private func tenants(where isWanted: (Tenant) -> Bool) -> [Tenant] {
    var (cursor, budget) = (plane.state.tenants(), WorkBudget.uncapped)
    var found: [Tenant] = []
    while let record = cursor.next(&budget) {
      if isWanted(record.tenant) { found.append(record.tenant) }
    }
    return found
  }

  /// - Throws: FAILED_PRECONDITION if the tenant's data is not there; UNAVAILABLE as `checkData`.
  public func requireData(_ id: TenantID) throws(TenancyError) {
    guard let tenant = plane.state.find(id)?.tenant,
      tenant.state == .suspended || tenant.state == .maintenance,
      let missing = try missing(among: [tenant])[id]
    else { return }
    throw TenancyError(
      .failedPrecondition, .dataMissing,
      "\(missing): restore it, or deprovision the tenant and provision it anew")
  }

  /// That they can't be looked at doesn't mean that they are lost.
  private func missing(among tenants: [Tenant]) throws(TenancyError) -> [TenantID: String] {
    do {
      return try dataPlane.missing(among: tenants)
    } catch {
      throw TenancyError(
        .unavailable, .storeUnavailable, "tenants' data can't be looked at now: \(error)",
        retryAfterSeconds: 1)
    }
  }

  /// A tenant that a version before this one began to provision is told so in its state.
  private func refuse(
    _ tenant: Tenant, _ why: String, _ commands: TenantCommands
  ) async throws(TenancyError) -> Never {
    report(tenant.id, why)
    if tenant.state == .provisioning {
      _ = try await commands.move(tenant.id, .provisioningFailed, reason: why)
    }
    throw TenancyError(.failedPrecondition, .provisioningUnsupported, why)
  }

  private func run(
    _ id: TenantID, actor: String, judge: WriteJudge
  ) async throws(TenancyError) -> Tenant {
    let commands = TenantCommands(plane, actor: actor, judge: .server)
    guard var tenant = plane.state.find(id)?.tenant else { throw .tenantNotFound }
    if tenant.state == .active { return tenant }
    if Lifecycle.next(tenant.state, .provision) != nil || tenant.state == .provisioning,
      let why = dataPlane.refusal(for: tenant)
    {
      try await refuse(tenant, why, commands)
    }
    if tenant.state != .provisioning {
      tenant = try await TenantCommands(plane, actor: actor, judge: judge).move(id, .provision)
    }
    do {
      // Without a step on record, what is there is left from a destruction that a crash cut short.
      if plane.state.find(id)?.provisionedSteps.isEmpty ?? false {
        let subject = tenant
        try await offLoop { try $0.destroy(for: subject) }
      }
      for step in dataPlane.steps(for: tenant) {
        if plane.state.find(id)?.provisionedSteps.contains(step) == true { continue }
        let subject = tenant
        try await offLoop { try $0.perform(step, for: subject) }
        try await commands.finishStep(id, step)
      }
    } catch let error as TenancyError {
      throw error  // The store: the tenant stays in PROVISIONING and is resumed.
    } catch {
      report(id, "provisioning failed: \(error)")
      _ = try await commands.move(id, .provisioningFailed, reason: "\(error)")
      throw Self.failed("\(error)")
    }
    return try await commands.move(id, .provisioned)
  }

  private func offLoop(_ body: @escaping @Sendable (any DataPlane) throws -> Void) async throws {
    try await withCheckedThrowingContinuation {
      (continuation: CheckedContinuation<Void, any Error>) in
      queue.async { [dataPlane] in continuation.resume(with: Result { try body(dataPlane) }) }
    }
  }

  private static let busy = TenancyError(
    .aborted, .illegalTransition,
    "the tenant's resources are being made or destroyed by another call", retryAfterSeconds: 1)

  private static func failed(_ why: String) -> TenancyError {
    TenancyError(
      .failedPrecondition, .provisioningFailed, "provisioning failed; it can be tried again",
      metadata: ["cause": why])
  }
}
