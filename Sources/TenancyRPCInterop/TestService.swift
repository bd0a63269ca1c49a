public import TenancyRPC

#if canImport(Glibc)
  import Glibc
#endif

/// `grpc.testing.TestService`, as gRPC's public interoperability test description wants it of a server.
/// `UnimplementedCall` is left out, as it must be.
public struct TestService: Sendable {
  /// Bytes of a payload that may be asked for. Over it: INVALID_ARGUMENT.
  static let maximumPayloadBytes = 16 * 1024 * 1024
  /// Messages that one HalfDuplexCall may ask for. Over it: RESOURCE_EXHAUSTED.
  static let maximumHeldParameters = 1000

  private typealias Spec = GRPCTesting.TestService

  /// Tells this server from others.
  private let serverID = String(UInt64.random(in: .min ... .max), radix: 16)

  public init() {}

  public func methods<Delegate: ServerDelegate>() -> [ServiceMethod<Delegate>] {
    [
      .inline(Spec.emptyCall) { (_, _) throws(RPCStatus) in GRPCTesting.Empty() },
      .unary(Spec.unaryCall, unary),
      .unary(Spec.cacheableUnaryCall, cacheable),
      .clientStreaming(Spec.streamingInputCall, input),
      .serverStreaming(Spec.streamingOutputCall) { call, request, responses in
        EchoedMetadata.echo(call)
        try await Self.answer(request, call, responses)
      },
      .bidirectional(Spec.fullDuplexCall) { call, requests, responses in
        EchoedMetadata.echo(call)
        while let request = try await requests.next() {
          try await Self.answer(request, call, responses)
        }
      },
      .bidirectional(Spec.halfDuplexCall, halfDuplex),
    ]
  }

  // MARK: One response

  @Sendable
  private func unary(
    _ call: AsyncCall<some ServerDelegate>, _ request: GRPCTesting.SimpleRequest
  ) async throws -> GRPCTesting.SimpleResponse {
    EchoedMetadata.echo(call)
    try Self.check(request.expectCompressed, wasCompressed: call.requestWasCompressed)
    try Self.check(request.responseStatus)
    if request.responseCompressed?.value == true { call.response.enableCompression() }
    return GRPCTesting.SimpleResponse(
      payload: try Self.payload(request.responseType, size: request.responseSize),
      username: request.fillUsername ? Self.name(of: call.connection.peer) : "",
      serverId: request.fillServerId ? serverID : "")
  }

  @Sendable
  private func cacheable(
    _ call: AsyncCall<some ServerDelegate>, _ request: GRPCTesting.SimpleRequest
  ) async throws -> GRPCTesting.SimpleResponse {
    call.response.addHeaders(["cache-control": "max-age=60, public"])
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    let nanoseconds = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    return GRPCTesting.SimpleResponse(payload: .init(body: Array(String(nanoseconds).utf8)))
  }

  @Sendable
  private func input(
    _ call: AsyncCall<some ServerDelegate>,
    _ requests: RequestStream<GRPCTesting.StreamingInputCallRequest>
  ) async throws -> GRPCTesting.StreamingInputCallResponse {
    EchoedMetadata.echo(call)
    var size = 0
    while let received = try await requests.nextReceived() {
      try Self.check(
        received.message.expectCompressed, wasCompressed: received.wasCompressed)
      size += received.message.payload?.body.count ?? 0
    }
    return GRPCTesting.StreamingInputCallResponse(aggregatedPayloadSize: Int32(clamping: size))
  }

  // MARK: Many responses

  private typealias Responses = ResponseStream<GRPCTesting.StreamingOutputCallResponse>

  @Sendable
  private func halfDuplex(
    _ call: AsyncCall<some ServerDelegate>,
    _ requests: RequestStream<GRPCTesting.StreamingOutputCallRequest>,
    _ responses: ResponseStream<GRPCTesting.StreamingOutputCallResponse>
  ) async throws {
    EchoedMetadata.echo(call)
    // Without their payloads: only what is to be answered is held.
    var held = GRPCTesting.StreamingOutputCallRequest()
    while let request = try await requests.next() {
      try Self.check(request.responseStatus)
      held.responseParameters += request.responseParameters
      guard held.responseParameters.count <= Self.maximumHeldParameters else {
        throw RPCStatus(
          .resourceExhausted, "more than \(Self.maximumHeldParameters) messages are asked for")
      }
    }
    try await Self.answer(held, call, responses)
  }

  private static func answer(
    _ request: GRPCTesting.StreamingOutputCallRequest, _ call: AsyncCall<some ServerDelegate>,
    _ responses: Responses
  ) async throws {
    try check(request.responseStatus)
    if request.responseParameters.contains(where: { $0.compressed?.value == true }) {
      call.response.enableCompression()
    }
    for parameters in request.responseParameters {
      let payload = try payload(request.responseType, size: parameters.size)
      if parameters.intervalUs > 0 {
        try await Task.sleep(for: .microseconds(Int64(parameters.intervalUs)))
      }
      try await responses.send(
        GRPCTesting.StreamingOutputCallResponse(payload: payload),
        compress: parameters.compressed?.value == true)
    }
  }

  // MARK: What requests ask for

  private static func check(_ status: GRPCTesting.EchoStatus?) throws(RPCStatus) {
    guard let status, status.code != 0 else { return }
    throw RPCStatus(.init(number: Int(status.code)), status.message)
  }

  private static func check(
    _ expected: GRPCTesting.BoolValue?, wasCompressed: Bool
  ) throws(RPCStatus) {
    guard let expected, expected.value != wasCompressed else { return }
    throw RPCStatus(
      .invalidArgument,
      wasCompressed ? "the message was compressed" : "the message was not compressed")
  }

  private static func payload(
    _ type: GRPCTesting.PayloadType, size: Int32
  ) throws(RPCStatus) -> GRPCTesting.Payload {
    guard type == .compressable else {
      throw RPCStatus(.invalidArgument, "response_type: only COMPRESSABLE is known")
    }
    guard (0...maximumPayloadBytes).contains(Int(size)) else {
      throw RPCStatus(.invalidArgument, "size: 0 to \(maximumPayloadBytes)")
    }
    return GRPCTesting.Payload(body: [UInt8](repeating: 0, count: Int(size)))
  }

  /// Who the runtime says is at the other end.
  private static func name(of peer: Peer) -> String {
    switch peer {
    case .certificate(let certificate): certificate.uriNames.first ?? certificate.fingerprintText
    case .unixProcess(let process): "uid:\(process.userID)"
    case .anonymous, .uncertified: ""
    }
  }
}
