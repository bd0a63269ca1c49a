/// Counts of values in buckets whose width grows with the value, after HdrHistogram: every value is
/// kept to a number of significant digits, at a fixed cost of memory and time.
///
/// Buckets double in width; each is split into `subBucketCount` equal parts, of which, but for the
/// first bucket, only the upper half is used: the lower one is covered by the bucket before.
struct Histogram: Sendable, Equatable {
  /// Values below are not told apart.
  let lowest: UInt64
  /// Values above count as this, and in `overflowed`.
  let highest: UInt64
  let significantDigits: Int

  /// Both as powers of two.
  private let unitMagnitude: Int
  private let halfMagnitude: Int
  private let subBucketMask: UInt64

  private(set) var counts: [UInt64]
  private(set) var total: UInt64 = 0
  /// Exact, whatever the buckets' width; over `highest` too.
  private(set) var minimum = UInt64.max
  private(set) var maximum: UInt64 = 0
  private(set) var overflowed: UInt64 = 0

  /// - Precondition: `1 <= lowest`, `2 * lowest <= highest`, `1...5` digits.
  init(lowest: UInt64, highest: UInt64, significantDigits: Int) {
    precondition(lowest >= 1 && highest / 2 >= lowest && (1...5).contains(significantDigits))
    self.lowest = lowest
    self.highest = highest
    self.significantDigits = significantDigits
    unitMagnitude = lowest.log2
    // So many parts that one is at most a unit of the last digit wide.
    let single = (0..<significantDigits).reduce(UInt64(2)) { power, _ in power * 10 }
    halfMagnitude = (single - 1).log2  // Rounded up, and one less.
    subBucketMask = ((2 << UInt64(halfMagnitude)) - 1) << UInt64(unitMagnitude)
    var buckets = 1
    var (untrackable, overflow) = ((subBucketMask + (1 << UInt64(unitMagnitude))), false)
    while untrackable <= highest, !overflow {
      (untrackable, overflow) = untrackable.multipliedReportingOverflow(by: 2)
      buckets += 1
    }
    counts = Array(repeating: 0, count: (buckets + 1) << halfMagnitude)
  }

  var isEmpty: Bool { total == 0 }
  var subBucketCount: Int { 2 << halfMagnitude }
  var bucketCount: Int { counts.count >> halfMagnitude - 1 }

  // MARK: Recording

  mutating func record(_ value: UInt64) {
    if value > highest { overflowed += 1 }
    counts[index(of: min(value, highest))] += 1
    total += 1
    minimum = min(minimum, value)
    maximum = max(maximum, value)
  }

  /// Adds what another histogram counted.
  /// - Precondition: made with the same limits.
  mutating func merge(_ other: Histogram) {
    precondition(
      lowest == other.lowest && highest == other.highest
        && significantDigits == other.significantDigits)
    guard !other.isEmpty else { return }
    for index in counts.indices { counts[index] += other.counts[index] }
    total += other.total
    overflowed += other.overflowed
    minimum = min(minimum, other.minimum)
    maximum = max(maximum, other.maximum)
  }

  mutating func reset() {
    for index in counts.indices { counts[index] = 0 }
    total = 0
    overflowed = 0
    minimum = .max
    maximum = 0
  }

  // MARK: Buckets

  func index(of value: UInt64) -> Int {
    let bucket = (value | subBucketMask).log2 - halfMagnitude - unitMagnitude
    let part = Int(value >> UInt64(bucket + unitMagnitude))
    return (bucket << halfMagnitude) + part
  }

  /// The values that are counted at `index`.
  func values(at index: Int) -> ClosedRange<UInt64> {
    var bucket = index >> halfMagnitude - 1
    var part = index & (1 << halfMagnitude - 1) + (1 << halfMagnitude)
    if bucket < 0 {
      bucket = 0
      part -= 1 << halfMagnitude
    }
    let shift = UInt64(bucket + unitMagnitude)
    let first = UInt64(part) << shift
    return first...(first + (1 << shift - 1))
  }

  // MARK: Reading

  /// The value that `percent` of 100 of all values are not above, as the largest that its bucket may
  /// hold; 0 when there are none.
  func value(atPercentile percent: Double) -> UInt64 {
    guard total > 0, percent > 0 else { return isEmpty ? 0 : minimum }
    if percent >= 100 { return maximum }
    // A hair less, so that 99.9 % of 10,000 are 9,990 though 99.9 has no exact binary form.
    let wanted = max(1, UInt64((percent.nextDown * Double(total) / 100).rounded(.up)))
    var seen: UInt64 = 0
    for (index, count) in counts.enumerated() {
      seen += count
      // No bucket's end is beyond the largest value.
      if seen >= wanted { return min(values(at: index).upperBound, maximum) }
    }
    return maximum
  }

  /// Of the buckets' middles.
  var mean: Double {
    guard total > 0 else { return 0 }
    return middles.reduce(0) { $0 + $1.value * Double($1.count) } / Double(total)
  }

  var standardDeviation: Double {
    guard total > 0 else { return 0 }
    let mean = mean
    let squares = middles.reduce(0) { sum, middle in
      sum + (middle.value - mean) * (middle.value - mean) * Double(middle.count)
    }
    return (squares / Double(total)).squareRoot()
  }

  private var middles: some Sequence<(value: Double, count: UInt64)> {
    counts.enumerated().lazy.filter { $0.element > 0 }.map { index, count in
      let range = values(at: index)
      return (Double(range.lowerBound + (range.upperBound - range.lowerBound + 1) / 2), count)
    }
  }
}

extension UInt64 {
  /// Rounded down.
  /// - Precondition: not 0.
  fileprivate var log2: Int { bitWidth - 1 - leadingZeroBitCount }
}
