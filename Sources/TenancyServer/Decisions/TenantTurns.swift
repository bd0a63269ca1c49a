import Synchronization
import Tenancy

/// Lets the calls of each tenant that take long do so one after the other: however many it sends at once, they keep one
/// thread busy at most.
final class TenantTurns: Sendable {
  /// Calls of one tenant that wait, at most.
  static let maximumWaiting = 16

  /// Whose turn it is, and who waits.
  private let waiting = Mutex<[TenantID: [CheckedContinuation<Void, Never>]]>([:])

  /// Waits for a turn, and has it while the body runs.
  /// - Throws: RESOURCE_EXHAUSTED where too many wait; or what the body does.
  func perform<Result>(
    _ tenant: TenantID, _ body: () throws(TenancyError) -> Result
  ) async throws(TenancyError) -> Result {
    guard (waiting.withLock { ($0[tenant]?.count ?? 0) < Self.maximumWaiting }) else {
      throw TenancyError(
        .resourceExhausted, .limitReached,
        "so many of these calls are under way for the tenant: wait for one of them")
    }
    await enter(tenant)
    defer { leave(tenant) }
    return try body()
  }

  private func enter(_ tenant: TenantID) async {
    await withCheckedContinuation { turn in
      let isFree = waiting.withLock { waiting in
        guard waiting[tenant] != nil else {
          waiting[tenant] = []
          return true
        }
        waiting[tenant]?.append(turn)
        return false
      }
      if isFree { turn.resume() }
    }
  }

  private func leave(_ tenant: TenantID) {
    let next = waiting.withLock { waiting -> CheckedContinuation<Void, Never>? in
      guard let queue = waiting[tenant], let next = queue.first else {
        waiting[tenant] = nil
        return nil
      }
      waiting[tenant] = Array(queue.dropFirst())
      return next
    }
    next?.resume()
  }

  /// Tenants whose turn it is; for tests.
  var count: Int { waiting.withLock(\.count) }
}
