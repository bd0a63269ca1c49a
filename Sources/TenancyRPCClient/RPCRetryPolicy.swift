public import TenancyRPCCore

/// When a call that failed is made again (gRFC A6). Applies to calls that are idempotent, until the
/// response begins. The deadline spans all attempts.
///
/// A call that no server has looked at is made again without any of this.
public struct RPCRetryPolicy: Sendable, Hashable {
  /// Attempts of one call, the first included. At most 5 are made.
  public var maximumAttempts = 4
  /// The nominal delay before the second attempt. Each delay is random within a fifth of its nominal
  /// length, either way.
  public var initialBackoff = Duration.milliseconds(100)
  /// No nominal delay is longer.
  public var maximumBackoff = Duration.seconds(5)
  /// By how much each nominal delay is longer than the one before.
  public var backoffMultiplier = 2.0
  /// The statuses after which another attempt may do better.
  public var retryableCodes: Set<RPCStatus.Code> = [.unavailable]
  /// The budget: a channel whose calls fail more often than they succeed stops making them again. Each
  /// failure costs 1, each success earns `tokenRatio`; there are retries while more than half of
  /// `maximumTokens` is left.
  public var maximumTokens = 100.0
  /// What a call that succeeds adds to the budget.
  public var tokenRatio = 0.1

  /// Four attempts, after UNAVAILABLE.
  public init() {}

  /// No attempt after the first.
  public static let never: RPCRetryPolicy = {
    var policy = RPCRetryPolicy()
    policy.maximumAttempts = 1
    return policy
  }()

  static let mostAttempts = 5

  func nominalDelay(afterAttempt number: Int) -> Duration {
    var delay = min(initialBackoff, maximumBackoff)
    for _ in 1..<max(number, 1) where delay < maximumBackoff {
      delay = min(delay * backoffMultiplier, maximumBackoff)
    }
    return delay
  }
}

/// The budget of a channel's retries. Confined to its event loop.
final class RetryBudget {
  private let maximum: Double
  private let ratio: Double
  private(set) var tokens: Double

  init(_ policy: RPCRetryPolicy) {
    maximum = policy.maximumTokens
    ratio = policy.tokenRatio
    tokens = policy.maximumTokens
  }

  /// Notes an attempt that failed with a retryable status. Returns whether another may be made.
  func spend() -> Bool {
    tokens = max(0, tokens - 1)
    return tokens > maximum / 2
  }

  func earn() { tokens = min(maximum, tokens + ratio) }
}

/// What a server says about making a call again (`grpc-retry-pushback-ms`).
enum RetryPushback: Equatable {
  static let name = "grpc-retry-pushback-ms"
  static let headerName: StaticString = "grpc-retry-pushback-ms"

  case none
  case after(Duration)
  /// Don't.
  case never

  init(_ trailers: RPCMetadata) {
    let values = trailers[Self.name]
    guard let text = values.first else {
      self = .none
      return
    }
    // What can't be read asks for no retry (gRFC A6, "Pushback").
    let isNumber = values.count == 1 && !text.isEmpty && text.utf8.allSatisfy(Self.isDigit)
    // In range: nil if it is not.
    self = (isNumber ? Int32(text) : nil).map { .after(.milliseconds($0)) } ?? .never
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
  }
}
