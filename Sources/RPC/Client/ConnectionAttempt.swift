internal import NIOCore
internal import NIOPosix

/// One attempt to connect: to the socket, through TLS, to the server's first HTTP/2 settings.
/// Confined to the channel's event loop.
final class ConnectionAttempt {
  private let target: RPCChannel.Target
  private let tls: TLSContext?
  private let limits: ClientLimits
  private weak var owner: (any ClientConnectionOwner)?
  private var onFailure: ((String) -> Void)?
  private var timer: Scheduled<Void>?
  private var channel: (any Channel)?
  private var isAbandoned = false
  /// Candidates: a host may have several addresses, tried side by side.
  private var connections: [HTTP2ClientHandler] = []

  init(
    target: RPCChannel.Target, tls: TLSContext?, limits: ClientLimits,
    owner: any ClientConnectionOwner
  ) {
    self.target = target
    self.tls = tls
    self.limits = limits
    self.owner = owner
  }

  func owns(_ connection: HTTP2ClientHandler) -> Bool {
    connections.contains { $0 === connection }
  }

  /// `onFailure` is called at most once, and not after `succeed` or `abandon`.
  func start(on loop: any EventLoop, onFailure: @escaping (String) -> Void) {
    self.onFailure = onFailure
    let timeout = TimeAmount.bounded(limits.connectTimeout)
    timer = loop.assumeIsolated().scheduleTask(in: timeout) { [self] in
      fail("no answer within \(limits.connectTimeout)")
    }
    let bound = NIOLoopBound(self, eventLoop: loop)
    let bootstrap = ClientBootstrap(group: loop)
      .connectTimeout(timeout)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try bound.value.install(channel.pipeline.syncOperations)
        }
      }
    let connected =
      switch target {
      case .unix(let path): bootstrap.connect(unixDomainSocketPath: path)
      case .tcp(let host, let port, _):
        bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1).connect(host: host, port: port)
      }
    connected.assumeIsolated().whenComplete { [self] in socketConnected($0) }
  }

  /// The connection works.
  func succeed() {
    onFailure = nil
    timer?.cancel()
  }

  func fail(_ reason: String) {
    guard let onFailure else { return }
    abandon()
    onFailure(reason)
  }

  /// Gives up without telling anyone.
  func abandon() {
    isAbandoned = true
    succeed()
    channel?.close(promise: nil)
  }

  private func socketConnected(_ result: Result<any Channel, any Error>) {
    switch result {
    case .success(let channel):
      self.channel = channel
      if isAbandoned { channel.close(promise: nil) }
    case .failure(let error):
      fail(ConnectFailure.reason(error))
    }
  }

  // MARK: Pipeline

  private func install(_ pipeline: ChannelPipeline.SynchronousOperations) throws {
    guard let owner else { return }
    let session = HTTP2ClientSession(scheme: scheme, authority: authority, limits: limits)
    let connection = HTTP2ClientHandler(session, owner: owner)
    connections.append(connection)
    guard case .tcp(let host, _, let serverName) = target else {
      return try pipeline.addHandler(connection)
    }
    guard let tls, tls.side == .client else { throw TLSError("TCP needs a client's TLS context") }
    let engine = try TLSEngine(tls, serverName: serverName ?? host)
    try pipeline.addHandler(
      TLSHandler(engine) { [self] outcome, pipeline in
        do {
          _ = try outcome.get()
          try pipeline.addHandler(connection, position: .last)
          return true
        } catch {
          fail("\(error)")
          return false
        }
      })
  }

  private var scheme: String {
    switch target {
    case .unix: "http"
    case .tcp: "https"
    }
  }

  private var authority: String {
    switch target {
    case .unix: "localhost"
    case .tcp(let host, let port, let serverName):
      RPCChannel.Target.tcp(host: serverName ?? host, port: port).description
    }
  }
}
