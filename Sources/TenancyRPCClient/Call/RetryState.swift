internal import TenancyRPCCore

/// What one call knows about its attempts, and what follows from how the last one ended. Knows nothing
/// of connections and clocks.
struct RetryState {
  enum Decision: Equatable {
    /// Over: this is the call's end.
    case end
    case again(after: Duration)
  }

  /// Times that a call is made again because a server said that it had not looked at it.
  static let maximumRefusals = 1
  /// The same for attempts that never left this side.
  static let maximumUnsent = 16

  let policy: RPCRetryPolicy
  let isIdempotent: Bool
  /// Attempts that a server may have seen.
  private(set) var attempts = 0
  /// For the nominal delay: starts over when the server names one.
  private var steps = 0
  private var refusals = 0
  private var unsent = 0

  init(_ policy: RPCRetryPolicy, isIdempotent: Bool) {
    self.policy = policy
    self.isIdempotent = isIdempotent
  }

  /// - Parameters:
  ///   - isCommitted: the response has begun, or the request is not there any more.
  ///   - random: from 0 to 1.
  mutating func decide(
    _ end: StreamEnd, isCommitted: Bool, budget: RetryBudget, random: Double
  ) -> Decision {
    if end.status.code == .ok {
      budget.earn()
      return .end
    }
    if isCommitted { return .end }
    switch end.reach {
    case .neverSent where unsent < Self.maximumUnsent:
      unsent += 1
      return .again(after: .zero)
    case .refused where refusals < Self.maximumRefusals:
      refusals += 1
      return .again(after: .zero)
    case .neverSent, .refused, .processed: return decideByPolicy(end, budget, random)
    }
  }

  private mutating func decideByPolicy(
    _ end: StreamEnd, _ budget: RetryBudget, _ random: Double
  ) -> Decision {
    attempts += 1
    steps += 1
    let pushback = RetryPushback(end.trailers)
    let isRetryable = policy.retryableCodes.contains(end.status.code)
    guard isRetryable || pushback == .never else { return .end }
    let hasBudget = budget.spend()
    guard isIdempotent, isRetryable, hasBudget, pushback != .never,
      attempts < min(policy.maximumAttempts, RPCRetryPolicy.mostAttempts)
    else { return .end }
    if case .after(let delay) = pushback {
      steps = 0
      return .again(after: delay)
    }
    let jittered = policy.nominalDelay(afterAttempt: steps) * (0.8 + 0.4 * random)
    return .again(after: max(jittered, RetryInfo.delay(in: end.status) ?? .zero))
  }
}
