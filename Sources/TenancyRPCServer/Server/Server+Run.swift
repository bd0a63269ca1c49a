internal import NIOCore

/// A server that has lost one of its listeners: the system has closed it, nobody has stopped the server.
public struct ListenerLostError: Error, Sendable, CustomStringConvertible {
  /// Where it listened.
  public let address: ListenAddress

  public var description: String { "the listener \(address) has closed by itself" }
}

extension Server {
  /// Starts, serves until its task is cancelled, and then stops; also when another has stopped it. Returns when it
  /// has stopped.
  ///
  /// The runtime does not depend on swift-service-lifecycle: whoever embeds it need not have that package, and to a
  /// service group a server is one line:
  ///
  /// ```swift
  /// struct RPCService: Service {
  ///   let server: Server
  ///   func run() async throws {
  ///     try await cancelWhenGracefulShutdown { try await server.run(drainingFor: .seconds(30)) }
  ///   }
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - limit: for how long calls in flight may go on when it stops.
  ///   - onStart: called when it listens, with the addresses in use; see `start`. What it throws stops the server.
  /// - Throws: `ServerStartError` as `start` does; what `onStart` throws; `ListenerLostError`. Nothing listens
  ///   then, and it has stopped, unless it was started before: then nothing has changed.
  public func run(
    drainingFor limit: Duration,
    onStart: ([ListenAddress]) async throws -> Void = { _ in }
  ) async throws {
    try beginLife()
    guard !Task.isCancelled else {
      endBinding()
      return await stop(within: .zero)
    }
    let addresses = try await listen()
    guard !Task.isCancelled else { return await finish(within: .zero) }
    do {
      try await onStart(addresses)
    } catch {
      await finish(within: .zero)
      throw error
    }
    let closed = await untilListenerCloses()
    let isLost = isServing && !Task.isCancelled
    await finish(within: limit)
    if isLost, let closed { throw ListenerLostError(address: closed) }
  }

  /// As `stop`, but also in a task that is cancelled, where every sleep of the drain would end at once.
  private func finish(within limit: Duration) async {
    // Waited for: it ends with this call.
    await Task { await stop(within: limit) }.value
  }

  /// Returns when a listener is closed, with its address, or the task is cancelled.
  private func untilListenerCloses() async -> ListenAddress? {
    let (closings, continuation) = AsyncStream.makeStream(of: ListenAddress.self)
    let listeners = listening.withLock { $0 }
    // Who stops it says so before it takes the listeners away.
    guard isServing else { return nil }
    for listener in listeners {
      listener.channel.closeFuture.whenComplete { _ in continuation.yield(listener.address) }
    }
    return await closings.first { _ in true }
  }
}
