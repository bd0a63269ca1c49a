internal import Synchronization
public import Tenancy

/// Knows where tenants' data is.
public protocol TenantPlaces: Sendable {
  /// Where this tenant's data is. Only of a tenant that is in service.
  /// - Throws: `tenantUnavailable`, or `placeUnknown` where it can't be learnt.
  func place(of tenant: TenantID) async throws(DataError) -> TenantPlace

  /// Tells of what changes, until the task is cancelled. When it returns before, whoever called takes it that anything
  /// may have changed, and calls again after a while.
  func watch(_ told: @Sendable (TenantPlaceChange) async -> Void) async
}

/// What has become of tenants' places.
public enum TenantPlaceChange: Hashable, Sendable {
  /// The tenant is in this epoch now: what is known of an earlier one does not count any more. Telling twice is no harm.
  case epoch(TenantID, UInt64)
  /// The tenant's place is to be asked for again.
  case stale(TenantID)
  /// Something may have been missed: all places are to be asked for again.
  case unknown
}

/// Places that the program sets itself. Thread-safe.
public final class TenantPlaceTable: TenantPlaces {
  private struct State {
    var places: [TenantID: TenantPlace] = [:]
    var watchers: [UInt64: AsyncStream<TenantPlaceChange>.Continuation] = [:]
    var next: UInt64 = 0
  }
  private let state = Mutex(State())

  /// Knows of none.
  public init() {}

  /// Puts one in, or in the place of the tenant's former one.
  public func set(_ place: TenantPlace) {
    let watchers = state.withLock { state in
      state.places[place.tenant] = place
      return Array(state.watchers.values)
    }
    for watcher in watchers { watcher.yield(.epoch(place.tenant, place.epoch)) }
  }

  /// Takes a tenant out of service: what it has begun is undone.
  public func remove(_ tenant: TenantID) {
    let (watchers, epoch) = state.withLock { state in
      (Array(state.watchers.values), state.places.removeValue(forKey: tenant)?.epoch ?? 0)
    }
    for watcher in watchers { watcher.yield(.epoch(tenant, epoch &+ 1)) }
  }

  public func place(of tenant: TenantID) async throws(DataError) -> TenantPlace {
    guard let place = state.withLock({ $0.places[tenant] }) else {
      throw DataError(.tenantUnavailable, "the tenant has no data here")
    }
    return place
  }

  public func watch(_ told: @Sendable (TenantPlaceChange) async -> Void) async {
    let (changes, continuation) = AsyncStream.makeStream(
      of: TenantPlaceChange.self, bufferingPolicy: .bufferingOldest(Self.maximumUntold))
    let number = state.withLock { state in
      state.next += 1
      state.watchers[state.next] = continuation
      return state.next
    }
    defer { _ = state.withLock { $0.watchers.removeValue(forKey: number) } }
    // What was set between the last look and now.
    await told(.unknown)
    for await change in changes { await told(change) }
  }

  /// Of a watcher that is slow. Beyond that it misses some, which is why this ends it: see `TenantPlaces.watch`.
  private static let maximumUntold = 100_000
}
