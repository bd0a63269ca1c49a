/// A name and a value of a series, as Prometheus takes them.
struct MetricLabel: Hashable, Comparable {
  let name: String
  let value: String

  static func < (a: MetricLabel, b: MetricLabel) -> Bool { (a.name, a.value) < (b.name, b.value) }
}

/// Makes what libraries call their metrics and dimensions valid for Prometheus. Anything is mended, nothing is
/// refused: it is not the operator who has chosen it.
enum MetricNaming {
  /// Of labels and values, in Unicode scalars: they are kept for each series. What is longer is cut.
  static let maximumLength = 200
  /// Of one series. Those beyond are left out.
  static let maximumDimensions = 16
  /// As OpenTelemetry calls the series of all that are over the bound.
  static let overflow = MetricLabel(name: "otel_metric_overflow", value: "true")
  /// In front of a name that may be one of the server's own.
  static let prefix = "swift_metrics_"
  /// Those that Prometheus has for itself in histograms and summaries, and the one of the series for the rest.
  private static let takenLabels: Set<String> = ["le", "quantile", overflow.name]

  /// - Parameter reserved: how names begin that are none of those recorded.
  static func name(_ label: String, _ kind: MetricKind, reserved: [String]) -> String {
    var name = valid(label)
    if !name.hasSuffix(kind.suffix) { name += kind.suffix }
    let isReserved = kind.samples(of: name).contains { sample in
      reserved.contains { sample.hasPrefix($0) }
    }
    return isReserved ? prefix + name : name
  }

  /// Sorted, each name once: the order of dimensions makes no difference. Values of names that have become the same
  /// are joined by semicolons, as OpenTelemetry does it.
  static func labels(_ dimensions: [(String, String)]) -> [MetricLabel] {
    // To Prometheus, an empty value is the same as none.
    let named = dimensions.filter { !$0.1.isEmpty }.prefix(maximumDimensions)
      .map { (name: labelName($0.0), key: $0.0, value: cut($0.1)) }
      .sorted { ($0.name, $0.key, $0.value) < ($1.name, $1.key, $1.value) }
    var labels: [MetricLabel] = []
    for (name, _, value) in named {
      if let last = labels.last, last.name == name {
        labels[labels.count - 1] = MetricLabel(name: name, value: cut("\(last.value);\(value)"))
      } else {
        labels.append(MetricLabel(name: name, value: value))
      }
    }
    return labels
  }

  private static func labelName(_ key: String) -> String {
    var name = valid(key)
    // Two underscores in front are Prometheus' own.
    while name.hasPrefix("__") { name.removeFirst() }
    return takenLabels.contains(name) ? "exported_" + name : name
  }

  /// Colons as well are replaced: they are for recording rules.
  private static func valid(_ text: String) -> String {
    var valid = ""
    for scalar in cut(text).unicodeScalars {
      switch scalar {
      case "0"..."9":
        if valid.isEmpty { valid = "_" }
        valid.unicodeScalars.append(scalar)
      case "a"..."z", "A"..."Z", "_": valid.unicodeScalars.append(scalar)
      case _: valid += "_"
      }
    }
    return valid.isEmpty ? "_" : valid
  }

  static func cut(_ text: String) -> String {
    guard text.utf8.count > maximumLength else { return text }
    return String(String.UnicodeScalarView(text.unicodeScalars.prefix(maximumLength)))
  }
}
