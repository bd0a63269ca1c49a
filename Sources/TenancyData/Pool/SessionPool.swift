internal import Synchronization
internal import Tenancy

/// Lends sessions, each to one borrower at a time and always of the borrower's tenant. Thread-safe.
final class SessionPool: Sendable {
  private let make: @Sendable (TenantPlace) throws(DataError) -> any DataSession
  private let state: Mutex<PoolState>
  private let numbers = Atomic<UInt64>(0)

  init(
    _ configuration: DataConfiguration,
    make: @escaping @Sendable (TenantPlace) throws(DataError) -> any DataSession
  ) {
    self.make = make
    state = Mutex(PoolState(configuration))
  }

  /// How many sessions there are, lent or not.
  var count: Int { state.withLock { $0.count } }

  /// A session at this place, that has nothing of who had it before. To be given back by `release`.
  /// - Parameter patience: until when it is waited for others to give one back.
  func acquire(
    _ place: TenantPlace, until deadline: ContinuousClock.Instant,
    patience: ContinuousClock.Instant
  ) async throws(DataError) -> any DataSession {
    while true {
      switch await request(place, until: min(deadline, patience)) {
      case .refuse(let error): throw error
      case .open: return try await open(place, until: deadline)
      case .use(let session):
        if session.cleansAtOnce { return session }
        if await session.isClean(until: deadline) { return session }
        // Lost while nobody had it, or not to be proven clean.
        await discard(session)
      }
    }
  }

  private func request(
    _ place: TenantPlace, until deadline: ContinuousClock.Instant
  ) async -> PoolState.Grant {
    let number = numbers.add(1, ordering: .relaxed).newValue
    let tenant = place.tenant
    let unwanted = Mutex<[any DataSession]>([])
    let alarm = PoolAlarm()
    let grant = await withTaskCancellationHandler {
      await withCheckedContinuation { (waiter: PoolState.Waiter) in
        var acts = PoolState.Acts()
        let grant = state.withLock { $0.request(place, number, waiter, &acts) }
        unwanted.withLock { $0 = acts.unwanted }
        if let grant {
          waiter.resume(returning: grant)
        } else if Task.isCancelled {
          giveUp(number, tenant, Interruption.Reason.cancelled.error)
        } else {
          let error = DataError(.poolExhausted, "no connection became free in time")
          alarm.set(deadline) { [weak self] in self?.giveUp(number, tenant, error) }
        }
      }
    } onCancel: {
      giveUp(number, tenant, Interruption.Reason.cancelled.error)
    }
    alarm.cancel()
    for session in unwanted.withLock({ $0 }) { await session.close() }
    return grant
  }

  /// What was granted meanwhile is granted.
  private func giveUp(_ number: UInt64, _ tenant: TenantID, _ error: DataError) {
    let acts = state.withLock { $0.giveUp(number, tenant, error) }
    for (waiter, grant) in acts.grants { waiter.resume(returning: grant) }
    for session in acts.unwanted { session.interruption.revoke() }
  }

  private func open(
    _ place: TenantPlace, until deadline: ContinuousClock.Instant
  ) async throws(DataError) -> any DataSession {
    let session: any DataSession
    do throws(DataError) {
      session = try make(place)
      guard state.withLock({ $0.note(session) }) else {
        throw DataError(.closed, "the adapter is closed")
      }
    } catch {
      await settle { $0.forget(place.tenant) }
      throw error
    }
    do throws(DataError) {
      try await session.interruption.guarding { () async throws(DataError) in
        try await session.open(until: deadline)
      }
      guard !session.interruption.isRevoked else { throw Interruption.Reason.revoked.error }
      return session
    } catch {
      await discard(session)
      throw error
    }
  }

  /// Takes a session back: for the next borrower, if it can be cleaned.
  func release(_ session: any DataSession) async {
    guard await session.clean() else { return await discard(session) }
    await settle { $0.put(session) }
  }

  /// Takes a session back that is not to be used any more.
  func discard(_ session: any DataSession) async {
    await session.close()
    await settle { $0.remove(session) }
  }

  /// Ends the sessions of a tenant that are of before this epoch, or all.
  func revoke(_ tenant: TenantID, before epoch: UInt64? = nil) async {
    let acts = state.withLock { $0.revoke(tenant, before: epoch) }
    // All at once: what each is at ends now.
    for session in acts.unwanted { session.interruption.revoke() }
    await acts.perform()
  }

  /// Closes what was not used for a while.
  func sweep() async { await settle { $0.expire() } }

  /// Ends all sessions. Who waits is refused, and so is who comes.
  func close() async {
    let acts = state.withLock { $0.close() }
    for session in acts.unwanted { session.interruption.revoke() }
    await acts.perform()
  }

  private func settle(_ change: (inout PoolState) -> PoolState.Acts) async {
    await state.withLock { change(&$0) }.perform()
  }
}

/// Calls at a moment, unless it is cancelled before. Thread-safe.
private final class PoolAlarm: Sendable {
  private let task = Mutex<Task<Void, Never>?>(nil)

  func set(_ deadline: ContinuousClock.Instant, _ ring: @escaping @Sendable () -> Void) {
    // Ends with the wait that it belongs to.
    let waiting = Task {
      // Cancelled: nobody waits any more.
      guard (try? await Task.sleep(until: deadline)) != nil else { return }
      ring()
    }
    task.withLock { $0 = waiting }
  }

  func cancel() { task.withLock { $0?.cancel() } }
}
