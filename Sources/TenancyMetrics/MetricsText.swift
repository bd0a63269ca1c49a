/// Prometheus' text format, version 0.0.4.
public struct MetricsText: Sendable {
  public enum Kind: String, Sendable {
    case counter, gauge, histogram
  }

  public private(set) var text = ""

  public init() {}

  /// Begins a metric; its samples follow.
  public mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
    text += "# HELP \(name) \(Self.escape(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
  }

  /// - Parameter labels: names, which must be such of the format, and values of any text.
  public mutating func sample(
    _ name: String, _ labels: [(name: String, value: String)] = [], _ value: String
  ) {
    text += name
    if !labels.isEmpty {
      text += "{"
      for (index, label) in labels.enumerated() {
        text += "\(index > 0 ? "," : "")\(label.name)=\"\(Self.escape(label.value, quotes: true))\""
      }
      text += "}"
    }
    text += " \(value)\n"
  }

  /// A metric with one sample.
  public mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: String) {
    begin(name, kind, help)
    sample(name, [], value)
  }

  /// The samples of a histogram.
  ///
  /// - Parameters:
  ///   - bounds: upper ones, in nanoseconds.
  ///   - counts: for each bound what is below it and above the one before, and at the end what is above all.
  ///   - sum: in nanoseconds.
  public mutating func histogram(
    _ name: String, _ labels: [(name: String, value: String)] = [], _ bounds: [UInt64],
    _ counts: [UInt64], sum: UInt64
  ) {
    histogram(name, labels, bounds.map(Self.seconds), counts, sum: Self.seconds(sum))
  }

  /// The samples of a histogram of anything, its upper bounds and its sum as they are to be written.
  public mutating func histogram(
    _ name: String, _ labels: [(name: String, value: String)], _ bounds: [String],
    _ counts: [UInt64], sum: String
  ) {
    var total: UInt64 = 0
    for (index, count) in counts.enumerated() {
      total &+= count
      let bound = index < bounds.count ? bounds[index] : "+Inf"
      sample(name + "_bucket", labels + [("le", bound)], String(total))
    }
    sample(name + "_sum", labels, sum)
    sample(name + "_count", labels, String(total))
  }

  /// The upper bounds of histograms of durations, in nanoseconds.
  public static var durationBounds: [UInt64] { CallTable.bounds }

  /// A number with a fraction, as short as it can be read back, or what is none.
  public static func number(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "NaN" : value < 0 ? "-Inf" : "+Inf" }
    let text = "\(value)"
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  /// Seconds, exact to the nanosecond.
  public static func seconds(_ nanoseconds: UInt64) -> String {
    let rest = String(nanoseconds % 1_000_000_000)
    var text =
      "\(nanoseconds / 1_000_000_000)." + String(repeating: "0", count: 9 - rest.count) + rest
    while text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return text
  }

  static func escape(_ text: String, quotes: Bool) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\n": escaped += "\\n"
      case "\"" where quotes: escaped += "\\\""
      case _: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
