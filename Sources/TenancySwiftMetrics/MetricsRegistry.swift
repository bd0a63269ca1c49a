public import CoreMetrics
internal import Synchronization
public import TenancyMetrics

/// What anything in the process records through swift-metrics, for the text that a server's own metrics are in.
///
/// Given to `MetricsSystem.bootstrap` once, at the start. Names and dimensions are made valid for Prometheus: what is
/// not a letter, a digit or an underscore becomes an underscore, counters end in `_total` and timers, which are
/// histograms in seconds, in `_seconds`. Instruments of the same name and dimensions are one, until each of them was
/// destroyed. One whose name is already that of another kind records nothing, and is counted. Thread-safe.
public final class MetricsRegistry: MetricsFactory {
  /// How much is kept and told, whatever libraries make of their peers' input.
  public struct Limits: Sendable {
    /// Names. What has one that is beyond is not recorded.
    public var metrics = 256
    /// Sets of dimensions of one name. All that are beyond are one more series of it.
    public var seriesPerMetric = 100
    /// Sets of dimensions of all names; beyond, it is as with one name's.
    public var series = 1000

    public init() {}
  }

  fileprivate struct Entry {
    let series: any Series
    /// Instruments that were made with it, and not destroyed.
    var holders = 1
  }

  fileprivate struct Metric {
    let kind: MetricKind
    /// What it was called first.
    let label: String
    var entries: [[MetricLabel]: Entry] = [:]
    /// Of all sets of dimensions that are over the bound.
    var others: (any Series)?
  }

  fileprivate struct State {
    var metrics: [String: Metric] = [:]
    /// Of all samples.
    var names: Set<String> = []
    var series = 0
    var dropped: [Cause: UInt64] = [:]
  }

  /// Why an instrument has no series of its own.
  fileprivate enum Cause: String, CaseIterable {
    case series, metrics, conflict
  }

  private let limits: Limits
  private let reserved: [String]
  private let state = Mutex(State())

  /// - Parameter reserved: how the names begin of the metrics that are told beside these. A name that begins like
  ///   that gets `swift_metrics_` in front.
  public init(reserved: [String] = [], limits: Limits = Limits()) {
    self.limits = limits
    self.reserved = reserved + [MetricNaming.prefix]
  }

  // MARK: Making

  public func makeCounter(
    label: String, dimensions: [(String, String)]
  ) -> any CounterHandler {
    make(CounterSeries.self, .counter, label, dimensions)
  }

  public func makeFloatingPointCounter(
    label: String, dimensions: [(String, String)]
  ) -> any FloatingPointCounterHandler {
    make(CounterSeries.self, .counter, label, dimensions)
  }

  public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    make(GaugeSeries.self, .gauge, label, dimensions)
  }

  public func makeRecorder(
    label: String, dimensions: [(String, String)], aggregate: Bool
  ) -> any RecorderHandler {
    aggregate
      ? make(HistogramSeries.self, .recorder, label, dimensions)
      : make(GaugeSeries.self, .gauge, label, dimensions)
  }

  public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    make(HistogramSeries.self, .timer, label, dimensions)
  }

  private func make<S: Series>(
    _ type: S.Type, _ kind: MetricKind, _ label: String, _ dimensions: [(String, String)]
  ) -> S {
    let name = MetricNaming.name(label, kind, reserved: reserved)
    let place = Place(name: name, labels: MetricNaming.labels(dimensions))
    // Without a place it records for nobody, and its holder need not know.
    return state.withLock { $0.find(S.self, kind, label, place, limits) } ?? S(kind, at: nil)
  }

  // MARK: Destroying

  public func destroyCounter(_ handler: any CounterHandler) { destroy(handler) }

  public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {
    destroy(handler)
  }

  public func destroyMeter(_ handler: any MeterHandler) { destroy(handler) }

  public func destroyRecorder(_ handler: any RecorderHandler) { destroy(handler) }

  public func destroyTimer(_ handler: any TimerHandler) { destroy(handler) }

  /// One of another registry, or that is destroyed already, is none of ours.
  private func destroy(_ handler: AnyObject) {
    guard let series = handler as? any Series, let place = series.place else { return }
    state.withLock { $0.release(series, at: place) }
  }

  // MARK: Telling

  /// All that is recorded, sorted by name and labels, and what is not.
  public func render(into text: inout MetricsText) {
    let (metrics, series, dropped) = state.withLock { ($0.metrics, $0.series, $0.dropped) }
    for (name, metric) in metrics.sorted(by: { $0.key < $1.key }) {
      text.begin(name, metric.kind.type, "Recorded through swift-metrics as \(metric.label).")
      for (labels, entry) in metric.entries.sorted(by: {
        $0.key.lexicographicallyPrecedes($1.key)
      }) {
        entry.series.render(name, labels, into: &text)
      }
      metric.others?.render(name, [MetricNaming.overflow], into: &text)
    }
    text.single(
      MetricNaming.prefix + "series", .gauge,
      "Sets of labels that are recorded through swift-metrics.", "\(series)")
    let name = MetricNaming.prefix + "dropped_total"
    text.begin(
      name, .counter,
      "Instruments made that have no series of their own: over a bound, or of another kind.")
    for cause in Cause.allCases {
      text.sample(name, [("cause", cause.rawValue)], "\(dropped[cause] ?? 0)")
    }
  }
}

extension MetricsRegistry.State {
  /// - Returns: the series of a place, made if there is room, or that of the others; nil: there is none to have.
  fileprivate mutating func find<S: Series>(
    _ type: S.Type, _ kind: MetricKind, _ label: String, _ place: Place,
    _ limits: MetricsRegistry.Limits
  ) -> S? {
    if metrics[place.name] == nil {
      let samples = kind.samples(of: place.name)
      guard names.isDisjoint(with: samples) else { return drop(.conflict) }
      guard metrics.count < limits.metrics else { return drop(.metrics) }
      names.formUnion(samples)
      metrics[place.name] = .init(kind: kind, label: MetricNaming.cut(label))
    }
    guard let metric = metrics[place.name], metric.kind == kind else { return drop(.conflict) }
    if let entry = metric.entries[place.labels] {
      metrics[place.name]?.entries[place.labels]?.holders += 1
      return entry.series as? S  // One kind has one type.
    }
    guard metric.entries.count < limits.seriesPerMetric, series < limits.series else {
      dropped[.series, default: 0] += 1
      if let others = metric.others { return others as? S }
      let others = S(kind, at: nil)
      metrics[place.name]?.others = others
      return others
    }
    let made = S(kind, at: place)
    metrics[place.name]?.entries[place.labels] = .init(series: made)
    series += 1
    return made
  }

  private mutating func drop<S>(_ cause: MetricsRegistry.Cause) -> S? {
    dropped[cause, default: 0] += 1
    return nil
  }

  fileprivate mutating func release(_ released: any Series, at place: Place) {
    guard let entry = metrics[place.name]?.entries[place.labels], entry.series === released else {
      return
    }
    guard entry.holders == 1 else {
      metrics[place.name]?.entries[place.labels]?.holders -= 1
      return
    }
    metrics[place.name]?.entries[place.labels] = nil
    series -= 1
    if let metric = metrics[place.name], metric.entries.isEmpty, metric.others == nil {
      metrics[place.name] = nil
      names.subtract(metric.kind.samples(of: place.name))
    }
  }
}
