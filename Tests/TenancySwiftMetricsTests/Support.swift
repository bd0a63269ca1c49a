import TenancyMetrics
import TenancySwiftMetrics

extension MetricsRegistry {
  /// The text without what the registry says of itself and without help.
  var lines: [String] {
    var text = MetricsText()
    render(into: &text)
    return text.text.split(separator: "\n").map(String.init).filter {
      !$0.hasPrefix("# HELP") && !$0.contains("swift_metrics_series")
        && !$0.contains("swift_metrics_dropped_total")
    }
  }

  /// The value of a sample of any metric; nil: there is none.
  func sample(_ series: String) -> Double? {
    var text = MetricsText()
    render(into: &text)
    let line = text.text.split(separator: "\n").first { $0.hasPrefix("\(series) ") }
    return line.flatMap { Double($0.dropFirst(series.count + 1)) }
  }

  func dropped(_ cause: String) -> Double? {
    sample("swift_metrics_dropped_total{cause=\"\(cause)\"}")
  }
}
