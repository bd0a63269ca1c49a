internal import NIOCore
internal import NIOPosix

/// A client's way to one server. Connects when the first call is made, shares the connection among
/// all calls, and connects anew when it is lost. Thread-safe.
///
/// After a failed attempt the server is left alone for a while (`Backoff`); calls made meanwhile fail
/// at once with UNAVAILABLE and what went wrong.
public final class RPCChannel: Sendable {
  public enum Target: Sendable, Hashable, CustomStringConvertible {
    /// A Unix socket, in plain text: the kernel vouches for both sides.
    case unix(path: String)
    /// TCP, always with TLS. `serverName` is what the server's certificate must be for; nil: `host`.
    case tcp(host: String, port: Int, serverName: String? = nil)

    public var description: String {
      switch self {
      case .unix(let path): "unix:\(path)"
      case .tcp(let host, let port, _): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
      }
    }
  }

  private let loop: any EventLoop
  private let connector: NIOLoopBoundBox<ClientConnector?>
  private let makeConnector: @Sendable () -> ClientConnector
  private let limits: ClientLimits

  /// Does not connect yet.
  ///
  /// - Parameter tls: a client's context; needed for TCP, not used on Unix sockets.
  public init(_ target: Target, tls: TLSContext?, limits: ClientLimits = ClientLimits()) {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    self.loop = loop
    self.limits = limits
    connector = .makeEmptyBox(eventLoop: loop)
    makeConnector = { ClientConnector(target, tls: tls, limits: limits, loop: loop) }
  }

  deinit {
    // Calls hold the channel, so none is in flight.
    let connector = connector
    loop.execute {
      connector.value?.close {}
      connector.value = nil
    }
  }

  /// Calls the method `path` (`/package.Service/Method`) and returns its response message.
  ///
  /// - Throws: the status that the server gave, or that tells why there is none. Cancelling the task
  ///   resets the call and gives CANCELLED.
  public func unary(
    path: String, message: [UInt8], options: CallOptions = CallOptions()
  ) async throws(RPCStatus) -> [UInt8] {
    let request = try ClientRequest(
      path: path, message: message, metadata: options.metadata, limits: limits)
    let deadline = options.timeout.map { NIODeadline.now() + .bounded($0) }
    let ticket = CallTicket(loop: loop)
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { (answer: ChannelCall.Answer) in
        loop.execute { [self] in
          start(ChannelCall(request, deadline: deadline, answer: answer), ticket)
        }
      }
    } onCancel: {
      ticket.cancel()
    }
    return try result.get()
  }

  /// Closes the connection; calls in flight end with CANCELLED, later ones with UNAVAILABLE.
  public func close() async {
    await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
      loop.execute { [self] in onLoop().close { done.resume() } }
    }
  }

  private func start(_ call: ChannelCall, _ ticket: CallTicket) {
    guard ticket.attach(call) else {
      ticket.detach()
      return call.finish(.failure(CallTicket.cancelled))
    }
    onLoop().start(call) { ticket.detach() }
  }

  private func onLoop() -> ClientConnector {
    if let made = connector.value { return made }
    let made = makeConnector()
    connector.value = made
    return made
  }
}

extension TimeAmount {
  /// A duration of the future, as far as NIO can count: 100 years.
  static func bounded(_ duration: Duration) -> TimeAmount {
    let longest = Duration.seconds(100 * 365 * 24 * 3600)
    let (seconds, attoseconds) = max(.zero, min(duration, longest)).components
    return .seconds(seconds) + .nanoseconds(attoseconds / 1_000_000_000)
  }
}
