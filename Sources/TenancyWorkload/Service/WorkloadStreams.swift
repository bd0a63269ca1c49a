internal import Synchronization
internal import Tenancy
internal import TenancyRPC

/// The streams under way, which go on when something changes for them, or when their time has come. Thread-safe.
final class WorkloadStreams: Sendable {
  /// How long what the stream was told holds.
  struct Term: Sendable {
    let userID: UInt32
    /// The entries that it rests on.
    let entries: Set<String>
    /// Of whichever entries match, the tenants and whether they are served.
    let tenants: [TenantID: Bool]
    /// When it is over in any case.
    let end: Timestamp
  }

  private struct Waiter {
    let term: Term
    let continuation: CheckedContinuation<Void, Never>
  }

  private struct State {
    /// Counts the changes of entries and of the authority.
    var changes: UInt64 = 0
    var waiters: [UInt64: Waiter] = [:]
    /// Of them, those whose term names a tenant.
    var ofTenant: [TenantID: Set<UInt64>] = [:]
    var last: UInt64 = 0
    var underWay = 0
    var ofUser: [UInt32: Int] = [:]
  }

  /// Between looks at the clock.
  private static let interval = Duration.seconds(1)
  /// Before a log that has failed is followed again.
  private static let patience = Duration.milliseconds(100)

  private let plane: ControlPlane
  private let terms: WorkloadTerms
  private let state = Mutex(State())

  init(_ plane: ControlPlane, _ terms: WorkloadTerms) {
    self.plane = plane
    self.terms = terms
  }

  /// Streams and calls under way.
  var count: Int { state.withLock { $0.underWay } }
  /// Those that wait for something to change.
  var waiting: Int { state.withLock { $0.waiters.count } }
  /// To be asked for before anything is found out that `wait` is to rest on.
  var changes: UInt64 { state.withLock { $0.changes } }

  // MARK: Streams

  /// - Throws: RESOURCE_EXHAUSTED if there are too many, of all or of this user.
  func enter(_ user: UInt32) throws(RPCStatus) {
    let isFull = state.withLock { state in
      let own = state.ofUser[user, default: 0]
      guard state.underWay < terms.streams, own < terms.streamsPerUser else { return true }
      state.underWay += 1
      state.ofUser[user] = own + 1
      return false
    }
    if isFull {
      throw RPCStatus(
        .resourceExhausted, "too many streams of the user are under way", retryAfter: .seconds(1))
    }
  }

  func leave(_ user: UInt32) {
    state.withLock { state in
      state.underWay -= 1
      let own = state.ofUser[user, default: 1] - 1
      state.ofUser[user] = own > 0 ? own : nil
    }
  }

  /// Returns when a term may be over, or the task is cancelled.
  /// - Parameter changes: as they were before it was found out what the term rests on.
  func wait(for term: Term, after changes: UInt64) async {
    let number = state.withLock { state in
      state.last += 1
      return state.last
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isOver = state.withLock { state in
          // Who is cancelled later finds the waiter; who was before is seen here.
          if state.changes != changes || Task.isCancelled { return true }
          state.waiters[number] = Waiter(term: term, continuation: continuation)
          for tenant in term.tenants.keys { state.ofTenant[tenant, default: []].insert(number) }
          return false
        }
        if isOver { continuation.resume() }
        // What has changed before the waiter was there: a state is public before the log tells of it.
        if !isOver, hasChanged(term) { resume(number) }
      }
    } onCancel: {
      resume(number)
    }
  }

  private func hasChanged(_ term: Term) -> Bool {
    if term.end <= plane.now { return true }
    let state = plane.state
    return term.tenants.contains { state.servesWorkloads(of: $0.key) != $0.value }
  }

  private func resume(_ number: UInt64) {
    state.withLock { Self.take(number, &$0) }?.continuation.resume()
  }

  // MARK: Changes

  /// Every stream goes on.
  func wakeAll() { wake(counting: true) { _ in true } }

  /// Those go on whose time has come.
  func look(at now: Timestamp) { wake(counting: false) { $0.end <= now } }

  /// Those go on that a change of the log may be about.
  func note(_ entry: LogEntry) {
    for change in entry.changes {
      switch change {
      case .putWorkloadEntry(let entry):
        let user = entry.selectors.userID
        wake(counting: true) { user == nil || user == $0.userID || $0.entries.contains(entry.id) }
      case .deleteWorkloadEntry(let id):
        wake(counting: true) { $0.entries.contains(id) }
      case .putTenant(let tenant):
        let isServed = tenant.state == .active
        wakeThose(of: tenant.id, unless: isServed)
      case .putRole, .deleteRole, .putAssignment, .deleteAssignment, .putGroup, .deleteGroup,
        .putGroupMember, .deleteGroupMember, .putProvisioningStep,
        .clearProvisioningSteps, .reserveName, .retireSlug, .rememberRequest, .forgetRequests,
        .putSecret, .deleteSecret, .putDataKey, .putRevocation, .forgetRevocations,
        .putAuthority, .deleteAuthority, .putDomain, .deleteDomain, .putConfigurationItem,
        .deleteConfigurationItem, .putOperation, .deleteOperations:
        // Of authorities the service is told when their keys are there.
        break
      }
    }
  }

  private func wake(counting: Bool, _ isMeant: (Term) -> Bool) {
    let woken = state.withLock { state in
      if counting { state.changes += 1 }
      let numbers = state.waiters.filter { isMeant($0.value.term) }.keys
      return numbers.compactMap { Self.take($0, &state) }
    }
    for waiter in woken { waiter.continuation.resume() }
  }

  /// Looks at those only that a tenant's standing counts for: tenants change often, and most have none.
  private func wakeThose(of tenant: TenantID, unless isServed: Bool) {
    let woken = state.withLock { state in
      let numbers = (state.ofTenant[tenant] ?? []).filter { number in
        state.waiters[number]?.term.tenants[tenant] != isServed
      }
      return numbers.compactMap { Self.take($0, &state) }
    }
    for waiter in woken { waiter.continuation.resume() }
  }

  private static func take(_ number: UInt64, _ state: inout State) -> Waiter? {
    guard let waiter = state.waiters.removeValue(forKey: number) else { return nil }
    for tenant in waiter.term.tenants.keys {
      state.ofTenant[tenant]?.remove(number)
      if state.ofTenant[tenant]?.isEmpty == true { state.ofTenant[tenant] = nil }
    }
    return waiter
  }

  // MARK: Running

  /// Follows the log and the clock until it is cancelled, or the control plane is closed.
  func run() async {
    await withTaskGroup { group in
      group.addTask { await self.follow() }
      group.addTask { await self.watchTime() }
      _ = await group.next()
      group.cancelAll()
    }
  }

  private func follow() async {
    while !Task.isCancelled {
      let begin = plane.snapshot.state.revision
      let subscription = plane.subscribe(after: begin)
      if plane.snapshot.state.revision < begin { continue }
      // What was missed until now.
      wakeAll()
      do throws(TenancyError) {
        for try await entry in subscription { note(entry) }
        return
      } catch {
        // Begun anew, and not in a hurry.
        do { try await Task.sleep(for: Self.patience) } catch { return }
      }
    }
  }

  private func watchTime() async {
    var last = plane.now
    while !Task.isCancelled {
      do { try await Task.sleep(for: Self.interval) } catch { return }
      let now = plane.now
      // A clock that was set back says nothing of when terms end.
      now < last ? wakeAll() : look(at: now)
      last = now
    }
  }
}
