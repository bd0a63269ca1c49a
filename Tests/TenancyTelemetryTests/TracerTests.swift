import TenancyRPC
import Testing

@testable import TenancyTelemetry

@Suite("Which calls are traced, and what a span says")
struct TracerTests {
  private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"

  private static func tracer(_ ratio: Double, spansPerSecond: Int = 1_000_000) -> Tracer {
    Tracer(
      Tracer.Settings(
        collector: .unix(path: "/nowhere"), ratio: ratio, spansPerSecond: spansPerSecond),
      version: "1", tenantName: Sample.tenantName
    ) { _ in }
  }

  private static func belongs(sampled: Bool) -> RPCMetadata {
    ["traceparent": "00-\(trace)-00f067aa0ba902b7-0\(sampled ? 1 : 0)", "x-request-id": "r"]
  }

  @Test(
    arguments: [(0, 0...0), (0.1, 820...1180), (1, 10_000...10_000)] as [(Double, ClosedRange<Int>)]
  )
  func chance(ratio: Double, count: ClosedRange<Int>) {
    var loop = LoopTracer(Self.tracer(ratio), methods: ["/a.B/C"])
    var traces: Set<TraceID> = []
    for number in 0..<10_000 {
      // A budget of one account is a quarter: calls of different moments.
      let time = UInt64(number + 1) * 1_000_000_000
      if let trace = loop.note(.sample(at: time), CallDetails()) { traces.insert(trace) }
    }
    #expect(count.contains(traces.count))
  }

  @Test(arguments: [0, 0.5, 1]) func whatTheCallerSaysCounts(ratio: Double) {
    let tracer = Self.tracer(ratio)
    var loop = LoopTracer(tracer, methods: ["/a.B/C"])
    for _ in 0..<100 {
      #expect(loop.note(.sample(), CallDetails(metadata: Self.belongs(sampled: false))) == nil)
      let trace = loop.note(.sample(), CallDetails(metadata: Self.belongs(sampled: true)))
      #expect(trace?.text == Self.trace)
    }
    let spans = tracer.queue.take(.max)
    #expect(spans.count == 100)
    #expect(Set(spans.map(\.span)).count == 100)
    #expect(spans.allSatisfy { $0.parent?.text == "00f067aa0ba902b7" })
    #expect(tracer.queue.takeDropped() == .init())
  }

  @Test func oneAccountHasAQuarter() {
    let tracer = Self.tracer(1, spansPerSecond: 20)
    var loop = LoopTracer(tracer, methods: ["/a.B/C"])
    for _ in 0..<100 { _ = loop.note(.sample(), CallDetails(account: 1)) }
    #expect(loop.note(.sample(), CallDetails(account: 2)) != nil)
    #expect(tracer.queue.take(.max).count == 6)
    #expect(tracer.queue.takeDropped() == .init(overRate: 95))
  }

  @Test func theQueueIsBounded() {
    let tracer = Self.tracer(1)
    var loop = LoopTracer(tracer, methods: ["/a.B/C"])
    for _ in 0..<SpanQueue.maximumSpans + 3 { _ = loop.note(.sample(), CallDetails()) }
    #expect(tracer.queue.take(10).count == 10)
    #expect(tracer.queue.take(.max).count == SpanQueue.maximumSpans - 10)
    #expect(tracer.queue.takeDropped() == .init(overflown: 3))
    #expect(tracer.queue.takeDropped().isEmpty)
  }

  @Test func whatASpanSays() throws {
    let tracer = Self.tracer(0)
    var loop = LoopTracer(tracer, methods: ["/a.v1.B/C"])
    _ = loop.note(.sample(.notFound), CallDetails(metadata: Self.belongs(sampled: true)))
    _ = loop.note(
      .sample(.unavailable, method: nil), CallDetails(metadata: Self.belongs(sampled: true)))
    let spans = tracer.queue.take(.max).map { $0.message() }
    #expect(spans.map(\.name) == ["a.v1.B/C", "_OTHER"])
    let span = try #require(spans.first)
    #expect(
      span.traceId == [75, 249, 47, 53, 119, 179, 77, 166, 163, 206, 146, 157, 14, 14, 71, 54])
    #expect(span.parentSpanId == [0, 240, 103, 170, 11, 169, 2, 183])
    #expect(span.endTimeUnixNano - span.startTimeUnixNano == 2_000_000)
    #expect(
      span.attributes == [
        .text("rpc.system", "grpc"),
        OTLPCommon.KeyValue(key: "rpc.grpc.status_code", value: .init(value: .intValue(5))),
        .text("rpc.service", "a.v1.B"), .text("rpc.method", "C"),
        .text("tenancy.tenant.id", "tenant-7"), .text("tenancy.request.id", "r"),
      ])
    // The caller's mistakes are not the server's.
    #expect(spans.map(\.status) == [nil, OTLPTrace.Status(code: .error)])
  }

  @Test(arguments: [(0, 0), (-1, 0), (0.5, 1 << 63), (1, .max), (2, .max)] as [(Double, UInt64)])
  func thresholds(ratio: Double, threshold: UInt64) {
    #expect(LoopTracer.threshold(ratio) == threshold)
  }
}
