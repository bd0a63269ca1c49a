internal import NIOCore
internal import NIOPosix
internal import TenancyCrypto
internal import TenancyRPCCore

/// One attempt to connect to one address: to the socket, through TLS, to the server's first sign that
/// it speaks the protocol. Confined to the channel's event loop.
final class ConnectionAttempt: ConnectionSetUp {
  private let address: ServerAddress
  private let configuration: ConnectionConfiguration
  private weak var owner: (any ClientConnectionOwner)?
  private var onFailure: ((String) -> Void)?
  private var timer: Scheduled<Void>?
  private var channel: (any Channel)?
  private var isAbandoned = false
  private var connection: ClientConnection?

  init(
    _ address: ServerAddress, _ configuration: ConnectionConfiguration,
    owner: any ClientConnectionOwner
  ) {
    self.address = address
    self.configuration = configuration
    self.owner = owner
  }

  func owns(_ connection: ClientConnection) -> Bool { self.connection === connection }

  func start(on loop: any EventLoop, onFailure: @escaping (String) -> Void) {
    self.onFailure = onFailure
    let limit = configuration.limits.connectTimeout
    let timeout = TimeAmount.bounded(limit)
    timer = loop.assumeIsolated().scheduleTask(in: timeout) { [self] in
      fail("no answer within \(limit)")
    }
    let target: SocketAddress
    do {
      target = try address.socketAddress()
    } catch {
      return fail("\(error)")
    }
    let bound = NIOLoopBound(self, eventLoop: loop)
    var bootstrap = ClientBootstrap(group: loop)
      .connectTimeout(timeout)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try bound.value.install(channel.pipeline.syncOperations)
        }
      }
    if address.usesTLS {
      bootstrap = bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1)
    }
    bootstrap.connect(to: target).assumeIsolated().whenComplete { [self] in socketConnected($0) }
  }

  func succeed() {
    onFailure = nil
    timer?.cancel()
  }

  func fail(_ reason: String) {
    guard let onFailure else { return }
    abandon()
    onFailure(reason)
  }

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
      fail(SocketFailure.reason(error))
    }
  }

  // MARK: Pipeline

  private func install(_ pipeline: ChannelPipeline.SynchronousOperations) throws {
    guard let owner else { return }
    let connection = ClientConnection(
      configuration.makeEngine(for: address), keepalive: configuration.keepalive, owner: owner)
    self.connection = connection
    guard address.usesTLS else { return try pipeline.addHandler(connection) }
    // Asked for each time: what was loaded meanwhile is what counts.
    guard let tls = configuration.tls, tls.side == .client else {
      throw TLSError("TCP needs a client's TLS context")
    }
    let engine = try TLSEngine(tls, serverName: address.serverName)
    try pipeline.addHandler(
      TLSHandler(engine) { [self] outcome, pipeline in
        do {
          try configuration.check(try outcome.get().applicationProtocol)
          try pipeline.addHandler(connection, position: .last)
          return true
        } catch {
          fail("\(error)")
          return false
        }
      })
  }
}

/// How a channel makes its connections.
struct ConnectionConfiguration: Sendable {
  let wireProtocol: WireProtocol
  let tls: TLSContext?
  let limits: ClientLimits
  let keepalive: KeepaliveOptions?

  /// Fails if what the servers of the channel speak was not negotiated.
  func check(_ negotiated: ApplicationProtocol?) throws(TLSError) {
    let wanted: ApplicationProtocol = wireProtocol == .grpc ? .http2 : .ttrpc
    guard negotiated == wanted || negotiated == nil else {
      throw TLSError("\(wanted.rawValue) was not negotiated")
    }
  }

  func makeEngine(for address: ServerAddress) -> any ClientEngine {
    switch wireProtocol {
    case .grpc:
      HTTP2ClientSession(
        scheme: address.usesTLS ? "https" : "http", authority: address.authority, limits: limits)
    case .ttrpc: TTRPCClientSession(limits: limits)
    }
  }
}
