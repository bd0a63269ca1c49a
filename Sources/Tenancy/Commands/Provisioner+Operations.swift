/// What is done to make and to destroy tenants' resources, for those who want to see it.
extension Provisioner {
  /// The tenant's operations that are kept, the newest first.
  /// - Parameter reader: on whose account the store is asked, one read of each at a time.
  /// - Throws: UNAVAILABLE if the store can't be asked; RESOURCE_EXHAUSTED if too many of the reader wait.
  public func operations(
    of id: TenantID, by reader: WritePayer = .server
  ) async throws(TenancyError) -> [TenantOperation] {
    try await read(of: id, by: reader).operations
  }

  /// Those, and a revision that they are of, or a later one.
  private func read(
    of id: TenantID, by reader: WritePayer
  ) async throws(TenancyError) -> (operations: [TenantOperation], revision: UInt64) {
    let (found, revision) = try await plane.operations(of: id, by: reader)
    guard let newest = found.first?.number else { return ([], revision) }
    return (found.map { $0.followed(by: newest) }, revision)
  }

  /// The operation that a tenant's state comes from; one that begins now, where a version before operations began it.
  func running(
    _ kind: TenantOperation.Kind, of tenant: Tenant, actor: String
  ) async -> TenantOperation {
    // What can't be told of it must not keep it from being done.
    let known = try? await operations(of: tenant.id).first {
      $0.number == tenant.epoch && $0.kind == kind && $0.endTime == nil
    }
    return known ?? TenantOperation(kind, of: tenant, actor: actor, at: plane.now)
  }

  /// The deprovisioning of a tenant that is not over, whatever became of the tenant since; nil: there is none.
  func runningDeprovisioning(of id: TenantID) async -> TenantOperation? {
    guard let newest = try? await operations(of: id).first, newest.kind == .deprovision,
      newest.endTime == nil
    else { return nil }
    return newest
  }

  /// Operations that a node is at work on, or was until a moment ago, by tenant.
  /// - Parameter limit: of tenants that are looked at.
  public func runningOperations(
    limit: Int, by reader: WritePayer = .server
  ) async throws(TenancyError) -> [TenantOperation] {
    let leases = try await plane.leases(limit: limit)
    var found: [TenantOperation] = []
    for id in leases.compactMap({ TenantCommands.tenant(ofLease: $0.lease) }) {
      if let newest = try await operations(of: id, by: reader).first, newest.state == .running {
        found.append(newest)
      }
    }
    return found.sorted { $0.tenant < $1.tenant }
  }

  /// Every state of an operation from now on, the present one first, until it is over: a follower that is slow misses
  /// none. Ends with an error as `LogSubscription` does.
  /// - Parameter number: nil: of the newest.
  /// - Throws: NOT_FOUND with OPERATION_NOT_FOUND.
  public func watch(
    _ id: TenantID, _ number: UInt64?, by reader: WritePayer = .server
  ) async throws(TenancyError) -> OperationWatch {
    // What is read may be of a later revision: what it is of already is passed over.
    let (found, revision) = try await read(of: id, by: reader)
    let subscription = plane.subscribe(after: revision, by: reader)
    guard let first = number.map({ number in found.first { $0.number == number } }) ?? found.first
    else { throw Self.operationNotFound }
    return OperationWatch(first: first, log: subscription)
  }

  /// What is answered to whoever asks for one that is not there, or not any more.
  public static let operationNotFound = TenancyError(
    .notFound, .operationNotFound, "the tenant has no such operation, or not any more")
}

/// The states of one operation. Used by one task.
public struct OperationWatch: AsyncSequence, Sendable {
  public typealias Element = TenantOperation
  public typealias Failure = TenancyError

  let first: TenantOperation
  let log: LogSubscription

  public func makeAsyncIterator() -> Iterator {
    Iterator(next: first, log: log.makeAsyncIterator())
  }

  /// Used by one task at a time.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate var next: TenantOperation?
    fileprivate var last: TenantOperation?
    fileprivate var log: LogSubscription.Iterator

    fileprivate init(next: TenantOperation, log: LogSubscription.Iterator) {
      self.next = next
      self.log = log
    }

    public mutating func next(
      isolation actor: isolated (any Actor)? = #isolation
    ) async throws(TenancyError) -> TenantOperation? {
      if let first = next {
        (next, last) = (nil, first)
        return first
      }
      guard let known = last, known.state == .running else { return nil }
      while let entry = try await log.next() {
        guard let found = known.changed(by: entry) else { continue }
        last = found
        return found
      }
      return nil
    }
  }
}

extension TenantOperation {
  /// What an entry of the log makes of it; nil: nothing.
  fileprivate func changed(by entry: LogEntry) -> TenantOperation? {
    guard entry.tenants.contains(tenant) else { return nil }
    for change in entry.changes {
      switch change {
      case .putOperation(let found) where found.tenant == tenant && found.number >= number:
        if found.number > number { return followed(by: found.number) }
        return found == self || found.updateTime < updateTime ? nil : found
      case .deleteOperations(tenant): return followed(by: .max)
      default: continue
      }
    }
    return nil
  }
}
