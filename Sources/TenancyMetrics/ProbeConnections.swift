internal import NIOCore
internal import NIOHTTP1
internal import TenancyCrypto
internal import TenancyRPC

/// The connections that are open. Confined to the listener's loop.
final class Room {
  private var open: Set<ObjectIdentifier> = []
  /// Those without a request, the oldest first.
  private var silent: [any Channel] = []
  /// Those of an exchange, and since when they wait for a request; nil: they have one.
  private var conversations: [ObjectIdentifier: (channel: any Channel, since: NIODeadline?)] = [:]

  /// Connections that have not begun a conversation, at the same time.
  private let limit: Int

  /// - Parameter handshakes: whether there are some, which take a while each.
  init(handshakes: Bool = false) {
    limit = handshakes ? ProbeListener.maximumConversations : ProbeListener.maximumConnections
  }

  /// - Returns: false if there is no place.
  func enter(_ channel: any Channel) -> Bool {
    if open.count >= limit {
      guard let oldest = silent.first else { return false }
      leave(oldest)
      oldest.close(promise: nil)
    }
    open.insert(ObjectIdentifier(channel))
    silent.append(channel)
    return true
  }

  /// It has sent a request, and is answered.
  func note(_ channel: any Channel) { silent.removeAll { $0 === channel } }

  func leave(_ channel: any Channel) {
    open.remove(ObjectIdentifier(channel))
    conversations[ObjectIdentifier(channel)] = nil
    note(channel)
  }

  // MARK: Conversations

  /// Its request is an exchange's: from now on it has no place of those of probes.
  /// - Returns: false if there is none for it.
  func converse(_ channel: any Channel) -> Bool {
    leave(channel)
    if conversations.count >= ProbeListener.maximumConversations {
      let resting = conversations.values.filter { $0.since != nil }
      guard
        let oldest = resting.min(by: {
          ($0.since ?? .distantFuture) < ($1.since ?? .distantFuture)
        })
      else { return false }
      leave(oldest.channel)
      oldest.channel.close(promise: nil)
    }
    conversations[ObjectIdentifier(channel)] = (channel, nil)
    return true
  }

  func rests(_ channel: any Channel, _ isResting: Bool) {
    guard conversations[ObjectIdentifier(channel)] != nil else { return }
    conversations[ObjectIdentifier(channel)] = (channel, isResting ? .now() : nil)
  }
}

/// Ends connections that send more than their requests may have.
final class ByteLimit: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  /// What one read may bring beside what is let in: it is counted before anybody looks at it.
  static let readBytes = 64 * 1024
  /// Of what is thrown away, behind the last answer.
  static let farewellBytes = 2 * 1024 * 1024

  /// Of a request's head.
  private let headBytes: Int
  private var left: Int

  init(_ headBytes: Int) {
    self.headBytes = headBytes
    left = headBytes
  }

  /// The next request begins.
  func restart() { left = headBytes }

  /// So much more is let in. What frames the pieces of a body is not counted in that.
  func allow(_ bytes: Int) { left = 2 * bytes + headBytes }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    left -= unwrapInboundIn(data).readableBytes
    guard left >= 0 else { return context.close(promise: nil) }
    context.fireChannelRead(data)
  }
}

/// Builds the pipeline of one connection. Confined to its event loop.
final class ConnectionSetup {
  private let pages: ProbeListener.Pages
  private let exchange: (any HTTPExchange)?
  private let room: Room
  private let channel: any Channel

  init(
    pages: @escaping ProbeListener.Pages, exchange: (any HTTPExchange)?, room: Room,
    channel: any Channel
  ) {
    self.pages = pages
    self.exchange = exchange
    self.room = room
    self.channel = channel
  }

  /// Waits for a handshake, and for nothing else.
  func secure(_ tls: TLSContext) throws {
    let channel = channel
    let timer = channel.eventLoop.scheduleTask(in: ProbeListener.patience) {
      channel.close(promise: nil)
    }
    let handler = TLSHandler(try TLSEngine(tls)) { outcome, _ in
      timer.cancel()
      guard case .success(let session) = outcome else { return false }
      do {
        try self.talk(as: session.peer)
        return true
      } catch {
        return false
      }
    }
    try channel.pipeline.syncOperations.addHandler(handler)
  }

  /// - Parameter credential: nil: the peer has shown none.
  func talk(as credential: PeerCredential?) throws {
    let pipeline = channel.pipeline.syncOperations
    let bytes = ByteLimit(
      ProbeListener.maximumRequestBytes + (exchange == nil ? 0 : ByteLimit.readBytes))
    try pipeline.addHandler(bytes)
    try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: exchange != nil)
    let (room, exchange) = (room, exchange)
    let peer = HTTPPeer(credential, channel.remoteAddress?.ipAddress ?? "")
    try pipeline.addHandler(
      PageHandler(pages) {
        room.note($0)
      } handOver: { [weak channel] head in
        guard let exchange, let channel, exchange.takes(String(head.uri.prefix { $0 != "?" }))
        else { return nil }
        guard room.converse(channel) else {
          channel.close(promise: nil)
          return nil
        }
        return ExchangeHandler(
          ExchangeHandler.Terms(
            exchange: exchange, peer: peer, bytes: bytes, onRest: { room.rests($0, $1) }))
      })
  }
}

extension HTTPPeer {
  /// - Parameter address: empty: of a Unix socket.
  init(_ credential: PeerCredential?, _ address: String) {
    peer = credential.map { .certificate($0.certificate) } ?? .uncertified(address: address)
    refusal = { credential?.refusalNow() }
    label = address.isEmpty ? "http" : "http \(address)"
  }
}
