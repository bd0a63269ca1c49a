internal import NIOCore
internal import NIOPosix
import Synchronization
internal import TenancyCrypto
internal import TenancyRPCCore

/// A server that could not start.
public struct ServerStartError: Error, Sendable, CustomStringConvertible {
  public let description: String
}

/// An RPC server: listeners on Unix sockets and TCP that share one table of methods. Thread-safe.
public final class Server: Sendable {
  /// Connections that wait to be accepted. A full backlog of a Unix socket refuses connects.
  private static let backlog: Int32 = 4096

  /// Reads of a connection before others have their turn.
  private static let messagesPerRead: UInt = 1

  private static let maintenance = TimeAmount.seconds(1)

  private let core: ServerCore
  private let configuration: Configuration
  private let observer: (any ServerObserver)?
  private let group: MultiThreadedEventLoopGroup
  private let loopStates: [ObjectIdentifier: NIOLoopBound<LoopState>]
  private let reloads: [TLSContext.Observation]
  let listening = Mutex<[Listening]>([])
  /// Given to it, and not listened on yet.
  private let unadopted: Mutex<ArraySlice<AdoptedSocket>>
  /// Its life has one direction, and each step is made once.
  private enum Life {
    case made
    case started
    /// Being stopped, or stopped. Who stops it again waits for the first to be done.
    case stopping(waiting: [CheckedContinuation<Void, Never>])
    case stopped
  }

  private let life = Mutex(Life.made)
  /// From `beginLife` until its listeners are bound or have failed.
  private struct Binding {
    var isUnderWay = false
    /// Who ends the server.
    var waiting: CheckedContinuation<Void, Never>?
  }
  private let binding = Mutex(Binding())
  /// From `start` to `stop`.
  private let keeping = Mutex<Task<Void, Never>?>(nil)
  /// Nothing is asked of them any more, or they are about to end.
  private let loopsHaveEnded = Mutex(false)

  struct Listening {
    let address: ListenAddress
    let channel: any Channel
    /// Of a Unix listener.
    var file: UnixSocketFile?
  }

  /// - Parameter interceptors: of every method; the first is the outermost.
  /// - Precondition: no two methods have the same path.
  public init<Delegate: ServerDelegate>(
    _ configuration: Configuration, methods: [ServiceMethod<Delegate>],
    interceptors: [any RPCServerInterceptor<Delegate>] = [], delegate: Delegate
  ) async throws {
    self.configuration = configuration
    unadopted = Mutex(configuration.adopted[...])
    let observer = delegate.observer
    self.observer = observer
    let core = ServerCore(
      methods: methods.map { $0.intercepted(by: interceptors) }, limits: configuration.limits,
      delegate: delegate)
    self.core = core
    MemoryKeeper.prepare()
    let cores = configuration.eventLoops > 0 ? configuration.eventLoops : System.coreCount
    group = MultiThreadedEventLoopGroup(numberOfThreads: cores)
    var states: [ObjectIdentifier: NIOLoopBound<LoopState>] = [:]
    for loop in group.makeIterator() {
      states[ObjectIdentifier(loop)] = try await loop.submit {
        let state = NIOLoopBound(
          LoopState(
            loop, embedder: core.embedder.makeLoop(),
            observer: observer?.makeLoopObserver(
              methods: methods.map(\.path), loop: ObservedLoop(loop))),
          eventLoop: loop)
        loop.scheduleRepeatedTask(initialDelay: Self.maintenance, delay: Self.maintenance) { _ in
          state.value.embedder.maintain()
          state.value.noteLateness(of: Self.maintenance)
        }
        return state
      }.get()
    }
    loopStates = states
    // Whoever reloads waits: not an event loop.
    reloads = [configuration.tls, configuration.uncertifiedTLS].compactMap { context in
      context?.onReload { [weak core] in core?.connections.reviewPeers() }
    }
  }

  /// Starts to listen. Returns the addresses in use: with port 0, the port that the system chose.
  /// - Throws: `ServerStartError`: what can't be listened on; nothing listens then, and it has stopped. Or it was
  ///   started or stopped before.
  public func start() async throws -> [ListenAddress] {
    try beginLife()
    return try await listen()
  }

  /// What `start` does once it is known to be the first.
  func listen() async throws -> [ListenAddress] {
    do {
      let bound = try await bindAll()
      endBinding()
      return bound
    } catch {
      endBinding()
      await stop(within: .zero)
      throw error
    }
  }

  private func bindAll() async throws -> [ListenAddress] {
    var bound: [ListenAddress] = []
    try whileStarted { keeping.withLock { $0 = Task { await MemoryKeeper.run() } } }
    for listener in configuration.listeners {
      let address = try await listen(listener)
      bound.append(address)
      core.log(.listening, address.description, "")
    }
    while let socket = unadopted.withLock({ $0.popFirst() }) {
      let address = try await adopt(socket)
      bound.append(address)
      core.log(.listening, address.description, "adopted")
    }
    return bound
  }

