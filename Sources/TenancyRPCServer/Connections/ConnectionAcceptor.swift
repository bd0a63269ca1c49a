internal import NIOCore
internal import TenancyCrypto
internal import TenancyLoop

/// Builds the pipeline of one accepted channel. Confined to its event loop.
final class ConnectionAcceptor {
  let core: ServerCore
  private let loop: LoopState
  private let tls: TLSContext?
  private let plainPeer: Peer?
  private let process: PeerProcess?
  private let channel: any Channel
  private let label: any ConnectionLabel
  private let newcomer: Newcomer

  /// - Parameters:
  ///   - tls: nil where the listener does not take TLS.
  ///   - plainPeer: who a plain-text peer is; nil where plain text is not allowed.
  ///   - origin: what the connection counts for until it has proven more.
  init(
    core: ServerCore, loop: LoopState, tls: TLSContext?, plainPeer: Peer?, origin: Origin,
    channel: any Channel, label: any ConnectionLabel, process: PeerProcess? = nil
  ) {
    self.channel = channel
    self.core = core
    self.loop = loop
    self.tls = tls
    self.plainPeer = plainPeer
    self.process = process
    self.label = label
    let newcomer = Newcomer(core.census, from: origin) {
      core.log(.peerRefused, label.description, "it has proven nothing, and others need the room")
      channel.close(promise: nil)
    }
    self.newcomer = newcomer
    let bound = NIOLoopBound(newcomer, eventLoop: channel.eventLoop)
    channel.closeFuture.whenComplete { _ in bound.value.left() }
  }

  var timers: TimerQueue { loop.timers }

  func acceptPlain(_ context: ChannelHandlerContext, _ spoken: ApplicationProtocol) throws {
    guard let plainPeer else { throw ConnectionRefusal(reason: "plain text is not allowed here") }
    try install(context.pipeline.syncOperations, plainPeer, spoken, newcomer: newcomer)
  }

  func acceptTLS(_ context: ChannelHandlerContext) throws {
    guard let tls else { throw ConnectionRefusal(reason: "TLS is not offered here") }
    let engine = try TLSEngine(tls)
    let handler = TLSHandler(
      engine, timers: timers, recordTimeout: .bounded(core.limits.stallTimeout)
    ) { [newcomer] in
      newcomer.answered()
    } onHandshake: { [self] outcome, operations in
      switch outcome {
      case .success(let session):
        loop.observer?.handshakeEnded(succeeded: true)
        do {
          let peer = session.peer
          try install(
            operations,
            peer.map { .certificate($0.certificate) }
              ?? .uncertified(address: channel.remoteAddress?.ipAddress ?? ""),
            session.applicationProtocol ?? .http2, peer)
          newcomer.proven()
        } catch {
          core.log(.peerRefused, label.description, "\(error)")
          return false
        }
        return true
      case .failure(let error):
        loop.observer?.handshakeEnded(succeeded: false)
        core.log(.handshakeFailed, label.description, error.logText)
        return false
      }
    }
    try context.pipeline.syncOperations.addHandler(handler, position: .last)
  }

  func refuse(_ context: ChannelHandlerContext, _ error: any Error) {
    core.log(.peerRefused, label.description, "\(error)")
    context.close(promise: nil)
  }

  private func install(
    _ pipeline: ChannelPipeline.SynchronousOperations, _ peer: Peer, _ spoken: ApplicationProtocol,
    _ credential: PeerCredential? = nil, newcomer: Newcomer? = nil
  ) throws {
    let key = PeerKey(peer, address: channel.remoteAddress?.ipAddress ?? "")
    guard core.census.enter(key) else {
      throw ConnectionRefusal(reason: "the peer has too many connections")
    }
    channel.closeFuture.whenComplete { [core] _ in core.census.leave(key) }
    let connection = Connection(peer: peer, label: label, process: process) {
      credential?.refusalNow()
    }
    guard let embedder = loop.embedder.open(connection) else {
      throw ConnectionRefusal(reason: "the peer's identity is not acceptable")
    }
    switch spoken {
    case .http2:
      try pipeline.addHandler(
        ServerConnectionHandler<HTTP2ServerSession>(
          core: core, embedder: embedder, peer: key, credential: credential,
          newcomer: newcomer,
          loop: loop),
        position: .last)
    case .ttrpc:
      try pipeline.addHandler(
        ServerConnectionHandler<TTRPCServerSession>(
          core: core, embedder: embedder, peer: key, credential: credential,
          newcomer: newcomer,
          loop: loop),
        position: .last)
    }
  }
}
