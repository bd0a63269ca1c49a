public import TenancyRPCCore

/// Calls of methods by their path, `/package.Service/Method`, with messages as bytes.
///
/// All of them throw the `RPCStatus` that the server gave, or that tells why there is none. Cancelling
/// the task resets the call and gives CANCELLED.
extension RPCChannel {
  /// Sends one message and waits for one.
  public nonisolated(nonsending) func unary(
    path: String, message: [UInt8], options: RPCCallOptions = RPCCallOptions()
  ) async throws(RPCStatus) -> [UInt8] {
    let mailbox = try begin(path, .unary, options, message: message)
    return try await response(mailbox, options)
  }

  /// Sends one message; `body` reads the answers.
  ///
  /// A call that is not over when `body` returns or throws is cancelled.
  public nonisolated(nonsending) func serverStreaming<Answer>(
    path: String, message: [UInt8], options: RPCCallOptions = RPCCallOptions(),
    _ body: (RawResponseMessages) async throws -> Answer
  ) async throws -> Answer {
    let mailbox = try begin(path, .serverStreaming, options, message: message)
    return try await run(mailbox, options) { try await body(responses(mailbox)) }
  }

  /// `send` sends any number of messages; the answer is one.
  ///
  /// - Throws: what `send` throws, in which case the call is cancelled. When the server ends the call
  ///   early, what counts is how.
  public nonisolated(nonsending) func clientStreaming(
    path: String, options: RPCCallOptions = RPCCallOptions(),
    _ send: (RawRequestWriter) async throws -> Void
  ) async throws -> [UInt8] {
    let mailbox = try begin(path, .clientStreaming, options)
    do {
      try await send(writer(mailbox, options))
    } catch {
      guard mailbox.end != nil else {
        await leave(mailbox, options)
        throw error
      }
    }
    mailbox.finish()
    return try await response(mailbox, options)
  }

  /// `body` sends and reads as it likes, from several tasks if it likes.
  ///
  /// A call that is not over when `body` returns or throws is cancelled: to end it well, call `finish`
  /// and read to the end.
  public nonisolated(nonsending) func bidirectional<Answer>(
    path: String, options: RPCCallOptions = RPCCallOptions(),
    _ body: (RawRequestWriter, RawResponseMessages) async throws -> Answer
  ) async throws -> Answer {
    let mailbox = try begin(path, .bidirectional, options)
    return try await run(mailbox, options) {
      try await body(writer(mailbox, options), responses(mailbox))
    }
  }

  // MARK: Beginning and ending

  private func begin(
    _ path: String, _ kind: CallKind, _ options: RPCCallOptions, message: [UInt8]
  ) throws(RPCStatus) -> CallMailbox {
    let packs = packs(options)
    let first = try RawRequestWriter.outbound(
      message, packs: packs, limit: limits.maximumRequestMessageBytes)
    return try begin(path, kind, options, only: first)
  }

  private func responses(_ mailbox: CallMailbox) -> RawResponseMessages {
    RawResponseMessages(mailbox: mailbox, limit: limits.maximumMessageBytes)
  }

  private func writer(_ mailbox: CallMailbox, _ options: RPCCallOptions) -> RawRequestWriter {
    RawRequestWriter(
      mailbox: mailbox, packs: packs(options), limit: limits.maximumRequestMessageBytes)
  }

  private func packs(_ options: RPCCallOptions) -> Bool {
    options.compressesRequests && configuration.wireProtocol == .grpc
  }

  /// The only message of a response.
  private nonisolated(nonsending) func response(
    _ mailbox: CallMailbox, _ options: RPCCallOptions
  ) async throws(RPCStatus) -> [UInt8] {
    let end = await mailbox.outcome()
    options.onMetadata?(mailbox.metadata)
    guard end.status.code == .ok, let message = try await mailbox.next() else { throw end.status }
    return try RawResponseMessages.unpacked(message, limit: limits.maximumMessageBytes)
  }

  private nonisolated(nonsending) func run<Answer>(
    _ mailbox: CallMailbox, _ options: RPCCallOptions, _ body: () async throws -> Answer
  ) async throws -> Answer {
    do {
      let answer = try await body()
      await leave(mailbox, options)
      return answer
    } catch {
      await leave(mailbox, options)
      throw error
    }
  }

  /// Cancels the call if it is not over, and waits until it is.
  private nonisolated(nonsending) func leave(_ mailbox: CallMailbox, _ options: RPCCallOptions)
    async
  {
    mailbox.cancel()
    _ = await mailbox.outcome()
    options.onMetadata?(mailbox.metadata)
  }
}
