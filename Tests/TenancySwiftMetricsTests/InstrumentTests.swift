import CoreMetrics
import TenancyMetrics
import TenancySwiftMetrics
import Testing

@Suite("Instruments of swift-metrics")
struct InstrumentTests {
  private let registry = MetricsRegistry()

  @Test func counters() {
    let counter = Counter(label: "http.requests", factory: registry)
    counter.increment()
    counter.increment(by: 41)
    counter.increment(by: -5)
    #expect(registry.lines == ["# TYPE http_requests_total counter", "http_requests_total 42"])
    counter.reset()
    #expect(registry.sample("http_requests_total") == 0)
  }

  /// Beyond what a number with a fraction can tell apart.
  @Test func wholeCountersAreExact() {
    let counter = Counter(label: "a", factory: registry)
    counter.increment(by: Int64(1) << 60)
    counter.increment()
    #expect(registry.lines.last == "a_total 1152921504606846977")
  }

  @Test func countersWithFractions() {
    let counter = FloatingPointCounter(label: "a.total", factory: registry)
    for amount in [0.5, 2.25, -1, .nan, .infinity, 0] { counter.increment(by: amount) }
    #expect(registry.lines == ["# TYPE a_total counter", "a_total 2.75"])
    // The other kind of counter is the same to who reads it.
    Counter(label: "a", factory: registry).increment(by: 2)
    #expect(registry.sample("a_total") == 4.75)
    counter.reset()
    #expect(registry.sample("a_total") == 0)
  }

  @Test func gauges() {
    let gauge = Gauge(label: "pool-size", factory: registry)
    gauge.record(7)
    gauge.record(-2.5)
    #expect(registry.lines == ["# TYPE pool_size gauge", "pool_size -2.5"])
  }

  @Test func meters() {
    let meter = Meter(label: "a", factory: registry)
    meter.set(7)
    meter.increment(by: 2.5)
    meter.decrement()
    for amount in [-1, Double.nan, .infinity] {
      meter.increment(by: amount)
      meter.decrement(by: amount)
    }
    #expect(registry.lines == ["# TYPE a gauge", "a 8.5"])
    for (value, text) in [(Double.nan, "NaN"), (.infinity, "+Inf"), (-.infinity, "-Inf")] {
      meter.set(value)
      #expect(registry.lines.last == "a \(text)")
    }
  }

  @Test func recordersThatAggregate() {
    let recorder = Recorder(label: "batch", dimensions: [("of", "x")], factory: registry)
    for value in [0, 5, 6, 10_000] { recorder.record(value) }
    for value in [10_000.5, -1, .nan, .infinity] { recorder.record(value) }
    let bounds: [(String, Int)] = [
      ("0", 2), ("5", 3), ("10", 4), ("25", 4), ("50", 4), ("75", 4), ("100", 4), ("250", 4),
      ("500", 4), ("750", 4), ("1000", 4), ("2500", 4), ("5000", 4), ("7500", 4), ("10000", 5),
      ("+Inf", 6),
    ]
    #expect(
      registry.lines == ["# TYPE batch histogram"]
        + bounds.map { "batch_bucket{of=\"x\",le=\"\($0)\"} \($1)" }
        + ["batch_sum{of=\"x\"} 20010.5", "batch_count{of=\"x\"} 6"])
  }

  @Test func timers() {
    let timer = Timer(label: "call.duration", factory: registry)
    timer.recordNanoseconds(10_000)
    timer.recordNanoseconds(10_001)
    timer.recordMilliseconds(1500)
    timer.recordNanoseconds(-1)
    timer.recordSeconds(Int64.max)
    let name = "call_duration_seconds"
    #expect(registry.lines.first == "# TYPE \(name) histogram")
    #expect(registry.sample("\(name)_bucket{le=\"0.00001\"}") == 2)
    #expect(registry.sample("\(name)_bucket{le=\"0.000025\"}") == 3)
    #expect(registry.sample("\(name)_bucket{le=\"1\"}") == 3)
    #expect(registry.sample("\(name)_bucket{le=\"2.5\"}") == 4)
    #expect(registry.sample("\(name)_bucket{le=\"+Inf\"}") == 5)
    #expect(registry.sample("\(name)_count") == 5)
    #expect(registry.sample("\(name)_sum") == 1.500020001 + Double(Int64.max) / 1e9)
  }

  @Test func sameLabelAndDimensionsAreOneInstrument() {
    let dimensions = [("a", "1"), ("b", "2")]
    Counter(label: "x", dimensions: dimensions, factory: registry).increment()
    Counter(label: "x", dimensions: dimensions.reversed(), factory: registry).increment()
    Counter(label: "x", dimensions: dimensions, factory: registry).increment(by: 40)
    #expect(registry.lines == ["# TYPE x_total counter", "x_total{a=\"1\",b=\"2\"} 42"])
    let first = registry.makeTimer(label: "t", dimensions: [])
    #expect(first === registry.makeTimer(label: "t", dimensions: []))
    #expect(first !== registry.makeTimer(label: "t", dimensions: [("a", "1")]))
  }

  @Test func whatIsDestroyedIsToldNoMore() {
    let first = Counter(label: "x", factory: registry)
    let second = Counter(label: "x", factory: registry)
    first.increment()
    first.destroy()
    second.increment()
    #expect(registry.sample("x_total") == 2, "the other one is still there")
    second.destroy()
    #expect(registry.lines == [])
    #expect(registry.sample("swift_metrics_series") == 0)
    // Once more ends nothing of who comes after.
    let third = Counter(label: "x", factory: registry)
    second.destroy()
    second.increment()
    #expect(registry.lines == ["# TYPE x_total counter", "x_total 0"])
    third.destroy()
    #expect(registry.lines == [])
  }

  @Test func allKindsAreDestroyed() {
    let all: [any Sendable & Destroyable] = [
      Counter(label: "a", factory: registry), FloatingPointCounter(label: "b", factory: registry),
      Gauge(label: "c", factory: registry), Meter(label: "d", factory: registry),
      Recorder(label: "e", factory: registry), Timer(label: "f", factory: registry),
    ]
    #expect(registry.sample("swift_metrics_series") == 6)
    for instrument in all { instrument.destroy() }
    #expect(registry.lines == [])
    // Their names are free, for other kinds too.
    Gauge(label: "e_count", factory: registry).record(1)
    #expect(registry.sample("e_count") == 1)
  }

  /// As when handlers of two registries are taken for each other.
  @Test func handlersOfOthersAreLeftAlone() {
    let counter = Counter(label: "x", factory: registry)
    let other = MetricsRegistry()
    _ = other.makeCounter(label: "x", dimensions: [])
    registry.destroyCounter(other.makeCounter(label: "x", dimensions: []))
    registry.destroyCounter(NOOPMetricsHandler.instance)
    counter.increment()
    #expect(registry.sample("x_total") == 1)
  }
}

private protocol Destroyable {
  func destroy()
}

extension Counter: Destroyable {}
extension FloatingPointCounter: Destroyable {}
extension Recorder: Destroyable {}
extension Meter: Destroyable {}
extension Timer: Destroyable {}
