internal import NIOCore
internal import NIOPosix
public import TenancyCrypto
internal import TenancyRPCCore

/// A client's way to a server, at one address or several. Connects when the first call is made, shares
/// one connection per address among all calls, spreads calls in turn over the addresses that are
/// connected and healthy, and connects anew when a connection is lost. Thread-safe.
///
/// After a failed attempt an address is left alone for a while; while none can be reached, calls fail
/// at once with UNAVAILABLE and what went wrong, unless they wait (`RPCCallOptions.waitForReady`).
///
/// A call that no server has looked at is made again on its own; others by `Configuration.retry`, if
/// they are idempotent.
public final class RPCChannel: Sendable {
  /// Where a channel's servers are.
  public enum Target: Sendable, Hashable, CustomStringConvertible {
    /// A Unix socket, in plain text: the kernel vouches for both sides.
    case unix(path: String)
    /// TCP, always with TLS. All addresses of `host` are used. `serverName` is what the server's
    /// certificate must be for; nil: `host`.
    case tcp(host: String, port: Int, serverName: String? = nil)
    /// TCP on 127.0.0.1 in plain text, where nobody vouches for the server: for what any process of this
    /// host may hear.
    case loopback(port: Int)

    public var description: String {
      switch self {
      case .unix(let path): "unix:\(path)"
      case .loopback(let port): "127.0.0.1:\(port)"
      case .tcp(let host, let port, _): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
      }
    }
  }

  /// How a channel behaves. The defaults suit most.
  public struct Configuration: Sendable {
    /// All servers of the channel speak it. Over TLS it is negotiated: for ttrpc, the context's
    /// `applicationProtocols` must offer that and nothing else.
    public var wireProtocol = WireProtocol.grpc
    /// How much a server may cost the channel.
    public var limits = ClientLimits()
    /// For calls that are idempotent.
    public var retry = RPCRetryPolicy()
    /// Sent with every call, in addition to what the call's options say.
    public var credentials: (any MetadataProvider)?
    /// Calls go only to servers that say on `grpc.health.v1.Health/Watch` that this service is serving
    /// (empty: the server as a whole), or that do not know the method. nil: to all.
    public var healthService: String?
    /// nil: silent connections are not asked for a sign of life. ttrpc has no way to.
    public var keepalive: KeepaliveOptions?
    /// What finds the addresses of a name.
    public var resolver: any RPCNameResolver = SystemNameResolver()
    /// Names are looked up again, while calls go on, when a call is made so long after the last time, as well as when
    /// connections fail. Addresses that are gone get no more calls, and are left when theirs are over. nil: never.
    public var resolutionInterval: Duration? = .seconds(60)

    /// gRPC, with each setting at its default.
    public init() {}
  }

  private let loop: any EventLoop
  private let balancer: NIOLoopBoundBox<Balancer?>
  private let makeBalancer: @Sendable () -> Balancer
  let configuration: Configuration

  var limits: ClientLimits { configuration.limits }

  /// A channel to one target. Does not connect yet.
  ///
  /// - Parameter tls: a client's context; needed for TCP, not used on Unix sockets. Each connection
  ///   takes what the context has loaded when it is made (`TLSContext.reload`).
  public convenience init(
    _ target: Target, tls: TLSContext? = nil, configuration: Configuration = Configuration()
  ) {
    self.init([target], tls: tls, configuration: configuration)
  }

  /// A channel to several servers that are as good as one another. Does not connect yet.
  public convenience init(
    _ targets: [Target], tls: TLSContext? = nil, configuration: Configuration = Configuration()
  ) {
    let connections = ConnectionConfiguration(
      wireProtocol: configuration.wireProtocol, tls: tls, limits: configuration.limits,
      keepalive: configuration.keepalive)
    self.init(
      targets, configuration, on: MultiThreadedEventLoopGroup.singleton.next(),
      random: { Double.random(in: 0...1) },
      makeSetUp: { ConnectionAttempt($0, connections, owner: $1) })
  }

  /// For tests, which bring their own clock, chance and connections.
  init(
    _ targets: [Target], _ configuration: Configuration, on loop: any EventLoop,
    random: @escaping @Sendable () -> Double, makeSetUp: @escaping Subchannel.MakeSetUp
  ) {
    self.loop = loop
    self.configuration = configuration
    balancer = .makeEmptyBox(eventLoop: loop)
    makeBalancer = {
      let limits = configuration.limits
      let shared = ClientCall.Shared(
        loop: loop, limits: limits, policy: configuration.retry, random: random)
      let names = NameTable(
        targets, resolver: configuration.resolver, limits: limits,
        interval: configuration.resolutionInterval, loop: loop, random: random)
      return Balancer(shared, names: names) { address, owner in
        let health = configuration.healthService.map {
          HealthWatch(service: $0, loop: loop, random: random)
        }
        return Subchannel(
          address, loop: loop, health: health, random: random, owner: owner, makeSetUp: makeSetUp)
      }
    }
  }

  deinit {
    // Calls hold the channel, so none is in flight.
    let balancer = balancer
    loop.execute {
      balancer.value?.close {}
      balancer.value = nil
    }
  }

  /// Closes the connections; calls in flight end with CANCELLED, later ones with UNAVAILABLE.
  public func close() async {
    await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
      loop.execute { [self] in onLoop().close { done.resume() } }
    }
  }

  /// Begins a call, with the one message of its request if it is not a stream. Whoever does waits for
  /// its end.
  func begin(
    _ path: String, _ kind: CallKind, _ options: RPCCallOptions,
    only message: OutboundMessage? = nil
  ) throws(RPCStatus) -> CallMailbox {
    if Task.isCancelled { throw ClientCall.cancelled }
    var head = try RequestHead(
      path: path, kind: kind, metadata: options.metadata, limits: limits)
    head.usesGzip = options.compressesRequests
    let plan = ClientCall.Plan(
      head: head, deadline: options.timeout.map { loop.now + .bounded($0) },
      waitsForReady: options.waitForReady, isIdempotent: options.isIdempotent ?? false,
      providers: [configuration.credentials, options.credentials].compactMap(\.self))
    let mailbox = CallMailbox(
      limits, reportsAll: configuration.wireProtocol == .ttrpc, only: message)
    loop.execute { [self] in
      let balancer = onLoop()
      balancer.start(ClientCall(plan, mailbox: mailbox, shared: balancer.shared)) {}
    }
    return mailbox
  }

  private func onLoop() -> Balancer {
    if let made = balancer.value { return made }
    let made = makeBalancer()
    balancer.value = made
    return made
  }
}
