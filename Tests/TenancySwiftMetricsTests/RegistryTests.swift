import CoreMetrics
import TenancyMetrics
import Testing

@testable import TenancySwiftMetrics

@Suite("Names, bounds and threads of what is recorded through swift-metrics")
struct RegistryTests {
  @Test(
    arguments: [
      ("http.client-requests", "http_client_requests_total"), ("a_total", "a_total"),
      ("a.total", "a_total"), ("2xx", "_2xx_total"), ("", "__total"),
      ("a:b c\n\"", "a_b_c___total"),
      ("größe", "gr__e_total"), ("process.cpu.seconds", "swift_metrics_process_cpu_seconds_total"),
      ("swift_metrics_dropped", "swift_metrics_swift_metrics_dropped_total"),
    ])
  func names(label: String, name: String) {
    #expect(MetricNaming.name(label, .counter, reserved: ["process_", "swift_metrics_"]) == name)
  }

  @Test func namesOfKinds() {
    func name(_ label: String, _ kind: MetricKind) -> String {
      MetricNaming.name(label, kind, reserved: ["tenancy_"])
    }
    #expect(name("a", .timer) == "a_seconds")
    #expect(name("a.seconds", .timer) == "a_seconds")
    #expect(name("a", .recorder) == "a")
    #expect(name("a", .gauge) == "a")
    // No sample of it may begin like that either.
    #expect(name("tenancy", .gauge) == "tenancy")
    #expect(name("tenancy", .recorder) == "swift_metrics_tenancy")
    #expect(name("tenancy", .counter) == "swift_metrics_tenancy_total")
  }

  private static func labels(_ dimensions: [(String, String)]) -> [String] {
    MetricNaming.labels(dimensions).map { "\($0.name)=\($0.value)" }
  }

