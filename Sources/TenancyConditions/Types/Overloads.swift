/// The functions and operators of the subset, by what they take and give. Langdef, "Standard
/// Definitions".
struct Overload {
  let name: String
  let isReceiver: Bool
  let parameters: [ConditionType]
  let result: ConditionType

  private static let list = ConditionType.list(.dyn)
  private static let map = ConditionType.map(key: .dyn, value: .dyn)

  /// By name.
  static let functions: [String: (function: Function, overloads: [Overload])] = {
    var table: [String: (function: Function, overloads: [Overload])] = [:]
    func add(
      _ function: Function, _ name: String, _ parameters: [ConditionType],
      _ result: ConditionType, isReceiver: Bool = false
    ) {
      let overload = Overload(
        name: name, isReceiver: isReceiver, parameters: parameters, result: result)
      table[name, default: (function, [])].overloads.append(overload)
    }
    for type in [.string, .bytes, list, map] {
      add(.size, "size", [type], .int)
      add(.size, "size", [type], .int, isReceiver: true)
    }
    for function in [Function.contains, .startsWith, .endsWith] {
      add(function, "\(function)", [.string, .string], .bool, isReceiver: true)
    }
    func convert(_ function: Function, _ result: ConditionType, _ from: ConditionType...) {
      for type in from { add(function, "\(result)", [type], result) }
    }
    convert(.toBool, .bool, .bool, .string)
    convert(.toBytes, .bytes, .bytes, .string)
    convert(.toDouble, .double, .double, .int, .uint, .string)
    convert(.toDuration, .duration, .duration, .string)
    convert(.toInt, .int, .int, .uint, .double, .string, .timestamp)
    convert(
      .toString, .string, .string, .bool, .int, .uint, .double, .bytes, .timestamp, .duration)
    convert(.toTimestamp, .timestamp, .timestamp, .string, .int)
    convert(.toUint, .uint, .uint, .int, .double, .string)
    add(.typeOf, "type", [.dyn], .type)
    for function in Function.allCases where function.rawValue >= Function.getDate.rawValue {
      add(function, "\(function)", [.timestamp], .int, isReceiver: true)
      add(function, "\(function)", [.timestamp, .string], .int, isReceiver: true)
    }
    for function in [Function.getHours, .getMilliseconds, .getMinutes, .getSeconds] {
      add(function, "\(function)", [.duration], .int, isReceiver: true)
    }
    return table
  }()

  /// By operator, apart from those that take values of any type.
  static func operators(_ operator: Node.Operator) -> [Overload] {
    func all(_ types: ConditionType..., result: ConditionType? = nil) -> [Overload] {
      types.map {
        Overload(
          name: `operator`.rawValue, isReceiver: false, parameters: [$0, $0],
          result: result ?? $0)
      }
    }
    func one(_ left: ConditionType, _ right: ConditionType, _ result: ConditionType) -> Overload {
      Overload(
        name: `operator`.rawValue, isReceiver: false, parameters: [left, right], result: result)
    }
    switch `operator` {
    case .add:
      return all(.int, .uint, .double, .string, .bytes, .duration, list)
        + [one(.timestamp, .duration, .timestamp), one(.duration, .timestamp, .timestamp)]
    case .subtract:
      return all(.int, .uint, .double, .duration)
        + [one(.timestamp, .duration, .timestamp), one(.timestamp, .timestamp, .duration)]
    case .multiply, .divide: return all(.int, .uint, .double)
    case .modulo: return all(.int, .uint)
    case .less, .lessEqual, .greater, .greaterEqual:
      return all(
        .bool, .int, .uint, .double, .string, .bytes, .timestamp, .duration, result: .bool)
    case .equal, .notEqual, .in: return []
    }
  }

  /// The type of the result; nil if none of the overloads takes the arguments.
  static func result(_ overloads: [Overload], _ arguments: [ConditionType]) -> ConditionType? {
    let fitting = overloads.filter { overload in
      overload.parameters.count == arguments.count
        && zip(overload.parameters, arguments).allSatisfy { ConditionType.agree($0, $1) }
    }
    guard let first = fitting.first else { return nil }
    return fitting.allSatisfy { $0.result == first.result } ? first.result : .dyn
  }

  /// What could be taken, for a message.
  static func expected(_ overloads: [Overload]) -> String {
    overloads.map { "(" + $0.parameters.map(\.description).joined(separator: ", ") + ")" }
      .joined(separator: " or ")
  }
}

/// The nearest of some names, for "did you mean".
enum Spelling {
  static func nearest(_ name: String, _ candidates: some Sequence<String>) -> String? {
    guard name.utf8.count <= 64 else { return nil }
    let typed = Array(name.utf8)
    var best: (name: String, distance: Int)?
    for candidate in candidates.prefix(1_024) where candidate.utf8.count <= 64 {
      let distance = distance(typed, Array(candidate.utf8))
      if distance < best?.distance ?? Int.max { best = (candidate, distance) }
    }
    guard let best, best.distance <= max(1, typed.count / 3) else { return nil }
    return best.name
  }

  private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var row = Array(0...right.count)
    for (place, byte) in left.enumerated() {
      var diagonal = row[0]
      row[0] = place + 1
      for (column, other) in right.enumerated() {
        let replaced = diagonal + (byte == other ? 0 : 1)
        diagonal = row[column + 1]
        row[column + 1] = min(replaced, row[column] + 1, diagonal + 1)
      }
    }
    return row[right.count]
  }
}
