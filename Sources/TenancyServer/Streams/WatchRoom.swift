import Synchronization
import Tenancy

/// How many watches there are: each is told of every change, so that what a change costs grows with them. Thread-safe.
final class WatchRoom: Sendable {
  struct Limits: Sendable {
    /// Of one tenant, whose admin is not to be trusted, and of a platform identity, which all sidecars of a fleet may
    /// have.
    var ofTenant = 16
    var ofPlatformIdentity = 512
    /// Of all tenants, and of all platform identities: neither takes the room of the others.
    var ofTenants = 1_024
    var ofPlatform = 1_024
  }

  private struct State {
    var ofPayer: [WritePayer: Int] = [:]
    var ofTenants = 0
    var ofPlatform = 0
  }

  private let limits: Limits
  private let state = Mutex(State())

  init(limits: Limits = Limits()) { self.limits = limits }

  /// Watches under way.
  var count: Int { state.withLock { $0.ofTenants + $0.ofPlatform } }

  /// Whoever is let in gives the room back by `leave`.
  /// - Throws: RESOURCE_EXHAUSTED.
  func enter(_ payer: WritePayer) throws(TenancyError) {
    let isTenants = Self.isTenants(payer)
    let limit = isTenants ? limits.ofTenant : limits.ofPlatformIdentity
    let refusal = state.withLock { state -> TenancyError? in
      guard state.ofPayer[payer, default: 0] < limit else {
        return .exhausted(.watches, of: payer, limit: limit, hint: "end some of its watches")
      }
      guard isTenants ? state.ofTenants < limits.ofTenants : state.ofPlatform < limits.ofPlatform
      else { return Self.full }
      state.ofPayer[payer, default: 0] += 1
      if isTenants { state.ofTenants += 1 } else { state.ofPlatform += 1 }
      return nil
    }
    if let refusal { throw refusal }
  }

  func leave(_ payer: WritePayer) {
    state.withLock { state in
      let left = state.ofPayer[payer, default: 1] - 1
      state.ofPayer[payer] = left > 0 ? left : nil
      if Self.isTenants(payer) { state.ofTenants -= 1 } else { state.ofPlatform -= 1 }
    }
  }

  private static func isTenants(_ payer: WritePayer) -> Bool {
    if case .tenant = payer { true } else { false }
  }

  private static let full = TenancyError(
    .resourceExhausted, .limitReached, "the server has too many watches: ask another",
    metadata: ["quota": Quota.watches.name], retryAfterSeconds: 10)
}

extension Quota {
  /// Watches under way.
  static let watches = Quota(name: "watches", unit: "watches")
}
