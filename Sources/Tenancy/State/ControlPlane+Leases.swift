import Dispatch

/// Leases: the right to do what only one node may do.
extension ControlPlane {
  /// Takes a lease, by an entry of its own in the log.
  /// - Parameters:
  ///   - holder: who may take it again before it expires: a node, in one of its lives.
  ///   - tenant: whom the work is about.
  /// - Throws: ABORTED with LEASE_HELD if another has it; as `write`.
  public func take(
    _ name: String, holder: String, lasting: Duration, about tenant: TenantID? = nil
  ) async throws(TenancyError) -> Lease {
    try await write(actor: "system", action: "leases.take") {
      (transaction) throws(TenancyError) -> Lease in
      transaction.take(name, holder: holder, lasting: lasting, about: tenant)
    }
  }

  /// Gives a lease up, by an entry of its own in the log.
  /// - Throws: ABORTED with LEASE_LOST if another has taken it over; as `write`.
  public func release(_ lease: Lease, about tenant: TenantID? = nil) async throws(TenancyError) {
    try await write(actor: "system", action: "leases.release") {
      (transaction) throws(TenancyError) -> Void in
      transaction.release(lease, about: tenant)
    }
  }

  /// Runs `body` and holds a lease meanwhile. When that is lost, `body` goes on: what it records under the
  /// lease is refused.
  func holding<Result: Sendable, Failure: Error>(
    _ lease: Lease, lasting: Duration,
    _ body: () async throws(Failure) -> Result
  ) async throws(Failure) -> Result {
    let renewal = Task { await keepHolding(lease, lasting: lasting) }
    defer { renewal.cancel() }
    return try await body()
  }

  private func keepHolding(_ lease: Lease, lasting: Duration) async {
    while true {
      do {
        try await Task.sleep(for: lasting / 3)
      } catch {
        return  // Cancelled: the work is done.
      }
      do throws(StoreError) {
        try await renew(lease, lasting: lasting)
      } catch {
        if case .leaseLost = error.code { return }
        // A store that fails is tried again: it may be there before the lease expires.
      }
    }
  }

  /// Blocks: for who can't wait otherwise.
  /// - Throws: `StoreError`: `.leaseLost` if it was taken over or released.
  func renewNow(_ lease: Lease, lasting: Duration) throws(StoreError) {
    let outcome = leaseQueue.sync { [store] in
      Result { () throws(StoreError) in try store.renew(lease, lasting: lasting) }
    }
    try outcome.get()
  }

  /// Likewise, without blocking.
  func renew(_ lease: Lease, lasting: Duration) async throws(StoreError) {
    try await onLeaseQueue { (store) throws(StoreError) in
      try store.renew(lease, lasting: lasting)
    }
  }

  /// What is held, and what nobody has gone on with: those first that expire first.
  /// - Throws: UNAVAILABLE when the store fails.
  func leases(limit: Int) async throws(TenancyError) -> [StoredLease] {
    do throws(StoreError) {
      return try await onLeaseQueue { (store) throws(StoreError) in
        try store.leases(limit: limit)
      }
    } catch {
      throw Self.unavailable
    }
  }

  /// Not on the writer's queue: a lease must not expire because many write.
  private func onLeaseQueue<Result: Sendable>(
    _ body: @escaping @Sendable (any ControlStore) throws(StoreError) -> Result
  ) async throws(StoreError) -> Result {
    let outcome: Swift.Result<Result, StoreError> = await withCheckedContinuation { continuation in
      leaseQueue.async { [store] in
        continuation.resume(
          returning: Swift.Result { () throws(StoreError) in try body(store) })
      }
    }
    return try outcome.get()
  }

  static let leaseHeld = TenancyError(
    .aborted, .leaseHeld, "another node is at work on it", retryAfterSeconds: 1)
  static let leaseLost = TenancyError(
    .aborted, .leaseLost, "another node has taken over: look at what it makes of it",
    retryAfterSeconds: 1)
}

extension Transaction {
  /// Takes a lease, if nobody else has it then: the write is refused otherwise. It is an entry of the log also
  /// without changes.
  /// - Parameter holder: who may take it again before it expires.
  mutating func take(
    _ name: String, holder: String, lasting: Duration, about tenant: TenantID?
  ) -> Lease {
    note(.take(name: name, holder: holder, lasting: lasting), tenant)
    return Lease(name: name, fencingNumber: state.revision + 1)
  }

  /// Commits the changes only if the lease was not lost, and goes on holding it.
  mutating func hold(_ lease: Lease, lasting: Duration, about tenant: TenantID?) {
    note(.hold(lease, lasting: lasting), tenant)
  }

  /// Commits the changes only if the lease was not lost, and gives it up.
  mutating func release(_ lease: Lease, about tenant: TenantID?) { note(.release(lease), tenant) }

  private mutating func note(_ action: LeaseAction, _ tenant: TenantID?) {
    precondition(lease == nil, "a write is about one lease")
    lease = action
    if let tenant { concern(tenant) }
  }
}
