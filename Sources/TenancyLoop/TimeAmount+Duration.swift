public import NIOCore

extension TimeAmount {
  /// A duration of the future, as far as NIO can count: 100 years.
  public static func bounded(_ duration: Duration) -> TimeAmount {
    let longest = Duration.seconds(100 * 365 * 24 * 3600)
    let (seconds, attoseconds) = max(.zero, min(duration, longest)).components
    return .seconds(seconds) + .nanoseconds(attoseconds / 1_000_000_000)
  }
}
