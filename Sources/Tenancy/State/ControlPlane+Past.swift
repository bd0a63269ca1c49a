/// A moment of the past.
public enum LogMoment: Hashable, Sendable {
  /// When this revision was the last.
  case revision(UInt64)
  /// By the clocks of the nodes that wrote.
  case time(Timestamp)
}

/// Which entry of the log that puts a tenant is looked for.
public struct TenantLogQuery: Hashable, Sendable {
  /// The tenant.
  public let tenant: TenantID
  /// Next to this one.
  public let moment: LogMoment
  /// The first that comes behind it, and not the last up to it.
  public let isLater: Bool

  /// - Parameter isLater: the first that comes behind `moment`, and not the last up to it.
  public init(_ tenant: TenantID, _ moment: LogMoment, isLater: Bool) {
    (self.tenant, self.moment, self.isLater) = (tenant, moment, isLater)
  }
}

extension ControlPlane {
  /// A tenant as it was at a moment, which must not be yet to come, as far as the log tells it.
  /// - Parameters:
  ///   - record: of a state at that moment or later.
  ///   - reader: on whose account the log is looked into, one read of each at a time.
  /// - Throws: OUT_OF_RANGE with REVISION_COMPACTED where the log does not go back so far, or not to the change that
  ///   made the tenant what it was; NOT_FOUND if there was no such tenant; RESOURCE_EXHAUSTED if too many of the reader
  ///   wait; UNAVAILABLE if the store fails.
  public func tenant(
    of record: TenantRecord, at moment: LogMoment, by reader: WritePayer
  ) async throws(TenancyError) -> Tenant {
    let id = record.tenant.id
    if let last = try await put(TenantLogQuery(id, moment, isLater: false), reader) {
      guard last.tenant.state != .purged else { throw .tenantNotFound }
      return last.tenant
    }
    // It has been as it is now, or was created later.
    guard let next = try await put(TenantLogQuery(id, moment, isLater: true), reader) else {
      return record.tenant
    }
    throw next.time == next.tenant.createTime ? .tenantNotFound : Self.untold
  }

  private func put(
    _ query: TenantLogQuery, _ reader: WritePayer
  ) async throws(TenancyError) -> (tenant: Tenant, time: Timestamp)? {
    let outcome = try await readAudit(reader) { [store] _ in
      Result { () throws(StoreError) in try store.tenantEntry(query) }
    }
    do throws(StoreError) {
      guard let entry = try outcome.get() else { return nil }
      for case .putTenant(let tenant) in entry.changes.reversed() where tenant.id == query.tenant {
        return (tenant, entry.time)
      }
      throw StoreError(.corrupt, "revision \(entry.revision) does not put the tenant")
    } catch {
      if case .compacted(let floor) = error.code { throw Self.tooLongAgo(floor: floor) }
      throw Self.unavailable
    }
  }

  private static func tooLongAgo(floor: UInt64) -> TenancyError {
    TenancyError(
      .outOfRange, .revisionCompacted,
      "the log tells what was from revision \(floor) on",
      metadata: ["oldest_revision": "\(floor)"])
  }

  private static let untold = TenancyError(
    .outOfRange, .revisionCompacted,
    "the log does not hold the change any more that made the tenant what it was then")
}
