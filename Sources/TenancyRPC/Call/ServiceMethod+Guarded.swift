import Synchronization

extension ServiceMethod {
  /// Judges a call before its handler sees it. Runs on the event loop, and must not block.
  public typealias InlineGuard = @Sendable (_ call: InlineCall) throws(RPCStatus) -> Void

  /// Runs a handler, which is `next`, or does not.
  public typealias AsyncGuard =
    @Sendable (_ call: AsyncCall, _ next: @escaping @Sendable () async throws -> Void) async throws
    -> Void

  /// The method, every call of which is judged by what is given first, whichever kind it is of.
  ///
  /// - Parameters:
  ///   - inline: throws what the call ends with instead of being answered from memory.
  ///   - others: runs an asynchronous handler, or throws what the call ends with.
  public func guarded(
    inline: @escaping InlineGuard, others: @escaping AsyncGuard
  ) -> ServiceMethod {
    var guarded = ServiceMethod(path: path, kind: kind, handler: handler(inline, others))
    guarded.waiting = waiting.map { Self.guarded($0, others) }
    return guarded
  }

  private func handler(_ inline: @escaping InlineGuard, _ others: @escaping AsyncGuard) -> Handler {
    switch handler {
    case .inline(let body):
      .inline { (call, message) throws(RPCStatus) in
        try inline(call)
        try body(call, message)
      }
    case .async(let body): .async(Self.guarded(body, others))
    case .streaming(let body, let executor):
      .streaming(
        { call, requests, responses in
          try await others(call) { try await body(call, requests, responses) }
        }, executor)
    }
  }

  private static func guarded(
    _ body: @escaping AsyncHandler, _ others: @escaping AsyncGuard
  ) -> AsyncHandler {
    { call, message in
      let answer = Answer()
      try await others(call) { answer.set(try await body(call, message)) }
      guard let bytes = answer.bytes else {
        throw RPCStatus(.internalError, "the call was not answered")
      }
      return bytes
    }
  }
}

/// Of one call.
private final class Answer: Sendable {
  private let state = Mutex<[UInt8]?>(nil)

  var bytes: [UInt8]? { state.withLock { $0 } }

  func set(_ bytes: [UInt8]) { state.withLock { $0 = bytes } }
}
