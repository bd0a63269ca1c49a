import Foundation
import Tenancy
import TenancyRPC

/// What a load came to.
struct LoadReport: Sendable {
  static let percentiles = [50, 90, 99, 99.9, 99.99]

  let target: String
  let plan: LoadPlan
  let tally: LoadTally
  let outcome: LoadRun.Outcome

  var seconds: Double { Double(outcome.nanoseconds) / 1e9 }
  var callsPerSecond: Double { Double(tally.calls) / seconds }

  /// Nothing was sent, or nothing succeeded.
  /// Whether more than one call in a hundred failed.
  var isFailure: Bool { tally.succeeded == 0 || tally.failed > tally.calls / 100 }

  /// As other commands would exit: with 2 if the server was never reached.
  var exitCode: Int32 {
    guard isFailure else { return 0 }
    let reached = RPCStatus.Code.all.contains { code in
      code != .unavailable && code != .deadlineExceeded && count(code) > 0
    }
    return reached ? Failure.refused : Failure.noConnection
  }

  private func count(_ code: RPCStatus.Code) -> UInt64 {
    tally.codes.reduce(0) { $0 + $1[Int(code.rawValue)] }
  }

  // MARK: For people

  func lines() -> [String] {
    var fields = Fields()
    fields.add(
      "Target",
      "\(target), \(plan.connections) connection\(plan.connections == 1 ? "" : "s"), \(plan.spoken)"
    )
    fields.add("Load", load)
    fields.add(
      "Calls",
      "\(tally.calls) in \(Self.decimal(seconds, 2)) s (\(Self.decimal(callsPerSecond, 0))/s)")
    fields.add("Failed", "\(tally.failed)" + failures)
    if case .open = plan.shape.arrivals {
      fields.add("Late", "\(outcome.late) sent over 1 ms after they were due")
      fields.add("Never sent", "\(outcome.unsent)")
      fields.add(
        "Lag",
        "p50 \(Self.milliseconds(tally.lag.value(atPercentile: 50))), "
          + "p99 \(Self.milliseconds(tally.lag.value(atPercentile: 99))), "
          + "max \(Self.milliseconds(tally.lag.maximum)) ms from when calls were due to when sent")
    }
    return fields.lines() + [""] + table()
  }

  private var load: String {
    let measured = "\(Self.seconds(plan.shape.duration)) after \(Self.seconds(plan.shape.warmup))"
    let how =
      switch plan.shape.arrivals {
      case .open(let rate, let isPoisson, let most):
        "open loop, \(Self.decimal(rate, rate == rate.rounded() ? 0 : 2))/s \(isPoisson ? "at random" : "evenly"), "
          + "at most \(most) in flight"
      case .closed(let callers): "closed loop, \(callers) callers"
      }
    return "\(how), \(measured) of warm-up"
  }

  private var failures: String {
    let parts = RPCStatus.Code.all.filter { $0 != .ok && count($0) > 0 }.map {
      "\($0) \(count($0))"
    }
    return parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))"
  }

  private func table() -> [String] {
    var table = Table(
      "LATENCY (ms)", "CALLS", "MEAN", "P50", "P90", "P99", "P99.9", "P99.99", "MAX")
    func add(_ name: String, _ histogram: Histogram) {
      let cells = Self.percentiles.map { Self.milliseconds(histogram.value(atPercentile: $0)) }
      table.add(
        name, "\(histogram.total)", Self.decimal(histogram.mean / 1e6, 3), cells[0], cells[1],
        cells[2], cells[3], cells[4], Self.milliseconds(histogram.maximum))
    }
    for (method, histogram) in zip(plan.methods, tally.latencies) {
      add(method.rawValue, histogram)
    }
    if plan.methods.count > 1 { add("all", tally.allLatencies) }
    if tally.failed > 0 { add("(failed)", tally.failures) }
    return table.lines()
  }

  static func milliseconds(_ nanoseconds: UInt64) -> String {
    decimal(Double(nanoseconds) / 1e6, 3)
  }

  private static func seconds(_ nanoseconds: UInt64) -> String {
    "\(decimal(Double(nanoseconds) / 1e9, 1)) s"
  }

  static func decimal(_ value: Double, _ places: Int) -> String {
    String(format: "%.\(places)f", locale: nil, value)
  }

  // MARK: For programs

  /// All times are microseconds unless the name says otherwise.
  func json() -> JSONValue {
    var fields: [String: JSONValue] = [
      "target": .string(target),
      "protocol": .string(plan.spoken.rawValue),
      "connections": .number(Double(plan.connections)),
      "warmup_s": .number(Double(plan.shape.warmup) / 1e9),
      "duration_s": .number(Double(plan.shape.duration) / 1e9),
      "elapsed_s": .number(seconds),
      "calls": .number(Double(tally.calls)),
      "calls_per_s": .number(callsPerSecond),
      "failed": .number(Double(tally.failed)),
      "codes": codes(RPCStatus.Code.all.map { ($0, count($0)) }),
      "latency_us": Self.json(tally.allLatencies),
      "failed_latency_us": Self.json(tally.failures),
      "methods": .object(
        Dictionary(
          uniqueKeysWithValues: plan.methods.enumerated().map { index, method in
            (method.rawValue, methodJSON(index))
          })),
    ]
    switch plan.shape.arrivals {
    case .open(let rate, let isPoisson, let most):
      fields["loop"] = .string("open")
      fields["rate_per_s"] = .number(rate)
      fields["poisson"] = .bool(isPoisson)
      fields["max_outstanding"] = .number(Double(most))
      fields["late"] = .number(Double(outcome.late))
      fields["never_sent"] = .number(Double(outcome.unsent))
      fields["lag_us"] = Self.json(tally.lag)
    case .closed(let callers):
      fields["loop"] = .string("closed")
      fields["concurrency"] = .number(Double(callers))
    }
    return .object(fields)
  }

  private func methodJSON(_ index: Int) -> JSONValue {
    .object([
      "calls": .number(Double(tally.codes[index].reduce(0, +))),
      "codes": codes(zip(RPCStatus.Code.all, tally.codes[index]).map { ($0, $1) }),
      "latency_us": Self.json(tally.latencies[index]),
    ])
  }

  private func codes(_ counts: [(RPCStatus.Code, UInt64)]) -> JSONValue {
    .object(
      Dictionary(
        uniqueKeysWithValues: counts.filter { $0.1 > 0 }.map {
          ($0.0.description, .number(Double($0.1)))
        }))
  }

  /// A distribution, in microseconds; null when nothing was counted.
  private static func json(_ histogram: Histogram) -> JSONValue {
    guard !histogram.isEmpty else { return .null }
    var fields: [String: JSONValue] = [
      "min": .number(Double(histogram.minimum) / 1e3),
      "mean": .number(histogram.mean / 1e3),
      "stddev": .number(histogram.standardDeviation / 1e3),
      "max": .number(Double(histogram.maximum) / 1e3),
      "over_60_s": .number(Double(histogram.overflowed)),
    ]
    for percentile in percentiles {
      let name = percentile == percentile.rounded() ? "\(Int(percentile))" : "\(percentile)"
      fields["p\(name)"] = .number(Double(histogram.value(atPercentile: percentile)) / 1e3)
    }
    return .object(fields)
  }
}

extension RPCStatus.Code {
  /// By number.
  static let all = (0...16).map(RPCStatus.Code.init(number:))
}