  /// Nothing is bound any more by who has started the server.
  func endBinding() {
    binding.withLock { binding in
      binding.isUnderWay = false
      return binding.waiting.take()
    }?.resume()
  }

  /// The loops must not end before that.
  private func untilNothingIsBound() async {
    await withCheckedContinuation { continuation in
      let waits = binding.withLock { binding in
        if binding.isUnderWay { binding.waiting = continuation }
        return binding.isUnderWay
      }
      if !waits { continuation.resume() }
    }
  }

  /// Returns when every event loop has turned since: one that does not is stuck. At once when the server has
  /// stopped.
  public func turnLoops() async {
    let turns = loopsHaveEnded.withLock { haveEnded in
      haveEnded ? [] : group.makeIterator().map { $0.submit {} }
    }
    // A loop that ends meanwhile need not turn.
    for turn in turns { try? await turn.get() }
  }

  /// Whether it was started, and nobody has begun to stop it.
  var isServing: Bool {
    life.withLock { if case .started = $0 { true } else { false } }
  }

  /// What whoever stops the server finds, once it is there.
  private func whileStarted(_ body: () -> Void) throws(ServerStartError) {
    let isStarted = life.withLock { life in
      guard case .started = life else { return false }
      body()
      return true
    }
    guard isStarted else { throw ServerStartError(description: "the server was stopped meanwhile") }
  }

  /// Serves what listens until the server is stopped, and not at all if it was stopped meanwhile.
  func add(_ listener: Listening) async throws(ServerStartError) {
    do throws(ServerStartError) {
      try whileStarted { listening.withLock { $0.append(listener) } }
    } catch {
      try? await listener.channel.close().get()  // Closed already: nothing is lost.
      listener.file?.remove()
      throw error
    }
  }

  func beginLife() throws(ServerStartError) {
    let isFirst = life.withLock { life in
      guard case .made = life else { return false }
      life = .started
      binding.withLock { $0.isUnderWay = true }
      return true
    }
    guard isFirst else { throw ServerStartError(description: "the server was started before") }
  }

  /// Stops accepting, lets calls in flight finish for at most `limit`, then closes everything. Returns when that is
  /// done, also to who stops it again meanwhile.
  public func stop(within limit: Duration) async {
    guard await beginEnd() else { return }
    await end(within: limit)
    let waiting = life.withLock { life in
      guard case .stopping(let waiting) = life else { return [CheckedContinuation<Void, Never>]() }
      life = .stopped
      return waiting
    }
    for continuation in waiting { continuation.resume() }
  }

  /// - Returns: whether it is the caller's to stop it; otherwise it has stopped.
  private func beginEnd() async -> Bool {
    enum Answer { case own, done, wait }
    let answer = life.withLock { life -> Answer in
      switch life {
      case .made, .started:
        life = .stopping(waiting: [])
        return .own
      case .stopping: return .wait
      case .stopped: return .done
      }
    }
    guard answer == .wait else { return answer == .own }
    await withCheckedContinuation { continuation in
      let isOver = life.withLock { life in
        guard case .stopping(let waiting) = life else { return true }
        life = .stopping(waiting: waiting + [continuation])
        return false
      }
      if isOver { continuation.resume() }
    }
    return false
  }

  private func end(within limit: Duration) async {
    await untilNothingIsBound()
    let open = listening.withLock { listening in
      defer { listening = [] }
      return listening
    }
    for listener in open {
      try? await listener.channel.close().get()  // Closed already: nothing is lost.
      // At once: while calls are drained, another server may take the path.
      listener.file?.remove()
    }
    for socket in unadopted.withLock({ sockets in
      defer { sockets = [] }
      return sockets
    }) { socket.close() }
    keeping.withLock { $0?.cancel() }
    await core.connections.drain(within: limit)
    // They report to event loops, which must not be gone by then.
    await core.awaitTasks(within: configuration.handlerPatience)
    observer?.loopsEnd()
    loopsHaveEnded.withLock { $0 = true }
    try? await group.shutdownGracefully()  // The loops are empty; a failure leaves nothing to do.
  }

