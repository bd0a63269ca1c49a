public import TenancyRPC

/// `ttrpc.integration.streaming.Streaming`, as ttrpc's public integration tests want it; and `Echo` does as
/// its message says, so that tests can make a server sleep or fail (`EchoCommand`).
public struct StreamingService: Sendable {
  /// Parts that DivideStream may be asked for. Over it: INVALID_ARGUMENT.
  static let maximumParts = 1_000_000
  /// Messages that EchoNullStream answers each of its requests with.
  private static let answersPerMessage = 10
  private static let expectedText = "non-empty empty"

  private typealias Spec = TTRPCStreaming.Streaming
  private typealias Payload = TTRPCStreaming.EchoPayload

  public init() {}

  public func methods<Delegate: ServerDelegate>() -> [ServiceMethod<Delegate>] {
    [
      .unary(Spec.echo) { call, request in
        let text = try await EchoCommand(parsing: request.msg).run(call)
        return Payload(seq: request.seq &+ 1, msg: text ?? request.msg)
      },
      .bidirectional(Spec.echoStream) { _, requests, responses in
        while let request = try await requests.next() {
          try await responses.send(Payload(seq: request.seq &+ 1, msg: request.msg))
        }
      },
      .clientStreaming(Spec.sumStream) { _, parts in
        var sum = TTRPCStreaming.Sum()
        while let part = try await parts.next() {
          sum.sum &+= part.add
          sum.num &+= 1
        }
        return sum
      },
      .serverStreaming(Spec.divideStream) { _, sum, parts in
        guard (0...Self.maximumParts).contains(Int(sum.num)) else {
          throw RPCStatus(.invalidArgument, "num: 0 to \(Self.maximumParts)")
        }
        for index in 0..<sum.num {
          let isLast = index == sum.num - 1
          // All alike but the last, which has the rest.
          let part = sum.sum / sum.num
          try await parts.send(.init(add: isLast ? sum.sum &- part &* index : part))
        }
      },
      .clientStreaming(Spec.echoNull) { _, requests in
        var count: UInt32 = 0
        while let request = try await requests.next() {
          try Self.check(request, is: count)
          count += 1
        }
        return GoogleProtobuf.Empty()
      },
      .bidirectional(Spec.echoNullStream) { _, requests, responses in
        var count: UInt32 = 0
        while let request = try await requests.next() {
          try Self.check(request, is: count)
          count += 1
          for _ in 0..<Self.answersPerMessage {
            try await responses.send(GoogleProtobuf.Empty())
          }
        }
      },
      .serverStreaming(Spec.emptyPayloadStream) { _, _, responses in
        for number: UInt32 in 1...2 { try await responses.send(Payload(seq: number)) }
      },
    ]
  }

  private static func check(_ payload: Payload, is number: UInt32) throws(RPCStatus) {
    guard payload.seq == number else {
      throw RPCStatus(.invalidArgument, "message \(payload.seq) came instead of \(number)")
    }
    guard payload.msg == expectedText else {
      throw RPCStatus(.invalidArgument, "message \(number) does not say \"\(expectedText)\"")
    }
  }
}
