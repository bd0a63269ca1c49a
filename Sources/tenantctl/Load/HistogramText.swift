import Foundation

extension Histogram {
  /// The distribution as HdrHistogram's tools print and plot it: a line for each step towards 100 %,
  /// `ticks` of them for each halving of what is left.
  ///
  /// - Parameter unit: what values are divided by.
  func percentileText(unit: Double, ticks: Int = 5) -> String {
    var text = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n"
    for step in percentileSteps(ticks: ticks) {
      let value = Double(step.value) / unit
      text += Self.format("%12.3f %1.12f %10d", value, step.percentile / 100, step.count)
      text +=
        step.percentile < 100
        ? Self.format(" %14.2f\n", 1 / (1 - step.percentile / 100)) : "            inf\n"
    }
    let largest = total == 0 ? 0 : Double(values(at: index(of: min(maximum, highest))).upperBound)
    text += Self.format(
      "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean / unit, standardDeviation / unit)
    text += Self.format("#[Max     = %12.3f, Total count    = %12d]\n", largest / unit, Int(total))
    text += Self.format(
      "#[Buckets = %12d, SubBuckets     = %12d]\n", bucketCount, subBucketCount)
    return text
  }

  private static func format(_ format: String, _ values: any CVarArg...) -> String {
    // C's own rules, whatever the user's language.
    String(format: format, locale: nil, arguments: values)
  }

  /// A value, how many per cent of all are not above it, and how many that are.
  struct PercentileStep: Equatable {
    let value: UInt64
    let percentile: Double
    let count: Int
  }

  func percentileSteps(ticks: Int) -> [PercentileStep] {
    var steps: [PercentileStep] = []
    var level = 0.0
    var seen: UInt64 = 0
    for (index, count) in counts.enumerated() where count > 0 {
      seen += count
      let value = values(at: index).upperBound
      let reached = 100 * Double(seen) / Double(total)
      while reached >= level {
        steps.append(PercentileStep(value: value, percentile: level, count: Int(seen)))
        let halvings = (100 / (100 - level)).binade
        level += 100 / (Double(ticks) * halvings * 2)
        if seen == total { break }
      }
      if seen == total {
        steps.append(PercentileStep(value: value, percentile: 100, count: Int(seen)))
      }
    }
    return steps
  }
}
