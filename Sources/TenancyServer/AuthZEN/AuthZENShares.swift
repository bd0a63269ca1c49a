import Synchronization
import Tenancy

/// How much of requests' bodies is held at once: of all, and of each who makes them. Thread-safe.
final class AuthZENShares: Sendable {
  /// What one account may have under way.
  struct Limits: Sendable {
    var requests: Int
    var bytes: Int

    /// Of a tenant, all of its callers together.
    static let tenant = Limits(requests: 32, bytes: 2 * AuthZENRequest.maximumBatchBytes)
    /// Of a platform identity.
    static let platform = Limits(requests: 128, bytes: 16 * AuthZENRequest.maximumBatchBytes)
  }

  /// Bytes of all bodies.
  static let maximumBytes = 64 * AuthZENRequest.maximumBatchBytes

  private struct Account {
    var requests = 0
    var bytes = 0
  }

  private struct State {
    var bytes = 0
    /// As many as have requests under way.
    var accounts: [Int: Account] = [:]
  }

  private let state = Mutex(State())

  /// Held until it is let go of.
  final class Share: Sendable {
    private let shares: AuthZENShares
    private let account: Int
    private let bytes: Int

    fileprivate init(_ shares: AuthZENShares, _ account: Int, _ bytes: Int) {
      self.shares = shares
      self.account = account
      self.bytes = bytes
    }

    deinit { shares.give(account, bytes) }
  }

  /// Accounts that have something under way.
  var accountCount: Int { state.withLock { $0.accounts.count } }

  /// - Throws: RESOURCE_EXHAUSTED when the account has as much under way as it may, or all have.
  func take(_ bytes: Int, of account: Int, _ limits: Limits) throws(TenancyError) -> Share {
    let error = state.withLock { state -> TenancyError? in
      let held = state.accounts[account] ?? Account()
      guard held.requests < limits.requests, held.bytes + bytes <= limits.bytes else {
        return Self.tooMuch
      }
      guard state.bytes + bytes <= Self.maximumBytes else { return Self.full }
      state.bytes += bytes
      state.accounts[account] = Account(
        requests: held.requests + 1, bytes: held.bytes + bytes)
      return nil
    }
    if let error { throw error }
    return Share(self, account, bytes)
  }

  private func give(_ account: Int, _ bytes: Int) {
    state.withLock { state in
      state.bytes -= bytes
      guard var held = state.accounts[account] else { return }
      held.requests -= 1
      held.bytes -= bytes
      state.accounts[account] = held.requests > 0 ? held : nil
    }
  }

  private static let tooMuch = TenancyError(
    .resourceExhausted, .limitReached, "too many requests are under way, or too large ones",
    retryAfterSeconds: 1)
  private static let full = TenancyError(
    .resourceExhausted, .limitReached, "too many requests of others are under way",
    retryAfterSeconds: 1)
}