  private func listen(_ address: ListenAddress) async throws -> ListenAddress {
    let bootstrap = bootstrap(for: address)
    do {
      switch address {
      case .unix(let path, let mode, let group):
        try UnixSocketFile.prepare(path)
        let channel = try await bootstrap.bind(unixDomainSocketPath: path).get()
        try await add(Listening(address: address, channel: channel, file: UnixSocketFile(path)))
        if let group, chown(path, uid_t.max, group) != 0 {
          throw ServerStartError(description: "cannot give \(path) to the group \(group)")
        }
        guard chmod(path, mode_t(mode)) == 0 else {
          throw ServerStartError(description: "cannot set the mode of \(path)")
        }
        return address
      case .tcp(let host, let port, let insecure, let certified):
        try checkTLS(for: address)
        let channel =
          try await bootstrap
          .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
          .bind(host: host, port: port).get()
        let chosen = channel.localAddress?.port ?? port
        let bound = ListenAddress.tcp(
          host: host, port: chosen, insecure: insecure, certified: certified)
        try await add(Listening(address: bound, channel: channel))
        return bound
      }
    } catch let error as ServerStartError {
      throw error
    } catch {
      throw ServerStartError(
        description: "cannot listen on \(address): \(SocketFailure.reason(error))")
    }
  }

  /// For whatever listens there: what it accepts is served.
  func bootstrap(for address: ListenAddress) -> ServerBootstrap {
    ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: Self.backlog)
      .serverChannelOption(.maxMessagesPerRead, value: AcceptGate.acceptedPerRead)
      .serverChannelInitializer { [core] channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(AcceptGate(core: core, address: address))
        }
      }
      .childChannelInitializer { [self] channel in
        switch address {
        case .unix(let path, _, _): acceptUnix(channel, path)
        case .tcp(_, _, let insecure, _): acceptTCP(channel, address, insecure)
        }
      }
  }

  func checkTLS(for address: ListenAddress) throws(ServerStartError) {
    if case .tcp(_, _, insecure: false, _) = address, configuration.tls(for: address) == nil {
      throw ServerStartError(description: "\(address) needs TLS")
    }
  }

  private func acceptUnix(_ channel: any Channel, _ path: String) -> EventLoopFuture<Void> {
    guard let provider = channel as? any SocketOptionProvider else {
      return channel.eventLoop.makeFailedFuture(ConnectionRefusal(reason: "not a socket"))
    }
    let credentials: EventLoopFuture<KernelCredentials> = provider.unsafeGetSocketOption(
      level: .init(rawValue: SOL_SOCKET), name: .init(rawValue: SO_PEERCRED))
    return credentials.flatMap { [self] found in
      PeerProcess.holding(
        configuration.holdsPeerProcesses ? found.process : nil, of: provider
      ).flatMapThrowing { [self] process in
        let peer = UnixCredentials(
          userID: found.user, groupID: found.group, processID: found.process)
        try sniff(
          channel, tls: nil, plainPeer: .unixProcess(peer), origin: .user(peer.userID),
          label: ConnectionOrigin.unix(path: path, peer), process: process)
      }
    }
  }

  private func acceptTCP(
    _ channel: any Channel, _ address: ListenAddress, _ insecure: Bool
  ) -> EventLoopFuture<Void> {
    channel.eventLoop.makeCompletedFuture {
      try sniff(
        channel, tls: configuration.tls(for: address), plainPeer: insecure ? .anonymous : nil,
        origin: Origin(channel.remoteAddress),
        label: ConnectionOrigin.tcp(address, channel.remoteAddress))
    }
  }

  private func sniff(
    _ channel: any Channel, tls: TLSContext?, plainPeer: Peer?, origin: Origin,
    label: any ConnectionLabel, process: PeerProcess? = nil
  ) throws {
    guard let loop = loopStates[ObjectIdentifier(channel.eventLoop)]?.value else {
      throw ConnectionRefusal(reason: "unknown event loop")
    }
    try channel.syncOptions?.setOption(.maxMessagesPerRead, value: Self.messagesPerRead)
    try channel.syncOptions?.setOption(.recvAllocator, value: ReadAllocator())
    let acceptor = ConnectionAcceptor(
      core: core, loop: loop, tls: tls, plainPeer: plainPeer, origin: origin,
      channel: channel, label: label, process: process)
    try channel.pipeline.syncOperations.addHandler(ProtocolSniffer(acceptor))
  }
}

/// Where a connection came from, for logs.
private enum ConnectionOrigin: ConnectionLabel {
  case unix(path: String, UnixCredentials)
  case tcp(ListenAddress, SocketAddress?)

  var description: String {
    switch self {
    case .unix(let path, let peer): "unix:\(path) pid \(peer.processID) uid \(peer.userID)"
    case .tcp(let address, let peer): "\(address) peer \(peer.map { "\($0)" } ?? "unknown")"
    }
  }
}

/// `struct ucred` of the kernel (unix(7)), which Glibc declares only to GNU sources.
private struct KernelCredentials {
  var process: Int32
  var user: UInt32
  var group: UInt32
}
