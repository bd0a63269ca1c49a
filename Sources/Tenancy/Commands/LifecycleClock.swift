/// Makes the transitions of tenants whose time has come, and destroys what deleted tenants had. Every node has
/// one: what one has done, the others find done.
public struct LifecycleClock: Sendable {
  private let plane: ControlPlane
  private let provisioner: Provisioner
  private let approvals: TransitionApprovals
  private let report: @Sendable (String) -> Void

  /// Between two looks: by so much, and what a commit takes, a transition may be late.
  static let interval = Duration.seconds(1)
  /// Tenants moved in one transaction, at most. Deleting one drops what hangs on it.
  static let maximumMoves = 64
  /// Purges looked at in one go.
  static let maximumPurges = 64
  /// Looks that are left out after what failed.
  static let looksAfterFailure = 60

  /// Tenants of whom something failed, and for how many looks they are left out.
  typealias Waits = [TenantID: Int]

  /// - Parameter report: told in words for operators what failed; it is tried again.
  public init(
    _ plane: ControlPlane, _ provisioner: Provisioner, approvals: TransitionApprovals = .none,
    report: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.plane = plane
    self.provisioner = provisioner
    self.approvals = approvals
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

  private func look(_ body: (inout Waits) async -> Void) async {
    var waits: Waits = [:]
    while !Task.isCancelled {
      waits = waits.compactMapValues { $0 > 1 ? $0 - 1 : nil }
      await body(&waits)
      do { try await Task.sleep(for: Self.interval) } catch { return }
    }
  }

  // MARK: Schedules

  private func schedules(_ waits: inout Waits) async {
    do throws(TenancyError) {
      // As long as there is more: many may be due in the same second.
      while try await carryOutSchedules(&waits) > 0, !Task.isCancelled {}
    } catch {
      // The store's health is told elsewhere.
    }
  }

  /// Once.
  /// - Returns: how many tenants were moved.
  func carryOutSchedules(_ waits: inout Waits) async throws(TenancyError) -> Int {
    let (state, now) = (plane.state, plane.now)
    let ids = state.scheduled(by: now, limit: Self.maximumMoves + waits.count)
      .filter { [waits] in waits[$0] == nil }
    if ids.isEmpty { return 0 }
    let commands = TenantCommands(plane, actor: "system", judge: .server)
    var count = 0
    for kind in TenantSchedule.Kind.allCases {
      let due = ids.compactMap { state.find($0)?.tenant }
        .filter { $0.plans.schedule[kind].map { $0 <= now } == true }
      if due.isEmpty { continue }
      let approved = await approved(kind.event, due, &waits)
      count += try await commands.carryOut(kind, of: due.map(\.id), approved: approved)
    }
    return count
  }

  /// - Returns: nil where nobody has to be asked; for which versions of tenants there is an approval.
  private func approved(
    _ event: Lifecycle.Event, _ tenants: [Tenant], _ waits: inout Waits
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
        waits[tenant.id] = Self.looksAfterFailure
        report("the tenant \(tenant.id) is not moved: \(error)")
      } else {
        approved[tenant.id] = tenant.version
      }
    }
    return approved
  }

  // MARK: Purges

  /// Once.
  func purge(_ waits: inout Waits) async {
    let state = plane.state
    let due = state.purgeable(by: plane.now, limit: Self.maximumPurges + waits.count)
    for id in due where waits[id] == nil {
      if Task.isCancelled { return }
      guard let tenant = state.find(id)?.tenant else { continue }
      // One that has begun is gone on with in any case.
      guard tenant.state == .purging || plane.lifecycle.purgesByItself else { continue }
      do throws(TenancyError) {
        // Another node has to destroy what it has.
        if try await purge(tenant)?.state == .purging { waits[id] = Self.looksAfterFailure }
      } catch {
        waits[id] = Self.looksAfterFailure
        report("the tenant \(id) is not purged: \(error)")
      }
    }
  }

  private func purge(_ tenant: Tenant) async throws(TenancyError) -> Tenant? {
    if tenant.state == .purging { return try await provisioner.finishPurge(tenant.id) }
    let etag = try await approvals.require(.purge, of: tenant, by: "system")
    return try await provisioner.purge(
      tenant.id, etag: etag, actor: "system", judge: .server)
  }
}
