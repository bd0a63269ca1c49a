/// A limit of a server as a configuration has it: a whole number under a name. `ServerLimits.settings` are
/// all of them.
public struct LimitSetting: Sendable {
  typealias Path<Value> = any WritableKeyPath<ServerLimits, Value> & Sendable

  private enum Place: Sendable {
    case count(Path<Int>)
    case duration(Path<Duration>)
    case optionalDuration(Path<Duration?>)
  }

  /// In snake case. Those of durations end with their unit.
  public let name: String
  /// Values with which a server works, whatever the others are: `ServerLimits.check` says what depends
  /// on others.
  public let range: ClosedRange<Int>
  private let place: Place
  /// Of durations.
  private let millisecondsPerUnit: Int

  private init(_ name: String, _ place: Place, _ range: ClosedRange<Int>, _ perUnit: Int = 1) {
    self.name = name
    self.range = range
    self.place = place
    millisecondsPerUnit = perUnit
  }

  static func count(
    _ name: String, _ path: Path<Int>, _ range: ClosedRange<Int>
  ) -> Self { Self(name, .count(path), range) }

  static func seconds(
    _ name: String, _ path: Path<Duration>, _ range: ClosedRange<Int>
  ) -> Self { Self(name, .duration(path), range, 1000) }

  static func milliseconds(
    _ name: String, _ path: Path<Duration>, _ range: ClosedRange<Int>
  ) -> Self { Self(name, .duration(path), range) }

  static func optionalSeconds(
    _ name: String, _ path: Path<Duration?>, _ range: ClosedRange<Int>
  ) -> Self { Self(name, .optionalDuration(path), range, 1000) }

  /// In its unit, rounded down. Nil: never.
  public func value(in limits: ServerLimits) -> Int? {
    switch place {
    case .count(let path): limits[keyPath: path]
    case .duration(let path): units(limits[keyPath: path])
    case .optionalDuration(let path): limits[keyPath: path].map(units)
    }
  }

  /// - Throws: when it is out of range. Then nothing is changed.
  public func set(_ value: Int, in limits: inout ServerLimits) throws(LimitError) {
    guard range.contains(value) else {
      throw LimitError(
        "\(name): a number from \(range.lowerBound) to \(range.upperBound) is expected")
    }
    switch place {
    case .count(let path): limits[keyPath: path] = value
    case .duration(let path): limits[keyPath: path] = duration(value)
    case .optionalDuration(let path): limits[keyPath: path] = duration(value)
    }
  }

  private func duration(_ value: Int) -> Duration {
    .milliseconds(Int64(value) * Int64(millisecondsPerUnit))
  }

  private func units(_ duration: Duration) -> Int {
    Int(duration / .milliseconds(Int64(millisecondsPerUnit)))
  }
}

/// A limit has a value with which a server does not work.
public struct LimitError: Error, Hashable, CustomStringConvertible {
  /// Begins with the limit's name in a configuration.
  public let description: String

  init(_ description: String) { self.description = description }
}
