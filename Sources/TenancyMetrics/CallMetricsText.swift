import TenancyRPC

/// Names are after OpenTelemetry's conventions for RPC, in the form that Prometheus gives them.
enum CallMetricsText {
  private typealias Label = (name: String, value: String)

  static func render(_ calls: CallTable, _ methods: [String], into text: inout MetricsText) {
    let rows = calls.rows.map { (labels($0, methods), $0) }
    let duration = "rpc_server_call_duration_seconds"
    text.begin(
      duration, .histogram, "From the arrival of a call's headers until its status is final.")
    for (labels, row) in rows {
      text.histogram(duration, labels, CallTable.bounds, row.buckets, sum: row.nanoseconds)
    }
    counter(
      "rpc_server_call_queue_seconds_total",
      "Of that, what passed before a handler began.", rows, into: &text
    ) { MetricsText.seconds($0.queueNanoseconds) }
    counter(
      "rpc_server_request_bytes_total", "Of messages as they came in.", rows, into: &text
    ) { String($0.requestBytes) }
    counter(
      "rpc_server_response_bytes_total", "Of messages as they are sent.", rows, into: &text
    ) { String($0.responseBytes) }
    counter("rpc_server_request_messages_total", "Messages received.", rows, into: &text) {
      String($0.requestMessages)
    }
    counter("rpc_server_response_messages_total", "Messages sent.", rows, into: &text) {
      String($0.responseMessages)
    }
  }

  private static func counter(
    _ name: String, _ help: String, _ rows: [([Label], CallTable.Row)],
    into text: inout MetricsText, _ value: (CallTable.Row) -> String
  ) {
    text.begin(name, .counter, help)
    for (labels, row) in rows { text.sample(name, labels, value(row)) }
  }

  /// A method that there is not is `_OTHER`: its name is the peer's, and there may be any number.
  private static func labels(_ row: CallTable.Row, _ methods: [String]) -> [Label] {
    let method = row.method.map { String(methods[$0].dropFirst()) } ?? "_OTHER"
    return [
      ("rpc_system_name", name(row.wire)), ("rpc_method", method),
      ("rpc_response_status_code", row.code.description),
    ]
  }

  private static func name(_ wire: CallRecord.Wire) -> String {
    switch wire {
    case .grpc: "grpc"
    case .ttrpc: "ttrpc"
    }
  }

  private static func name(_ peer: CallRecord.PeerKind) -> String {
    switch peer {
    case .certificate: "certificate"
    case .unix: "unix"
    case .anonymous: "anonymous"
    }
  }

  static func render(connections seen: [LoopMetrics.Counts], into text: inout MetricsText) {
    text.single(
      "rpc_server_active_calls", .gauge, "Calls whose status is not final.",
      String(seen.reduce(0) { $0 + $1.inFlight }))
    for (metric, kind, help, value) in [
      (
        "rpc_server_connections", MetricsText.Kind.gauge, "Open connections.",
        { (counts: LoopMetrics.Counts, place: Int) in counts.open[place] }
      ),
      (
        "rpc_server_connections_total", .counter, "Connections so far.",
        { counts, place in Int(clamping: counts.accepted[place]) }
      ),
    ] {
      text.begin(metric, kind, help)
      for wire in CallRecord.Wire.allCases {
        for peer in CallRecord.PeerKind.allCases {
          let place = LoopMetrics.Counts.place(wire, peer)
          text.sample(
            metric, [("rpc_system_name", name(wire)), ("peer", name(peer))],
            String(seen.reduce(0) { $0 + value($1, place) }))
        }
      }
    }
    text.begin("tls_server_handshakes_total", .counter, "TLS handshakes that ended.")
    text.sample(
      "tls_server_handshakes_total", [("result", "ok")],
      String(seen.reduce(0) { $0 &+ $1.handshakes }))
    text.sample(
      "tls_server_handshakes_total", [("result", "failed")],
      String(seen.reduce(0) { $0 &+ $1.failedHandshakes }))
    let lag = "rpc_server_event_loop_lag_seconds"
    text.begin(lag, .histogram, "How late event loops were for what they do once a second.")
    var buckets = [UInt64](repeating: 0, count: CallTable.bounds.count + 1)
    for counts in seen {
      for (index, count) in counts.lateness.enumerated() { buckets[index] &+= count }
    }
    text.histogram(
      lag, [], CallTable.bounds, buckets, sum: seen.reduce(0) { $0 &+ $1.latenessNanoseconds })
  }

  static func render(
    tenants: [(name: String, count: TenantSeries.Count)], into text: inout MetricsText
  ) {
    text.begin(
      "tenancy_tenant_calls_total", .counter,
      "Calls about a tenant: the busiest since they are, all others together.")
    for (name, count) in tenants {
      text.sample("tenancy_tenant_calls_total", [("tenant", name)], String(count.calls))
    }
    text.begin("tenancy_tenant_errors_total", .counter, "Of these, those that were not OK.")
    for (name, count) in tenants {
      text.sample("tenancy_tenant_errors_total", [("tenant", name)], String(count.errors))
    }
  }
}
