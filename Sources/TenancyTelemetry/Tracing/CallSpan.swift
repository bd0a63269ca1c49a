import TenancyRPC

/// The span of one call, as its event loop leaves it to the exporter.
struct CallSpan: Sendable {
  let trace: TraceID
  let span: SpanID
  /// Nil: a root.
  let parent: SpanID?
  /// `/package.Service/Method`; nil: there is no such method.
  let path: String?
  let wire: CallRecord.Wire
  let code: RPCStatus.Code
  /// Nanoseconds since 1970.
  let startTime: UInt64
  let endTime: UInt64
  /// What the call was about.
  let tenant: String?
  let requestID: String?
}

extension CallSpan {
  /// As OpenTelemetry's conventions for RPC want it.
  func message() -> OTLPTrace.Span {
    let name = path.map { String($0.dropFirst()) } ?? "_OTHER"
    return OTLPTrace.Span(
      traceId: Self.bytes(trace.high) + Self.bytes(trace.low), spanId: Self.bytes(span.value),
      parentSpanId: parent.map { Self.bytes($0.value) } ?? [], name: name, kind: .server,
      startTimeUnixNano: startTime, endTimeUnixNano: endTime, attributes: attributes,
      status: isOurFailure ? OTLPTrace.Status(code: .error) : nil, flags: 1)
  }

  private var attributes: [OTLPCommon.KeyValue] {
    var found: [OTLPCommon.KeyValue] = [
      .text("rpc.system", wire == .grpc ? "grpc" : "ttrpc"),
      OTLPCommon.KeyValue(
        key: "rpc.grpc.status_code", value: .init(value: .intValue(Int64(code.rawValue)))),
    ]
    if let parts = path?.dropFirst().split(separator: "/"), parts.count == 2 {
      found.append(.text("rpc.service", String(parts[0])))
      found.append(.text("rpc.method", String(parts[1])))
    }
    if let tenant { found.append(.text("tenancy.tenant.id", tenant)) }
    if let requestID { found.append(.text("tenancy.request.id", requestID)) }
    return found
  }

  /// Of a server's span, only what is the server's fault is an error.
  private var isOurFailure: Bool {
    let codes: [RPCStatus.Code] = [
      .unknown, .deadlineExceeded, .unimplemented, .internalError, .unavailable, .dataLoss,
    ]
    return codes.contains(code)
  }

  private static func bytes(_ value: UInt64) -> [UInt8] {
    stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) }
  }
}

extension OTLPCommon.KeyValue {
  static func text(_ key: String, _ value: String) -> Self {
    Self(key: key, value: .init(value: .stringValue(value)))
  }
}
