/// Makes the transitions of tenants whose time has come, and destroys what deleted tenants had. Every node has
/// one: what one has done, the others find done.
public struct LifecycleClock: Sendable {
  private let plane: ControlPlane
  private let provisioner: Provisioner
  private let approvals: TransitionApprovals
  private let report: @Sendable (String) -> Void

  private let instant: @Sendable () -> ContinuousClock.Instant

  /// Between two looks: by so much, and what a commit takes, a transition may be late.
  static let interval = Duration.seconds(1)
  /// Tenants suspended in one transaction, at most. Of those that are deleted, each has one: what hangs on a tenant
  /// goes with it.
  static let maximumMoves = 64
  /// Tenants looked at in one go.
  static let tenantsPerLook = 256
  /// Looks that are left out after what failed.
  static let looksAfterFailure = 60
  /// And after what another node, or another call, was at.
  static let looksAfterConflict = 2
  /// So much more on the wall than by a clock that nobody sets: the clock was set.
  static let jump = Duration.seconds(60)

  /// A walk through what is due, some of it at each look, and from the begin again: what can't be done keeps nothing
  /// behind it from its turn.
  struct Round {
    /// Where it has come to.
    var place: DueTenants.Place?
    /// Tenants of whom something failed, and for how many looks they are left out.
    var waits: [TenantID: Int] = [:]
    /// Since when the clock was not set forward.
    var since: ContinuousClock.Instant?
    /// The last look, by both clocks.
    var last: (wall: Timestamp, instant: ContinuousClock.Instant)?

    mutating func begin() { waits = waits.compactMapValues { $0 > 1 ? $0 - 1 : nil } }

    /// - Returns: those that are to be looked at.
    mutating func goOn(to places: [DueTenants.Place]) -> [TenantID] {
      place = places.count < tenantsPerLook ? nil : places.last
      return places.map(\.tenant).filter { waits[$0] == nil }
    }
  }

  /// - Parameters:
  ///   - approvals: who is asked before.
  ///   - report: told in words for operators what failed; it is tried again.
  public init(
    _ plane: ControlPlane, _ provisioner: Provisioner, approvals: TransitionApprovals = .none,
    report: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.init(plane, provisioner, approvals: approvals, instant: { .now }, report: report)
  }

  init(
    _ plane: ControlPlane, _ provisioner: Provisioner, approvals: TransitionApprovals = .none,
    instant: @escaping @Sendable () -> ContinuousClock.Instant,
    report: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.plane = plane
    self.provisioner = provisioner
    self.approvals = approvals
    self.instant = instant
    self.report = report
  }

  /// Goes on until cancelled.
  public func run() async {
    // Apart: a purge may take long.
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await look(schedules) }
      group.addTask { await look(purge) }
    }
  }

  private func look(_ body: (inout Round) async -> Void) async {
    var round = Round()
    while !Task.isCancelled {
      round.begin()
      await body(&round)
      do { try await Task.sleep(for: Self.interval) } catch { return }
    }
  }

  // MARK: Schedules

  private func schedules(_ round: inout Round) async {
    do throws(TenancyError) {
      // As long as there is more: many may be due in the same second.
      while try await carryOutSchedules(&round) > 0, !Task.isCancelled {}
    } catch {
      // The store's health is told elsewhere.
    }
  }

  /// Once.
  /// - Returns: how many tenants were moved.
  func carryOutSchedules(_ round: inout Round) async throws(TenancyError) -> Int {
    let (state, now) = (plane.state, plane.now)
    let ids = round.goOn(
      to: state.scheduled(after: round.place, by: now, limit: Self.tenantsPerLook))
    if ids.isEmpty { return 0 }
    var count = 0
    for kind in TenantSchedule.Kind.allCases {
      let due = ids.compactMap { state.find($0)?.tenant }
        .filter { $0.plans.schedule[kind].map { $0 <= now } == true }
      let size = kind == .delete ? 1 : Self.maximumMoves
      for start in stride(from: 0, to: due.count, by: size) {
        count += try await carryOut(kind, Array(due[start...].prefix(size)), &round)
      }
    }
    return count
  }

  private func carryOut(
    _ kind: TenantSchedule.Kind, _ due: [Tenant], _ round: inout Round
  ) async throws(TenancyError) -> Int {
    let approved = await approved(kind.event, due, &round)
    return try await TenantCommands(plane, actor: "system", judge: .server)
      .carryOut(kind, of: due.map(\.id), approved: approved)
  }

  /// - Returns: nil where nobody has to be asked; for which versions of tenants there is an approval.
  private func approved(
    _ event: Lifecycle.Event, _ tenants: [Tenant], _ round: inout Round
  ) async -> [TenantID: UInt64]? {
    guard approvals.needs(event) else { return nil }
    let answers = await withTaskGroup(of: (Tenant, TenancyError?).self) { group in
      for tenant in tenants {
        group.addTask { [approvals] in
          do throws(TenancyError) {
            _ = try await approvals.require(event, of: tenant, by: "system")
            return (tenant, nil)
          } catch {
            return (tenant, error)
          }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    var approved: [TenantID: UInt64] = [:]
    for (tenant, error) in answers {
      if let error {
        round.waits[tenant.id] = Self.looksAfterFailure
        report("the tenant \(tenant.id) is not moved: \(error)")
      } else {
        approved[tenant.id] = tenant.version
      }
    }
    return approved
  }

  // MARK: Purges

  /// Once.
  func purge(_ round: inout Round) async {
    let (state, now) = (plane.state, plane.now)
    let mayBegin = plane.lifecycle.purgesByItself && isSteady(at: now, &round)
    let due = round.goOn(
      to: state.purgeable(after: round.place, by: now, limit: Self.tenantsPerLook))
    for id in due {
      if Task.isCancelled { return }
      guard let tenant = state.find(id)?.tenant else { continue }
      // One that has begun is gone on with in any case.
      guard tenant.state == .purging || mayBegin else { continue }
      do throws(TenancyError) {
        // Another node has to destroy what it has.
        if try await purge(tenant)?.state == .purging {
          round.waits[id] = Self.looksAfterFailure
        }
      } catch {
        // Another node was faster.
        if error.reason == .tenantNotFound { continue }
        let isConflict = error.category == .aborted
        round.waits[id] = isConflict ? Self.looksAfterConflict : Self.looksAfterFailure
        if !isConflict { report("the tenant \(id) is not purged: \(error)") }
      }
    }
  }

  /// Whether the clock can be believed: what it would have destroyed wrongly can't be had again.
  private func isSteady(at now: Timestamp, _ round: inout Round) -> Bool {
    let instant = instant()
    if let last = round.last {
      let wall = Duration.nanoseconds(now.nanoseconds - last.wall.nanoseconds)
      if wall - last.instant.duration(to: instant) > Self.jump {
        round.since = instant
        report("the clock was set forward: nothing is purged for \(plane.lifecycle.purgeDelay)")
      }
    }
    round.last = (now, instant)
    let since = round.since ?? instant
    round.since = since
    return since.duration(to: instant) >= plane.lifecycle.purgeDelay
  }

  private func purge(_ tenant: Tenant) async throws(TenancyError) -> Tenant? {
    if tenant.state == .purging { return try await provisioner.finishPurge(tenant.id) }
    let etag = try await approvals.require(.purge, of: tenant, by: "system")
    return try await provisioner.purge(
      tenant.id, etag: etag, actor: "system", judge: .server)
  }
}
