/// How long batches of writes have held the writer: to judge them, and to commit them to the store.
public struct WriteTimes: Sendable, Equatable {
  /// Upper bounds, in nanoseconds.
  public static let bounds: [UInt64] = [
    100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000,
    100_000_000, 250_000_000, 500_000_000, 1_000_000_000, 2_500_000_000, 5_000_000_000,
    10_000_000_000,
  ]

  /// Batches, by the first bound that they do not exceed; the last are those that exceed all.
  public private(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)
  /// Of all.
  public private(set) var nanoseconds: UInt64 = 0

  /// - Parameter taken: nanoseconds; a clock that was set back makes it none.
  mutating func add(_ taken: Int64) {
    let taken = UInt64(clamping: taken)
    let place = Self.bounds.firstIndex { taken <= $0 } ?? Self.bounds.count
    counts[place] &+= 1  // In range: one more than there are bounds.
    nanoseconds &+= taken
  }
}