  @Test func labels() {
    #expect(Self.labels([("b", "1"), ("a", "2")]) == ["a=2", "b=1"])
    #expect(
      Self.labels([("http.method", "GET"), ("1", "x"), ("", "y")]) == [
        "_=y", "_1=x", "http_method=GET",
      ])
    #expect(Self.labels([("__name__", "x"), ("a", "")]) == ["_name__=x"])
    #expect(
      Self.labels([("le", "1"), ("quantile", "2"), ("otel.metric.overflow", "3")]) == [
        "exported_le=1", "exported_otel_metric_overflow=3", "exported_quantile=2",
      ])
    // One name can be there once only.
    #expect(Self.labels([("a.b", "1"), ("a-b", "2"), ("a.b", "0")]) == ["a_b=2;0;1"])
  }

  /// The last that is whole, and one past it.
  @Test func lengths() {
    let most = MetricNaming.maximumLength
    let (fits, over) = (
      String(repeating: "é", count: most), String(repeating: "é", count: most + 1)
    )
    #expect(Self.labels([("a", fits)]) == ["a=\(fits)"])
    #expect(Self.labels([("a", over)]) == ["a=\(fits)"])
    let name = MetricNaming.name(String(repeating: "a", count: most + 1), .gauge, reserved: [])
    #expect(name.count == most)
    let many = (0...MetricNaming.maximumDimensions).map { ("d\($0)", "x") }
    #expect(Self.labels(many).count == MetricNaming.maximumDimensions)
    #expect(Self.labels(many.dropLast()).count == MetricNaming.maximumDimensions)
  }

  @Test func textsAreEscaped() {
    let registry = MetricsRegistry()
    Counter(label: "a\n\"b\\", dimensions: [("x", "\"\\\n")], factory: registry).increment()
    var text = MetricsText()
    registry.render(into: &text)
    #expect(
      text.text.hasPrefix(
        """
        # HELP a__b__total Recorded through swift-metrics as a\\n"b\\\\.
        # TYPE a__b__total counter
        a__b__total{x="\\"\\\\\\n"} 1

        """))
  }

  @Test func orderIsStable() {
    func text(_ order: [Int]) -> String {
      let registry = MetricsRegistry()
      for number in order {
        Gauge(label: "g\(number % 3)", dimensions: [("n", "\(number)")], factory: registry)
          .record(number)
      }
      var text = MetricsText()
      registry.render(into: &text)
      return text.text
    }
    let numbers = Array(0..<30)
    #expect(text(numbers) == text(numbers.reversed()))
    #expect(text(numbers) == text(numbers.shuffled()))
  }

  /// As many as there may be have series of their own; what is one past them is counted, in one series.
  @Test func seriesOfOneMetricAreBounded() {
    var limits = MetricsRegistry.Limits()
    limits.seriesPerMetric = 3
    let registry = MetricsRegistry(limits: limits)
    func count(_ path: Int) -> Counter {
      let counter = Counter(label: "x", dimensions: [("path", "\(path)")], factory: registry)
      counter.increment()
      return counter
    }
    let own = (0..<3).map(count)
    #expect(registry.dropped("series") == 0)
    for path in 3..<50 { count(path).destroy() }
    _ = count(0)
    #expect(
      registry.lines == [
        "# TYPE x_total counter", "x_total{path=\"0\"} 2", "x_total{path=\"1\"} 1",
        "x_total{path=\"2\"} 1", "x_total{otel_metric_overflow=\"true\"} 47",
      ])
    #expect(registry.dropped("series") == 47)
    // One that goes makes room.
    own[1].destroy()
    _ = count(99)
    #expect(registry.sample("x_total{path=\"99\"}") == 1)
    // Another metric is not affected.
    Gauge(label: "y", factory: registry).record(1)
    #expect(registry.sample("y") == 1)
  }

  @Test func allSeriesAreBounded() {
    var limits = MetricsRegistry.Limits()
    (limits.series, limits.metrics) = (2, 3)
    let registry = MetricsRegistry(limits: limits)
    for label in ["a", "b", "c", "d"] { Gauge(label: label, factory: registry).record(5) }
    #expect(
      registry.lines == [
        "# TYPE a gauge", "a 5", "# TYPE b gauge", "b 5", "# TYPE c gauge",
        "c{otel_metric_overflow=\"true\"} 5",
      ])
    #expect(registry.dropped("series") == 1)
    #expect(registry.dropped("metrics") == 1)
    #expect(registry.sample("swift_metrics_series") == 2)
  }

  /// A scrape with two metrics of one name is refused as a whole.
  @Test func kindsThatConflictAreCounted() {
    let registry = MetricsRegistry()
    Counter(label: "a", factory: registry).increment()
    Gauge(label: "a_total", factory: registry).record(9)
    Timer(label: "t", factory: registry).recordNanoseconds(1)
    Recorder(label: "t_seconds", factory: registry).record(1)
    Gauge(label: "t_seconds_sum", factory: registry).record(9)
    Meter(label: "m", factory: registry).set(1)
    Recorder(label: "m", factory: registry).record(1)
    Gauge(label: "r_count", factory: registry).record(3)
    Recorder(label: "r", factory: registry).record(1)
    #expect(registry.dropped("conflict") == 5)
    #expect(registry.sample("a_total") == 1)
    #expect(registry.sample("t_seconds_count") == 1)
    #expect(registry.sample("m") == 1)
    #expect(registry.sample("r_count") == 3)
    let types = registry.lines.filter { $0.hasPrefix("# TYPE") }
    #expect(
      types == [
        "# TYPE a_total counter", "# TYPE m gauge", "# TYPE r_count gauge",
        "# TYPE t_seconds histogram",
      ])
    // The same name for different kinds is none where their names differ in the end.
    Gauge(label: "a", factory: registry).record(2)
    #expect(registry.sample("a") == 2)
  }

  /// Instruments are made, used, told and destroyed by many threads at once, and nothing is lost.
  @Test func manyThreads() async {
    let registry = MetricsRegistry()
    let (tasks, rounds) = (16, 500)
    let held = Counter(label: "held", factory: registry)
    await withTaskGroup { group in
      for task in 0..<tasks {
        group.addTask {
          for round in 0..<rounds {
            held.increment()
            FloatingPointCounter(label: "half", factory: registry).increment(by: 0.5)
            Recorder(label: "sizes", factory: registry).record(round)
            let own = Meter(
              label: "meters", dimensions: [("n", "\(round % 7)")], factory: registry)
            own.increment(by: 2.0)
            own.decrement(by: 1.0)
            let passing = Timer(
              label: "t", dimensions: [("task", "\(task)")], factory: registry)
            passing.recordNanoseconds(1)
            passing.destroy()
            if round % 100 == 0 { _ = registry.lines }
          }
        }
      }
    }
    let all = Double(tasks * rounds)
    #expect(registry.sample("held_total") == all)
    #expect(registry.sample("half_total") == all / 2)
    #expect(registry.sample("sizes_count") == all)
    let meters = (0..<7).compactMap { registry.sample("meters{n=\"\($0)\"}") }
    #expect(meters.reduce(0, +) == all)
    #expect(registry.sample("t_seconds_count") == nil)
    #expect(registry.sample("swift_metrics_series") == 10)
  }
}
