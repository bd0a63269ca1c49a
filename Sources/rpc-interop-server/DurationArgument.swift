import ArgumentParser

/// A number and a unit: `500ms`, `10s`, `2m`, `1h`.
struct DurationArgument: ExpressibleByArgument, Hashable {
  let duration: Duration

  init(_ duration: Duration) { self.duration = duration }

  init?(argument: String) {
    let unit = argument.drop { $0.isASCII && $0.isNumber }
    // More than a century would not fit the clocks.
    guard let number = Int64(argument.prefix(argument.count - unit.count)), number <= 1 << 31
    else { return nil }
    switch unit {
    case "ms": duration = .milliseconds(number)
    case "s": duration = .seconds(number)
    case "m": duration = .seconds(number * 60)
    case "h": duration = .seconds(number * 3600)
    default: return nil
    }
  }

  func set(_ limit: inout Duration) { limit = duration }

  var defaultValueDescription: String { duration.description }
}
