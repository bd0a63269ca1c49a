internal import CoreMetrics
internal import Synchronization
internal import TenancyMetrics

/// What instruments of one name have in common.
enum MetricKind: Sendable {
  case counter, gauge, recorder, timer

  var suffix: String {
    switch self {
    case .counter: "_total"
    case .timer: "_seconds"
    case .gauge, .recorder: ""
    }
  }

  var type: MetricsText.Kind {
    switch self {
    case .counter: .counter
    case .gauge: .gauge
    case .recorder, .timer: .histogram
    }
  }

  /// The names that samples of the metric have: no other may have them.
  func samples(of name: String) -> [String] {
    switch type {
    case .counter, .gauge: [name]
    case .histogram: [name, name + "_bucket", name + "_sum", name + "_count"]
    }
  }
}

/// Where in the registry a series is.
struct Place: Hashable {
  let name: String
  let labels: [MetricLabel]
}

/// What is recorded for one set of labels. Thread-safe.
protocol Series: AnyObject, Sendable {
  /// Nil: nothing else is kept for it, and nothing ends with it.
  var place: Place? { get }

  init(_ kind: MetricKind, at place: Place?)

  func render(_ name: String, _ labels: [MetricLabel], into text: inout MetricsText)
}

/// Whole and fractional increments, each exact as far as it goes. Only grows, but for `reset`; wraps after 2⁶⁴, which
/// Prometheus takes for a restart.
final class CounterSeries: Series, CounterHandler, FloatingPointCounterHandler {
  let place: Place?
  private let whole = Atomic<UInt64>(0)
  /// The bits of a number.
  private let part = Atomic<UInt64>(0)

  init(_ kind: MetricKind, at place: Place?) { self.place = place }

  func increment(by amount: Int64) {
    guard amount > 0 else { return }
    whole.wrappingAdd(UInt64(amount), ordering: .relaxed)
  }

  func increment(by amount: Double) {
    guard amount.isFinite, amount > 0 else { return }
    part.add(amount)
  }

  func reset() {
    whole.store(0, ordering: .relaxed)
    part.store(0, ordering: .relaxed)
  }

  func render(_ name: String, _ labels: [MetricLabel], into text: inout MetricsText) {
    let whole = whole.load(ordering: .relaxed)
    let part = Double(bitPattern: part.load(ordering: .relaxed))
    text.sample(
      name, labels.pairs, part == 0 ? "\(whole)" : MetricsText.number(Double(whole) + part))
  }
}

/// The last value: of a `Meter`, a `Gauge`, and a `Recorder` that does not aggregate. A number of 64 bits with a
/// fraction, as everything in Prometheus: whole numbers are exact up to 2⁵³.
final class GaugeSeries: Series, MeterHandler, RecorderHandler {
  let place: Place?
  private let value = Atomic<UInt64>(0)

  init(_ kind: MetricKind, at place: Place?) { self.place = place }

  func set(_ value: Int64) { set(Double(value)) }
  func set(_ value: Double) { self.value.store(value.bitPattern, ordering: .relaxed) }

  func record(_ value: Int64) { set(Double(value)) }
  func record(_ value: Double) { set(value) }

  func increment(by amount: Double) {
    guard amount.isFinite, amount > 0 else { return }
    value.add(amount)
  }

  func decrement(by amount: Double) {
    guard amount.isFinite, amount > 0 else { return }
    value.add(-amount)
  }

  func render(_ name: String, _ labels: [MetricLabel], into text: inout MetricsText) {
    let value = Double(bitPattern: value.load(ordering: .relaxed))
    text.sample(name, labels.pairs, MetricsText.number(value))
  }
}

/// How often there was what: of a `Timer`, in seconds, and of a `Recorder`.
final class HistogramSeries: Series, RecorderHandler, TimerHandler {
  private struct Bounds: Sendable {
    let upper: [Double]
    let texts: [String]

    /// Those of the server's own histograms.
    static let seconds = Bounds(
      upper: MetricsText.durationBounds.map { Double($0) / 1e9 },
      texts: MetricsText.durationBounds.map(MetricsText.seconds))
    /// Nothing is known of what is recorded: those of OpenTelemetry.
    static let any = Bounds([
      0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000,
    ])

    private init(upper: [Double], texts: [String]) {
      self.upper = upper
      self.texts = texts
    }

    private init(_ upper: [Double]) {
      self.init(upper: upper, texts: upper.map(MetricsText.number))
    }
  }

  private struct State {
    /// Not cumulative; the last is what is above all bounds.
    var counts: [UInt64]
    var sum = 0.0
  }

  let place: Place?
  private let bounds: Bounds
  private let state: Mutex<State>

  init(_ kind: MetricKind, at place: Place?) {
    self.place = place
    bounds = kind == .timer ? .seconds : .any
    state = Mutex(State(counts: Array(repeating: 0, count: bounds.upper.count + 1)))
  }

  func record(_ value: Int64) { record(Double(value)) }

  /// A value that is no number, or infinite, is left out: the sum would be lost with it.
  func record(_ value: Double) {
    guard value.isFinite else { return }
    let bucket = bounds.upper.firstIndex { value <= $0 } ?? bounds.upper.count
    state.withLock { state in
      state.counts[bucket] &+= 1  // In range: there is one more than bounds.
      state.sum += value
    }
  }

  /// A clock that was put back has measured nothing.
  func recordNanoseconds(_ duration: Int64) { record(Double(max(duration, 0)) / 1e9) }

  func render(_ name: String, _ labels: [MetricLabel], into text: inout MetricsText) {
    let (counts, sum) = state.withLock { ($0.counts, $0.sum) }
    text.histogram(name, labels.pairs, bounds.texts, counts, sum: MetricsText.number(sum))
  }
}

extension [MetricLabel] {
  var pairs: [(name: String, value: String)] { map { ($0.name, $0.value) } }
}

extension Atomic where Value == UInt64 {
  /// Adds to the number whose bits these are.
  fileprivate func add(_ amount: Double) {
    var before = load(ordering: .relaxed)
    while true {
      let after = (Double(bitPattern: before) + amount).bitPattern
      let done = weakCompareExchange(expected: before, desired: after, ordering: .relaxed)
      if done.exchanged { return }
      before = done.original
    }
  }
}
