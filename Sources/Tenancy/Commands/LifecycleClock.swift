/// Makes the transitions of tenants whose time has come, and destroys what deleted tenants had. Every node has
/// one: what one has done, the others find done.
public struct LifecycleClock: Sendable {
  private let plane: ControlPlane
  private let provisioner: Provisioner
  private let report: @Sendable (String) -> Void

  /// Between two looks: by so much, and what a commit takes, a transition may be late.
  static let interval = Duration.seconds(1)
  /// Tenants moved in one transaction, at most. Deleting one drops what hangs on it.
  static let maximumMoves = 64
  /// Purges looked at in one go.
  static let maximumPurges = 64
  /// Looks that are left out after a purge that failed.
  static let looksAfterFailure = 60

  /// - Parameter report: told in words for operators what failed; it is tried again.
  public init(
    _ plane: ControlPlane, _ provisioner: Provisioner,
    report: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.plane = plane
    self.provisioner = provisioner
    self.report = report
  }

  /// Goes on until cancelled.
  public func run() async {
    // Apart: a purge may take long.
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await runSchedules() }
      group.addTask { await runPurges() }
    }
  }

  private func runSchedules() async {
    var hasFailed = false
    while !Task.isCancelled {
      do throws(TenancyError) {
        // As long as there is more: many may be due in the same second.
        while try await carryOutSchedules() > 0 {}
        hasFailed = false
      } catch {
        if !hasFailed { report("scheduled transitions wait: \(error)") }
        hasFailed = true
      }
      do { try await Task.sleep(for: Self.interval) } catch { return }
    }
  }

  /// Once.
  /// - Returns: how many tenants were moved.
  func carryOutSchedules() async throws(TenancyError) -> Int {
    let (state, now) = (plane.state, plane.now)
    let ids = state.scheduled(by: now, limit: Self.maximumMoves)
    if ids.isEmpty { return 0 }
    let commands = TenantCommands(plane, actor: "system", judge: .server)
    var count = 0
    for kind in TenantSchedule.Kind.allCases {
      let due = ids.filter { id in
        state.find(id)?.tenant.plans.schedule[kind].map { $0 <= now } == true
      }
      if !due.isEmpty { count += try await commands.carryOut(kind, of: due) }
    }
    return count
  }

  private func runPurges() async {
    var waits: [TenantID: Int] = [:]
    while !Task.isCancelled {
      waits = waits.compactMapValues { $0 > 1 ? $0 - 1 : nil }
      await purge(&waits)
      do { try await Task.sleep(for: Self.interval) } catch { return }
    }
  }

  /// Once.
  /// - Parameter waits: of each tenant of whom it failed: for how many looks it is left out.
  func purge(_ waits: inout [TenantID: Int]) async {
    let state = plane.state
    let due = state.purgeable(by: plane.now, limit: Self.maximumPurges + waits.count)
    for id in due where waits[id] == nil {
      if Task.isCancelled { return }
      guard let tenant = state.find(id)?.tenant else { continue }
      // One that has begun is gone on with in any case.
      guard tenant.state == .purging || plane.lifecycle.purgesByItself else { continue }
      do throws(TenancyError) {
        let after =
          tenant.state == .purging
          ? try await provisioner.finishPurge(id)
          : try await provisioner.purge(id, actor: "system", judge: .server)
        // Another node has to destroy what it has.
        if after?.state == .purging { waits[id] = Self.looksAfterFailure }
      } catch {
        waits[id] = Self.looksAfterFailure
        report("the tenant \(id) is not purged: \(error)")
      }
    }
  }
}
