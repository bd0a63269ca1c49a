import Testing

@testable import tenantctl

/// The expected figures are those of another implementation of HdrHistogram (Python's hdrhistogram).
@Suite struct HistogramTests {
  static let standard = Histogram(lowest: 1, highest: 3_600_000_000, significantDigits: 3)

  /// 10,000 values of 1 to 30 bits.
  static let values: [UInt64] = {
    var state: UInt64 = 1
    return (0..<10_000).map { number in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 33) % (1 << UInt64(number % 30 + 1))
    }
  }()

  static func filled(_ histogram: Histogram, with values: some Sequence<UInt64>) -> Histogram {
    values.reduce(into: histogram) { $0.record($1) }
  }

  @Test(arguments: [
    (UInt64(1), UInt64(3_600_000_000), 22, 23_552), (1_000, 60_000_000_000, 17, 18_432),
  ])
  func layout(lowest: UInt64, highest: UInt64, buckets: Int, counts: Int) {
    let histogram = Histogram(lowest: lowest, highest: highest, significantDigits: 3)
    #expect(histogram.bucketCount == buckets)
    #expect(histogram.subBucketCount == 2_048)
    #expect(histogram.counts.count == counts)
  }

  @Test(arguments: [
    (UInt64(0), 0, UInt64(0)...UInt64(0)), (2_047, 2_047, 2_047...2_047),
    (2_048, 2_048, 2_048...2_049), (2_049, 2_048, 2_048...2_049), (4_095, 3_071, 4_094...4_095),
    (4_096, 3_072, 4_096...4_099), (10_000, 4_322, 10_000...10_007),
    (123_456_789, 18_267, 123_404_288...123_469_823),
    (3_600_000_000, 23_220, 3_598_712_832...3_600_809_983),
  ])
  func buckets(value: UInt64, index: Int, range: ClosedRange<UInt64>) {
    #expect(Self.standard.index(of: value) == index)
    #expect(Self.standard.values(at: index) == range)
  }

  @Test func everyValueHasOneBucket() {
    for histogram in [Self.standard, LoadTally.emptyHistogram] {
      var next: UInt64 = 0
      let wrong = histogram.counts.indices.filter { index in
        let range = histogram.values(at: index)
        defer { next = range.upperBound + 1 }
        return range.lowerBound != next || histogram.index(of: range.lowerBound) != index
          || histogram.index(of: range.upperBound) != index
      }
      #expect(wrong.isEmpty)
      #expect(next > histogram.highest)
    }
  }

  @Test(arguments: [
    (
      UInt64(1), UInt64(3_600_000_000),
      [0, 0, 89, 16_119, 73_138_175, 776_470_527, 1_034_420_223, 1_072_693_247] as [UInt64],
      36_133_771.3747, 126_995_903.23933132
    ),
    (
      1_000, 60_000_000_000,
      [0, 511, 511, 16_383, 73_138_175, 776_470_527, 1_034_420_223, 1_072_693_247],
      36_133_830.9376, 126_995_886.29201481
    ),
  ])
  func percentiles(
    lowest: UInt64, highest: UInt64, expected: [UInt64], mean: Double, deviation: Double
  ) {
    let histogram = Self.filled(
      Histogram(lowest: lowest, highest: highest, significantDigits: 3), with: Self.values)
    let found = [0, 1, 25, 50, 90, 99, 99.9, 99.99].map { histogram.value(atPercentile: $0) }
    #expect(found == expected)
    #expect(abs(histogram.mean - mean) < 0.001)
    #expect(abs(histogram.standardDeviation - deviation) < 0.01)
    #expect(histogram.total == 10_000)
    // Exact, unlike those of the other implementation.
    #expect(histogram.minimum == Self.values.min())
    #expect(histogram.maximum == Self.values.max())
    #expect(histogram.value(atPercentile: 100) == Self.values.max())
  }

  @Test func threeDigitsEverywhere() {
    for exponent in 0..<36 {
      let value = UInt64(1) << UInt64(exponent) | 1
      let histogram = Self.filled(LoadTally.emptyHistogram, with: [value, UInt64.max])
      let found = histogram.value(atPercentile: 50)
      #expect(found >= value)
      #expect(Double(found - value) <= max(512, Double(value) / 1_000))
    }
  }

  @Test func merged() {
    let parts = (0..<3).map { part in
      Self.filled(
        Self.standard,
        with: Self.values.enumerated().filter { $0.offset % 3 == part }.map(\.element))
    }
    let merged = parts.reduce(into: Self.standard) { $0.merge($1) }
    #expect(merged == Self.filled(Self.standard, with: Self.values))
    var reset = merged
    reset.reset()
    #expect(reset == Self.standard)
  }

  @Test func onePastTheHighest() {
    let highest = LoadTally.emptyHistogram.highest
    let histogram = Self.filled(LoadTally.emptyHistogram, with: [highest, highest + 1, .max])
    #expect(histogram.overflowed == 2)
    #expect(histogram.total == 3)
    #expect(histogram.maximum == .max)
    #expect(histogram.value(atPercentile: 50) >= highest)
  }

  @Test func nothing() {
    #expect(Self.standard.value(atPercentile: 99) == 0)
    #expect(Self.standard.value(atPercentile: 100) == 0)
    #expect(Self.standard.mean == 0)
    #expect(Self.standard.standardDeviation == 0)
    #expect(Self.standard.percentileSteps(ticks: 5).isEmpty)
  }

  @Test func percentileText() {
    let text = Self.filled(Self.standard, with: 1...100).percentileText(unit: 1, ticks: 1)
    #expect(
      text == """
               Value     Percentile TotalCount 1/(1-Percentile)

               1.000 0.000000000000          1           1.00
              50.000 0.500000000000         50           2.00
              75.000 0.750000000000         75           4.00
              88.000 0.875000000000         88           8.00
              94.000 0.937500000000         94          16.00
              97.000 0.968750000000         97          32.00
              99.000 0.984375000000         99          64.00
             100.000 0.992187500000        100         128.00
             100.000 1.000000000000        100            inf
        #[Mean    =       50.500, StdDeviation   =       28.866]
        #[Max     =      100.000, Total count    =          100]
        #[Buckets =           22, SubBuckets     =         2048]

        """)
  }
}
