import TenancyRPC
import Testing

@testable import TenancyMetrics

@Suite("What is counted, and how it is told")
struct MetricsTests {
  @Test(
    arguments: [
      (0, 0), (10_000, 0), (10_001, 1), (10_000_000_000, 18), (10_000_000_001, 19),
      (UInt64.max, 19),
    ] as [(UInt64, Int)])
  func buckets(nanoseconds: UInt64, index: Int) {
    #expect(CallTable.bucket(nanoseconds) == index)
  }

  @Test(
    arguments: [
      (0, "0"), (1, "0.000000001"), (10_000, "0.00001"), (2_500_000_000, "2.5"),
      (10_000_000_000, "10"),
    ] as [(UInt64, String)])
  func seconds(nanoseconds: UInt64, text: String) {
    #expect(MetricsText.seconds(nanoseconds) == text)
  }

  @Test func escaping() {
    var text = MetricsText()
    text.begin("a", .counter, "of \"x\"\\\nend")
    text.sample("a", [("b", "\"\\\n")], "1")
    #expect(
      text.text == "# HELP a of \"x\"\\\\\\nend\n# TYPE a counter\na{b=\"\\\"\\\\\\n\"} 1\n")
  }

  private static func tag(_ number: Int) -> CallTag { CallTag(high: 1, low: UInt64(number)) }

  @Test func tenantsTakeBoundedMemory() {
    var top = TopTenants(kept: 8)
    for round in 0..<100 {
      for _ in 0..<50 { top.add(Self.tag(1), isError: false) }
      for number in 0..<1000 { top.add(Self.tag(1000 + 1000 * round + number), isError: true) }
    }
    #expect(top.entries.count <= 64 * TopTenants.ways)
    #expect(top.calls == 105_000)
    #expect(top.errors == 100_000)
    #expect(top.entries.contains { $0.tag == Self.tag(1) && $0.calls == 5000 })
    top.add(CallTag(), isError: false)
    #expect(top.calls == 105_000)
  }

  /// Who comes late and does much is seen as well, whatever was before.
  @Test func theBusiestAreFound() {
    var top = TopTenants(kept: 80)
    for number in 0..<10_000 { top.add(Self.tag(1000 + number), isError: false) }
    for call in 0..<200_000 {
      // Twenty of them have a half of all calls.
      top.add(
        Self.tag(call % 2 == 0 ? 1 + call / 2 % 20 : 1000 + call * 7919 % 10_000), isError: false)
    }
    let busiest = top.entries.sorted { $0.votes > $1.votes }.prefix(20)
    #expect(Set(busiest.map(\.tag)) == Set((1...20).map(Self.tag)))
  }

  /// As many as are shown are counted exactly, as long as there are no more.
  @Test func fewAreAllCounted() {
    var top = TopTenants(kept: 80)
    for number in 1...20 {
      for _ in 0..<number { top.add(Self.tag(number), isError: false) }
    }
    #expect(top.entries.count == 20)
    #expect(top.entries.allSatisfy { $0.calls == $0.tag.low })
  }

  @Test func seriesOfTenantsNeverFall() {
    var series = TenantSeries(limit: 2)
    var loops = [TopTenants(kept: 3), TopTenants(kept: 3)]
    var before: [CallTag: TenantSeries.Count] = [:]
    var others: UInt64 = 0
    for step in 0..<200 {
      for call in 0..<step % 7 {
        loops[call % 2].add(Self.tag((step * 3 + call) % 11 + 1), isError: false)
      }
      series.update(loops)
      #expect(series.shown.count <= 2)
      #expect(series.others.calls >= others)
      for (tag, count) in series.shown {
        #expect(count.calls >= before[tag]?.calls ?? 0)
      }
      before = series.shown
      others = series.others.calls
    }
    #expect(others > 0)
  }

  @Test func allIsTold() {
    var series = TenantSeries(limit: 2)
    var top = TopTenants(kept: 8)
    for number in 1...4 {
      for _ in 0..<number { top.add(Self.tag(number), isError: number == 4) }
    }
    series.update([top])
    #expect(
      series.shown == [
        Self.tag(3): .init(calls: 3), Self.tag(4): .init(calls: 4, errors: 4),
      ])
    #expect(series.others == .init(calls: 3))
  }

  @Test func callsOfLoopsAreAdded() {
    func record(_ method: Int?, _ code: RPCStatus.Code, _ took: UInt64) -> CallTable {
      var table = CallTable(methods: 2)
      table.add(
        CallRecord(
          method: method, wire: .grpc, peer: .unix, code: code, tag: CallTag(), requestBytes: 5,
          responseBytes: 7, requestMessages: 1, responseMessages: 1, beginTime: 100,
          startTime: 100 + took / 2, endTime: 100 + took))
      return table
    }
    var sum = record(1, .ok, 20_000)
    sum.add(record(1, .ok, 30_000))
    sum.add(record(nil, .unimplemented, 10))
    #expect(sum.rows.map(\.calls) == [2, 1])
    #expect(sum.rows[0].nanoseconds == 50_000)
    #expect(sum.rows[0].queueNanoseconds == 25_000)
    #expect(sum.rows[0].requestBytes == 10)
    var text = MetricsText()
    CallMetricsText.render(sum, ["/a.B/C", "/a.B/D"], into: &text)
    let labels = "rpc_system_name=\"grpc\",rpc_method=\"a.B/D\",rpc_response_status_code=\"OK\""
    #expect(text.text.contains("_seconds_bucket{\(labels),le=\"0.000025\"} 1\n"))
    #expect(text.text.contains("_seconds_bucket{\(labels),le=\"+Inf\"} 2\n"))
    #expect(text.text.contains("_seconds_count{\(labels)} 2\n"))
    #expect(text.text.contains("rpc_method=\"_OTHER\""))
  }
}
