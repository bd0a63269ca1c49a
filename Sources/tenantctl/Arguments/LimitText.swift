import TenancyWire

/// `uploads 10/minute 20`, where the name and the burst may be left out: a limit as options take it.
enum LimitText {
  private static let periods: [(name: String, period: V1.RequestLimit.Period)] = [
    ("second", .second), ("minute", .minute), ("hour", .hour), ("day", .day), ("month", .month),
    ("year", .year),
  ]

  static func parse(_ text: String) throws(UsageError) -> V1.RequestLimit {
    let form = UsageError(
      "'\(text)' is not [NAME] NUMBER/PERIOD [BURST], with a period of "
        + periodNames)
    let parts = text.split(separator: " ").map(String.init)
    guard (1...3).contains(parts.count), let index = parts.firstIndex(where: { $0.contains("/") }),
      index <= 1
    else { throw form }
    let rate = parts[index].split(separator: "/", omittingEmptySubsequences: false)
    guard rate.count == 2, let requests = Int64(rate[0]), requests > 0,
      let period = periods.first(where: { $0.name == rate[1] })?.period
    else { throw form }
    let rest = parts[(index + 1)...]
    guard rest.count <= 1 else { throw form }
    var burst: Int64 = 0
    if let last = rest.first {
      guard let number = Int64(last), number > 0 else { throw form }
      burst = number
    }
    return V1.RequestLimit(
      name: index == 1 ? parts[0] : "", requests: requests, period: period, burst: burst)
  }

  /// Nil for none that there is.
  static func period(_ name: String) -> V1.RequestLimit.Period? {
    periods.first { $0.name == name }?.period
  }

  static var periodNames: String { periods.map(\.name).joined(separator: ", ") }

  static func name(of period: V1.RequestLimit.Period) -> String {
    periods.first { $0.period == period }?.name ?? "?"
  }

  static func text(of limit: V1.RequestLimit) -> String {
    let period = name(of: limit.period)
    let burst = limit.burst == limit.requests || limit.burst == 0 ? "" : " \(limit.burst)"
    return "\(limit.name) \(limit.requests)/\(period)\(burst)"
  }
}
